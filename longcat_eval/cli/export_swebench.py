"""The patches of a SWE-bench run as predictions that any harness grades."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import typer

from longcat_eval.errors import ExitCode, UsageError
from longcat_eval.runners.store import RunData, read_transcript
from longcat_eval.tasks.swe.predictions import write_predictions

SWE = "swe-bench-"


class Exported(NamedTuple):
    """Predictions of a run, and what is to be said of them."""

    records: list[tuple[str, str]]
    without_patch: int
    damaged: list[str]


def export_swebench(run: RunData, output: Path, tasks: Sequence[str], repeat: int) -> int:
    """Write the patches of one repeat of one task."""
    name = _task(run, tasks)
    found = read_patches(run, name, repeat)
    if not found.records:
        raise UsageError(f"{run.path} holds no attempts of {name} in repeat {repeat}")
    write_predictions(output, found.records, run.manifest.model)
    typer.echo(f"{len(found.records)} predictions in {output}, {found.without_patch} of them empty")
    for instance in found.damaged:
        typer.echo(f"note: the patch of {instance} is no UTF-8, which the format cannot hold")
    return ExitCode.OK


def read_patches(run: RunData, task: str, repeat: int) -> Exported:
    """The patches as the agent left them, also of attempts whose tests could not be run."""
    found = Exported([], 0, [])
    empty = 0
    for row in run.rows:
        if row.task != task or row.repeat != repeat:
            continue
        artifacts = read_transcript(run.path, row).artifacts
        patch = str(artifacts.get("patch", ""))
        if not row.outcome.valid and not patch:
            continue
        empty += not patch
        found.records.append((row.sample, patch))
        if not artifacts.get("patch_lossless", True):
            found.damaged.append(row.sample)
    return found._replace(without_patch=empty)


def _task(run: RunData, given: Sequence[str]) -> str:
    there = [name for name in run.manifest.tasks if name.startswith(SWE)]
    if unknown := [name for name in given if name not in there]:
        raise UsageError(f"{run.path} has no SWE-bench task {unknown[0]!r}: {', '.join(there) or 'none'}")
    if len(given) == 1:
        return given[0]
    if len(there) != 1 or given:
        raise UsageError(
            f"say which with --task: {', '.join(there)}"
            if there
            else f"{run.path} has no patches; other formats, such as inspect, hold any run (--format)"
        )
    return there[0]
