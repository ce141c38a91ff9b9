"""The table for a terminal of 45 columns or more, with or without colour; nothing is cut off or dropped.

Our cells take one line, two or three, whichever fits; headings wrap at hyphens; and where even the narrowest
form is too wide, the columns are spread over several tables.
"""

import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Group as Stack
from rich.console import RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from longcat_eval.reports import texts
from longcat_eval.reports.notes import notes
from longcat_eval.reports.table import NO_SCORE, NOT_RUN, Cell, Table

BENCHMARK = "Benchmark (metric)"
QUIET = "bright_black"
HEADINGS = (28, 16, 12, 10, 8)
"""Widths that headings are wrapped to, tried from wide to narrow."""

Line = tuple[str, str]
"""A text and its style."""


class Shape(NamedTuple):
    """Widths of the pieces of a column, so that they stand below one another."""

    whole: int
    fraction: int
    ratio: int
    interval: int

    @property
    def value(self) -> int:
        """Width of the value with its marks."""
        return self.whole + self.fraction


Layout = Callable[[Cell, Shape], list[list[Line]]]


def table_renderable(table: Table, width: int) -> RenderableType:
    """The table and its notes for a console `width` columns wide."""
    parts: list[RenderableType] = []
    for chosen, style in _plans(table, width):
        parts += [*([Text()] if parts else []), _rich_table(table, chosen, style, width)]
    if remarks := notes(table):
        parts += [Text(), *(hanging(remark, width, 2, QUIET) for remark in remarks)]
    return Stack(*parts)


def hanging(text: str, width: int, indent: int, style: str = "") -> Text:
    """A paragraph whose lines after the first stand `indent` columns further right."""
    lines = textwrap.wrap(text, max(width, 20), subsequent_indent=" " * indent, break_on_hyphens=False)
    return Text("\n".join(lines), style=style)


class Style(NamedTuple):
    """How our cells are laid out, how wide headings may be, and the blanks between columns."""

    layout: Layout
    heading: int
    gap: int


def _plans(table: Table, width: int) -> Iterator[tuple[list[int], Style]]:
    """One table with all columns where some style fits, else several with as many columns as fit in each."""
    room, chosen = width - _label_width(table), list[int]()
    for i in range(len(table.columns)):
        if chosen and _style(table, [*chosen, i], room) is None:
            yield chosen, _style(table, chosen, room) or STYLES[-1]
            chosen = []
        chosen.append(i)
    yield chosen, _style(table, chosen, room) or STYLES[-1]


def _style(table: Table, columns: list[int], room: int) -> Style | None:
    """The first of `STYLES` in which the columns fit into `room`."""
    for style in STYLES:
        if sum(_width(table, i, style) + style.gap for i in columns) <= room:
            return style
    return None


def _label_width(table: Table) -> int:
    names = [row.label for row in table.rows] + [group.name for group in table.groups]
    return max(map(len, [*names, *(label for label, _ in table.header), BENCHMARK]))


def _width(table: Table, index: int, style: Style) -> int:
    body = _body_width(table, index, style.layout)
    return max([body, *map(cell_len, wrap(table.columns[index].label, max(body, style.heading)))])


def _body_width(table: Table, index: int, layout: Layout) -> int:
    shape = _shape(table, index)
    lines = [line for row in table.rows for line in layout(row.cells[index], shape)]
    widths = [sum(len(text) for text, _ in line) for line in lines]
    return max([*widths, *(len(values[index]) for _, values in table.header)])


def _rich_table(table: Table, chosen: Sequence[int], style: Style, width: int) -> RichTable:
    padding = (0, style.gap - 1, 0, 0)
    rich = RichTable(box=SIMPLE_HEAD, show_edge=False, padding=padding, pad_edge=False, border_style=QUIET)
    rich.add_column(BENCHMARK, no_wrap=True, header_style="bold")
    widths = _spread(table, {i: _width(table, i, style) for i in chosen}, style, width)
    for i in chosen:
        column = table.columns[i]
        colour = "bold cyan" if column.run else "bold"
        heading = [[(line, colour)] for line in wrap(column.label, _width(table, i, style))]
        rich.add_column(_right(heading, widths[i]), no_wrap=True, min_width=widths[i])
    for label, values in table.header:
        rich.add_row(Text(label, style=QUIET), *(_right([[(values[i], QUIET)]], widths[i]) for i in chosen))
    shapes = {i: _shape(table, i) for i in chosen}
    for number, group in enumerate(table.groups):
        if number or table.header:
            rich.add_row()
        rich.add_row(Text(group.name, style="bold"))
        for row in group.rows:
            rich.add_row(
                row.label, *(_right(style.layout(row.cells[i], shapes[i]), widths[i]) for i in chosen)
            )
    return rich


