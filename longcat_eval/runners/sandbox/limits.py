"""What a sandbox may use, and how Docker is told: all that makes it safe by default is on this page."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

GIB = 1 << 30
API_VERSION = "1.41"
CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETGID", "SETUID")
"""What installing packages and running tests as root needs; all others are dropped."""
DOCKER_CAPABILITIES = (
    *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE"),
    *("NET_RAW", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
)
"""What Docker leaves a container that asks for nothing: tasks made on plain containers may need any."""

ENVIRONMENT = {
    "TZ": "UTC",
    "LANG": "C.UTF-8",
    "PYTHONHASHSEED": "0",
    "PAGER": "cat",
    "GIT_PAGER": "cat",
}
"""Two runs of a test suite must not differ by their machine's settings; nothing may wait in a pager."""


@dataclass(frozen=True)
class Limits:
    """Bounds of one sandbox. Memory is memory and swap together; `seconds` is its whole life.

    `file_bytes` bounds a single file, `disk_bytes` all that is written (checked every few seconds);
    `open_files` 0 leaves it at the daemon's own limit, which no container may exceed.
    """

    memory_bytes: int = 4 * GIB
    cpus: float = 2.0
    pids: int = 512
    open_files: int = 4096
    file_bytes: int = 8 * GIB
    disk_bytes: int = 4 * GIB
    shm_bytes: int = GIB // 4
    seconds: float = 6 * 3600.0
    capabilities: tuple[str, ...] = CAPABILITIES
    no_new_privileges: bool = True


def host_options(limits: Limits, *, network: str, cpus: int) -> dict[str, Any]:
    """Keyword arguments of the SDK's `HostConfig`: what a container may use.

    `cpus` is what the daemon has, because it refuses more, or 0 if it cannot limit them, because then it
    refuses any. PID 1 is Docker's init, which reaps zombies and passes signals on.
    """
    from docker.types import LogConfig, Ulimit

    return {
        "version": API_VERSION,
        "init": True,
        "network_mode": network,
        "mem_limit": limits.memory_bytes,
        "memswap_limit": limits.memory_bytes,
        "nano_cpus": int(min(limits.cpus, cpus) * 1e9) or None,
        "pids_limit": limits.pids,
        "ulimits": [
            *(Ulimit(name="nofile", soft=n, hard=n) for n in [limits.open_files] if n),
            Ulimit(name="fsize", soft=limits.file_bytes, hard=limits.file_bytes),
            Ulimit(name="core", soft=0, hard=0),
        ],
        "shm_size": limits.shm_bytes,
        "cap_drop": ["ALL"],
        "cap_add": list(limits.capabilities),
        "security_opt": ["no-new-privileges:true"] if limits.no_new_privileges else None,
        "restart_policy": {"Name": "no"},
        "log_config": LogConfig(type="none"),
    }


def create_options(
    image_id: str,
    limits: Limits,
    labels: Mapping[str, str],
    env: Mapping[str, str],
    *,
    network: bool,
    cpus: int,
) -> dict[str, Any]:
    """Keyword arguments of the SDK's low-level `create_container`.

    The container's only process beside its init sleeps until the deadline, so that one whose harness died
    ends by itself.
    """
    from docker.types import HostConfig

    host = host_options(limits, network="bridge" if network else "none", cpus=cpus)
    return {
        "image": image_id,
        "entrypoint": [],
        "command": ["sleep", str(int(limits.seconds))],
        "environment": {**ENVIRONMENT, **env},
        "labels": dict(labels),
        "healthcheck": {"test": ["NONE"]},
        "host_config": HostConfig(**host),
        "stdin_open": False,
        "tty": False,
    }
