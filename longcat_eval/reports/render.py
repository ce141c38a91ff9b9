"""The formats a report can be printed in, as text."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from longcat_eval.errors import UsageError, did_you_mean
from longcat_eval.reports.render_csv import to_csv
from longcat_eval.reports.render_json import to_json
from longcat_eval.reports.render_latex import to_latex
from longcat_eval.reports.render_md import to_markdown
from longcat_eval.reports.table import Table

if TYPE_CHECKING:
    from longcat_eval.runners.store import RunData

DEFAULT_WIDTH = 100

Format = Callable[[Table, Sequence["RunData"], int], str]


def to_text(table: Table, width: int) -> str:
    """The terminal's table without colour, `width` columns wide, no blanks at line ends."""
    import io

    from rich.console import Console

    from longcat_eval.reports.render_table import table_renderable

    file = io.StringIO()
    Console(file=file, width=width, color_system=None, legacy_windows=False).print(
        table_renderable(table, width)
    )
    return "".join(f"{line.rstrip()}\n" for line in file.getvalue().splitlines())


def to_page(table: Table, runs: Sequence["RunData"]) -> str:
    """The page with transcripts up to the default cap; jinja2 is imported when it is asked for."""
    from longcat_eval.reports.html.page import to_html

    return to_html(table, runs)


FORMATS: Mapping[str, Format] = {
    "table": lambda table, runs, width: to_text(table, width),
    "md": lambda table, runs, width: to_markdown(table),
    "csv": lambda table, runs, width: to_csv(table),
    "json": lambda table, runs, width: to_json(table, runs),
    "latex": lambda table, runs, width: to_latex(table),
    "html": lambda table, runs, width: to_page(table, runs),
    "summary": lambda table, runs, width: to_json(table, runs, questions=True),
}


def render(table: Table, runs: Sequence["RunData"], format: str, width: int = DEFAULT_WIDTH) -> str:
    """The report as text in one of `FORMATS`, else `UsageError`; `width` matters to `table` alone."""
    if format not in FORMATS:
        hint = did_you_mean(format, FORMATS)
        raise UsageError(f"--format {format!r} is not known{hint}; known: {', '.join(FORMATS)}")
    return FORMATS[format](table, runs, width)
