"""Several containers as one machine: networks and volumes of their own, an order of starts, one end.

What Docker Compose does for `up` and `down --volumes`, by the daemon's API. One service alone gets no network
of its own: a daemon has addresses for some thirty.
"""

import asyncio
import contextlib
import posixpath
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from longcat_eval.protocols import SandboxError
from longcat_eval.runners.sandbox.archives import put_folder
from longcat_eval.runners.sandbox.container import DockerSandbox
from longcat_eval.runners.sandbox.daemon import Daemon
from longcat_eval.runners.sandbox.health import wait_completed, wait_service_healthy
from longcat_eval.runners.sandbox.life import Image, Life, remove_container, start_container
from longcat_eval.runners.sandbox.limits import Limits
from longcat_eval.runners.sandbox.networks import create_network, create_volume, remove_belonging
from longcat_eval.runners.sandbox.owner import own_labels
from longcat_eval.runners.sandbox.service import Condition, Service
from longcat_eval.runners.sandbox.service_options import (
    check_order,
    group_networks,
    networks_of,
    reaches_out,
    service_options,
)
from longcat_eval.runners.sandbox.trees import Tree, pack_tree

T = TypeVar("T")


class Host(Protocol):
    """What a group needs of `DockerSandboxes`."""

    run: str

    async def image(self, name: str) -> Image:
        """The local image of that name."""
        ...

    async def adopt(self, life: Life, tmpfs: Sequence[str], *, shell: bool) -> DockerSandbox:
        """A running container as a sandbox of this run; with `shell` it must have one."""
        ...


