"""`longcat-eval rescore`: this version's graders over a run's own transcripts."""

import asyncio
import os
from pathlib import Path

from longcat_eval.cli.planning import data_options, tasks_named
from longcat_eval.cli.rejudge import names_a_judge, rejudge
from longcat_eval.cli.report import print_run
from longcat_eval.cli.settings import RunSettings
from longcat_eval.errors import ExitCode, UsageError, did_you_mean
from longcat_eval.protocols import Task
from longcat_eval.records import AttemptRow, Dataset, Sample
from longcat_eval.runners.rescoring import keep, rescore
from longcat_eval.runners.store import RunData, read_run
from longcat_eval.runners.workers import WorkerPool


def rescore_run(
    path: Path,
    only: list[str],
    settings: RunSettings,
) -> int:
    """Rescore, keep what changed, and print the table anew; or, where a judge is named, judge by it."""
    from rich.console import Console

    run, console = read_run(path), Console()
    names = only or list(run.manifest.tasks)
    for name in names:
        if name not in run.manifest.tasks:
            raise UsageError(f"{path} has no task {name!r}{did_you_mean(name, run.manifest.tasks)}")
    loaded = [_loaded(run, name, settings) for name in names]
    if names_a_judge(settings):
        return rejudge(run, loaded, settings)
    if settings.output is not None:
        raise UsageError("-o is for the verdicts of another judge: give --judge-model or --role too")
    tasks = {task.name: (task, {s.id: s for s in data.samples}) for task, data in loaded}
    pairs = asyncio.run(_rescore(run, tasks))
    changed = [(old, new) for old, new in pairs if _verdict(old) != _verdict(new)]
    keep(path, changed, {name: task.protocol for name, (task, _) in tasks.items()})
    console.print(f"{len(pairs)} attempts judged again, {len(changed)} verdicts changed", highlight=False)
    for old, new in changed[:10]:
        line = f"  {old.key}: {old.value} ({old.extracted}) -> {new.value} ({new.extracted})"
        console.print(line, markup=False, highlight=False)
    print_run(console, path, None)
    return ExitCode.OK


def _loaded(run: RunData, name: str, sources: RunSettings) -> tuple[Task, Dataset]:
    (task,) = tasks_named(name, sources)
    known = run.manifest.tasks[name].dataset
    data = task.load(data_options(sources.changed(allow_data_drift=bool(known.drift))))
    if data.sha256 != known.sha256:
        raise UsageError(
            f"{name}: the run used other data ({known.source}); give --data-dir, --dataset, --tau2-src or "
            "--vita-src"
        )
    return task, data


async def _rescore(
    run: RunData, tasks: dict[str, tuple[Task, dict[str, Sample]]]
) -> list[tuple[AttemptRow, AttemptRow]]:
    workers = WorkerPool(max(1, os.cpu_count() or 1))
    try:
        return await rescore(run, tasks, workers)
    finally:
        await workers.close()


def _verdict(row: AttemptRow) -> tuple[object, ...]:
    return row.outcome, row.reason, row.value, row.extracted, row.metrics, row.items
