r"""Mathematics on a chat endpoint: one zero-shot problem, reasoning, the answer in a last `\boxed{}`."""

from collections.abc import Callable, Mapping, Sequence

from longcat_eval.protocols import AttemptContext, DataOptions
from longcat_eval.records import (
    Aggregate,
    AttemptRow,
    Dataset,
    Message,
    Outcome,
    Sample,
    Score,
    TaskProtocol,
    Transcript,
)
from longcat_eval.runners.chat import ask_once
from longcat_eval.tasks.aggregation import aggregate_rows
from longcat_eval.tasks.math_answers import LONGEST_ANSWER, as_integer, extract_boxed, normal_form
from longcat_eval.tasks.math_grading import RULES, grader_version, judge, require_math_verify
from longcat_eval.tasks.prompts import prompt_hash
from longcat_eval.tasks.replies import ended_early, without_answer

MAX_TOKENS = 32_768


class MathTask:
    """A benchmark of problems with one closed-form answer; implements `protocols.Task`.

    Samples have the fields `problem` and `answer`; `template` has {problem}. Without `algebra` only equal
    integers and equal text count, and math-verify is not needed.
    """

    def __init__(
        self,
        name: str,
        *,
        load: Callable[[DataOptions], Dataset],
        template: str,
        repeats: int = 1,
        algebra: bool = True,
        typical_tokens: int = 1500,
        version: int = 1,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self.needs = frozenset({"chat"})
        self.floors: Mapping[str, float] = {"null": 0.0}
        self.protocol = TaskProtocol(
            name=f"{name}/zero-shot-cot/{version}",
            repeats=repeats,
            metric="acc" if repeats == 1 else f"avg@{repeats}",
            max_tokens=MAX_TOKENS,
            prompt_hash=prompt_hash(template),
            grader=grader_version() if algebra else RULES,
            notes=notes,
            typical_tokens=typical_tokens,
        )
        self._load, self._template, self._algebra = load, template, algebra

    def load(self, options: DataOptions) -> Dataset:
        """Return the checked samples; `EnvironmentUnusableError` also where the grader is not installed."""
        if self._algebra:
            require_math_verify()
        return self._load(options)

    def prompt(self, sample: Sample, repeat: int) -> str:
        """Return the user message, the same for every repeat."""
        return self._template.format(problem=sample.fields["problem"].strip())

    def reference(self, sample: Sample, repeat: int) -> Mapping[str, Sequence[Message]]:
        """Return the gold answer in a box."""
        return {"agent": [Message("assistant", f"\\boxed{{{sample.fields['answer']}}}")]}

    async def attempt(self, sample: Sample, ctx: AttemptContext) -> Transcript:
        """Ask once."""
        return await ask_once(self.prompt(sample, ctx.key.repeat), ctx)

    async def score(self, sample: Sample, transcript: Transcript, ctx: AttemptContext) -> Score:
        """Return 1 if the last box equals the gold answer; `reason` says if the grader hit a limit."""
        early = ended_early(transcript)
        reply = transcript.last
        if early is not None or reply is None:
            return early or Score(None, Outcome.HARNESS_ERROR, "no_reply")
        answer, rule = extract_boxed(reply.text)
        if answer is None:
            return without_answer(reply, rule, rule)
        right, reason = await judge(sample.fields["answer"], answer, ctx.workers if self._algebra else None)
        if right is None:
            return Score(None, Outcome.HARNESS_ERROR, reason, answer[:LONGEST_ANSWER], rule)
        return Score(float(right), Outcome.ANSWERED, reason, answer[:LONGEST_ANSWER], rule)

    def aggregate(self, rows: Sequence[AttemptRow]) -> Aggregate:
        """Return micro (headline), macro over subjects, maj@k and the rates of replies without an answer."""
        return aggregate_rows(rows, spelled_alike)


def spelled_alike(row: AttemptRow) -> str | None:
    """The vote of a math attempt: 025 and 25 are one answer, as are two spacings of a formula."""
    if row.extracted is None:
        return None
    return as_integer(row.extracted) or normal_form(row.extracted)
