"""What the tests of terminals share: an image with tmux and programs, and terminals of both kinds."""

import os
import shutil
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from docker_fixtures import busybox_image, docker_daemon, sandboxes, shell_image

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.runners.sandbox.container import DockerSandbox
from longcat_eval.runners.sandbox.host_image import SHELL_PACKAGES, build_host_image
from longcat_eval.runners.sandbox.sandboxes import DockerSandboxes
from longcat_eval.runners.terminal.open import open_terminal
from longcat_eval.runners.terminal.session import Terminal

__all__ = ["busybox_image", "docker_daemon", "sandboxes", "shell_image"]


@pytest.fixture(scope="session")
def programs_image(docker_daemon: None) -> str:
    """The shell image with tmux, Python and, if the host has it, vim."""
    vim = ["vim"] if shutil.which("vim.basic") else []
    try:
        return build_host_image((*SHELL_PACKAGES, "tmux", "python3", *vim))
    except EnvironmentUnusableError as error:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(error))
        raise


@pytest_asyncio.fixture
async def machine(sandboxes: DockerSandboxes, programs_image: str) -> DockerSandbox:
    """One sandbox for terminals."""
    return await sandboxes.start(programs_image, memory_bytes=1 << 30, cpus=2)


@pytest_asyncio.fixture(params=["tmux", "pty"])
async def terminal(request: pytest.FixtureRequest, machine: DockerSandbox) -> AsyncIterator[Terminal]:
    """A terminal of each kind in `machine`."""
    opened = await open_terminal(machine, kind=request.param)
    yield opened
    await opened.close()
