"""`longcat-eval run`: settings in, run directory and table out."""

import asyncio
import gc
import os
import resource
import shlex
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING

from longcat_eval import __version__
from longcat_eval.cli.directory import open_session, public_argv, shard_of
from longcat_eval.cli.live import LiveDisplay, PlainLines, Progress
from longcat_eval.cli.planning import chosen_tasks, data_options, plan_tasks, refuse_unanswerable
from longcat_eval.cli.prices import require_prices
from longcat_eval.cli.report import check_compare, print_run
from longcat_eval.cli.roles import (
    References,
    agent_options,
    check_role_names,
    for_conversations,
    innermost,
    open_role,
    parse_concurrency,
    require_likelihoods,
    resolve_roles,
    resolve_side,
)
from longcat_eval.cli.settings import Resolved, RunSettings, parse_seconds
from longcat_eval.errors import EnvironmentUnusableError, ExitCode
from longcat_eval.model_backend.embedded import SLOTS
from longcat_eval.model_backend.resolve import ResolvedModel
from longcat_eval.model_backend.role import Role
from longcat_eval.model_backend.scripted import NULL
from longcat_eval.protocols import Conversational, Sandboxes, Task
from longcat_eval.records import AttemptKey, Message
from longcat_eval.runners.budget import Budget
from longcat_eval.runners.plan import PlannedTask
from longcat_eval.runners.sandbox.sandboxes import DockerSandboxes
from longcat_eval.runners.session import Session
from longcat_eval.runners.workers import WorkerPool

if TYPE_CHECKING:
    from rich.console import Console

AUTO_IN_FLIGHT = 512
LOCAL_IN_FLIGHT = 64
OPEN_FILES = 65_536
COLLECT_SELDOM = (50_000, 20, 100)
"""Thresholds of the garbage collector: a run has many records and few cycles (benchmarks/NOTES.md)."""


def execute(resolved: Resolved) -> int:
    """Run what the settings say; return the exit code."""
    from rich.console import Console

    settings, console = resolved.settings, Console()
    say = partial(console.print, highlight=False, soft_wrap=True, markup=False)
    shard_of(settings)
    check_compare(settings.compare)
    budget_of(settings)
    tasks, not_run = chosen_tasks(settings)
    check_role_names(settings.roles, needed_roles(tasks))
    sure = [] if settings.suite else tasks  # which members of a suite can run here, their data will tell
    models: Mapping[str, ResolvedModel] = resolve_roles(resolved, needed_roles(sure), asked_by(sure))
    if any(task.protocol.tools for task in tasks):
        models = for_conversations(models, settings)
    say(first_line(models["agent"], settings))
    say_notes(models, say)
    refuse_unanswerable(tasks, models["agent"])
    planned, absent = plan_tasks(settings, tasks)
    refuse_unanswerable(tasks, models["agent"])  # what a task of lm-eval asks, its data tells
    not_run |= absent
    for part in planned:
        if part.task.protocol.deterministic and (settings.repeats or 1) > 1:
            say(f"  note: {part.task.name} asks for log probabilities, the same every time: k is 1")
    for name, remedy in not_run.items():
        say(f"  not run: {name}: {remedy}")
    if not_run and settings.require_all:
        raise EnvironmentUnusableError(
            f"--require-all: {len(not_run)} member(s) of the suite cannot run here"
        )
    if not planned:
        raise EnvironmentUnusableError("nothing of this suite can run here; see the lines above")
    models = {**models, **side_models(resolved, [part.task for part in planned], models, say)}
    if settings.max_cost is not None:
        require_prices(models)
    if settings.dry_run:
        from longcat_eval.cli.estimate import print_estimate

        streams = parse_concurrency(settings.concurrency)
        print_estimate(console, planned, models, streams, settings.output)
        return ExitCode.OK
    gc.set_threshold(*COLLECT_SELDOM)
    raise_open_files()
    session, stopped = asyncio.run(work_off(resolved, planned, not_run, models, console))
    return finish(session, stopped, settings, console)


def needed_roles(tasks: Sequence[Task]) -> dict[str, str]:
    """The roles that the tasks have, each with the model their authors use in it, where they name one."""
    roles = sorted({role for task in tasks for role in task.protocol.roles})
    named = {role: model for task in tasks for role, model in task.protocol.role_models.items()}
    return {role: named.get(role, "") for role in roles}


def asked_by(tasks: Sequence[Task]) -> dict[str, list[str]]:
    """The tasks that have each role, by name."""
    return {
        role: [task.name for task in tasks if role in task.protocol.roles] for role in needed_roles(tasks)
    }


def side_models(
    resolved: Resolved, tasks: Sequence[Task], models: Mapping[str, ResolvedModel], say: Callable[[str], None]
) -> dict[str, ResolvedModel]:
    """The models of the roles that these tasks have and `models` has not yet, their notes told."""
    settings, needed = resolved.settings, needed_roles(tasks)
    missing = {role: named for role, named in needed.items() if role not in models}
    if settings.grade_only is not None or not missing:
        return {}
    by = asked_by(tasks)
    found: Mapping[str, ResolvedModel] = {
        role: resolve_side(settings, role, named, by[role]) for role, named in missing.items()
    }
    if any(task.protocol.tools for task in tasks):
        found = for_conversations(found, settings)
    say_notes(found, say)
    return dict(found)


