"""smoke: forty short questions of our own in three groups (choice, math, chinese), with nothing to download.

It shows in a minute that endpoint, prompts, extraction, grading and report work together. It measures no
ability: the questions are easy on purpose (smoke_questions.yaml), and its score is not comparable with any
benchmark.

Score: share of right answers over the forty (micro), each group beside it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from longcat_eval.protocols import AttemptContext, DataOptions
from longcat_eval.records import (
    Aggregate,
    AttemptRow,
    Dataset,
    Message,
    Sample,
    Score,
    TaskProtocol,
    Transcript,
)
from longcat_eval.tasks.aggregation import aggregate_rows
from longcat_eval.tasks.known_data import canonical_hash
from longcat_eval.tasks.math_task import MathTask, spelled_alike
from longcat_eval.tasks.multiple_choice import MultipleChoiceTask, choice_sample
from longcat_eval.tasks.prompts import prompt_hash

CHOICE = """\
Read the question and decide which option is right. Finish with a line that reads "Answer: X", where X is \
the letter of your option (one of {labels}).

{question}

{options}"""

MATH = """\
{problem}

Work it out and state the final number inside \\boxed{{}}."""

CHINESE = """\
请回答下面的单选题，并在最后另起一行写“答案：X”，其中X是所选选项的字母（{labels}之一）。

{question}

{options}"""

MAX_TOKENS = 1_024
_QUESTIONS = Path(__file__).with_name("smoke_questions.yaml")


def load(options: DataOptions) -> Dataset:
    """Return the forty questions of this package."""
    import yaml

    groups: dict[str, list[dict[str, Any]]] = yaml.safe_load(_QUESTIONS.read_text(encoding="utf-8"))
    samples = [
        _sample(f"{group}/{position:02}", group, row)
        for group, rows in groups.items()
        for position, row in enumerate(rows)
    ]
    return Dataset(samples, f"longcat_eval/tasks/{_QUESTIONS.name}", None, canonical_hash(samples))


def _sample(sample_id: str, group: str, row: dict[str, Any]) -> Sample:
    if "options" in row:
        return choice_sample(sample_id, group, row["q"], row["options"], row["answer"])
    return Sample(sample_id, {"problem": row["q"], "answer": row["answer"]}, group)


class SmokeTask:
    """Three small tasks under one name, each for its group; implements `protocols.Task`."""

    def __init__(self) -> None:
        self.name = "smoke"
        self.needs = frozenset({"chat"})
        self.floors: Mapping[str, float] = {"null": 0.0}
        self._parts: dict[str, MultipleChoiceTask | MathTask] = {
            "choice": MultipleChoiceTask("smoke", load=load, template=CHOICE),
            "math": MathTask("smoke", load=load, template=MATH, algebra=False),
            "chinese": MultipleChoiceTask(
                "smoke", load=load, template=CHINESE, answer_line="答案：{label}", joint="、"
            ),
        }
        parts = [part.protocol for part in self._parts.values()]
        self.protocol: TaskProtocol = msgspec.structs.replace(
            parts[0],
            name="smoke/1",
            max_tokens=MAX_TOKENS,
            typical_tokens=150,
            prompt_hash=prompt_hash(*(part.prompt_hash for part in parts)),
            grader=" ".join(sorted({part.grader for part in parts})),
            notes=("easy questions of our own: not comparable with any benchmark",),
        )

    def load(self, options: DataOptions) -> Dataset:
        """Return the forty questions; nothing is downloaded and nothing can be absent."""
        return load(options)

    def reference(self, sample: Sample, repeat: int) -> Mapping[str, Sequence[Message]]:
        """Return the right answer in the form its group asks for."""
        return self._parts[sample.group].reference(sample, repeat)

    async def attempt(self, sample: Sample, ctx: AttemptContext) -> Transcript:
        """Ask once."""
        return await self._parts[sample.group].attempt(sample, ctx)

    async def score(self, sample: Sample, transcript: Transcript, ctx: AttemptContext) -> Score:
        """Judge by the rules of the sample's group."""
        return await self._parts[sample.group].score(sample, transcript, ctx)

    def aggregate(self, rows: Sequence[AttemptRow]) -> Aggregate:
        """Return micro (headline), macro over the three groups, and each group by its name."""
        return aggregate_rows(rows, spelled_alike, groups=True)


def smoke() -> SmokeTask:
    """Return the task."""
    return SmokeTask()
