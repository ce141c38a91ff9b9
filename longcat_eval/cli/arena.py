"""`longcat-eval arena-hard`: several runs before one judge, with the official style control."""

import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from longcat_eval.errors import ExitCode, UsageError, did_you_mean
from longcat_eval.records import AttemptRow
from longcat_eval.reports.conditions import conditions
from longcat_eval.runners.store import RunData, read_run
from longcat_eval.tasks.arena_hard.data import CREATIVE, HARD
from longcat_eval.tasks.arena_hard.leaderboard import CONTROLS, Standing, official_rows, standings

HALVES = {"arena-hard-v2": HARD, "arena-hard-v2-creative": CREATIVE}


def show_leaderboard(
    paths: Sequence[Path], task: str, official: Path | None, judge: str, control: str, format: str
) -> int:
    """Print the standings of the runs, and of an official data folder's models, best first."""
    runs = [read_run(path) for path in paths]
    if format not in ("text", "json"):
        raise UsageError(f"--format {format!r} is neither text nor json")
    half = HALVES.get(task)
    if half is None:
        raise UsageError(
            f"no half {task!r} of Arena-Hard v2{did_you_mean(task, HALVES)}: {', '.join(HALVES)}"
        )
    controls = chosen_controls(control)
    models = {} if official is None else official_rows(official, judge, half.category, half.baseline)
    models |= rows_by_model(runs, task)
    found = standings(models, controls)
    if format == "json":
        lines = [standing._asdict() for standing in found]
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(lines), indent=2).decode() + "\n")
    else:
        judges = said_judges(runs, task) + ([f"{judge} (of {official})"] if official else [])
        _print(found, task, controls, half.baseline, judges)
    return ExitCode.OK


def chosen_controls(text: str) -> list[str]:
    """Read `length,markdown`, or `none`."""
    names = [] if text == "none" else text.split(",")
    for name in names:
        if name not in CONTROLS:
            raise UsageError(f"--control {name!r} is not length, markdown, both with a comma, or none")
    return names


def rows_by_model(runs: Sequence[RunData], task: str) -> dict[str, list[AttemptRow]]:
    """The valid rows of each run, by its model's name, with the directory where two have the same."""
    names = [run.manifest.model for run in runs]
    found = {}
    for run in runs:
        rows = [row for row in run.rows if row.task == task and row.outcome.valid]
        if not rows:
            raise UsageError(f"{run.path} has no verdicts of {task}")
        name = run.manifest.model
        found[f"{name} ({run.path})" if names.count(name) > 1 else name] = rows
    return found


def said_judges(runs: Sequence[RunData], task: str) -> list[str]:
    """Who judged the runs; `UsageError` where they differ."""
    judges = list(dict.fromkeys(conditions(run.manifest, task).get("judge", "") for run in runs))
    if len(judges) > 1:
        raise UsageError(f"the runs had different judges: {'; '.join(judges)}")
    return judges


def _print(
    found: Sequence[Standing], task: str, controls: Sequence[str], baseline: str, judges: list[str]
) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table, console = Table(box=None, pad_edge=False), Console()
    table.add_column("model")
    for name in ("questions", "score", *(("style control", "95 % interval") if controls else ())):
        table.add_column(name, justify="right")
    for s in found:
        cells = [f"{s.questions}", f"{100 * s.score:.1f}"]
        if s.controlled is not None and s.low is not None and s.high is not None:
            cells += [f"{100 * s.controlled:.1f}", f"[{100 * s.low:.1f}, {100 * s.high:.1f}]"]
        table.add_row(Text(s.model), *cells)
    console.print(table)
    said = f"{task} against {baseline} (50.0), judged by {'; '.join(judges)}"
    if controls:
        said += f". Style control ({', '.join(controls)}): win rate at the mean style of all battles above"
    console.print(Text(said), soft_wrap=True)
