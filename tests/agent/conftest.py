"""What the tests of the agent loop share."""

from docker_fixtures import docker_daemon, sandbox, sandboxes, shell_image

__all__ = ["docker_daemon", "sandbox", "sandboxes", "shell_image"]
