"""What the tests of Terminus agents share."""

from docker_fixtures import docker_daemon, sandbox, sandboxes, shell_image

__all__ = ["docker_daemon", "sandbox", "sandboxes", "shell_image"]
