"""`longcat-eval images build --task`: images of SWE-bench made on this machine."""

import asyncio
import time
from pathlib import Path

import typer

from longcat_eval.errors import ExitCode, LongcatEvalError, UsageError
from longcat_eval.protocols import DataOptions, SandboxError
from longcat_eval.records import Sample
from longcat_eval.tasks.table import load_task


def build_task_images(task: str, sample_ids: list[str], data_dir: Path | None) -> int:
    """Build the image of each sample; report every one, exit 5 if one fails."""
    if not task.startswith("swe-bench-"):
        raise UsageError(
            f"images of {task} cannot be built: --task is one of the SWE-bench sets, "
            "terminal-bench or prdbench"
        )
    if not sample_ids:
        raise UsageError("say which: --sample-id pallets__flask-5063")
    samples = {sample.id: sample for sample in load_task(task).load(DataOptions(data_dir)).samples}
    if unknown := [name for name in sample_ids if name not in samples]:
        raise UsageError(f"{task} has no sample {', '.join(unknown)}")
    return asyncio.run(_build([samples[name] for name in dict.fromkeys(sample_ids)]))


async def _build(samples: list[Sample]) -> int:
    from longcat_eval.runners.sandbox.host_image import build_host_image
    from longcat_eval.runners.sandbox.sandboxes import DockerSandboxes
    from longcat_eval.tasks.swe.image_build import build_image
    from longcat_eval.tasks.swe.recipes import recipe_of

    failed, base, sandboxes = False, "", DockerSandboxes()
    try:
        for sample in samples:
            started = time.monotonic()
            try:
                recipe_of(sample.id)
                base = base or await asyncio.to_thread(build_host_image)
                name = await build_image(sandboxes, sample, base)
            except (LongcatEvalError, SandboxError) as error:
                failed = True
                typer.echo(f"fail  {sample.id}: {error}")
            else:
                typer.echo(f"ok    {sample.id}: {name}, {time.monotonic() - started:.1f} s")
    finally:
        await sandboxes.close()
    return ExitCode.ENVIRONMENT if failed else ExitCode.OK
