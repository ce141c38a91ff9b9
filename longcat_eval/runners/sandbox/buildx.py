"""A build by BuildKit, through the docker command's buildx, where it is installed."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from longcat_eval.runners.sandbox.classic_build import RefusedError, Say
from longcat_eval.runners.sandbox.daemon import docker_host

KEPT_VARIABLES = ("PATH", "HOME", "DOCKER_CONFIG", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "SSH_AUTH_SOCK")
VERSION_SECONDS = 20
LINE_BYTES = 1 << 20


@lru_cache(maxsize=1)
def has_buildx() -> bool:
    """Whether `docker buildx` runs here."""
    if shutil.which("docker") is None:
        return False
    try:
        done = subprocess.run(
            ["docker", "buildx", "version"],
            capture_output=True,
            check=False,
            timeout=VERSION_SECONDS,
            env=_environment(),
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _environment() -> dict[str, str]:
    """What the docker command needs to reach the same daemon, and nothing else of this process's."""
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    return {**kept, "DOCKER_HOST": docker_host(), "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}


async def buildx_build(
    context: Path,
    dockerfile: Path,
    tag: str,
    say: Say,
    *,
    args: Mapping[str, str],
    labels: Mapping[str, str],
    target: str = "",
    platform: str = "",
) -> None:
    """Build a folder with the Dockerfile given and load the image; `RefusedError` if it fails.

    When it is cancelled, so is the build.
    """
    words: list[str] = ["docker", "buildx", "build", "--builder=default", "--load", "--progress=plain"]
    words += [f"--tag={tag}", f"--file={dockerfile}"]
    words += [f"--build-arg={name}={value}" for name, value in args.items()]
    words += [f"--label={name}={value}" for name, value in labels.items()]
    words += [f"--target={target}"] * bool(target) + [f"--platform={platform}"] * bool(platform)
    await _run([*words, str(context)], say)


async def _run(words: Sequence[str], say: Say) -> None:
    process = await asyncio.create_subprocess_exec(
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=_environment(),
        limit=LINE_BYTES,
        start_new_session=True,
    )
    assert process.stdout is not None
    last = ""
    try:
        while piece := await process.stdout.read(LINE_BYTES):
            text = piece.decode("utf-8", "replace")
            say(text)
            last = (last + text)[-2000:]
        if await process.wait():
            raise RefusedError(
                last.strip().rpartition("\n")[2] or f"docker buildx ended with {process.returncode}"
            )
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
