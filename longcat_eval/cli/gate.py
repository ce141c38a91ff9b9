"""`longcat-eval gate`: may this checkpoint replace that one? The answer is the exit code."""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from longcat_eval.cli.terminal import visible
from longcat_eval.errors import EnvironmentUnusableError, UsageError, did_you_mean
from longcat_eval.reports.gate import Gate, judge
from longcat_eval.reports.policy import load_policy
from longcat_eval.reports.render_diff import head_lines
from longcat_eval.reports.render_gate import (
    annotations,
    gate_github,
    gate_json,
    gate_junit,
    gate_notes,
    gate_table,
    headline,
)
from longcat_eval.reports.sides import read_side

WIDE = 120
"""Columns where the output is no terminal: a log does not wrap."""


class Outputs(NamedTuple):
    """What to print and write: the format, where it goes, and the files besides."""

    format: str = "text"
    output: Path | None = None
    junit: Path | None = None
    github: bool = False


def run_gate(base: str, cand: str, policy: Path | None, outputs: Outputs, strict: bool) -> int:
    """Judge, print, and return the exit code."""
    if outputs.format not in FORMATS:
        hint = did_you_mean(outputs.format, FORMATS)
        raise UsageError(f"--format {outputs.format!r} is not known{hint}: {', '.join(FORMATS)}")
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if outputs.github and not summary:
        raise UsageError("--github writes to $GITHUB_STEP_SUMMARY, which is not set; see --format github")
    rules = load_policy(policy)
    gate = judge(read_side(base), read_side(cand), rules)
    text = FORMATS[outputs.format](gate, strict)
    if outputs.output is not None:
        _write(outputs.output, text)
    else:
        sys.stdout.write(text)
    if outputs.junit is not None:
        _write(outputs.junit, gate_junit(gate, strict))
    if outputs.github and summary:
        _write(Path(summary), gate_github(gate, strict), append=True)
        sys.stdout.writelines(f"{visible(line)}\n" for line in annotations(gate, strict))
    return gate.exit_code(strict)


def _text(gate: Gate, strict: bool) -> str:
    """The table and its notes, in colour on a terminal alone."""
    import io

    from rich.console import Console

    screen = Console()
    width = screen.width if screen.is_terminal else WIDE
    file = io.StringIO()
    console = Console(
        file=file,
        width=width,
        force_terminal=screen.is_terminal,
        no_color=screen.no_color,
        legacy_windows=False,
    )

    def line(text: str = "") -> None:
        console.print(visible(text), markup=False, highlight=False, soft_wrap=True)

    for text in head_lines((("base", gate.base), ("candidate", gate.cand))):
        line(text)
    line()
    console.print(gate_table(gate))
    line()
    for text in gate_notes(gate):
        line(f"- {text}")
    line()
    line(headline(gate, strict))
    return "".join(f"{text.rstrip()}\n" for text in file.getvalue().splitlines())


FORMATS: Mapping[str, Callable[[Gate, bool], str]] = {
    "text": _text,
    "json": gate_json,
    "junit": gate_junit,
    "github": gate_github,
}


def _write(path: Path, text: str, append: bool = False) -> None:
    try:
        with path.open("a" if append else "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise EnvironmentUnusableError(f"cannot write {path}: {error.strerror}") from None
