"""What tests of PRDBench share: the image with pytest alone, and a folder with a task of our own."""

import asyncio
import os
from pathlib import Path

import pytest
from platformdirs import user_cache_path
from toy_project import write_task

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.runners.sandbox.host_image import build_host_image
from longcat_eval.runners.sandbox.sandboxes import DockerSandboxes
from longcat_eval.tasks.prdbench.image import build_image
from longcat_eval.tasks.prdbench.packages import LIGHT, declared

# Found before any test gets a home of its own.
REAL_CACHE = user_cache_path("longcat-eval").parent


@pytest.fixture(scope="session")
def light_image(docker_daemon: None) -> str:
    """PRDBench's image as it is built, on this host's packages, with the declared pytest and nothing else."""

    async def build() -> str:
        made = DockerSandboxes()
        try:
            return await build_image(made, build_host_image(), declared().only(LIGHT))
        finally:
            await made.close()

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(REAL_CACHE))
        try:
            return asyncio.run(build())
        except EnvironmentUnusableError as error:
            (pytest.fail if os.environ.get("CI") else pytest.skip)(str(error))
            raise


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    """A folder with the task `toy`."""
    write_task(tmp_path / "tasks" / "toy")
    return tmp_path / "tasks"