def _spread(table: Table, widths: dict[int, int], style: Style, width: int) -> dict[int, int]:
    """Give our columns up to two blanks more where columns stand close and there is room."""
    ours = [i for i in widths if table.columns[i].run]
    spare = width - _label_width(table) - sum(widths.values()) - style.gap * len(widths)
    more = max(0, min(2, spare // len(ours))) if ours and style.gap == 1 else 0
    return {i: size + more * (i in ours) for i, size in widths.items()}


def _right(lines: list[list[Line]], width: int) -> Text:
    """Lines flush right; rich's own way would drop the blanks that keep decimal points in line."""
    padded = []
    for line in lines:
        blanks = width - sum(cell_len(text) for text, _ in line)
        padded.append(Text.assemble((" " * blanks, ""), *line))
    return Text("\n").join(padded)


def _shape(table: Table, index: int) -> Shape:
    cells = [row.cells[index] for row in table.rows]
    numbers = [_split(cell) for cell in cells if _is_number(cell)]
    results = [cell.result for cell in cells if cell.result is not None and _is_number(cell)]
    return Shape(
        max((len(whole) for whole, _ in numbers), default=0),
        max((len(fraction) for _, fraction in numbers), default=0),
        max((len(texts.ratio(result)) for result in results), default=0),
        max((len(texts.interval(result)) for result in results), default=0),
    )


def _is_number(cell: Cell) -> bool:
    return cell.text[:1].isdigit()


def _split(cell: Cell) -> tuple[str, str]:
    whole, _, fraction = cell.text.partition(".")
    return whole, f".{fraction}{cell.marks}"


def _value(cell: Cell, shape: Shape) -> Line:
    """The value with its decimal point below those above it."""
    if not _is_number(cell):
        style = "yellow" if cell.text in (NOT_RUN, NO_SCORE) else QUIET
        return (cell.text + cell.marks, style)
    whole, fraction = _split(cell)
    return whole.rjust(shape.whole) + fraction.ljust(shape.fraction), "bold" if cell.result else ""


def _one_line(cell: Cell, shape: Shape) -> list[list[Line]]:
    lines = [[_value(cell, shape)]]
    if cell.result is not None:
        if _is_number(cell):
            ratio = texts.ratio(cell.result).rjust(shape.ratio)
            interval = texts.interval(cell.result).rjust(shape.interval)
            lines[0] += [(f" {ratio} ", QUIET), (interval, "")]
        lines += _loss(cell, ": ")
    return lines


def _two_lines(cell: Cell, shape: Shape) -> list[list[Line]]:
    lines = [[_value(cell, shape)]]
    if cell.result is not None:
        if _is_number(cell):
            lines[0].append((" " + texts.ratio(cell.result).rjust(shape.ratio), QUIET))
            lines.append([(texts.interval(cell.result), "")])
        lines += _loss(cell, "\n")
    return lines


def _three_lines(cell: Cell, shape: Shape) -> list[list[Line]]:
    lines = [[_value(cell, shape)]]
    if cell.result is not None:
        if _is_number(cell):
            lines += [[(texts.ratio(cell.result), QUIET)], [(texts.interval(cell.result), "")]]
        lines += _loss(cell, "\n")
    return lines


def _loss(cell: Cell, between: str) -> list[list[Line]]:
    """Coverage and bounds of an incomplete result, on one line or two."""
    if cell.result is None or cell.result.complete:
        return []
    said = between.join(filter(None, (texts.incomplete(cell.result), texts.bounds(cell.result))))
    return [[(line, "yellow")] for line in said.split("\n")]


STYLES = tuple(
    Style(layout, heading, gap)
    for layout, gap in ((_one_line, 2), (_two_lines, 2), (_two_lines, 1), (_three_lines, 1))
    for heading in HEADINGS
)
"""From roomy to narrow."""


def wrap(label: str, width: int) -> list[str]:
    """Break a model's name into lines of at most `width`, behind spaces, hyphens, slashes and underscores.

    The lines are as even as their number allows.
    """
    pieces = re.findall(r"[^ \-/_]+[ \-/_]*|[ \-/_]+", label) or [""]
    lines = _filled(pieces, width)
    for narrower in range(width - 1, 0, -1):
        even = _filled(pieces, narrower)
        if len(even) > len(lines) or max(map(cell_len, even)) > width:
            break
        lines = even
    return lines


def _filled(pieces: Sequence[str], width: int) -> list[str]:
    lines = [""]
    for piece in pieces:
        if lines[-1] and cell_len((lines[-1] + piece).rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return [line.rstrip() for line in lines]
