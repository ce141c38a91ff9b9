"""`longcat-eval images build --task prdbench`: the one image in which its projects are made and tested."""

import asyncio
import time
from collections.abc import Sequence

import typer

from longcat_eval.errors import ExitCode, LongcatEvalError, UsageError
from longcat_eval.protocols import SandboxError
from longcat_eval.runners.sandbox.base_images import parse_map


def build_prdbench_image(base_map: Sequence[str], *, light: bool = False) -> int:
    """Build the image unless it is there; exit 5 where it cannot be built.

    `light` has pytest alone, for tries: its name goes into `run --base-image-map`.
    """
    from longcat_eval.tasks.prdbench.image import BASE

    bases = parse_map(base_map)
    if other := bases.keys() - {BASE}:
        raise UsageError(f"--base-image-map {min(other)}=…: PRDBench's image is built on {BASE}, map that")
    started = time.monotonic()
    try:
        name = asyncio.run(_build(bases, light=light))
    except (LongcatEvalError, SandboxError) as error:
        typer.echo(f"fail  prdbench: {error}")
        return ExitCode.ENVIRONMENT
    typer.echo(f"ok    prdbench: {name}, {time.monotonic() - started:.1f} s")
    return ExitCode.OK


async def _build(bases: dict[str, str], *, light: bool) -> str:
    from longcat_eval.runners.sandbox.sandboxes import DockerSandboxes
    from longcat_eval.tasks.prdbench.image import build_image, find_base
    from longcat_eval.tasks.prdbench.packages import LIGHT, declared

    base = await asyncio.to_thread(find_base, bases)
    sandboxes = DockerSandboxes()
    try:
        return await build_image(sandboxes, base, declared().only(LIGHT) if light else None)
    finally:
        await sandboxes.close()
