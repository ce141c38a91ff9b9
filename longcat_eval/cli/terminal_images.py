"""`longcat-eval images build --task terminal-bench`: every image of the tasks, ahead of a run."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from longcat_eval.errors import ExitCode
from longcat_eval.protocols import DataOptions, SandboxError
from longcat_eval.runners.plan import choose_samples
from longcat_eval.runners.sandbox.base_images import parse_map
from longcat_eval.runners.sandbox.sandboxes import DockerSandboxes

if TYPE_CHECKING:
    from longcat_eval.records import Sample
    from longcat_eval.tasks.terminal.task import TerminalBench


def build_terminal_images(
    sample_ids: Sequence[str], data_dir: Path | None, dataset: Path | None, base_map: Sequence[str]
) -> int:
    """Build what is not there yet, two at a time; report every task, exit 5 if one fails."""
    from longcat_eval.tasks.terminal.task import TerminalBench

    bench = TerminalBench()
    options = DataOptions(data_dir=data_dir, dataset=dataset, base_images=parse_map(base_map))
    samples = choose_samples(bench.load(options), bench.name, sample_ids=list(sample_ids))
    failed = asyncio.run(_build(bench, samples))
    typer.echo(f"{len(samples) - failed} of {len(samples)} tasks have their images")
    return ExitCode.ENVIRONMENT if failed else ExitCode.OK


async def _build(bench: "TerminalBench", samples: Sequence["Sample"]) -> int:
    sandboxes = DockerSandboxes()
    try:
        return sum(await asyncio.gather(*(_one(bench, sandboxes, sample) for sample in samples)))
    finally:
        await sandboxes.close()


async def _one(bench: "TerminalBench", sandboxes: DockerSandboxes, sample: "Sample") -> bool:
    started = time.monotonic()
    try:
        ready = await bench.build(sample, sandboxes)
    except SandboxError as error:
        typer.echo(f"fail  {sample.id}: {error.reason}: {error}")
        return True
    on = f", on {', '.join(ready.stand_ins)}" if ready.stand_ins else ""
    images = ", ".join(service.image for service in ready.services)
    typer.echo(f"ok    {sample.id}: {images}, {time.monotonic() - started:.1f} s{on}")
    return False