class DockerGroup:
    """A started group: the sandbox the agent works in, and the others by service's name."""

    def __init__(
        self,
        main: DockerSandbox,
        others: Mapping[str, DockerSandbox],
        on_stop: Callable[[], Awaitable[None]],
    ) -> None:
        self.main, self.others, self._on_stop = main, others, on_stop
        self._stopping: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "DockerGroup":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Kill and remove all containers at once, then networks and volumes; safe to call twice."""
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._stop())
        await asyncio.shield(self._stopping)

    async def _stop(self) -> None:
        try:
            await _all(one.stop() for one in (self.main, *self.others.values()))
        finally:
            await self._on_stop()


class GroupStart:
    """One start of a group; whatever goes wrong, `open` leaves nothing behind.

    `project` is the unique beginning of all its names on the daemon.
    """

    def __init__(
        self,
        host: Host,
        daemon: Daemon,
        project: str,
        services: Sequence[Service],
        main: str,
        limits: Limits,
        *,
        network: bool,
        kind: str,
        name: str,
    ) -> None:
        check_order(services, main)
        self._host, self._daemon, self._project = host, daemon, project
        self._services = {service.name: service for service in services}
        self._main, self._limits, self._network = main, limits, network
        self._labels = own_labels(host.run, kind, name, time.time() + limits.seconds)
        self._deadline = time.monotonic() + limits.seconds
        self._networks = group_networks(services) if len(services) > 1 else {}
        self._volumes = {volume.name: volume for s in services for volume in s.volumes if volume.name}
        self._images: dict[str, Image] = {}
        self._ids: dict[str, str] = {}
        self._started = {service.name: asyncio.Event() for service in services}

    async def open(self, release: Callable[[], None]) -> DockerGroup:
        """Start all in their order; `release` is called once: when the group is gone, or did not come to be.

        Raises `SandboxError` as `DockerSandboxes.start` does, and `network_exhausted`, `service_unhealthy`.
        """
        try:
            await self._create()
            await self._bring_up()
            lives = {name: self._life(name) for name in self._services}
            sandboxes = {
                name: await self._host.adopt(
                    life, tuple(self._services[name].tmpfs), shell=name == self._main
                )
                for name, life in lives.items()
            }
        except BaseException:
            with contextlib.suppress(SandboxError):
                await self._remove(self._project_names())
            release()
            raise
        main = sandboxes.pop(self._main)
        return DockerGroup(main, sandboxes, partial(self._ended, release))

    async def _create(self) -> None:
        """Make images known, networks, volumes and containers, each kind side by side.

        No call is under way any more when it returns or raises: what is removed then stays removed.
        """
        call, api = self._daemon.call, self._daemon.api
        images = await _all(self._host.image(service.image) for service in self._services.values())
        self._images = dict(zip(self._services, images, strict=True))
        nets = [
            call(create_network, api, self._named(name), self._labels, internal=internal or not self._network)
            for name, internal in self._networks.items()
        ]
        await _all(
            [*nets, *(call(create_volume, api, self._named(name), self._labels) for name in self._volumes)]
        )
        ids = await _all(call(self._create_one, service) for service in self._services.values())
        self._ids = dict(zip(self._services, ids, strict=True))
        if any(volume.source for volume in self._volumes.values()):
            await call(self._fill_volumes)

    def _create_one(self, service: Service) -> str:
        """Create a container, join it to its networks, and copy into it what it mounts of the task."""
        api, facts = self._daemon.api, self._daemon.facts
        joined = networks_of(service) if self._networks else {}
        aliases = {self._named(name): [service.name, *more] for name, more in joined.items()}
        first, *rest = aliases or ["bridge" if self._network and reaches_out(service) else "none"]
        options = service_options(
            service,
            self._images[service.name].id,
            self._limits,
            self._labels,
            network=first,
            cut_off=bool(aliases) and (not self._network or all(self._networks[name] for name in joined)),
            volume_name=self._named,
            cpus=0 if "cpus" in facts.unenforced else facts.cpus,
            image_healthcheck=self._is_waited_for(service.name, "healthy"),
        )
        if aliases:
            endpoint = api.create_endpoint_config(aliases=aliases[first])
            options["networking_config"] = api.create_networking_config({first: endpoint})  # type: ignore[arg-type]
        container: str = api.create_container(name=self._named(service.name), **options)["Id"]
        for network in rest:
            api.connect_container_to_network(container, network, aliases=aliases[network])
        for volume in service.volumes:
            if volume.source is not None and not volume.name:
                copy_in(api, container, volume.target, volume.source)
        return container

    def _fill_volumes(self) -> None:
        """Copy what shared volumes begin with through one of the containers that have them."""
        filled = set()
        for name, service in self._services.items():
            for volume in service.volumes:
                if volume.name and volume.source is not None and volume.name not in filled:
                    copy_in(self._daemon.api, self._ids[name], volume.target, volume.source)
                    filled.add(volume.name)

    def _is_waited_for(self, name: str, condition: Condition) -> bool:
        return any(service.depends_on.get(name) == condition for service in self._services.values())

    async def _bring_up(self) -> None:
        """Start each when those that it waits for are ready; the first failure ends the others' waiting."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for service in self._services.values():
                    tasks.create_task(self._start(service))
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None

    async def _start(self, service: Service) -> None:
        await _all(self._condition(name, condition) for name, condition in service.depends_on.items())
        await self._daemon.call(start_container, self._daemon.api, self._ids[service.name])
        self._started[service.name].set()

    async def _condition(self, name: str, condition: Condition) -> None:
        await self._started[name].wait()
        if condition == "healthy":
            await wait_service_healthy(self._daemon, self._ids[name], name)
        elif condition == "completed":
            await wait_completed(self._daemon, self._ids[name], name)

    def _life(self, name: str) -> Life:
        sleeps = self._services[name].idle
        image = self._images[name]
        return Life(self._daemon, self._ids[name], image, self._limits, self._deadline, sleeps=sleeps)

    def _named(self, name: str) -> str:
        return f"{self._project}-{name}"

    def _project_names(self) -> list[str]:
        return [self._named(name) for name in self._services]

    async def _remove(self, containers: Iterable[str]) -> None:
        """Remove containers, then what they used."""
        call, api = self._daemon.call, self._daemon.api
        await _all(call(remove_container, api, container) for container in containers)
        belongings = [("network", name) for name in self._networks] + [
            ("volume", name) for name in self._volumes
        ]
        await _all(call(remove_belonging, api, what, self._named(name)) for what, name in belongings)

    async def _ended(self, release: Callable[[], None]) -> None:
        try:
            await self._remove(())
        finally:
            release()


def copy_in(api: Any, container: str, target: str, source: Path) -> None:
    """Copy a folder's content, or a file, to `target` of a container that need not run."""
    tree: Tree = source if source.is_dir() else {}
    folder = target
    if source.is_file():
        folder, name = posixpath.split(target)
        tree = {name: source}
    with pack_tree(tree) as archive:
        put_folder(api, container, folder, archive)


async def _all(work: Iterable[Awaitable[T]]) -> list[T]:
    """Wait for all to end, then raise what the first one of them raised."""
    ended = await asyncio.gather(*work, return_exceptions=True)
    for one in ended:
        if isinstance(one, BaseException):
            raise one
    return [one for one in ended if not isinstance(one, BaseException)]
