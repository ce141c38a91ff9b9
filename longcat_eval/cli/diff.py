"""`longcat-eval diff`: two runs question by question, and the transcripts of what changed side by side."""

import io
import sys
from typing import TYPE_CHECKING

from longcat_eval.cli.terminal import visible
from longcat_eval.errors import ExitCode, UsageError, did_you_mean
from longcat_eval.reports.diff import Diff, diff_sides, flips
from longcat_eval.reports.render_diff import diff_json, diff_notes, diff_table, flip_lines, head_lines
from longcat_eval.reports.sides import Side, read_side
from longcat_eval.runners.store import read_transcript

if TYPE_CHECKING:
    from rich.console import Console

FORMATS = ("text", "json")


def show_diff(
    base: str,
    cand: str,
    tasks: list[str],
    show: str | None,
    limit: int,
    format: str,
    allow_mixed: bool,
) -> int:
    """Print the comparison, or with `show` the transcripts of one question on both sides."""
    from rich.console import Console

    if format not in FORMATS:
        raise UsageError(f"--format {format!r} is not known{did_you_mean(format, FORMATS)}: text, json")
    sides = [_only(read_side(name), tasks) for name in (base, cand)]
    diff = diff_sides(sides[0], sides[1], allow_mixed=allow_mixed)
    if show is not None:
        _show(Console(), diff, show)
    elif format == "json":
        sys.stdout.write(diff_json(diff))
    else:
        _print(Console(), diff, limit)
    return ExitCode.OK


def _only(side: Side, tasks: list[str]) -> Side:
    for name in tasks:
        if name not in side.entries:
            raise UsageError(f"{side.name} has no task {name!r}{did_you_mean(name, side.entries)}")
    return side._replace(entries={t: e for t, e in side.entries.items() if not tasks or t in tasks})


def _print(console: "Console", diff: Diff, limit: int) -> None:
    def line(text: str = "", style: str = "") -> None:
        console.print(visible(text), style=style, markup=False, highlight=False, soft_wrap=True)

    for text in head_lines((("base", diff.base), ("candidate", diff.cand))):
        line(text)
    line()
    console.print(diff_table(diff))
    line()
    for text in (text for task in diff.tasks for text in flip_lines(task, limit)):
        line(text, "red" if text.startswith("broken") else "green" if text.startswith("fixed") else "dim")
    if any(flips(task) for task in diff.tasks) and diff.base.run and diff.cand.run:
        line("--show TASK/QUESTION prints both transcripts side by side", "dim")
    line()
    for text in diff_notes(diff):
        line(f"- {text}")


def _show(console: "Console", diff: Diff, wanted: str) -> None:
    """Both transcripts of every repeat of the one question that `wanted` is, or is a part of."""
    from rich.table import Table
    from rich.text import Text

    if diff.base.run is None or diff.cand.run is None:
        raise UsageError("--show needs two run directories; summaries and cards hold no transcripts")
    questions = {f"{t.task}/{q}" for t in diff.tasks if t.matched for q in t.matched.names}
    found = [wanted] if wanted in questions else sorted(q for q in questions if wanted in q)
    if len(found) != 1:
        some = f"{len(found)} questions match, such as {', '.join(found[:3])}" if found else "none matches"
        raise UsageError(f"--show {wanted!r}: {some}; give TASK/QUESTION as listed")
    width = (console.width - 3) // 2
    columns = [_transcripts(side, found[0], width) for side in (diff.base, diff.cand)]
    for repeat in sorted(columns[0].keys() | columns[1].keys()):
        table = Table(box=None, pad_edge=False, show_header=True, padding=(0, 3, 0, 0))
        for name, side in (("base", diff.base), ("candidate", diff.cand)):
            table.add_column(Text(f"{name}: {side.name}"), width=width, overflow="fold")
        table.add_row(*(Text(column.get(repeat, "not made")) for column in columns))
        console.print(table)


def _transcripts(side: Side, question: str, width: int) -> dict[int, str]:
    """The printed transcripts of a question by repeat."""
    from rich.console import Console

    from longcat_eval.cli.show import Printer

    run, printed = side.run, {}
    assert run is not None
    for row in run.rows:
        if f"{row.task}/{row.sample}" == question:
            text = io.StringIO()
            Printer(Console(file=text, width=width, color_system=None)).attempt(
                row, read_transcript(run.path, row)
            )
            printed[row.repeat] = text.getvalue()
    return printed
