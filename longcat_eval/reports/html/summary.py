"""The parts of the page that are read first, as plain values for the template."""

from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import TYPE_CHECKING, NamedTuple

from longcat_eval.records import OUTCOMES, AttemptRow, Outcome
from longcat_eval.reports import statistics, texts
from longcat_eval.reports.notes import FLOORS, short_label
from longcat_eval.reports.rows import ResultRow, by_question, percent, points_by_question
from longcat_eval.reports.table import Cell, Column, Table

if TYPE_CHECKING:
    from longcat_eval.runners.store import RunData

RIGHT, WRONG, NOT_MADE = "right", "wrong", "not made"
"""How answered attempts are told apart, and what was never tried."""


class Strip(NamedTuple):
    """One line of an interval plot, on a scale from 0 to 100; `low` and `high` are None where there are none.

    `said` is what a screen reader gets and what stands beside the line.
    """

    label: str
    value: float
    low: float | None
    high: float | None
    ours: bool
    said: str


class Plot(NamedTuple):
    """The values of one benchmark beside each other; `floors` are (what, value)."""

    label: str
    strips: tuple[Strip, ...]
    floors: tuple[tuple[str, float], ...]


def plots(table: Table) -> list[Plot]:
    """One plot per benchmark that has a number of ours, or any where the table has no run."""
    found, with_runs = [], any(column.run for column in table.columns)
    for row in table.rows:
        strips = [
            strip
            for column, cell in zip(table.columns, row.cells, strict=True)
            if (strip := _strip(column, cell)) is not None
        ]
        floors = {
            FLOORS.get(name, name): value
            for cell in row.cells
            if cell.result is not None
            for name, value in cell.result.floors.items()
            if value > 0
        }
        if strips and (not with_runs or any(strip.ours for strip in strips)):
            found.append(Plot(row.label, tuple(strips), tuple(floors.items())))
    return found


def _strip(column: Column, cell: Cell) -> Strip | None:
    if (result := cell.result) is not None:
        if result.value is None:
            return None
        said = " ".join(filter(None, (f"{result.value:.2f}{cell.marks}", texts.interval(result))))
        return Strip(column.label, result.value, result.ci_low, result.ci_high, True, said)
    if (theirs := cell.foreign) is not None:
        if not theirs.share or theirs.value is None:
            return None
        return Strip(column.label, theirs.value, None, None, False, f"{cell.text}{cell.marks}")
    if cell.published is None or not cell.published.reported:
        return None
    return Strip(
        column.label, float(cell.published.text), None, None, False, f"{cell.published.text}{cell.marks}"
    )


class Source(NamedTuple):
    """Where one value of the table comes from, as texts: what it is, and by which rules."""

    benchmark: str
    column: str
    value: str
    metric: str
    source: str
    rules: str


def sources(table: Table) -> list[Source]:
    """Every value of the table with its origin, ours and published."""
    found = []
    for row in table.rows:
        for column, cell in zip(table.columns, row.cells, strict=True):
            label, value = short_label(row.label), f"{cell.text}{cell.marks}"
            if (result := cell.result) is not None:
                found.append(
                    Source(label, column.label, value, result.metric, f"run {column.run}", _rules(result))
                )
            elif (theirs := cell.foreign) is not None and column.foreign is not None:
                rules = ", ".join([theirs.name, *map(" ".join, theirs.told.items())])
                found.append(Source(label, column.label, value, theirs.metric, column.foreign.origin, rules))
            elif (printed := cell.published) is not None:
                found.append(Source(label, column.label, value, printed.metric, str(printed.source), ""))
    return found


def _rules(result: ResultRow) -> str:
    parts = [
        f"{result.n} questions × {result.k}, {texts.coverage(result)} valid",
        f"protocol {result.protocol}, prompts {result.prompt_hash[:12]}, grader {result.grader}",
        f"data {result.dataset_sha256[:12]}" + (f" ({result.drift})" if result.drift else ""),
        ", ".join(map(" ".join, result.conditions.items())),
    ]
    return "; ".join(filter(None, parts))


class Share(NamedTuple):
    """A part of a stacked bar: `start` and `width` in percent of the expected attempts."""

    name: str
    attempts: int
    start: float
    width: float


class Ends(NamedTuple):
    """How the attempts of one benchmark of a run ended; `reasons` are (outcome, reason, count)."""

    label: str
    attempts: int
    shares: tuple[Share, ...]
    reasons: tuple[tuple[str, str, int], ...]


