"""`longcat-eval doctor --calibrate`: gold replies and none at all answer every benchmark that is installed.

They are ordinary runs in `FOLDER/oracle` and `FOLDER/null`; what was seen beside what must be is
`FOLDER/calibration.json`, written anew after every benchmark.
"""

import asyncio
import shlex
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec import structs

from longcat_eval import __version__
from longcat_eval.cli.directory import default_output, public_argv
from longcat_eval.cli.planning import chosen_tasks, plan_tasks, refuse_unanswerable
from longcat_eval.cli.roles import resolve_roles
from longcat_eval.cli.run import needed_roles, work_off
from longcat_eval.cli.settings import DATA, FIELDS, Resolved, RunSettings
from longcat_eval.errors import EnvironmentUnusableError, ExitCode, UsageError
from longcat_eval.model_backend.resolve import ResolvedModel
from longcat_eval.model_backend.scripted import NULL, ORACLE
from longcat_eval.protocols import Scaffolded, Stocked
from longcat_eval.reports.calibration import (
    COLOURS,
    Calibration,
    Check,
    calibrated,
    compare,
    describe,
    has_gold,
    not_installed,
    policy,
    without_gold,
)
from longcat_eval.runners.plan import PlannedTask, choose_samples
from longcat_eval.runners.store import read_run, write_atomically
from longcat_eval.tasks.suites import expand_suite
from longcat_eval.tasks.table import TASKS, load_task

if TYPE_CHECKING:
    from rich.console import Console

FILE = "calibration.json"
IN_CONTAINERS = 2
"""Samples of a benchmark whose attempts need containers, where no --limit is given."""
KEPT = ("repeats", "limit", "sample_id", "seed", "concurrency", "output", "plain")
"""The settings, beside those of the data, that have a part in this."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """`calibration.json`: `exit_code` is that of the command, None while it goes on."""

    version: str
    exit_code: int | None
    benchmarks: list[Calibration]


class Plan(NamedTuple):
    """What to calibrate: `asked` names benchmarks that may not be missing, `roles` has those of all tasks."""

    settings: RunSettings
    folder: Path
    tasks: list[str]
    asked: list[str]
    missing: dict[str, str]
    roles: dict[str, str]


class Interrupted(Exception):  # noqa: N818 - no error
    """Ctrl-C, after what was finished has been kept."""


def calibrate_benchmarks(resolved: Resolved, format: str) -> int:
    """Calibrate what is asked for, by default every benchmark; a line each, or JSON when all is done.

    Exit 5 if a score is not as expected or a benchmark named with --task is not installed, 3 if attempts were
    lost, 130 if interrupted. The same command in the same folder goes on where it ended.
    """
    from rich.console import Console

    if format not in ("text", "json"):
        raise UsageError(f"--format {format!r} is neither text nor json")
    plan, console = make_plan(resolved), Console(stderr=format == "json")
    say = partial(console.print, highlight=False, soft_wrap=True, markup=False)
    say(f"longcat-eval {__version__}: gold replies and none at all, in {plan.folder}")
    say(f"  {bounds(plan.settings)}")
    found: list[Calibration] = []
    try:
        for name in plan.tasks:
            found.append(calibrate(name, plan, console))
            show(console, found[-1])
            keep(plan, found, None)
    except Interrupted:
        code = ExitCode.INTERRUPTED
    else:
        for name, remedy in plan.missing.items():
            found.append(not_installed(name, remedy))
            show(console, found[-1])
        code = exit_code(plan, found)
    report = keep(plan, found, code)
    counts = {status: sum(c.status == status for c in found) for status in COLOURS}
    say(", ".join(f"{n} {status}" for status, n in counts.items() if n) + f"; {plan.folder / FILE}")
    if code in (ExitCode.INTERRUPTED, ExitCode.INCOMPLETE):
        again = [*public_argv(), *([] if resolved.settings.output else ["-o", str(plan.folder)])]
        say(f"everything finished is saved; to go on: {shlex.join(['longcat-eval', *again])}")
    if format == "json":
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(report), indent=2).decode() + "\n")
    return code


def make_plan(resolved: Resolved) -> Plan:
    """The benchmarks, and the settings that are left of `run`'s; `UsageError` for a flag without a part."""
    settings = resolved.settings
    kept = {name for name, field in FIELDS.items() if field.metadata["panel"] == DATA or name in KEPT}
    for name, origin in resolved.origins.items():
        if origin == "flag" and name in FIELDS and name not in {*kept, "suite", "task"}:
            flag = FIELDS[name].metadata["flags"][0]
            raise UsageError(f"{flag} has no part in --calibrate, which asks no model")
    names, missing = list(dict.fromkeys(settings.task)), dict[str, str]()
    if settings.suite and names:
        raise UsageError("give --suite or --task, not both")
    if settings.suite:
        names, missing = expand_suite(settings.suite)
    plain = RunSettings().changed(**{name: getattr(settings, name) for name in kept})
    tasks = [load_task(name) for name in names or TASKS]
    if settings.sample_id and len(tasks) > 1:
        raise UsageError("--sample-id goes with exactly one --task")
    return Plan(
        plain,
        settings.output or default_output(settings.changed(suite="calibration"), "scripted"),
        [task.name for task in tasks],
        settings.task,
        missing,
        needed_roles([load_task(name) for name in TASKS]),
    )


