"""The table as GitHub Markdown, in the shape of the model card's own."""

from collections.abc import Iterable, Sequence

from longcat_eval.reports import texts
from longcat_eval.reports.notes import notes
from longcat_eval.reports.table import Cell, Table


def to_markdown(table: Table) -> str:
    """Table, then its notes as a list."""
    lines = [
        _line(["Benchmark (metric)", *(column.label for column in table.columns)]),
        "|" + "---|" * (len(table.columns) + 1),
        *(_line([label, *values]) for label, values in table.header),
    ]
    for group in table.groups:
        lines.append(_line([f"**{group.name}**", *("" for _ in table.columns)]))
        lines += [_line([row.label, *map(cell_text, row.cells)]) for row in group.rows]
    if remarks := notes(table):
        lines += ["", *_list(remarks)]
    return "\n".join(lines) + "\n"


def cell_text(cell: Cell) -> str:
    """One cell on one line: `33.75† (27/80) [24.3, 44.6]`."""
    parts = [cell.text + cell.marks]
    if (result := cell.result) is not None:
        if result.value is not None:
            parts += [texts.ratio(result), texts.interval(result)]
        if not result.complete:
            parts.append(", ".join(filter(None, (texts.incomplete(result), texts.bounds(result)))))
    return " ".join(filter(None, parts))


def _line(cells: Sequence[str]) -> str:
    return "|" + "".join(f" {_escape(cell)} |" if cell else " |" for cell in cells)


def _list(remarks: Iterable[str]) -> list[str]:
    return [f"- {_escape(remark)}" for remark in remarks]


def _escape(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
