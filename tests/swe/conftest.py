"""The fixtures of tests of SWE-bench, under their own names."""

from cli_fixtures import cli, endpoint
from docker_fixtures import docker_daemon, sandboxes, shell_image
from swe_fixtures import flask_rows, grader, real_cache, real_swebench, swebench, toy, workers

__all__ = [
    "cli",
    "docker_daemon",
    "endpoint",
    "flask_rows",
    "grader",
    "real_cache",
    "real_swebench",
    "sandboxes",
    "shell_image",
    "swebench",
    "toy",
    "workers",
]
