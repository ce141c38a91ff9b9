"""Two sides compared benchmark by benchmark, and the questions that changed between them."""

from collections.abc import Sequence
from typing import NamedTuple

from longcat_eval.errors import UsageError
from longcat_eval.reports.composite import Composite, Part, composite
from longcat_eval.reports.multiple import holm
from longcat_eval.reports.paired import Comparison, Matched, compare, match
from longcat_eval.reports.sides import Entry, Side
from longcat_eval.reports.table import differences
from longcat_eval.reports.unpaired import compare_unpaired

ALPHA = 0.05
BETTER, WORSE, UNDECIDED = "better", "worse", "undecided"
HALF = 0.5


class TaskDiff(NamedTuple):
    """One benchmark of both sides; `matched` is None where there are no questions to pair.

    `comparison` is None where the published side has no number of questions. `mixed` says in what the runs
    differ.
    """

    task: str
    base: Entry
    cand: Entry
    comparison: Comparison | None
    matched: Matched | None
    mixed: tuple[str, ...] = ()

    @property
    def paired(self) -> bool:
        """Whether the questions are compared one by one."""
        return self.matched is not None


class Diff(NamedTuple):
    """All benchmarks that both sides have, and the names of those that only one has."""

    base: Side
    cand: Side
    tasks: tuple[TaskDiff, ...]
    only_base: tuple[str, ...]
    only_cand: tuple[str, ...]


class Flip(NamedTuple):
    """A question whose mean moved across one half: `fixed` up, else broken; means are shares."""

    question: str
    base: float
    cand: float

    @property
    def fixed(self) -> bool:
        """Whether the candidate is the better one."""
        return self.cand > self.base


def diff_sides(base: Side, cand: Side, *, allow_mixed: bool = False) -> Diff:
    """Compare every benchmark that both sides have.

    Raises `UsageError` where they share none, or where one was asked or judged in different ways, unless
    `allow_mixed`.
    """
    shared = [name for name in base.entries if name in cand.entries]
    if not shared:
        raise UsageError(f"{base.name} and {cand.name} share no benchmark: {_names(base)} and {_names(cand)}")
    tasks = tuple(_task(name, base.entries[name], cand.entries[name]) for name in shared)
    mixed = next((task for task in tasks if task.mixed), None)
    if mixed and not allow_mixed:
        raise UsageError(
            f"{mixed.task}: the runs differ in {', '.join(mixed.mixed)}; a difference would not be the "
            f"model's. Run the candidate as the baseline was, or look at it with `diff --allow-mixed`"
        )
    return Diff(
        base,
        cand,
        tasks,
        tuple(name for name in base.entries if name not in cand.entries),
        tuple(name for name in cand.entries if name not in base.entries),
    )


def verdicts(tasks: Sequence[TaskDiff], alpha: float = ALPHA) -> list[tuple[float | None, str]]:
    """For each benchmark the p value adjusted over all of them (Holm), and better, worse or undecided."""
    known = [(i, t.comparison.p) for i, t in enumerate(tasks) if t.comparison and t.comparison.p is not None]
    adjusted = dict(zip([i for i, _ in known], holm([p for _, p in known]), strict=True))
    said: list[tuple[float | None, str]] = []
    for index, task in enumerate(tasks):
        p, d = adjusted.get(index), task.comparison.difference if task.comparison else None
        sure = p is not None and d is not None and p < alpha
        said.append((p, UNDECIDED if not sure or d is None else BETTER if d > 0 else WORSE))
    return said


def suite_difference(tasks: Sequence[TaskDiff]) -> Composite | None:
    """The unweighted mean of the differences over the paired benchmarks; None for fewer than two."""
    found = [task.comparison for task in tasks if task.paired and task.comparison]
    parts = [Part(c.difference, c.se, c.n) for c in found if c.difference is not None and c.se is not None]
    return composite(parts) if len(parts) > 1 else None


def flips(task: TaskDiff) -> list[Flip]:
    """Questions mostly right on one side and not on the other; broken ones first, the largest moves first."""
    if task.matched is None:
        return []
    rows = zip(task.matched.names, task.matched.base, task.matched.cand, strict=True)
    found = [Flip(*row) for row in rows if (row[1] > HALF) != (row[2] > HALF)]
    return sorted(found, key=lambda flip: (flip.fixed, -abs(flip.cand - flip.base), flip.question))


def _task(name: str, base: Entry, cand: Entry) -> TaskDiff:
    mixed: tuple[str, ...] = ()
    if base.result is not None and cand.result is not None:
        mixed = tuple(differences([base.result, cand.result]))
    if base.questions is not None and cand.questions is not None:
        matched = match(base.questions, cand.questions)
        return TaskDiff(name, base, cand, compare(matched), matched, mixed)
    ours, theirs = base.independent, cand.independent
    comparison = compare_unpaired(ours, theirs) if ours and theirs else None
    return TaskDiff(name, base, cand, comparison, None, mixed)


def _names(side: Side) -> str:
    return ", ".join(side.entries) or "nothing"
