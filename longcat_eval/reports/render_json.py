"""The table as JSON: our rows in full, the runs, and the published columns with their sources."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from longcat_eval.reports.composite import Part, composite
from longcat_eval.reports.foreign.records import ForeignResult
from longcat_eval.reports.notes import notes
from longcat_eval.reports.rows import values_by_question
from longcat_eval.reports.table import Column, Row, Table

if TYPE_CHECKING:
    from longcat_eval.runners.store import RunData

FORMAT = 1


def to_json(table: Table, runs: Sequence["RunData"], *, questions: bool = False) -> str:
    """`rows` are ours alone, `run` in them counts `runs` from 1; scores in percent, `coverage` as a share.

    With `questions` every run also has the values of its valid attempts by task and question, and is compact:
    a file to keep as the baseline of `diff` and `gate`.
    """
    report = {
        "format": FORMAT,
        "runs": [_run(number, run, questions) for number, run in enumerate(runs, 1)],
        "rows": _rows(table),
        "composites": _composites(table),
        "published": [
            _published(index, table) for index, c in enumerate(table.columns) if not c.run and not c.foreign
        ],
        "foreign": [_foreign(index, table) for index, c in enumerate(table.columns) if c.foreign],
        "notes": notes(table),
    }
    encoded = msgspec.json.encode(report)
    return (encoded if questions else msgspec.json.format(encoded, indent=2)).decode() + "\n"


def _run(number: int, run: "RunData", questions: bool) -> dict[str, Any]:
    manifest = run.manifest
    values = {"questions": values_by_question(run)} if questions else {}
    return {
        "run": number,
        "path": str(run.path),
        "model": manifest.model,
        "suite": manifest.suite,
        "seeds": [manifest.seed],
        "not_run": manifest.not_run,
        **values,
    }


def _rows(table: Table) -> list[dict[str, Any]]:
    return [
        {
            "run": column.run,
            "model": column.model,
            "group": group.name,
            "label": row.label,
            "marks": cell.marks,
            **msgspec.to_builtins(cell.result),
        }
        for group in table.groups
        for row in group.rows
        for column, cell in zip(table.columns, row.cells, strict=True)
        if cell.result is not None
    ]


def _composites(table: Table) -> list[dict[str, Any]]:
    """For every run the mean of each group with two benchmarks or more, and of all; scores in percent."""
    parts = [(group.name, group.rows) for group in table.groups] + [("all", tuple(table.rows))]
    runs = [(index, column.run) for index, column in enumerate(table.columns) if column.run]
    return [
        {"run": run, "name": name, **mean}
        for index, run in runs
        for name, rows in parts
        if (mean := _composite(index, rows)) is not None
    ]


def _composite(index: int, rows: Sequence[Row]) -> dict[str, Any] | None:
    """The mean over the benchmarks of one column; None where one has no standard error."""
    results = [result for row in rows if (result := row.cells[index].result) is not None]
    parts = [
        Part(result.value, result.se_questions, result.n)
        for result in results
        if result.value is not None and result.se_questions is not None
    ]
    if len(parts) < max(2, len(results)):
        return None
    mean = composite(parts)
    numbers = {"value": mean.value, "se_questions": mean.se, "ci_low": mean.low, "ci_high": mean.high}
    tasks = [result.task for result in results]
    rounded = {name: None if number is None else round(number, 10) for name, number in numbers.items()}
    return {"tasks": tasks, **rounded}


def _published(index: int, table: Table) -> dict[str, Any]:
    column: Column = table.columns[index]
    values = []
    for row in table.rows:
        if (value := row.cells[index].published) is not None:
            number = float(value.text) if value.reported else None
            about = {"task": row.task, "label": row.label, "metric": value.metric, "text": value.text}
            source = {"source": value.source.title, "date": value.source.date}
            values.append({**about, "value": number, "mark": value.mark, **source})
    return {"model": column.model, "label": column.label, "header": dict(column.header), "values": values}


def _foreign(index: int, table: Table) -> dict[str, Any]:
    """Another tool's column: its origin and every result with the row it stands in, and what is unknown."""
    column = table.columns[index]
    log = column.foreign
    assert log is not None
    values = []
    for row in table.rows:
        cell = row.cells[index]
        if (found := cell.foreign) is not None:
            about = {"task": row.task or None, "label": row.label, "marks": cell.marks}
            values.append({**about, **_as_told(found), "unknown": found.unknown})
    origin = {"tool": log.tool, "version": log.version, "date": log.date, "path": log.path}
    return {"model": log.model, "label": column.label, **origin, "about": log.about, "values": values}


def _as_told(found: ForeignResult) -> dict[str, Any]:
    return {name: value for name, value in found._asdict().items() if name != "task"}