def say_notes(models: Mapping[str, ResolvedModel], say: Callable[[str], None]) -> None:
    """What is to be known of each model before it is asked."""
    for role, model in models.items():
        for note in model.notes:
            say(f"  note{'' if role == 'agent' else f' ({role})'}: {note}")


def raise_open_files() -> None:
    """Let this process hold a connection per request in flight: up to the hard limit of open files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def first_line(model: ResolvedModel, settings: RunSettings) -> str:
    """What answers, from where, and why it was chosen."""
    where = {
        "embedded": "embedded in this machine: neither --model nor a base URL was given",
        "local": "computed in this process",
    }
    place = where.get(model.kind, model.endpoint or model.kind)
    if model.kind == "embedded" and settings.model:
        place = "embedded in this machine"
    return f"longcat-eval {__version__}: {model.name} ({place})"


async def work_off(
    resolved: Resolved,
    planned: list[PlannedTask],
    not_run: dict[str, str],
    models: Mapping[str, ResolvedModel],
    console: "Console",
) -> tuple[Session, str]:
    """Make the attempts that are missing; return the closed session, and why it stopped early or nothing."""
    settings = resolved.settings
    async with AsyncExitStack() as stack:
        roles = {}
        for name, model in models.items():
            roles[name] = await open_role(model, settings, script_lines(planned, model))
            stack.push_async_callback(roles[name].model.close)
        await require_likelihoods(planned, roles["agent"], models["agent"])
        session = open_session(resolved, planned, not_run, models, roles)
        stack.callback(session.close)
        if not settings.output:
            console.print(f"run directory: {session.path}", highlight=False, soft_wrap=True, markup=False)
        workers = WorkerPool(max(1, os.cpu_count() or 1))
        stack.push_async_callback(workers.close)
        sandboxes = DockerSandboxes()
        stack.push_async_callback(sandboxes.close)
        at_once = attempts_at_once(settings, planned, models["agent"])
        stopped = await drive(session, planned, roles, workers, sandboxes, at_once, settings, console)
    return session, stopped


async def drive(
    session: Session,
    planned: list[PlannedTask],
    roles: Mapping[str, Role],
    workers: WorkerPool,
    sandboxes: Sandboxes,
    at_once: int,
    settings: RunSettings,
    console: "Console",
) -> str:
    """Work a session off under a live display; a signal ends it cleanly. Return why it stopped early."""
    limiter = getattr(innermost(roles["agent"].model), "limiter", None)
    progress = Progress(lambda: f"{limiter.in_flight} in flight" if limiter is not None else "")
    live = console.is_terminal and not settings.plain
    display = LiveDisplay(console, progress) if live else PlainLines(console, progress)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, session.interrupt)
    try:
        return await session.run(
            planned,
            roles,
            workers,
            sandboxes,
            concurrency=at_once,
            budget=budget_of(settings),
            emit=display,
        )
    finally:
        display.close()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def attempts_at_once(settings: RunSettings, planned: list[PlannedTask], agent: ResolvedModel) -> int:
    """How many attempts are under way.

    The embedded model holds one conversation with tools at a time: the next begins with the same long prompt,
    and a slot that has read it saves a minute (two cores, 6,000 tokens).
    """
    concurrency = parse_concurrency(settings.concurrency)
    if isinstance(concurrency, int):
        return concurrency
    if agent.kind != "embedded":
        return LOCAL_IN_FLIGHT if agent.kind == "local" else AUTO_IN_FLIGHT
    return 1 if any(part.task.protocol.tools for part in planned) else SLOTS


def budget_of(settings: RunSettings) -> Budget:
    """The budgets of this start."""
    return Budget(
        max_cost=settings.max_cost,
        max_seconds=parse_seconds(settings.max_time) if settings.max_time else None,
        max_tokens=settings.max_total_tokens,
    )


def script_lines(planned: list[PlannedTask], model: ResolvedModel) -> References:
    """What a script may know of a sample, by role: `scripted/null` how to do nothing, all others the gold."""
    samples = {(p.task.name, s.id): (p.task, s) for p in planned for s in p.samples}

    def look_up(key: AttemptKey) -> Mapping[str, Sequence[Message]]:
        task, sample = samples[key.task, key.sample]
        if model.name != NULL:
            return task.reference(sample, key.repeat)
        return task.idle(sample, key.repeat) if isinstance(task, Conversational) else {}

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
            markup=False,
        )
    if stopped == "interrupted":
        return ExitCode.INTERRUPTED
    return ExitCode.OK if complete else ExitCode.INCOMPLETE


def check_health(resolved: Resolved) -> int:
    """`longcat-eval doctor`."""
    from longcat_eval.cli.doctor import run_doctor

    settings = resolved.settings
    names = [t.name for t in chosen_tasks(settings)[0]] if settings.suite or settings.task else []
    return run_doctor(agent_options(settings, resolved.origins), names, data_options(settings), settings)
