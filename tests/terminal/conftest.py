"""The fixtures of tests of TerminalBench, under their own names."""

import os
from pathlib import Path

import pytest
from cli_fixtures import cli, endpoint
from docker_fixtures import docker_daemon, sandboxes, shell_image
from swe_fixtures import real_cache

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.runners.sandbox.host_image import SHELL_PACKAGES, build_host_image
from longcat_eval.runners.sandbox.stand_ins import make_stand_in
from longcat_eval.tasks.terminal.source import core_folder

__all__ = [
    "cli",
    "core_tasks",
    "docker_daemon",
    "endpoint",
    "real_cache",
    "sandboxes",
    "shell_image",
    "stand_in",
    "terminal_image",
]


def unavailable(error: Exception) -> None:
    """Skip with the reason; in CI, fail with it."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(str(error))


@pytest.fixture(scope="session")
def terminal_image(docker_daemon: None) -> str:
    """The shell image with tmux in it."""
    try:
        return build_host_image((*SHELL_PACKAGES, "tmux"))
    except EnvironmentUnusableError as error:
        unavailable(error)
        raise


@pytest.fixture(scope="session")
def core_tasks(real_cache: Path) -> Path:
    """The 100 tasks of terminal-bench 0.2.10, kept in the user's own cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(real_cache))
        try:
            return core_folder()
        except EnvironmentUnusableError as error:
            unavailable(error)
            raise


@pytest.fixture(scope="session")
def stand_in(docker_daemon: None) -> str:
    """The stand-in for Ubuntu and Debian bases; made once for the daemon."""
    try:
        return make_stand_in("debian-12")
    except EnvironmentUnusableError as error:
        unavailable(error)
        raise
