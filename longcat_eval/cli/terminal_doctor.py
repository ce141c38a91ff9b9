"""The part of `longcat-eval doctor` that tries the tasks of TerminalBench on this machine."""

import asyncio
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from longcat_eval.cli.settings import RunSettings
from longcat_eval.errors import EnvironmentUnusableError, ExitCode
from longcat_eval.model_backend.probes import Probe
from longcat_eval.protocols import DataOptions
from longcat_eval.runners.plan import choose_samples
from longcat_eval.runners.sandbox.sandboxes import DockerSandboxes
from longcat_eval.runners.workers import WorkerPool

SHOWN = 160
"""Characters of a long problem that are printed of either end."""

if TYPE_CHECKING:
    from rich.console import Console

    from longcat_eval.records import Sample
    from longcat_eval.tasks.terminal.allow_list import Finding
    from longcat_eval.tasks.terminal.task import TerminalBench


def examine_terminal(console: "Console", settings: RunSettings, data: DataOptions) -> int:
    """Scan every chosen task, build it, try its solution and doing nothing; one line each, and the sum.

    What was found goes into this machine's allow list at once. Exit 5 if no task at all can be judged here.
    """
    from longcat_eval.tasks.terminal.allow_list import allow_list_path, coverage, read_findings
    from longcat_eval.tasks.terminal.task import TerminalBench

    bench = TerminalBench()
    try:
        dataset = bench.load(data)
    except EnvironmentUnusableError:
        return ExitCode.ENVIRONMENT  # the check of the data has said why
    samples = choose_samples(dataset, bench.name, limit=settings.limit, sample_ids=settings.sample_id)
    asyncio.run(_examine(console, bench, samples))
    known = bench.known_here(read_findings())
    names = [sample.id for sample in samples]
    usable = any(name in known and known[name].allowed for name in names)
    _show(console, Probe("tasks", "ok" if usable else "fail", coverage(names, known)))
    _show(console, Probe("allow list", "ok", str(allow_list_path())))
    return ExitCode.OK if usable else ExitCode.ENVIRONMENT


async def _examine(console: "Console", bench: "TerminalBench", samples: Sequence["Sample"]) -> None:
    from longcat_eval.tasks.terminal.allow_list import keep_finding
    from longcat_eval.tasks.terminal.doctor import examine

    workers, sandboxes = WorkerPool(max(1, os.cpu_count() or 1)), DockerSandboxes()
    try:
        async for sample, finding in examine(bench, samples, sandboxes, workers):
            if finding.digest:
                keep_finding(sample.id, finding)
            _show(console, _line(bench, sample, finding))
    finally:
        await sandboxes.close()
        await workers.close()


def _line(bench: "TerminalBench", sample: "Sample", finding: "Finding") -> Probe:
    facts = bench.scanned(sample)
    about = "; ".join(f"{name} {', '.join(values)}" for name, values in facts.items() if values)
    if finding.allowed:
        said = f"oracle passes, doing nothing does not ({finding.seconds:g} s)"
        return Probe(sample.id, "ok", f"{said}{'; ' if about else ''}{about}")
    return Probe(sample.id, "warn", f"{_shortened(finding.problem)}{'; ' if about else ''}{about}")


def _shortened(problem: str) -> str:
    """What happened and its last words, on one line; the allow list has the whole."""
    line = " ".join(problem.split())
    return line if len(line) <= 2 * SHOWN else f"{line[:SHOWN]} … {line[-SHOWN:]}"


def _show(console: "Console", probe: Probe) -> None:
    from longcat_eval.cli.doctor import show

    show(console, probe)
