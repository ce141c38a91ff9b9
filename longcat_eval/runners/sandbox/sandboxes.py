"""Where sandboxes come from: `protocols.Sandboxes` on the Docker daemon of this process's environment."""

import asyncio
import contextlib
import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.protocols import SandboxError
from longcat_eval.runners.sandbox import scripts
from longcat_eval.runners.sandbox.build import Built, ImageBuilder, Method
from longcat_eval.runners.sandbox.compose_cli import ComposeProject, ComposeStart
from longcat_eval.runners.sandbox.container import DockerSandbox
from longcat_eval.runners.sandbox.daemon import Daemon, connect, translated
from longcat_eval.runners.sandbox.disk import POLL_SECONDS, watch_disk
from longcat_eval.runners.sandbox.execution import run_briefly
from longcat_eval.runners.sandbox.image_store import ImageStore, note_use
from longcat_eval.runners.sandbox.last_resort import LastResort
from longcat_eval.runners.sandbox.life import Image, Life, remove_container, start_container
from longcat_eval.runners.sandbox.limits import GIB, Limits, create_options
from longcat_eval.runners.sandbox.owner import own_labels
from longcat_eval.runners.sandbox.reaper import reap, remove_run
from longcat_eval.runners.sandbox.service import Recipe, Service, ServiceGroup
from longcat_eval.runners.sandbox.service_options import check_order
from longcat_eval.runners.sandbox.services import DockerGroup, GroupStart

AGENT_SLOTS = 16
EXECS_PER_CPU = 4
SPARE_DISK_BYTES = 2 * GIB
"""Free space that every slot should find at the first start; `MOST_SPARE_DISK_BYTES` is enough for all."""
MOST_SPARE_DISK_BYTES = 20 * GIB
LEAST_DISK_BYTES = GIB
"""With less no sandbox is started at all."""
WATCHER = "watch-disk"

S = TypeVar("S", DockerSandbox, DockerGroup)


