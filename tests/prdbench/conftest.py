"""The fixtures of tests of PRDBench, under their own names."""

from cli_fixtures import cli
from docker_fixtures import docker_daemon, sandboxes
from prdbench_fixtures import light_image, tasks

__all__ = ["cli", "docker_daemon", "light_image", "sandboxes", "tasks"]
