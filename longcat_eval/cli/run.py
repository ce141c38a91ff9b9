"""`longcat-eval run`: settings in, run directory and table out."""

import asyncio
import gc
import os
import resource
import shlex
import signal
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import structs

from longcat_eval import __version__
from longcat_eval.cli.live import LiveDisplay, PlainLines, Progress
from longcat_eval.cli.report import check_compare, print_run
from longcat_eval.cli.roles import (
    agent_options,
    innermost,
    open_role,
    parse_concurrency,
    resolve_roles,
    role_record,
)
from longcat_eval.cli.settings import Resolved, RunSettings, parse_seconds
from longcat_eval.errors import EnvironmentUnusableError, ExitCode, UsageError, did_you_mean
from longcat_eval.model_backend import urls
from longcat_eval.model_backend.resolve import ResolvedModel
from longcat_eval.model_backend.role import Role
from longcat_eval.protocols import DataOptions, Task
from longcat_eval.runners.budget import Budget
from longcat_eval.runners.manifest import Manifest
from longcat_eval.runners.plan import PlannedTask, Shard, choose_samples
from longcat_eval.runners.provenance import invocation
from longcat_eval.runners.session import Session
from longcat_eval.runners.workers import WorkerPool
from longcat_eval.tasks.suites import expand_suite
from longcat_eval.tasks.table import load_task

if TYPE_CHECKING:
    from rich.console import Console

AUTO_IN_FLIGHT = 512
OPEN_FILES = 65_536
SECRET_FLAGS = ("--header", "--base-url", "--user-base-url", "--judge-base-url")


def execute(resolved: Resolved) -> int:
    """Run what the settings say; return the exit code."""
    from rich.console import Console

    settings, console = resolved.settings, Console()
    shard_of(settings)
    check_compare(settings.compare)
    budget_of(settings)
    tasks, not_run = chosen_tasks(settings)
    models = resolve_roles(resolved, sorted({r for t in tasks for r in t.protocol.roles}))
    console.print(first_line(models["agent"], settings), highlight=False, soft_wrap=True)
    for note in models["agent"].notes:
        console.print(f"  note: {note}", highlight=False, soft_wrap=True)
    if settings.max_cost is not None and not models["agent"].price_record:
        raise UsageError(
            "--max-cost needs a price: --set price.prompt=… --set price.completion=… ($/M tokens)"
        )
    refuse_unanswerable(tasks, models["agent"])
    planned, absent = plan_tasks(settings, tasks)
    not_run |= absent
    for name, remedy in not_run.items():
        console.print(f"  not run: {name}: {remedy}", highlight=False, soft_wrap=True)
    if not_run and settings.require_all:
        raise EnvironmentUnusableError(
            f"--require-all: {len(not_run)} member(s) of the suite cannot run here"
        )
    if not planned:
        raise EnvironmentUnusableError("nothing of this suite can run here; see the lines above")
    if settings.dry_run:
        from longcat_eval.cli.estimate import print_estimate

        streams = parse_concurrency(settings.concurrency)
        print_estimate(console, planned, models["agent"], streams, settings.output)
        return ExitCode.OK
    gc.set_threshold(
        50_000, 20, 100
    )  # thousands of long-lived records: collecting them often is a tenth of it
    raise_open_files()
    return asyncio.run(_run(resolved, planned, not_run, models, console))


