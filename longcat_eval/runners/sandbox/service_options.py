"""A service in the daemon's words: the options its container is made with, and the networks of a group."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from typing import Any

from longcat_eval.runners.sandbox.limits import Limits, host_options
from longcat_eval.runners.sandbox.service import Healthcheck, Service

DEFAULT_NETWORK = "default"
LOG_BYTES = "1m"
NO_RESOLVER = "127.0.0.1"
"""The daemon would pass questions about other names on to the host's resolvers, out of a closed network."""
NANOSECONDS = 1_000_000_000


def check_order(services: Sequence[Service], main: str) -> None:
    """Raise `ValueError` where names are double or unknown, or services wait for each other."""
    names = [service.name for service in services]
    if len(set(names)) < len(names) or main not in names:
        raise ValueError(f"{main!r} must be one of the services, each once: {', '.join(names)}")
    unknown = {other for service in services for other in service.depends_on} - set(names)
    if unknown:
        raise ValueError(f"no such service to wait for: {', '.join(sorted(unknown))}")
    try:
        TopologicalSorter({service.name: set(service.depends_on) for service in services}).prepare()
    except CycleError as error:
        raise ValueError(f"services wait for each other: {' -> '.join(error.args[1])}") from None


def networks_of(service: Service) -> Mapping[str, tuple[str, ...]]:
    """The networks that a service of a group joins, with its aliases there."""
    if service.no_network:
        return {}
    return service.networks or {DEFAULT_NETWORK: ()}


def group_networks(services: Sequence[Service]) -> dict[str, bool]:
    """The networks of a group, and whether each has no way out."""
    internal = {name for service in services for name in service.internal}
    return {name: name in internal for service in services for name in networks_of(service)}


def reaches_out(service: Service) -> bool:
    """Whether one of the networks that a service joins has a way out."""
    return any(name not in service.internal for name in networks_of(service))


def service_options(
    service: Service,
    image_id: str,
    limits: Limits,
    labels: Mapping[str, str],
    *,
    network: str,
    cut_off: bool,
    volume_name: Callable[[str], str],
    cpus: int,
    image_healthcheck: bool,
) -> dict[str, Any]:
    """Keyword arguments of the SDK's low-level `create_container`.

    A service has at most what `limits` give, and the environment of its image and its own alone. An idle one
    sleeps until the deadline, through its image's entrypoint as any command. `cut_off`: its network has no
    way out. `image_healthcheck` leaves the image's own check on where the service has none.
    """
    from docker.types import HostConfig, LogConfig, Mount

    memory = min(service.memory_bytes or limits.memory_bytes, limits.memory_bytes)
    bounds = replace(
        limits,
        memory_bytes=memory,
        cpus=min(service.cpus or limits.cpus, limits.cpus),
        shm_bytes=min(service.shm_bytes or limits.shm_bytes, memory),
        capabilities=tuple(dict.fromkeys((*limits.capabilities, *service.cap_add))),
    )
    host = host_options(bounds, network=network, cpus=cpus)
    host["tmpfs"] = dict(service.tmpfs)
    host["extra_hosts"] = list(service.extra_hosts)
    host["dns"] = list(service.dns)
    if cut_off:
        host["dns"] = host["dns"] or [NO_RESOLVER]
        host["dns_opt"] = ["timeout:1", "attempts:1"]
    host["mounts"] = [
        Mount(volume.target, volume_name(volume.name) if volume.name else None, read_only=volume.read_only)
        for volume in service.volumes
        if volume.name or volume.source is None
    ]
    if not service.idle:
        host["log_config"] = LogConfig(type="json-file", config={"max-size": LOG_BYTES, "max-file": "1"})
    command = ["sleep", str(int(limits.seconds))] if service.idle else service.command
    options: dict[str, Any] = {
        "image": image_id,
        "command": None if command is None else list(command),
        "entrypoint": None if service.entrypoint is None else list(service.entrypoint),
        "environment": dict(service.environment),
        "labels": dict(labels),
        "user": service.user or None,
        "working_dir": service.workdir or None,
        "hostname": service.hostname or None,
        "platform": service.platform or None,
        "host_config": HostConfig(**host),
        "stdin_open": service.stdin_open,
        "tty": service.tty,
    }
    if service.healthcheck is not None:
        options["healthcheck"] = check_options(service.healthcheck)
    elif not image_healthcheck:
        options["healthcheck"] = {"test": ["NONE"]}
    return options


def check_options(check: Healthcheck) -> dict[str, Any]:
    """A health check as the API has it, in nanoseconds; 0 would mean the image's."""
    if check.test == ("NONE",):
        return {"test": ["NONE"]}
    return {
        "test": list(check.test),
        "interval": max(int(check.interval * NANOSECONDS), 1_000_000),
        "timeout": max(int(check.timeout * NANOSECONDS), 1_000_000),
        "retries": max(check.retries, 1),
        "start_period": int(check.start_period * NANOSECONDS),
    }
