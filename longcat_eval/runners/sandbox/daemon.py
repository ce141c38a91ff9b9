"""The Docker daemon: found by DOCKER_HOST, called through the SDK in worker threads."""

import asyncio
import os
import shutil
import socket
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.protocols import SandboxError
from longcat_eval.runners.sandbox.hijack import Endpoint, find_endpoint

if TYPE_CHECKING:
    from contextlib import closing

    from docker import DockerClient
    from docker.api import APIClient

DEFAULT_HOST = "unix:///var/run/docker.sock"
THREADS = 24
CALL_SECONDS = 120
"""Patience with one answer; a daemon that starts a hundred containers at once answers late."""
ENFORCED = {"memory": "MemoryLimit", "swap": "SwapLimit", "pids": "PidsLimit", "cpus": "CpuCfsQuota"}
LONG_CALL_SECONDS = 3600
"""Patience with commits, imports and pulls."""

T = TypeVar("T")


def docker_host() -> str:
    """Where the daemon is expected."""
    return os.environ.get("DOCKER_HOST") or DEFAULT_HOST


def open_client(timeout: float = CALL_SECONDS) -> "DockerClient":
    """Connect to the daemon, or raise `EnvironmentUnusableError` with the remedy."""
    try:
        import docker
        from docker.errors import DockerException
    except ImportError:
        raise EnvironmentUnusableError(
            "sandboxes need the Docker SDK: pip install 'longcat-eval[docker]'"
        ) from None
    try:
        _try_socket()
        client: DockerClient = docker.from_env(timeout=int(timeout), max_pool_size=THREADS)
        client.ping()
    except (DockerException, OSError, ValueError) as error:
        raise EnvironmentUnusableError(no_daemon(error)) from None
    return client


def _try_socket() -> None:
    """Connect once to a unix socket: the SDK leaves its own open where that fails."""
    scheme, _, path = docker_host().partition("://")
    if scheme == "unix":
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(path)


def connect() -> "closing[DockerClient]":
    """`with connect() as client:` for commands that need the daemon once."""
    from contextlib import closing

    return closing(open_client(LONG_CALL_SECONDS))


def no_daemon(error: BaseException) -> str:
    """One line on why no daemon answers, and what to do about it."""
    text = str(error)
    if "Permission denied" in text or "PermissionError" in text:
        return (
            f"the Docker daemon at {docker_host()} refuses this user: join the group docker, or run as root"
        )
    if "paramiko" in text:
        return f"DOCKER_HOST={docker_host()} needs: pip install 'docker[ssh]'"
    return (
        f"no Docker daemon answers at {docker_host()}: start it (systemctl start docker), or point "
        f"DOCKER_HOST at one (rootless: unix:///run/user/{os.getuid()}/docker.sock)"
    )


class Facts(NamedTuple):
    """What the daemon says about its machine.

    `root` is its data folder where that is on this machine; `unenforced` are limits that its kernel or its
    being rootless keep it from enforcing.
    """

    id: str
    version: str
    cpus: int
    cgroup: str
    storage: str
    root: str | None
    unenforced: tuple[str, ...] = ()

    @property
    def free_bytes(self) -> int | None:
        """Free space under the images and containers; None if the daemon is on another machine."""
        return shutil.disk_usage(self.root).free if self.root else None


def local_root(info: Mapping[str, Any]) -> str | None:
    """The daemon's data folder, if it is on this machine."""
    root = str(info.get("DockerRootDir", ""))
    return root if docker_host().startswith("unix://") and Path(root).is_dir() else None


def free_under(info: Mapping[str, Any]) -> int | None:
    """Free space for images; None if the daemon is on another machine."""
    root = local_root(info)
    return shutil.disk_usage(root).free if root else None


def read_facts(client: "DockerClient") -> Facts:
    """Ask the daemon."""
    info = client.info()
    return Facts(
        id=str(info.get("ID", "")),
        version=str(info.get("ServerVersion", "")),
        cpus=int(info.get("NCPU") or 1),
        cgroup=str(info.get("CgroupVersion") or "1"),
        storage=str(info.get("Driver", "")),
        root=local_root(info),
        unenforced=tuple(name for name, key in ENFORCED.items() if info.get(key) is False),
    )


class Daemon:
    """A connected daemon. `call` runs an SDK function in a thread; its failures become `SandboxError`."""

    def __init__(self, client: "DockerClient", facts: Facts, endpoint: Endpoint) -> None:
        self.client, self.facts, self.endpoint = client, facts, endpoint
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="docker")

    @classmethod
    async def open(cls) -> "Daemon":
        """Connect; `EnvironmentUnusableError` if no daemon answers."""

        def work() -> "Daemon":
            client = open_client()
            return cls(client, read_facts(client), find_endpoint())

        return await asyncio.to_thread(work)

    @property
    def api(self) -> "APIClient":
        """The SDK's low-level client."""
        return self.client.api

    @cached_property
    def long_api(self) -> "APIClient":
        """The same for calls that may take long: commits, imports, pulls."""
        return open_client(LONG_CALL_SECONDS).api

    @property
    def version(self) -> str:
        """The version of the API that both sides speak."""
        return str(self.client.api.api_version)

    async def call(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run `function` in a worker thread.

        Raises `SandboxError`: `image_missing`, `container_lost` (gone or not running), `daemon_error` (it
        refused) or `daemon_lost` (no answer).
        """
        loop = asyncio.get_running_loop()
        try:
            answer = loop.run_in_executor(self._threads, lambda: translated(function, *args, **kwargs))
        except RuntimeError:
            raise SandboxError("daemon_lost", "the sandboxes of this run are closed") from None
        return await answer

    def close(self) -> None:
        """Drop the connections; calls under way end by themselves."""
        self._threads.shutdown(wait=False)
        self.client.close()
        if "long_api" in self.__dict__:
            self.long_api.close()


def translated(function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Call an SDK function; its errors come out as `SandboxError`."""
    from docker.errors import APIError, DockerException, ImageNotFound, NotFound
    from requests.exceptions import RequestException

    try:
        return function(*args, **kwargs)
    except ImageNotFound as error:
        raise SandboxError("image_missing", str(error.explanation or error)) from None
    except NotFound as error:
        raise SandboxError("container_lost", str(error.explanation or error)) from None
    except APIError as error:
        reason = "container_lost" if error.status_code == 409 else "daemon_error"
        raise SandboxError(reason, str(error.explanation or error)) from None
    except (DockerException, RequestException) as error:
        raise SandboxError("daemon_lost", f"{type(error).__name__}: {error}") from None
