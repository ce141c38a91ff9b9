"""The table as CSV in long form, a line per benchmark and column: equal scores give equal bytes."""

import csv
import io

from longcat_eval.reports import texts
from longcat_eval.reports.table import NOT_RUN, Cell, Column, Row, Table

FIELDS = (
    "task",
    "label",
    "metric",
    "model",
    "source",
    "value",
    "ci_low",
    "ci_high",
    "ci_method",
    "correct",
    "n",
    "k",
    "attempts",
    "coverage",
    "mark",
    "note",
)


def to_csv(table: Table) -> str:
    """Values in percent, `coverage` as a share; our lines have the source `run 1`, `run 2` in their order."""
    file = io.StringIO()
    writer = csv.DictWriter(file, FIELDS, lineterminator="\n", restval="")
    writer.writeheader()
    for row in table.rows:
        for column, cell in zip(table.columns, row.cells, strict=True):
            writer.writerow(_record(row, column, cell))
    return file.getvalue()


def _record(row: Row, column: Column, cell: Cell) -> dict[str, object]:
    record: dict[str, object] = {
        "task": row.task,
        "label": row.label,
        "metric": row.metric,
        "model": column.model,
        "source": f"run {column.run}" if column.run else "",
        "mark": cell.marks,
        "note": _note(column, cell),
    }
    if (value := cell.published) is not None:
        record |= {"metric": value.metric, "source": str(value.source)}
        record["value"] = value.text if value.reported else ""
    if column.foreign is not None:
        record |= {"source": column.foreign.origin}
    return record | _measured(cell)


def _measured(cell: Cell) -> dict[str, object]:
    if (theirs := cell.foreign) is not None:
        count = {"n": theirs.n, "k": theirs.repeats}
        told = {name: number for name, number in count.items() if number is not None}
        return {"metric": theirs.metric, "value": _number(theirs.value), **told}
    result = cell.result
    if result is None:
        return {}
    return {
        "metric": result.metric,
        "value": _number(result.value),
        "ci_low": _number(result.ci_low),
        "ci_high": _number(result.ci_high),
        "ci_method": result.ci_method,
        "correct": texts.amount(result.correct),
        "n": result.n,
        "k": result.k,
        "attempts": result.attempts,
        "coverage": f"{result.coverage:.6f}",
    }


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _note(column: Column, cell: Cell) -> str:
    if cell.foreign is not None:
        told = [remark.text for remark in cell.remarks if remark.text]
        return "; ".join([f"another tool's: {cell.foreign.name}", *told])
    if column.foreign is not None:
        return "not in this file"
    if cell.result is None and cell.published is None:
        return NOT_RUN if cell.text == NOT_RUN else "not in this run" if column.run else "not published"
    if cell.published is not None and not cell.published.reported:
        return "not reported"
    said = [remark.text for remark in cell.remarks if remark.text]
    if (result := cell.result) is not None and not result.complete:
        said.append(f"{texts.incomplete(result)}, bounds {texts.bounds(result)}".removesuffix(", bounds "))
    return "; ".join(said)
