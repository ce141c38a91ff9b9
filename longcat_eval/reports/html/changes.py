"""What changed between the first run of a page and each other one, question by question."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

from longcat_eval.errors import UsageError
from longcat_eval.reports.diff import Diff, Flip, TaskDiff, diff_sides, flips, verdicts
from longcat_eval.reports.notes import short_label
from longcat_eval.reports.render_diff import diff_notes, ends, interval_text, p_text
from longcat_eval.reports.sides import run_side
from longcat_eval.reports.table import Table

if TYPE_CHECKING:
    from longcat_eval.runners.store import RunData

LISTED = 200
"""Questions of one benchmark that are listed; `diff --flips` has all."""
STEP = 5


class Listed(NamedTuple):
    """A question that was mostly right on one side alone; `address` opens both sides' transcripts."""

    task: str
    question: str
    base: str
    cand: str
    kind: str
    address: str


class Change(NamedTuple):
    """One benchmark on both sides as texts; `at`, `low` and `high` are percent of the plot's width."""

    label: str
    base: str
    cand: str
    difference: str
    interval: str
    p: str
    verdict: str
    at: float | None
    low: float | None
    high: float | None
    broken: int
    fixed: int
    flips: tuple[Listed, ...]


class Changes(NamedTuple):
    """Two runs; `scale` is how many points the plot reaches to either side of zero."""

    base: str
    cand: str
    scale: int
    rows: tuple[Change, ...]
    notes: tuple[str, ...]


def all_changes(table: Table, runs: Sequence["RunData"]) -> list[Changes]:
    """The first run against each other one that has a benchmark with it."""
    labels = [column.label for column in table.columns if column.run]
    names = {row.task: short_label(row.label) for row in table.rows}
    if len(runs) < 2:
        return []
    sides, found = [run_side(run) for run in runs], []
    for number in range(1, len(runs)):
        try:
            diff = diff_sides(sides[0], sides[number], allow_mixed=True)
        except UsageError:  # they share no benchmark
            continue
        found.append(_changes(diff, names, labels[0], labels[number], number + 1))
    return found


def changed_questions(changes: Sequence[Changes]) -> set[tuple[str, str]]:
    """The (task, question) that are listed anywhere."""
    return {(flip.task, flip.question) for each in changes for row in each.rows for flip in row.flips}


def _changes(diff: Diff, names: Mapping[str, str], base: str, cand: str, number: int) -> Changes:
    farthest = max((_reach(task) for task in diff.tasks), default=0.0)
    scale = max(STEP, STEP * ceil(farthest / STEP))
    rows = [
        _change(task, names.get(task.task, task.task), p, verdict, scale, number)
        for task, (p, verdict) in zip(diff.tasks, verdicts(diff.tasks), strict=True)
    ]
    return Changes(base, cand, scale, tuple(rows), tuple(diff_notes(diff)))


def _reach(task: TaskDiff) -> float:
    """The largest of difference and interval, in points."""
    c = task.comparison
    shares = (c.difference, c.low, c.high) if c else ()
    return max((abs(100 * share) for share in shares if share is not None), default=0.0)


def _change(task: TaskDiff, label: str, p: float | None, verdict: str, scale: int, number: int) -> Change:
    def place(share: float | None) -> float | None:
        return None if share is None else 50 + 50 * 100 * share / scale

    c, changed = task.comparison, flips(task)
    fixed = sum(flip.fixed for flip in changed)
    return Change(
        label,
        *ends(task),
        interval_text(c.low, c.high) if c else "-",
        p_text(p),
        verdict,
        place(c.difference) if c else None,
        place(c.low) if c else None,
        place(c.high) if c else None,
        len(changed) - fixed,
        fixed,
        tuple(_listed(task.task, flip, number) for flip in changed[:LISTED]),
    )


def _listed(task: str, flip: Flip, number: int) -> Listed:
    address = urlencode({"base": 1, "cand": number, "task": task, "question": flip.question})
    kind = "fixed" if flip.fixed else "broken"
    return Listed(task, flip.question, f"{flip.base:.2f}", f"{flip.cand:.2f}", kind, address)