def bounds(settings: RunSettings) -> str:
    """How much is asked of every benchmark."""
    times = f"{settings.repeats} times" if settings.repeats else "once"
    if settings.limit or settings.sample_id:
        some = f"{settings.limit} samples" if settings.limit else "the samples named"
        return f"{some} of each benchmark, {times}"
    return (
        f"every sample {times}, {IN_CONTAINERS} of each benchmark that needs containers; "
        "--limit and --repeats change that"
    )


def calibrate(name: str, plan: Plan, console: "Console") -> Calibration:
    """Run one benchmark with gold replies and with none; what stands in the folder is not run again."""
    checks = {}
    for model in (ORACLE, NULL):
        settings = plan.settings.changed(
            task=[name],
            model=model,
            output=plan.folder / policy(model),
            repeats=plan.settings.repeats or 1,
        )
        resolved = Resolved(settings, {"model": "--calibrate"})
        models = resolve_roles(resolved, plan.roles)
        try:
            part = plan_part(settings)
            refuse_unanswerable([part.task], models["agent"])
        except EnvironmentUnusableError as error:
            return not_installed(name, str(error))
        if model == ORACLE:
            part = replace(part, samples=[s for s in part.samples if has_gold(part.task, s)])
        checks[policy(model)] = run_check(resolved, models, part, console) if part.samples else without_gold()
    return calibrated(name, checks)


def plan_part(settings: RunSettings) -> PlannedTask:
    """The one task of the settings and its samples; `EnvironmentUnusableError` if it is not installed.

    Where attempts need containers they are a few samples, of those whose images are here.
    """
    tasks, _ = chosen_tasks(settings)
    [task], contained = tasks, isinstance(tasks[0], Scaffolded)
    [part] = plan_tasks(settings.changed(limit=None) if contained else settings, tasks)[0]
    if not contained:
        return part
    samples = part.samples
    if isinstance(task, Stocked):
        from longcat_eval.runners.sandbox.daemon import connect
        from longcat_eval.runners.sandbox.image_store import present

        with connect() as client:
            lacking = {s.id: task.lacks(s, partial(present, client.api)) for s in samples}
        samples = [sample for sample in samples if not lacking[sample.id]]
        if not samples:
            raise EnvironmentUnusableError(
                f"no sample can start here; the first: {next(iter(lacking.values()))}"
            )
    limit = settings.limit or (None if settings.sample_id else IN_CONTAINERS)
    chosen = choose_samples(structs.replace(part.dataset, samples=samples), task.name, limit=limit)
    return replace(part, samples=chosen)


def run_check(
    resolved: Resolved, models: Mapping[str, ResolvedModel], part: PlannedTask, console: "Console"
) -> Check:
    """An ordinary run of one benchmark by one scripted model, and its score beside the expected one.

    It has the roles of all benchmarks, so that they can stand in one directory.
    """
    started = time.monotonic()
    session, stopped = asyncio.run(work_off(resolved, [part], {}, models, console))
    if stopped == "interrupted":
        raise Interrupted
    seconds = time.monotonic() - started
    return compare(read_run(session.path), part, models["agent"].name, seconds, stopped)


def exit_code(plan: Plan, found: list[Calibration]) -> ExitCode:
    """What the whole comes to."""
    lacking = {c.task for c in found if c.status == "missing"} & set(plan.asked)
    statuses = {c.status for c in found}
    if "differs" in statuses or lacking or statuses <= {"missing"}:
        return ExitCode.ENVIRONMENT
    return ExitCode.INCOMPLETE if "incomplete" in statuses else ExitCode.OK


def keep(plan: Plan, found: list[Calibration], code: int | None) -> Report:
    """Write what is known so far."""
    report = Report(version=__version__, exit_code=code, benchmarks=found)
    plan.folder.mkdir(parents=True, exist_ok=True)
    write_atomically(plan.folder / FILE, msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    return report


def show(console: "Console", calibration: Calibration) -> None:
    """Print one benchmark."""
    from rich.text import Text

    head, *more = describe(calibration)
    status = calibration.status
    console.print(Text.assemble((f"{status:<10}", COLOURS[status]), f"  {head}"), soft_wrap=True)
    for line in more:
        console.print(Text(f"            {line}"), soft_wrap=True)