def raise_open_files() -> None:
    """Let this process hold a connection per request in flight: up to the hard limit of open files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def chosen_tasks(settings: RunSettings) -> tuple[list[Task], dict[str, str]]:
    """The tasks asked for, and by name the members of the suite that cannot run, with the remedy."""
    if bool(settings.suite) == bool(settings.task):
        raise UsageError("say what to run: --suite NAME or --task NAME (see `longcat-eval tasks list`)")
    if settings.suite:
        names, missing = expand_suite(settings.suite)
    else:
        names, missing = list(dict.fromkeys(settings.task)), {}
    tasks = [load_task(name) for name in names]
    set_limits(tasks, settings.limits)
    return tasks, missing


def set_limits(tasks: list[Task], limits: Mapping[str, float]) -> None:
    """Put `--set limits.NAME=…` into the protocols that have such a limit; one that none has is an error."""
    known = {name for task in tasks for name in task.protocol.limits}
    for name in limits:
        if name not in known:
            there = f"they have {', '.join(sorted(known))}" if known else "they have none"
            raise UsageError(f"limits.{name}: no task of this run has it{did_you_mean(name, known)}; {there}")
    for task in tasks:
        own = {name: limits.get(name, value) for name, value in task.protocol.limits.items()}
        task.protocol = structs.replace(task.protocol, limits=own)


def plan_tasks(settings: RunSettings, tasks: list[Task]) -> tuple[list[PlannedTask], dict[str, str]]:
    """Load and check the data of every task; in a suite, a task without data is named and left out."""
    if any(n is not None and n < 1 for n in (settings.repeats, settings.limit)):
        raise UsageError("--repeats and --limit must be at least 1")
    options = DataOptions(settings.data_dir, settings.allow_data_drift)
    planned, absent = [], {}
    for task in tasks:
        try:
            dataset = task.load(options)
        except EnvironmentUnusableError as error:
            if not settings.suite:
                raise
            absent[task.name] = str(error)
            continue
        chosen = choose_samples(
            dataset, task.name, limit=settings.limit, sample_ids=settings.sample_id if len(tasks) == 1 else ()
        )
        planned.append(PlannedTask(task, dataset, chosen, settings.repeats or task.protocol.repeats))
    if settings.sample_id and len(tasks) > 1:
        raise UsageError("--sample-id goes with exactly one --task")
    return planned, absent


def refuse_unanswerable(tasks: list[Task], model: ResolvedModel) -> None:
    """A task that needs what the model cannot do is refused before the run."""
    for task in tasks:
        if lacking := task.needs - model.capabilities:
            raise EnvironmentUnusableError(
                f"{task.name} needs {', '.join(sorted(lacking))}, which {model.name} does not offer"
            )


def first_line(model: ResolvedModel, settings: RunSettings) -> str:
    """What answers, from where, and why it was chosen."""
    where = {"embedded": "embedded in this machine: neither --model nor a base URL was given"}
    place = where.get(model.kind, model.endpoint or model.kind)
    if model.kind == "embedded" and settings.model:
        place = "embedded in this machine"
    return f"longcat-eval {__version__}: {model.name} ({place})"


async def _run(
    resolved: Resolved,
    planned: list[PlannedTask],
    not_run: dict[str, str],
    models: Mapping[str, ResolvedModel],
    console: "Console",
) -> int:
    settings = resolved.settings
    async with AsyncExitStack() as stack:
        roles = {}
        for name, model in models.items():
            roles[name] = await open_role(model, settings, references(planned))
            stack.push_async_callback(roles[name].model.close)
        session = open_session(resolved, planned, not_run, models, roles)
        stack.callback(session.close)
        if not settings.output:
            console.print(f"run directory: {session.path}", highlight=False, soft_wrap=True)
        workers = WorkerPool(max(1, os.cpu_count() or 1))
        stack.push_async_callback(workers.close)
        stopped = await _work(session, planned, roles, workers, settings, console)
    return finish(session, stopped, settings, console)


async def _work(
    session: Session,
    planned: list[PlannedTask],
    roles: Mapping[str, Role],
    workers: WorkerPool,
    settings: RunSettings,
    console: "Console",
) -> str:
    limiter = getattr(innermost(roles["agent"].model), "limiter", None)
    progress = Progress(lambda: f"{limiter.in_flight} in flight" if limiter is not None else "")
    live = console.is_terminal and not settings.plain
    display = LiveDisplay(console, progress) if live else PlainLines(console, progress)
    concurrency = parse_concurrency(settings.concurrency)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, session.interrupt)
    try:
        return await session.run(
            planned,
            roles,
            workers,
            concurrency=concurrency if isinstance(concurrency, int) else AUTO_IN_FLIGHT,
            budget=budget_of(settings),
            emit=display,
        )
    finally:
        display.close()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def open_session(
    resolved: Resolved,
    planned: list[PlannedTask],
    not_run: dict[str, str],
    models: Mapping[str, ResolvedModel],
    roles: Mapping[str, Role],
) -> Session:
    """Open the run directory with this start's manifest."""
    settings = resolved.settings
    agent = models["agent"]
    label = agent.name if agent.served_name else roles["agent"].served_name.rpartition("/")[2]
    manifest = Manifest(
        model=label,
        suite=settings.suite,
        seed=settings.seed,
        roles={name: role_record(models[name], role) for name, role in roles.items()},
        tasks={part.task.name: part.record() for part in planned},
        not_run=not_run,
        sample_ids=settings.sample_id,
        shard=settings.shard,
        invocations=[invocation(public_argv(), recorded_settings(resolved, models))],
    )
    session = Session(settings.output or default_output(settings, label), manifest, shard_of(settings))
    try:
        session.open()
    except BaseException:
        session.close()
        raise
    return session


