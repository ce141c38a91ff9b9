"""`longcat-eval report`, and the table that ends a run."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from longcat_eval.errors import EnvironmentUnusableError, ExitCode, UsageError
from longcat_eval.reports.latest import latest_run
from longcat_eval.reports.table import build_table
from longcat_eval.runners.store import read_run

if TYPE_CHECKING:
    from rich.console import Console

    from longcat_eval.reports.table import Table
    from longcat_eval.runners.store import RunData

RUNS = Path("runs")


def show_report(
    paths: list[Path],
    compare: str | None,
    format: str,
    output: Path | None,
    allow_mixed: bool,
    embed_mb: float | None = None,
    plot: Path | None = None,
) -> int:
    """Print or write the table; without paths the latest run, or with --compare and no run the card alone."""
    from rich.console import Console

    from longcat_eval.reports.render import render
    from longcat_eval.reports.render_table import table_renderable

    if embed_mb is not None and format != "html":
        raise UsageError(f"--embed-mb is for --format html, not {format}")
    if format == "html" and output is None and sys.stdout.isatty():
        raise UsageError("--format html makes a file: add --output report.html")
    if plot is not None:
        from longcat_eval.reports.plot import check_plot, write_plot

        check_plot(plot)
    table, runs = load_table(paths, compare, allow_mixed)
    if plot is not None:
        write_plot(table, plot)
    console = Console()
    if format == "table" and output is None:
        console.print(table_renderable(table, console.width))
        return ExitCode.OK
    if embed_mb is not None:
        from longcat_eval.reports.html.page import to_html

        text = to_html(table, runs, embed_mb)
    else:
        text = render(table, runs, format)
    if output is None:
        sys.stdout.write(text)
        return ExitCode.OK
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise EnvironmentUnusableError(f"cannot write {output}: {error.strerror}") from None
    return ExitCode.OK


def load_table(paths: list[Path], compare: str | None, allow_mixed: bool) -> tuple["Table", list["RunData"]]:
    """The runs, by default the latest, or none where only published columns are there; and their table."""
    columns = split_names(compare)
    if not paths and (RUNS.is_dir() or not columns):
        paths = [latest_run(RUNS)]
    runs = [read_run(path) for path in paths]
    return build_table(runs, columns, allow_mixed=allow_mixed), runs


def print_run(console: "Console", path: Path, compare: str | None) -> None:
    """Print the table that ends a run, and how the attempts ended."""
    from longcat_eval.reports.summary import render_run_summary

    render_run_summary(console, [read_run(path)], split_names(compare))


def check_compare(compare: str | None) -> None:
    """Refuse an unknown column and a file that cannot be used before the run, not after it."""
    from longcat_eval.reports.foreign.reading import read_foreign, split_compare
    from longcat_eval.reports.published import find_models

    if compare is not None and not split_names(compare):
        raise UsageError("--compare names no column; for example --compare kimi,qwen3-next")
    published, foreign = split_compare(split_names(compare))
    find_models(published)
    read_foreign(foreign)


def split_names(text: str | None) -> list[str]:
    """Comma separated names."""
    return [name.strip() for name in (text or "").split(",") if name.strip()]