def ends(label: str, result: ResultRow, rows: Sequence[AttemptRow]) -> Ends:
    """Answered attempts as right (value 1) or wrong, the others by outcome, and those never made."""
    counts: dict[str, int] = dict.fromkeys((RIGHT, WRONG, *Outcome, NOT_MADE), 0)
    reasons: dict[tuple[str, str], int] = {}
    for row in rows:
        name: str = row.outcome
        if row.outcome is Outcome.ANSWERED:
            name = RIGHT if row.value == 1 else WRONG
        counts[name] += 1
        if row.reason:
            reasons[row.outcome, row.reason] = reasons.get((row.outcome, row.reason), 0) + 1
    counts[NOT_MADE] = max(0, result.attempts - len(rows))
    total, start, shares = max(1, sum(counts.values())), 0.0, []
    for name, count in counts.items():
        if count:
            width = 100 * count / total
            shares.append(Share(name, count, start, width))
            start += width
    listed = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    return Ends(label, sum(counts.values()), tuple(shares), tuple((*why, n) for why, n in listed))


def meanings() -> dict[str, str]:
    """What each part of the bar means."""
    said = {RIGHT: "answered, and the verdict is 1", WRONG: "answered, and the verdict is below 1"}
    said |= {name.value: rule.meaning for name, rule in OUTCOMES.items() if name is not Outcome.ANSWERED}
    return said | {NOT_MADE: "expected and never tried"}


class Usage(NamedTuple):
    """What the attempts of one benchmark of a run took; seconds are quantiles over attempts."""

    label: str
    attempts: int
    prompt_tokens: int
    completion_tokens: int
    cost: float | None
    calls: float
    median: float
    p90: float
    longest: float


def usage(label: str, result: ResultRow, rows: Sequence[AttemptRow]) -> Usage | None:
    """Tokens and cost in total, calls as a mean, seconds of model time of one attempt; None without any."""
    if not rows:
        return None
    seconds = sorted(row.seconds for row in rows)
    return Usage(
        label,
        len(rows),
        *result.tokens,
        result.cost,
        sum(row.calls for row in rows) / len(rows),
        _quantile(seconds, 0.5),
        _quantile(seconds, 0.9),
        seconds[-1],
    )


def _quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that `share` of them do not exceed."""
    return ordered[max(0, ceil(share * len(ordered)) - 1)]


class Category(NamedTuple):
    """The score of one subject or category, in percent, with the interval over its questions."""

    name: str
    questions: int
    value: float
    low: float
    high: float


def categories(rows: Iterable[AttemptRow], ratio: tuple[str, str] | None = None) -> list[Category]:
    """The groups of one benchmark by name, as avg@k of each, or as the ratio of two sums of metrics.

    Empty where there are fewer than two.
    """
    groups: dict[str, list[AttemptRow]] = {}
    for row in rows:
        if row.value is not None and row.outcome.valid:
            groups.setdefault(row.group, []).append(row)
    if len(groups) < 2:
        return []
    found = []
    for name, members in sorted(groups.items()):
        questions = by_question(members)
        interval: statistics.Interval | None = statistics.interval(questions)
        share = statistics.avg_at_k(questions)
        if ratio is not None:
            points = points_by_question(members, *ratio)
            share, interval = statistics.ratio_metric(points)[0], statistics.ratio_interval(points)
        ends = (interval.low, interval.high) if interval else (share, share)
        found.append(Category(name or "none", len(questions), percent(share), *map(percent, ends)))
    return found


class RunPart(NamedTuple):
    """One run of the page: its number, column and path, and what its attempts were like."""

    number: int
    label: str
    path: str
    ends: tuple[Ends, ...]
    usage: tuple[Usage, ...]
    categories: tuple[tuple[str, tuple[Category, ...]], ...]


def run_parts(table: Table, runs: Sequence["RunData"]) -> list[RunPart]:
    """What stands per run, in the order of the table's rows."""
    columns = {column.run: index for index, column in enumerate(table.columns) if column.run}
    parts = []
    for number, run in enumerate(runs, 1):
        index, by_task = columns[number], _by_task(run.rows)
        results = [
            (short_label(row.label), result, by_task.get(row.task, []))
            for row in table.rows
            if (result := row.cells[index].result) is not None
        ]
        grouped = [(label, tuple(categories(rows, result.ratio))) for label, result, rows in results]
        parts.append(
            RunPart(
                number,
                table.columns[index].label,
                str(run.path),
                tuple(ends(*each) for each in results),
                tuple(used for each in results if (used := usage(*each)) is not None),
                tuple((label, found) for label, found in grouped if found),
            )
        )
    return parts


def _by_task(rows: Iterable[AttemptRow]) -> Mapping[str, list[AttemptRow]]:
    found: dict[str, list[AttemptRow]] = {}
    for row in rows:
        found.setdefault(row.task, []).append(row)
    return found