def recorded_settings(resolved: Resolved, models: Mapping[str, ResolvedModel]) -> dict[str, Any]:
    """This start's settings that are not defaults, less headers and addresses, which may hold secrets."""
    chosen = {k: v for k, v in asdict(resolved.settings).items() if v not in (None, [], {}, False, "")}
    for secret in ("header", "base_url", "user_base_url", "judge_base_url"):
        chosen.pop(secret, None)
    return {
        **{k: str(v) if isinstance(v, Path) else v for k, v in chosen.items()},
        "origins": resolved.origins,
        "endpoints": {name: model.endpoint for name, model in models.items()},
    }


def public_argv() -> list[str]:
    """The command line without what may be secret: header values, and keys within addresses."""
    shown, hide = [], ""
    for word in sys.argv[1:]:
        flag, equals, value = word.partition("=")
        if hide:
            shown.append(_public(hide, word))
        elif equals and flag in SECRET_FLAGS:
            shown.append(f"{flag}={_public(flag, value)}")
        else:
            shown.append(word)
        hide = word if not hide and word in SECRET_FLAGS else ""
    return shown


def _public(flag: str, value: str) -> str:
    return "(hidden)" if flag == "--header" else urls.identity(value)


def default_output(settings: RunSettings, model: str) -> Path:
    """runs/<time>-<model>-<suite>."""
    what = settings.suite or "+".join(settings.task)
    name = f"{datetime.now():%Y%m%d-%H%M%S}-{model}-{what}"
    path = Path("runs") / "".join(c if c.isalnum() or c in "-+._" else "-" for c in name)[:120]
    names = (path, *(path.with_name(f"{path.name}-{n}") for n in range(2, 1000)))
    return next(free for free in names if not free.exists())


def shard_of(settings: RunSettings) -> Shard | None:
    """The part of the run that is ours, None for all of it."""
    return Shard.parse(settings.shard) if settings.shard else None


def budget_of(settings: RunSettings) -> Budget:
    """The budgets of this start."""
    return Budget(
        max_cost=settings.max_cost,
        max_seconds=parse_seconds(settings.max_time) if settings.max_time else None,
        max_tokens=settings.max_total_tokens,
    )


def references(planned: list[PlannedTask]) -> Any:
    """What `scripted/oracle` may know: the gold replies of a sample, by role."""
    samples = {(p.task.name, s.id): (p.task, s) for p in planned for s in p.samples}

    def look_up(key: Any) -> Any:
        task, sample = samples[key.task, key.sample]
        return task.reference(sample, key.repeat)

    return look_up


def finish(session: Session, stopped: str, settings: RunSettings, console: "Console") -> int:
    """Print the table and how to go on; return the exit code."""
    print_run(console, session.path, settings.compare)
    complete = session.complete and not session.manifest.not_run
    if session.complete and session.shard:
        console.print(
            f"part {settings.shard} is complete; `longcat-eval merge` joins the parts", highlight=False
        )
    if not complete:
        again = [*public_argv(), *([] if settings.output else ["-o", str(session.path)])]
        why = f"stopped: {stopped}; " if stopped else ""
        console.print(
            f"{why}everything finished is saved; to go on: {shlex.join(['longcat-eval', *again])}",
            highlight=False,
            soft_wrap=True,
        )
    if stopped == "interrupted":
        return ExitCode.INTERRUPTED
    return ExitCode.OK if complete else ExitCode.INCOMPLETE


def check_health(resolved: Resolved) -> int:
    """`longcat-eval doctor`."""
    from longcat_eval.cli.doctor import run_doctor

    settings = resolved.settings
    names = [t.name for t in chosen_tasks(settings)[0]] if settings.suite or settings.task else []
    return run_doctor(agent_options(settings, resolved.origins), names, settings.data_dir)
