"""What the tests of sandboxes share."""

from docker_fixtures import busybox_image, docker_daemon, sandbox, sandboxes, shell_image

__all__ = ["busybox_image", "docker_daemon", "sandbox", "sandboxes", "shell_image"]
