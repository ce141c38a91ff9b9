"""The fixtures of tests of TerminalBench, under their own names."""

import os

import pytest
from cli_fixtures import cli, endpoint
from docker_fixtures import docker_daemon, sandboxes, shell_image

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.runners.sandbox.host_image import SHELL_PACKAGES, build_host_image

__all__ = ["cli", "docker_daemon", "endpoint", "sandboxes", "shell_image", "terminal_image"]


@pytest.fixture(scope="session")
def terminal_image(docker_daemon: None) -> str:
    """The shell image with tmux in it."""
    try:
        return build_host_image((*SHELL_PACKAGES, "tmux"))
    except EnvironmentUnusableError as error:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(error))
        raise
