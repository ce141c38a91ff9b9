"""What stands below a table: marks, what is missing and why, how the intervals are made, sources."""

from collections.abc import Iterable

from longcat_eval.records import Outcome
from longcat_eval.reports import statistics
from longcat_eval.reports.published import load_published
from longcat_eval.reports.rows import ResultRow
from longcat_eval.reports.table import MARKS, Cell, Column, Row, Table

METHODS = {
    statistics.WILSON: "Wilson over questions",
    statistics.CLUSTERED_T: "Student t over question means",
    statistics.CLUSTERED_WILSON: "near 0 and 100 Wilson with the effective number of questions",
}


def notes(table: Table) -> list[str]:
    """The notes that apply to this table, one sentence or list each, in print order."""
    return [*_marks(table), *_missing(table), *table.mixed, *_reading(table), *_floors(table), *_sources(table)]


def _cells(table: Table) -> Iterable[tuple[Row, Column, Cell]]:
    for row in table.rows:
        for column, cell in zip(table.columns, row.cells, strict=True):
            yield row, column, cell


def _results(table: Table) -> list[tuple[str, ResultRow]]:
    """Our results, each with the name notes call it by."""
    return [
        (_name(table, row, column), cell.result) for row, column, cell in _cells(table) if cell.result is not None
    ]


def _name(table: Table, row: Row, column: Column) -> str:
    alone = column.run and sum(1 for other in table.columns if other.run) == 1
    return _short(row.label) if alone else f"{_short(row.label)} of {column.label}"


def _short(label: str) -> str:
    return label.partition(" (")[0]


def _marks(table: Table) -> Iterable[str]:
    said: dict[str, list[str]] = {}
    for row, column, cell in _cells(table):
        for mark, text in cell.remarks:
            said.setdefault(mark, []).extend([f"{_name(table, row, column)} {text}"] if text else [])
    for mark, meaning in MARKS.items():
        if mark in said:
            yield f"{mark} {meaning}{': ' if said[mark] else ''}{'; '.join(said[mark])}."


def _missing(table: Table) -> Iterable[str]:
    lost = [(name, result) for name, result in _results(table) if not result.complete]
    if lost:
        counts = "; ".join(f"{name} {_lost(result)}" for name, result in lost)
        yield (
            f"incomplete: attempts without a verdict ({counts}); the range is the score with all of them "
            f"wrong and all right. Run the same command again to make them up."
        )
    remedies: dict[str, list[str]] = {}
    labels = {row.task: _short(row.label) for row in table.rows}
    for column in table.columns:
        for task, remedy in column.not_run.items():
            if labels[task] not in remedies.setdefault(remedy, []):
                remedies[remedy].append(labels[task])
    for remedy, names in remedies.items():
        yield f"not run: {', '.join(names)}: {remedy}"


def _lost(result: ResultRow) -> str:
    invalid = {name: count for name, count in result.outcomes.items() if not Outcome(name).valid}
    absent = result.attempts - result.valid - sum(invalid.values())
    parts = [f"{name} {count}" for name, count in invalid.items()]
    return ", ".join([*parts, f"not made {absent}"] if absent > 0 else parts)


def _reading(table: Table) -> Iterable[str]:
    used = {result.ci_method for _, result in _results(table)}
    rules = [text for method, text in METHODS.items() if method in used]
    if rules:
        yield (
            f"Ours: score (sum of scores / attempts) [95 % interval for new questions of the same kind: {'; '.join(rules)}]."
        )


def _floors(table: Table) -> Iterable[str]:
    floors = {
        _short(row.label): ", ".join(f"{name} {value:.2f}" for name, value in cell.result.floors.items())
        for row, _, cell in _cells(table)
        if cell.result is not None and cell.result.floors
    }
    if floors:
        yield f"Floors: {'; '.join(f'{label} {text}' for label, text in floors.items())}."


def _sources(table: Table) -> Iterable[str]:
    used = {cell.published.source for _, _, cell in _cells(table) if cell.published}
    sources = [source for source in load_published().sources.values() if source in used]
    if sources:
        unknown = ", ".join(dict.fromkeys(word for source in sources for word in source.unknown))
        yield f"Published values as printed in: {'; '.join(map(str, sources))}."
        yield f"Unknown for the published values, because the sources do not say: {unknown}."
