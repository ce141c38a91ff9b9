"""IFEval: 541 prompts with 834 instructions of 25 types that a program can check.

Zhou et al. 2023, Instruction-Following Evaluation for Large Language Models, arXiv 2311.07911. Data:
google/IFEval (Apache-2.0). Prompt: the text verbatim as the one user message. Checkers: lm-eval's
(`ifeval_checkers`).

Score: share of prompts all of whose instructions are followed, strictly. Beside it the share of instructions,
and both leniently: there a reply counts if it passes as is, without its first or last line or both, each
with or without asterisks.
"""

from collections.abc import Mapping, Sequence

from msgspec import structs

from longcat_eval.protocols import AttemptContext, DataOptions, WorkerError
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
from longcat_eval.tasks.data_files import Row
from longcat_eval.tasks.datasets import DatasetSpec, load_dataset
from longcat_eval.tasks.ifeval_checkers import Verdicts, grader_version, judge, require_checkers
from longcat_eval.tasks.prompts import prompt_hash
from longcat_eval.tasks.replies import ended_early, visible_text, without_answer

MAX_TOKENS = 16_384
HEADLINE = "prompt_strict"


def sample(row: Row, subject: str, position: int) -> Sample:
    """Read a row of Google's file or of the hub's, which fills the kwargs up with nulls."""
    names, kwargs = list(row["instruction_id_list"]), row["kwargs"]
    if len(names) != len(kwargs):
        raise ValueError(f"{len(names)} instructions with {len(kwargs)} sets of arguments")
    given = [{name: value for name, value in one.items() if value is not None} for one in kwargs]
    return Sample(str(row["key"]), {"prompt": row["prompt"], "instruction_id_list": names, "kwargs": given})


DATA = DatasetSpec(
    name="ifeval",
    folder="ifeval",
    repo="google/IFEval",
    revision="966cd89545d6b6acfd7638bc708b98261ca58e84",
    local_files=("input_data", "*input_data*", "*train*", "*"),
    hub_files=("*input_data.jsonl", "*train*.parquet"),
    items=541,
    sample=sample,
)


class IFEvalTask:
    """Implements `protocols.Task`."""

    name = "ifeval"
    needs = frozenset({"chat"})
    floors: Mapping[str, float] = {"null": 0.0}

    def __init__(self) -> None:
        self.protocol = TaskProtocol(
            name="ifeval/verbatim/1",
            repeats=1,
            metric="acc",
            max_tokens=MAX_TOKENS,
            prompt_hash=prompt_hash("{prompt}"),
            grader=grader_version(),
            typical_tokens=500,
        )

    def load(self, options: DataOptions) -> Dataset:
        """Return the checked samples; `EnvironmentUnusableError` also where the checkers are not here."""
        require_checkers()
        return load_dataset(DATA, options)

    def reference(self, sample: Sample, repeat: int) -> Mapping[str, Sequence[Message]]:
        """Nothing: the benchmark has no gold replies."""
        return {}

    async def attempt(self, sample: Sample, ctx: AttemptContext) -> Transcript:
        """Ask once."""
        return await ask_once(sample.fields["prompt"], ctx)

    async def score(self, sample: Sample, transcript: Transcript, ctx: AttemptContext) -> Score:
        """Return 1 if every instruction is followed strictly; a reply cut at its limit is judged as it is."""
        names = sample.fields["instruction_id_list"]
        none = _metrics(Verdicts([False] * len(names), [False] * len(names)))
        early, reply = ended_early(transcript), transcript.last
        if early is not None or reply is None:
            return structs.replace(early or Score(None, Outcome.HARNESS_ERROR, "no_reply"), metrics=none)
        text = visible_text(reply.text)
        if not text.strip():
            return structs.replace(without_answer(reply, "empty"), metrics=none)
        try:
            found = await judge(sample.fields["prompt"], names, sample.fields["kwargs"], text, ctx.workers)
        except WorkerError as error:
            if error.reason == "error":
                return Score(None, Outcome.HARNESS_ERROR, "grader_error", str(error)[:200])
            return Score(0.0, Outcome.ANSWERED, f"grader_{error.reason}", metrics=none)
        missed = [name for name, followed in zip(names, found.strict, strict=True) if not followed]
        cut = reply.finish_reason in ("length", "max_tokens")
        outcome, reason = (Outcome.LENGTH_LIMIT, "tokens") if cut else (Outcome.ANSWERED, "")
        return Score(float(not missed), outcome, reason, " ".join(missed) or None, metrics=_metrics(found))

    def aggregate(self, rows: Sequence[AttemptRow]) -> Aggregate:
        """Return the four rates (prompt_strict leads) and the rates of replies without an answer.

        Rows that do not say how many instructions were followed have prompt_strict alone.
        """
        plain = aggregate_rows(rows).metrics
        valid = [row for row in rows if row.value is not None]
        if not valid:
            return Aggregate(HEADLINE, {})
        metrics = {HEADLINE: plain["micro"]}
        if all(row.metrics.get("instructions") for row in valid):
            asked = sum(row.metrics["instructions"] for row in valid)
            loose = aggregate_rows(structs.replace(row, value=row.metrics["prompt_loose"]) for row in valid)
            metrics |= {
                "inst_strict": sum(row.metrics["followed_strict"] for row in valid) / asked,
                "prompt_loose": loose.metrics["micro"],
                "inst_loose": sum(row.metrics["followed_loose"] for row in valid) / asked,
            }
        rates = (Outcome.NO_ANSWER.value, Outcome.LENGTH_LIMIT.value)
        return Aggregate(HEADLINE, metrics | {name: plain[name] for name in rates})


def _metrics(found: Verdicts) -> dict[str, float]:
    """What an attempt adds to the rates over instructions, and its lenient verdict."""
    return {
        "instructions": float(len(found.strict)),
        "followed_strict": float(sum(found.strict)),
        "followed_loose": float(sum(found.loose)),
        "prompt_loose": float(all(found.loose)),
    }


def ifeval() -> IFEvalTask:
    """Return the task."""
    return IFEvalTask()
