"""Questions of Arena-Hard v2.0 with the baseline's answers.

Li et al. 2024, From Crowdsourced Data to High-Quality Benchmarks: Arena-Hard and BenchBuilder Pipeline, arXiv
2406.11939. Data: github.com/lmarena/arena-hard-auto and hub lmarena-ai/arena-hard-auto (Apache-2.0).
"""

from collections.abc import Collection
from typing import NamedTuple

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.protocols import DataOptions
from longcat_eval.records import Dataset, Sample
from longcat_eval.tasks.arena_hard.style import stored_style, style_of
from longcat_eval.tasks.data_files import Row, read_rows
from longcat_eval.tasks.datasets import DatasetSpec, load_dataset
from longcat_eval.tasks.known_data import canonical_hash

FOLDER, REPO, PLACE = "arena_hard_v2", "lmarena-ai/arena-hard-auto", "data/arena-hard-v2.0"


class Half(NamedTuple):
    """One category: how many questions, and whose answers stand on the other side."""

    category: str
    items: int
    baseline: str


HARD = Half("hard_prompt", 500, "o3-mini-2025-01-31")
CREATIVE = Half("creative_writing", 250, "gemini-2.0-flash-001")


def question(row: Row, subject: str, position: int) -> Sample:
    """Read a row of question.jsonl."""
    fields = {"category": row["category"], "prompt": row["prompt"]}
    return Sample(row["uid"], fields, row["subcategory"])


def answer(row: Row, subject: str, position: int) -> Sample:
    """Read a row of an answer file; its style as stored, else counted."""
    text = row["messages"][-1]["content"]["answer"]
    style = stored_style(row["metadata"]) if row.get("metadata") else style_of(text)
    return Sample(row["uid"], {"model": row["model"], "answer": text, "style": list(style)})


QUESTIONS = DatasetSpec(
    name="arena-hard-v2-questions",
    folder=FOLDER,
    repo=REPO,
    revision=None,
    local_files=("question", "*question*"),
    hub_files=(f"{PLACE}/question.jsonl",),
    items=HARD.items + CREATIVE.items,
    sample=question,
)


def answers_of(half: Half, wanted: Collection[str]) -> DatasetSpec:
    """The baseline's answers to the questions `wanted`; its file may have others."""

    def rows(content: bytes, name: str) -> list[Row]:
        return [row for row in read_rows(content, name) if row.get("uid") in wanted]

    return DatasetSpec(
        name=f"arena-hard-v2-{half.baseline}",
        folder=FOLDER,
        repo=REPO,
        revision=None,
        local_files=(half.baseline, f"*{half.baseline}*"),
        hub_files=(f"{PLACE}/model_answer/{half.baseline}.jsonl",),
        items=half.items,
        sample=answer,
        parse=rows,
    )


def load_half(half: Half, options: DataOptions) -> Dataset:
    """Return the questions of one half, each with the baseline's `answer` and its `style`.

    Raises `EnvironmentUnusableError` where questions or baseline are absent or not the known ones.
    """
    asked = load_dataset(QUESTIONS, options)
    chosen = [sample for sample in asked.samples if sample.fields["category"] == half.category]
    try:
        said = load_dataset(answers_of(half, {sample.id for sample in chosen}), options)
    except EnvironmentUnusableError as error:
        raise EnvironmentUnusableError(
            f"the {half.category} half is judged against {half.baseline}, whose answers are needed "
            f"({half.baseline}.jsonl beside question.jsonl): {error}"
        ) from None
    answers = {sample.id: sample.fields for sample in said.samples}
    samples = [
        Sample(s.id, {**s.fields, "baseline": answers[s.id]}, s.group) for s in chosen if s.id in answers
    ]
    other = sorted({str(fields["model"]) for fields in answers.values()} - {half.baseline})
    drift = [asked.drift, said.drift, f"answers of {', '.join(other)}" if other else ""]
    if other and not options.allow_drift:
        raise EnvironmentUnusableError(
            f"{said.source} holds answers of {', '.join(other)}, not of the baseline {half.baseline}. "
            "--allow-data-drift runs it all the same and marks every report"
        )
    return Dataset(
        samples,
        f"{asked.source} with {said.source}",
        asked.revision,
        canonical_hash(samples),
        "; ".join(filter(None, drift)),
    )