class DockerSandboxes:
    """Starts sandboxes; nothing is touched, and no daemon needed, before the first.

    Slots: at most `agents` sandboxes of kind `agent` and `graders` of kind `grade` (default: the daemon's
    CPUs) live at once, and four commands a CPU run at once. The first start connects, checks the free disk
    and removes what dead runs left. `close` removes everything; should the process end otherwise, so do its
    exit, its signals, or the next start of any longcat-eval on this machine.
    """

    def __init__(
        self,
        *,
        agents: int = AGENT_SLOTS,
        graders: int | None = None,
        execs: int | None = None,
        limits: Limits | None = None,
        images: ImageStore | None = None,
        builds: Method = "auto",
        disk_poll: float = POLL_SECONDS,
        on_reaped: Callable[[int], None] = lambda count: None,
    ) -> None:
        self.run = secrets.token_hex(6)
        self.limits = limits or Limits()
        self._agents, self._graders, self._execs = agents, graders, execs
        self._images, self._disk_poll, self._on_reaped = images, disk_poll, on_reaped
        self._connecting, self._pulling, self._counter = asyncio.Lock(), asyncio.Lock(), 0
        self._daemon: Daemon | None = None
        self._slots: dict[str, asyncio.Semaphore] = {}
        self._exec_slots = asyncio.Semaphore(1)
        self._builds: Method = builds
        self._builder: ImageBuilder | None = None
        self._found: dict[str, Image] = {}
        self._shells: dict[str, scripts.Shell] = {}
        self._probing: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._open: dict[str, DockerSandbox] = {}
        self._background: set[asyncio.Task[Any]] = set()
        self._closed = False
        self._last_resort = LastResort(partial(remove_all, self.run))

    async def start(
        self,
        image: str,
        *,
        network: bool = False,
        kind: str = "agent",
        name: str = "",
        env: Mapping[str, str] | None = None,
        **limits: Any,
    ) -> DockerSandbox:
        """Start a sandbox from a local image; `limits` are fields of `Limits`.

        Raises `EnvironmentUnusableError` if there is no daemon or too little disk, `SandboxError` if this one
        sandbox cannot be had: `image_missing` (nothing is pulled unless the run was given `images`),
        `image_unusable`, `disk_full`.
        """
        bounds = replace(self.limits, **limits)
        return await self._in_slot(
            kind,
            lambda daemon, free: self._open_one(daemon, free, image, bounds, env or {}, network, kind, name),
        )

    async def start_services(
        self,
        services: Sequence[Service],
        main: str,
        *,
        network: bool,
        kind: str = "agent",
        name: str = "",
        **limits: Any,
    ) -> DockerGroup:
        """Start services, whose images are there, as one machine that takes one slot; `main` is the agent's.

        `limits` bound each container; without `network` none reaches out, though all reach each other. The
        environment is that of image and service alone. Raises as `start` does, and `SandboxError`:
        `network_exhausted`, `service_unhealthy` where one that others wait for does not become so.
        """
        bounds = replace(self.limits, **limits)
        check_order(services, main)

        def opened(daemon: Daemon, free: Callable[[], None]) -> Coroutine[Any, Any, DockerGroup]:
            check_free_disk(daemon)
            project = f"lceval-{self.run}-{self._next()}"
            start = GroupStart(
                self, daemon, project, services, main, bounds, network=network, kind=kind, name=name
            )
            return start.open(free)

        return await self._in_slot(kind, opened)

    async def start_composed(
        self,
        project: ComposeProject,
        *,
        network: bool,
        kind: str = "agent",
        name: str = "",
        **limits: Any,
    ) -> DockerGroup:
        """The same by Docker Compose's own command line; `EnvironmentUnusableError` where it is not there."""
        bounds = replace(self.limits, **limits)

        def opened(daemon: Daemon, free: Callable[[], None]) -> Coroutine[Any, Any, DockerGroup]:
            labels = own_labels(self.run, kind, name, time.time() + bounds.seconds)
            return ComposeStart(
                self,
                daemon,
                f"lceval-{self.run}-{self._next()}",
                project,
                bounds,
                labels,
                network=network,
                read_image=read_image,
            ).open(free)

        return await self._in_slot(kind, opened)

    async def _in_slot(
        self, kind: str, opened: Callable[[Daemon, Callable[[], None]], Coroutine[Any, Any, S]]
    ) -> S:
        """Wait for a slot, then open something that frees it at its end; given up, it ends at once."""
        daemon = await self._connected()
        slots = self._slots[kind]
        await slots.acquire()
        opening = self._spawn(opened(daemon, slots.release))
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            self._spawn(_stop_when_open(opening))
            raise

    def discard(self, group: ServiceGroup) -> None:
        """Remove a group while others go on: deleting what it wrote takes a second; `close` waits for it."""
        self._spawn(_stop_quietly(group))

    async def close(self) -> None:
        """Remove every sandbox of this run, those still starting too."""
        self._closed = True
        daemon, self._daemon = self._daemon, None
        if daemon is None:
            return
        for task in list(self._background):
            if task.get_name() == WATCHER:
                task.cancel()
        await asyncio.gather(*(s.stop() for s in list(self._open.values())), return_exceptions=True)
        await asyncio.gather(*self._background, return_exceptions=True)
        await daemon.call(remove_run, daemon.api, self.run)
        self._last_resort.disarm()
        daemon.close()

    async def image(self, name: str) -> Image:
        """The local image of that name, pinned for this run at its first use; pulled only with `images`.

        Raises `SandboxError`: `image_missing`.
        """
        daemon = await self._connected()
        if self._images is not None:
            ensure = self._images.ensure
            async with self._pulling:
                if await daemon.call(lambda: ensure(daemon.long_api, name)):
                    self._found.pop(name, None)
        if name not in self._found:
            try:
                about = await daemon.call(daemon.api.inspect_image, name)
            except SandboxError as error:
                if error.reason != "image_missing":
                    raise
                remedy = f"get it with: longcat-eval images pull {name}"
                raise SandboxError("image_missing", f"no image {name} on this machine; {remedy}") from None
            self._found[name] = read_image(name, about)
            await daemon.call(note_use, daemon.facts.id, name)
        return self._found[name]

    async def build(
        self,
        recipe: Recipe,
        *,
        name: str,
        digest: str,
        seconds: float,
        base_map: Mapping[str, str],
        platform: str = "",
    ) -> Built:
        """Build an image unless its content was built before; `digest` covers the recipe's files.

        `base_map` are images to build on instead of others (`base_images.mapped`), `seconds` the time of all
        tries. Raises `SandboxError`: `build_failed` and `build_timeout` (`build.BuildError`, with the log),
        `image_missing` for a base that cannot be had.
        """
        daemon = await self._connected()
        self._builder = self._builder or ImageBuilder(daemon, self._builds)
        return await self._builder.build(
            recipe, name=name, digest=digest, seconds=seconds, base_map=base_map, platform=platform
        )

    async def _open_one(
        self,
        daemon: Daemon,
        free: Callable[[], None],
        image: str,
        limits: Limits,
        env: Mapping[str, str],
        network: bool,
        kind: str,
        name: str,
    ) -> DockerSandbox:
        """Create, start and try out a container; whatever goes wrong, none is left and the slot is free."""
        container = f"lceval-{self.run}-{self._next()}"
        try:
            pinned = await self.image(image)
            check_free_disk(daemon)
            labels = own_labels(self.run, kind, name, time.time() + limits.seconds)
            cpus = 0 if "cpus" in daemon.facts.unenforced else daemon.facts.cpus
            options = create_options(pinned.id, limits, labels, env, network=network, cpus=cpus)
            deadline = time.monotonic() + limits.seconds
            container_id = await daemon.call(create_and_start, daemon.api, container, options)
            shell = await self._shell(daemon, pinned, container_id)
        except BaseException:
            with contextlib.suppress(SandboxError):
                await daemon.call(remove_container, daemon.api, container)
            free()
            raise
        life = Life(daemon, container_id, pinned, limits, deadline)
        return self._registered(life, shell, free=free)

    async def adopt(self, life: Life, tmpfs: Sequence[str], *, shell: bool) -> DockerSandbox:
        """A running container of this run as a sandbox; its slot is its group's.

        With `shell` it must have one (`SandboxError`: `image_unusable`); else it may turn out to have none
        when a command is to be run.
        """
        found = await self._shell(life.daemon, life.image, life.id) if shell else None
        return self._registered(life, found, tmpfs=tmpfs)

    def _registered(
        self,
        life: Life,
        shell: scripts.Shell | None,
        *,
        free: Callable[[], None] = lambda: None,
        tmpfs: Sequence[str] = (),
    ) -> DockerSandbox:
        find_shell = partial(self._shell, life.daemon, life.image, life.id)
        sandbox = DockerSandbox(
            life, shell or find_shell, self._exec_slots, partial(self._stopped, free), tmpfs
        )
        self._open[life.id] = sandbox
        return sandbox

    async def _shell(self, daemon: Daemon, image: Image, container_id: str) -> scripts.Shell:
        """What the image offers to run commands with; asked in its first container only."""
        async with self._probing[image.id]:
            if image.id not in self._shells:
                try:
                    answer = await run_briefly(daemon, container_id, ["/bin/sh", "-c", scripts.PROBE], None)
                except SandboxError as error:
                    raise SandboxError("image_unusable", f"{image.name}: {error}") from None
                shell = scripts.read_probe(answer)
                if shell is None:
                    said = answer.decode("utf-8", "replace").strip()
                    raise SandboxError("image_unusable", f"{image.name} runs no shell: {said}")
                self._shells[image.id] = shell
            return self._shells[image.id]

    async def _connected(self) -> Daemon:
        async with self._connecting:
            if self._closed:
                raise SandboxError("daemon_lost", "the sandboxes of this run are closed")
            if self._daemon is None:
                daemon = await Daemon.open()
                try:
                    self._check_disk(daemon)
                    self._on_reaped(len(await daemon.call(reap, daemon.api)))
                except BaseException:
                    daemon.close()
                    raise
                graders = self._graders or daemon.facts.cpus
                self._slots = {
                    "agent": asyncio.Semaphore(self._agents),
                    "grade": asyncio.Semaphore(graders),
                }
                self._exec_slots = asyncio.Semaphore(self._execs or EXECS_PER_CPU * daemon.facts.cpus)
                self._last_resort.arm()
                self._spawn(watch_disk(daemon, self.run, self._open, self._disk_poll), name=WATCHER)
                self._daemon = daemon
        return self._daemon

    def _check_disk(self, daemon: Daemon) -> None:
        wanted = min(MOST_SPARE_DISK_BYTES, SPARE_DISK_BYTES * self._agents)
        free = daemon.facts.free_bytes
        if free is not None and free < wanted:
            raise EnvironmentUnusableError(
                f"sandboxes want {wanted / GIB:.0f} GiB free under {daemon.facts.root} and there are "
                f"{free / GIB:.1f}: make room, for example with `longcat-eval images prune`"
            )

    def _stopped(self, free: Callable[[], None], sandbox: DockerSandbox) -> None:
        if self._open.pop(sandbox.id, None) is not None:
            free()

    def _spawn(self, work: Coroutine[Any, Any, Any], name: str | None = None) -> asyncio.Task[Any]:
        task = asyncio.create_task(work, name=name)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    def _next(self) -> int:
        self._counter += 1
        return self._counter


