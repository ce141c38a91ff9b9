"""`longcat-eval rescore RUN --judge-model …  -o DIR`: the answers of a run, judged by another judge."""

import asyncio
import os
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from longcat_eval.cli.directory import public_argv, recorded_settings
from longcat_eval.cli.prices import require_prices
from longcat_eval.cli.role_settings import AGENT, free_sampling
from longcat_eval.cli.roles import open_role, parse_concurrency, role_record, side_options
from longcat_eval.cli.run import AUTO_IN_FLIGHT, drive, finish, raise_open_files, script_lines
from longcat_eval.cli.settings import Resolved, RunSettings
from longcat_eval.errors import UsageError, did_you_mean
from longcat_eval.model_backend.resolve import ResolvedModel, resolve_model
from longcat_eval.protocols import Task
from longcat_eval.records import Dataset
from longcat_eval.runners.manifest import Manifest
from longcat_eval.runners.plan import PlannedTask, choose_samples
from longcat_eval.runners.provenance import invocation
from longcat_eval.runners.rejudging import judged_protocol, take_answers
from longcat_eval.runners.rescoring import recorded_role
from longcat_eval.runners.sandbox.sandboxes import DockerSandboxes
from longcat_eval.runners.session import Session
from longcat_eval.runners.store import RunData, manifest_files
from longcat_eval.runners.workers import WorkerPool

if TYPE_CHECKING:
    from rich.console import Console


def names_a_judge(settings: RunSettings) -> bool:
    """Whether the user says anything of a judge."""
    said = (settings.judge_model, settings.judge_base_url, settings.judge_api_key_env)
    return any(value is not None for value in said) or bool(settings.roles)


def rejudge(run: RunData, loaded: Sequence[tuple[Task, Dataset]], settings: RunSettings) -> int:
    """Judge the answers of a run's judged tasks anew, in a directory of their own; the run stays as it is."""
    from rich.console import Console

    console = Console()
    if settings.output is None or settings.output.resolve() == run.path.resolve():
        raise UsageError("another judge's verdicts go to a directory of their own: give -o DIR")
    judged = [(task, data) for task, data in loaded if task.protocol.judges]
    if not judged:
        raise UsageError(f"{run.path} has no task with a judge: leave --judge-model and --role out")
    judges = changed_judges([task for task, _ in judged], settings)
    if not judges:
        raise UsageError("--judge-api-key-env alone names no judge: give --judge-model or --role too")
    free_sampling([task for task, _ in judged], {role: settings.roles.get(role, {}) for role in judges})
    named = {role: model for task, _ in judged for role, model in task.protocol.role_models.items()}
    models = {
        role: resolve_model(side_options(settings, role, named.get(role, "")), role=role, env=os.environ)
        for role in judges
    }
    if settings.max_cost is not None:
        require_prices(models)
    planned = [_planned(run, task, data, judges) for task, data in judged]
    console.print(
        f"judged by {', '.join(f'{m.name} ({role})' for role, m in models.items())}",
        highlight=False,
        markup=False,
    )
    raise_open_files()
    session, stopped, answers = asyncio.run(_judge(run, planned, models, settings, console))
    expected = sum(len(part.samples) * part.repeats for part in planned)
    session.complete = session.complete and answers == expected
    return finish(session, stopped, settings, console)


def changed_judges(tasks: Sequence[Task], settings: RunSettings) -> list[str]:
    """The judges that are replaced: all by --judge-…, else those that --role names."""
    known = sorted({role for task in tasks for role in task.protocol.judges})
    for role in settings.roles:
        if role not in known:
            raise UsageError(
                f"--role {role}.…: no task has such a judge{did_you_mean(role, known)}; they have "
                f"{', '.join(known)}"
            )
    if settings.judge_model is None and settings.judge_base_url is None:
        return [role for role in known if role in settings.roles]
    return known


def _planned(run: RunData, task: Task, data: Dataset, judges: Sequence[str]) -> PlannedTask:
    record = run.manifest.tasks[task.name]
    task.protocol = judged_protocol(task.name, record.protocol, task.protocol, judges)
    limit = record.selected if record.subset else None
    samples = choose_samples(data, task.name, limit=limit, sample_ids=run.manifest.sample_ids)
    return PlannedTask(task, data, samples, record.repeats)


async def _judge(
    run: RunData,
    planned: list[PlannedTask],
    models: dict[str, ResolvedModel],
    settings: RunSettings,
    console: "Console",
) -> tuple[Session, str, int]:
    names = [part.task.name for part in planned]
    needed = {role for part in planned for role in part.task.protocol.roles}
    output = settings.output or run.path
    records = {role: record for role, record in run.manifest.roles.items() if role in needed}
    async with AsyncExitStack() as stack:
        roles = {role: recorded_role(record, role) for role, record in records.items()}
        for name, model in models.items():
            roles[name] = await open_role(model, settings, script_lines(planned, model))
            stack.push_async_callback(roles[name].model.close)
            records[name] = role_record(model, roles[name])
        manifest = Manifest(
            model=run.manifest.model,
            suite=run.manifest.suite,
            seed=run.manifest.seed,
            roles=records,
            tasks={part.task.name: part.record() for part in planned},
            sample_ids=run.manifest.sample_ids,
            first_requests={
                name: body for name, body in run.manifest.first_requests.items() if name.endswith(f"/{AGENT}")
            },
            invocations=[
                *([] if manifest_files(output) else run.manifest.invocations),
                invocation(public_argv(), recorded_settings(Resolved(settings, {}), models)),
            ],
        )
        session = Session(output, manifest, judge_only=True)
        stack.callback(session.close)
        session.open()
        answers = take_answers(run, session, names, models)
        workers = WorkerPool(max(1, os.cpu_count() or 1))
        stack.push_async_callback(workers.close)
        sandboxes = DockerSandboxes()
        stack.push_async_callback(sandboxes.close)
        said = parse_concurrency(settings.concurrency)
        at_once = said if isinstance(said, int) else AUTO_IN_FLIGHT
        stopped = await drive(session, planned, roles, workers, sandboxes, at_once, settings, console)
    return session, stopped, answers
