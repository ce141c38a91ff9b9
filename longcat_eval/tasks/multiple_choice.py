"""Multiple choice on a chat endpoint: one zero-shot question, reasoning, a last line with the letter."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from math import factorial
from typing import Any

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
from longcat_eval.tasks.choice_extraction import LABELS, extract_choice
from longcat_eval.tasks.prompts import prompt_hash
from longcat_eval.tasks.replies import ended_early, without_answer

EXTRACTOR = "choice/1"
MAX_TOKENS = 32_768


def choice_sample(sample_id: str, group: str, question: Any, options: Sequence[Any], answer: str) -> Sample:
    """Return a sample with `question`, `options` and the letter `answer`; `ValueError` if they do not fit."""
    if not isinstance(question, str) or not all(isinstance(option, str) for option in options):
        raise ValueError("the question or an option is not text")
    if not 2 <= len(options) <= len(LABELS):
        raise ValueError(f"{len(options)} options")
    if len(answer) != 1 or answer not in LABELS[: len(options)]:
        raise ValueError(f"the answer is not one letter of {LABELS[: len(options)]}")
    return Sample(sample_id, {"question": question, "options": list(options), "answer": answer}, group)


def option_order(sample_id: str, repeat: int, n: int) -> list[int]:
    """Return the order in which the options of one attempt are shown: a permutation of range(n).

    The sha256 of sample id and repeat, read in the factorial number system, so that it depends on nothing
    else (specs/qa.md §2.1: each of the 16 samples of GPQA has its own order).
    """
    digest = hashlib.sha256(f"{sample_id}\0{repeat}".encode()).digest()
    code, left, order = int.from_bytes(digest) % factorial(n), list(range(n)), []
    for base in range(n, 0, -1):
        code, place = divmod(code, base)
        order.append(left.pop(place))
    return order


class MultipleChoiceTask:
    """A benchmark of lettered options; implements `protocols.Task`.

    `template` has {question}, {options}, {labels} and, if it likes, {subject}, which `subjects` spells out.
    `answer_line` is the accepted last line with {label}. `shuffled` shows the options in the order of
    `option_order` and keeps it in the transcript's artifacts. `chance` is the score of guessing.
    """

    def __init__(
        self,
        name: str,
        *,
        load: Callable[[DataOptions], Dataset],
        template: str,
        answer_line: str = "Answer: {label}",
        joint: str = ", ",
        subjects: Mapping[str, str] | None = None,
        repeats: int = 1,
        shuffled: bool = False,
        chance: float = 0.25,
        typical_tokens: int = 400,
        version: int = 1,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self.needs = frozenset({"chat"})
        self.floors: Mapping[str, float] = {"null": 0.0, "chance": chance}
        self.protocol = TaskProtocol(
            name=f"{name}/zero-shot-cot/{version}",
            repeats=repeats,
            metric="acc" if repeats == 1 else f"avg@{repeats}",
            max_tokens=MAX_TOKENS,
            prompt_hash=prompt_hash(template, answer_line, joint),
            grader=EXTRACTOR,
            notes=notes,
            typical_tokens=typical_tokens,
        )
        self._load, self._template, self._answer_line = load, template, answer_line
        self._joint, self._subjects, self._shuffled = joint, subjects or {}, shuffled

    def load(self, options: DataOptions) -> Dataset:
        """Return the checked samples."""
        return self._load(options)

    def prompt(self, sample: Sample, repeat: int) -> str:
        """Return the user message of one attempt."""
        options: list[str] = sample.fields["options"]
        shown = (options[i] for i in self._order(sample, repeat))
        return self._template.format(
            question=sample.fields["question"].strip(),
            options="\n".join(
                f"{label}. {option.strip()}" for label, option in zip(LABELS, shown, strict=False)
            ),
            labels=self._joint.join(LABELS[: len(options)]),
            subject=self._subjects.get(sample.group, sample.group),
        )

    def reference(self, sample: Sample, repeat: int) -> Mapping[str, Sequence[Message]]:
        """Return the accepted last line with the right letter."""
        label = self._right_label(sample, self._order(sample, repeat))
        return {"agent": [Message("assistant", self._answer_line.format(label=label))]}

    async def attempt(self, sample: Sample, ctx: AttemptContext) -> Transcript:
        """Ask once; a shuffled task notes its order as `artifacts["order"]`."""
        transcript = await ask_once(self.prompt(sample, ctx.key.repeat), ctx)
        if self._shuffled:
            transcript.artifacts["order"] = self._order(sample, ctx.key.repeat)
        return transcript

    async def score(self, sample: Sample, transcript: Transcript, ctx: AttemptContext) -> Score:
        """Return 1 for the right letter. `metrics["option"]` is the option chosen in the data's own order."""
        early = ended_early(transcript)
        reply = transcript.last
        if early is not None or reply is None:
            return early or Score(None, Outcome.HARNESS_ERROR, "no_reply")
        choice = extract_choice(reply.text, LABELS[: len(sample.fields["options"])])
        if choice.label is None:
            return without_answer(reply, choice.rule or "not_found", choice.rule)
        order = transcript.artifacts.get("order") or self._order(sample, transcript.key.repeat)
        right = choice.label == self._right_label(sample, order)
        metrics = {"option": float(order[LABELS.index(choice.label)])} if self._shuffled else {}
        return Score(
            float(right), Outcome.ANSWERED, extracted=choice.label, rule=choice.rule, metrics=metrics
        )

    def aggregate(self, rows: Sequence[AttemptRow]) -> Aggregate:
        """Return micro (headline), macro over subjects, maj@k and the rates of replies without an answer."""
        return aggregate_rows(rows, _chosen_option if self._shuffled else lambda row: row.extracted)

    def _order(self, sample: Sample, repeat: int) -> list[int]:
        n = len(sample.fields["options"])
        return option_order(sample.id, repeat, n) if self._shuffled else list(range(n))

    @staticmethod
    def _right_label(sample: Sample, order: Sequence[int]) -> str:
        return LABELS[order.index(LABELS.index(sample.fields["answer"]))]


def _chosen_option(row: AttemptRow) -> str | None:
    """The vote of a shuffled attempt: the same letter means another option in every repeat."""
    return None if row.extracted is None else str(row.metrics.get("option"))
