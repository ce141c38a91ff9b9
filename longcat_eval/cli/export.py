"""`longcat-eval export`: what a run made, in the words of other tools."""

from pathlib import Path
from typing import NamedTuple

import typer

from longcat_eval.errors import EnvironmentUnusableError, ExitCode, UsageError
from longcat_eval.runners.store import RunData, read_run, read_transcript
from longcat_eval.tasks.swe.predictions import write_predictions

FORMATS = ("swebench",)
SWE = "swe-bench-"


class Exported(NamedTuple):
    """Predictions of a run, and what is to be said of them."""

    records: list[tuple[str, str]]
    without_patch: int
    damaged: list[str]


def export_run(path: Path, format: str, output: Path, task: str | None, repeat: int) -> int:
    """Write the patches of one repeat of a SWE-bench run as predictions that any harness grades."""
    if format not in FORMATS:
        raise UsageError(f"no format {format!r}: {', '.join(FORMATS)}")
    run = read_run(path)
    name = _task(run, task)
    found = read_patches(run, name, repeat)
    if not found.records:
        raise UsageError(f"{path} holds no attempts of {name} in repeat {repeat}")
    try:
        write_predictions(output, found.records, run.manifest.model)
    except OSError as error:
        raise EnvironmentUnusableError(f"cannot write {output}: {error.strerror}") from None
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


def _task(run: RunData, given: str | None) -> str:
    there = [name for name in run.manifest.tasks if name.startswith(SWE)]
    if given is not None:
        if given not in there:
            raise UsageError(f"{run.path} has no SWE-bench task {given!r}: {', '.join(there) or 'none'}")
        return given
    if len(there) != 1:
        raise UsageError(
            f"say which with --task: {', '.join(there)}" if there else f"{run.path} has no patches"
        )
    return there[0]