async def _stop_quietly(group: ServiceGroup) -> None:
    """What cannot be removed is left to the end of the run, and to the reaper."""
    with contextlib.suppress(SandboxError):
        await group.stop()


async def _stop_when_open(opening: "asyncio.Task[S]") -> None:
    """Nobody waits for this any more."""
    with contextlib.suppress(SandboxError):
        await (await opening).stop()


def check_free_disk(daemon: Daemon) -> None:
    """Raise `SandboxError` (`disk_full`) where hardly anything is free."""
    free = daemon.facts.free_bytes
    if free is not None and free < LEAST_DISK_BYTES:
        raise SandboxError("disk_full", f"only {free / GIB:.1f} GiB are free under {daemon.facts.root}")


def create_and_start(api: Any, name: str, options: Mapping[str, Any]) -> str:
    """Create a container and start it; its id."""
    container: str = api.create_container(name=name, **options)["Id"]
    start_container(api, container)
    return container


def read_image(name: str, about: Mapping[str, Any]) -> Image:
    """What a run needs to know of an image, from the daemon's description."""
    config = about.get("Config") or {}
    digests = about.get("RepoDigests") or [""]
    return Image(
        name=name,
        id=about["Id"],
        digest=digests[0],
        user=config.get("User") or "",
        entrypoint=config.get("Entrypoint") or [],
        command=config.get("Cmd") or [],
    )


def remove_all(run: str) -> None:
    """Remove a run's containers from outside any event loop; a daemon that is gone is no error here."""
    with contextlib.suppress(EnvironmentUnusableError, SandboxError), connect() as client:
        translated(remove_run, client.api, run)
