"""The two sides of a comparison: a run directory, an exported summary, or a published column (card:NAME)."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from longcat_eval.errors import UsageError
from longcat_eval.reports.foreign.reading import READERS
from longcat_eval.reports.paired import Questions
from longcat_eval.reports.published import PublishedValue, find_models, load_published, published_value
from longcat_eval.reports.rows import ResultRow, result_rows, values_by_question
from longcat_eval.reports.unpaired import Result
from longcat_eval.runners.store import RunData, read_run

CARD = "card:"
RUN, SUMMARY, PUBLISHED = "run", "summary", "published"


class Entry(NamedTuple):
    """One benchmark of a side: our result, with the values by question where they are known, or a printed
    one.

    `items` is the number of questions of a published benchmark, None where it is not known.
    """

    result: ResultRow | None = None
    questions: Questions | None = None
    published: PublishedValue | None = None
    items: int | None = None

    @property
    def metric(self) -> str:
        """`acc`, `avg@32`."""
        if self.result is not None:
            return self.result.metric
        return self.published.metric if self.published else ""

    @property
    def value(self) -> float | None:
        """The score in percent."""
        if self.result is not None:
            return self.result.value
        return float(self.published.text) if self.published and self.published.reported else None

    @property
    def independent(self) -> Result | None:
        """The score as one of two independent results; None without a score or a number of questions."""
        if self.value is None:
            return None
        if (r := self.result) is not None:
            se = r.se_questions if r.subset else r.se_rerun
            return Result(self.value / 100, r.n, r.k, None if se is None else se / 100)
        repeats = re.fullmatch(r"avg@(\d+)", self.metric)
        return Result(self.value / 100, self.items, int(repeats[1]) if repeats else 1) if self.items else None


class Side(NamedTuple):
    """One side: `name` as given, the model, its benchmarks, and where its transcripts are (runs alone)."""

    name: str
    model: str
    kind: str
    entries: Mapping[str, Entry]
    not_run: Mapping[str, str]
    run: RunData | None = None


class _SummaryRun(msgspec.Struct):
    model: str
    not_run: dict[str, str] = {}
    questions: dict[str, dict[str, list[float]]] = {}


class _Summary(msgspec.Struct):
    format: int
    runs: list[_SummaryRun]
    rows: list[ResultRow]


def read_side(name: str) -> Side:
    """Read one side; `UsageError` where the name is none of a run directory, a summary and `card:NAME`."""
    if name.startswith(CARD):
        return published_side(name)
    if name.partition(":")[0] in READERS or name.endswith(".eval"):
        raise UsageError(
            f"{name}: another tool's results are by another protocol and cannot be judged against ours; "
            f"report --compare sets them beside each other"
        )
    path = Path(name)
    if path.is_file():
        return read_summary(path)
    if not path.exists():
        raise UsageError(
            f"{name}: no such run or file; give a run directory, a report of one run written with --format "
            f"summary or json, or card:longcat-flash-lite"
        )
    return run_side(read_run(path), name)


def run_side(run: RunData, name: str = "") -> Side:
    """A run as a side."""
    questions = values_by_question(run)
    entries = {row.task: Entry(row, questions.get(row.task, {})) for row in result_rows(run)}
    return Side(name or str(run.path), run.manifest.model, RUN, entries, run.manifest.not_run, run)


def read_summary(path: Path) -> Side:
    """A report of one run in JSON; with `--format summary` it holds the questions and can be paired."""
    try:
        summary = msgspec.json.decode(path.read_bytes(), type=_Summary)
    except (OSError, msgspec.DecodeError) as error:
        raise UsageError(f"{path} is no report of a run (--format summary or json): {error}") from None
    if len(summary.runs) != 1:
        raise UsageError(f"{path} holds {len(summary.runs)} runs; a baseline is a report of one")
    (run,) = summary.runs
    entries = {row.task: Entry(row, run.questions.get(row.task)) for row in summary.rows}
    return Side(str(path), run.model, SUMMARY, entries, run.not_run)


def published_side(name: str) -> Side:
    """The published column `card:NAME`; its benchmarks are those with a printed value."""
    models = find_models([name.removeprefix(CARD)])
    if len(models) != 1:
        raise UsageError(f"{name}: name one published column, such as card:longcat-flash-lite")
    (model,) = models
    entries = {}
    for row in (row for group in load_published().groups for row in group.rows):
        value = published_value(row, model)
        if value is not None and value.reported:
            entries[row.task] = Entry(published=value, items=row.items)
    return Side(name, load_published().models[model].label, PUBLISHED, entries, {})
