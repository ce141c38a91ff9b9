"""One Docker container as a sandbox: `protocols.Sandbox`."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

from longcat_eval.protocols import ExecResult
from longcat_eval.runners.sandbox import memory_files, scripts
from longcat_eval.runners.sandbox.archives import get_file, get_folder, put_file, put_folder
from longcat_eval.runners.sandbox.command import CANNOT_RUN, Command
from longcat_eval.runners.sandbox.execution import create_exec, run_briefly
from longcat_eval.runners.sandbox.hijack import start_exec
from longcat_eval.runners.sandbox.life import Life
from longcat_eval.runners.sandbox.owner import ALL
from longcat_eval.runners.sandbox.stream import ExecStream
from longcat_eval.runners.sandbox.trees import Tree, pack_tree

SHORTEST_TIMEOUT = 0.1

FindShell = Callable[[], Awaitable[scripts.Shell]]
"""Asks an image for its shell, at the first command: a service may have none and need none."""


class DockerSandbox:
    """A running container; made by `DockerSandboxes.start`, which also sees to its end.

    Commands are stateless: each has a shell of its own. A container that its own commands end is started
    again. Where it is gone for good, `SandboxError` says why (`disk_budget`, `deadline`, `container_lost`).
    """

    def __init__(
        self,
        life: Life,
        shell: scripts.Shell | FindShell,
        exec_slots: asyncio.Semaphore,
        on_stop: Callable[["DockerSandbox"], None],
        tmpfs: Collection[str] = (),
    ) -> None:
        self.life, self.id = life, life.id
        self.image, self.image_id, self.limits = life.image, life.image.id, life.limits
        self._shell, self._slots, self._on_stop, self._tmpfs = shell, exec_slots, on_stop, tmpfs
        self._streams: list[ExecStream] = []
        self._stopping: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "DockerSandbox":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def exec(
        self,
        command: str,
        *,
        timeout: float,
        user: str | None = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> ExecResult:
        """Run a shell command (bash where the image has it); at `timeout` its whole process tree is killed.

        The time runs from its start in the container; the wait for one of the machine's slots comes before.
        A cancelled call leaves no process behind either.
        """
        if "\0" in command:
            return ExecResult(CANNOT_RUN, b"a command cannot hold a NUL byte", False, False)
        async with self._slots:
            shell = self._shell
            if not isinstance(shell, scripts.Shell):
                shell = self._shell = await shell()
            arguments = await self._prepared(command)
            seconds = max(timeout, SHORTEST_TIMEOUT)  # `timeout 0` would mean no limit
            return await Command(self.life, shell, arguments, seconds, user, cwd, env or {}).run()

    async def open_stream(
        self,
        argv: Sequence[str],
        *,
        tty: bool = False,
        user: str | None = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> ExecStream:
        """Start a long-lived process and return its byte stream; with `tty` on a terminal of its own."""
        daemon = self.life.daemon
        wrapped = ["/bin/sh", "-c", scripts.OPEN_STREAM, "sh", cwd or "", *argv]
        exec_id, marker = await self.life.guarded(
            lambda: create_exec(daemon, self.id, wrapped, user=user, env=env, stdin=True, tty=tty)
        )
        connection = await start_exec(daemon.endpoint, daemon.version, exec_id, tty=tty)
        kill = partial(self.life.sweep, user=user)
        stream = ExecStream(daemon, connection, exec_id, marker, kill, tty=tty)
        self._streams.append(stream)
        try:
            return await stream.opened()
        except BaseException:
            await asyncio.shield(stream.close())
            raise

    async def put(self, path: str, content: bytes, *, mode: int = 0o644) -> None:
        """Write one file, owned by root; folders on the way to it are made."""
        if memory_files.in_memory(path, self._tmpfs):
            await memory_files.put_one(self._open_as_root, path, content, mode)
            return
        put = partial(self.life.daemon.call, put_file, self.life.daemon.api, self.id, path, content, mode)
        try:
            await self.life.guarded(put)
        except FileNotFoundError:
            made = ["/bin/sh", "-c", 'mkdir -p -- "$1"', "sh", path.rpartition("/")[0] or "/"]
            await self.life.guarded(lambda: run_briefly(self.life.daemon, self.id, made))
            await self.life.guarded(put)

    async def get(self, path: str, *, max_bytes: int = 64 << 20) -> bytes:
        """Read one file, through links; `FileNotFoundError`, or `OSError` if too large or not a file."""
        if memory_files.in_memory(path, self._tmpfs):
            return await memory_files.get_one(self._open_as_root, path, max_bytes)
        return await self.life.call(partial(get_file, self.life.daemon.api), path, max_bytes)

    async def put_tree(self, path: str, tree: Tree, *, exclude: Sequence[str] = ()) -> None:
        """Write what a folder holds, or contents by relative path, into the folder `path`.

        It is made where it is not there; all is root's, modes and links are kept. `exclude` are patterns of
        paths, or of single names, that stay out. Raises `OSError` for what is neither file, folder nor link,
        `NotADirectoryError` where `path` is something else.
        """
        with await asyncio.to_thread(pack_tree, tree, exclude) as archive:
            if memory_files.in_memory(path, self._tmpfs):
                await memory_files.put_many(self._open_as_root, path, archive)
            else:
                await self.life.call(lambda one: put_folder(self.life.daemon.long_api, one, path, archive))

    async def get_tree(self, path: str, *, max_bytes: int = 64 << 20) -> dict[str, bytes]:
        """Read the regular files below the folder `path`, by relative path.

        Raises `FileNotFoundError`, `NotADirectoryError`, and `OSError` for more than `max_bytes` together.
        """
        if memory_files.in_memory(path, self._tmpfs):
            return await memory_files.get_many(self._open_as_root, path, max_bytes)
        return await self.life.call(lambda one: get_folder(self.life.daemon.long_api, one, path, max_bytes))

    async def pause(self) -> None:
        """Let every process inside stand still. Files can be read and written, commands fail."""
        await self.life.call(self.life.daemon.api.pause)

    async def unpause(self) -> None:
        """Let them go on."""
        await self.life.call(self.life.daemon.api.unpause)

    async def restart(self) -> None:
        """Kill every process inside, streams too; the files stay."""
        await self.life.restart()

    async def snapshot(self, tag: str = "") -> str:
        """Freeze the file system as an image and return its id.

        It keeps the first image's entrypoint and command. With a `tag` (`name:tag`) it is the user's and
        stays; without, it is removed when the run ends, or by the reaper.
        """
        changes = [
            f"ENTRYPOINT {json.dumps(self.image.entrypoint)}",
            f"CMD {json.dumps(self.image.command or ['sh'])}",
        ]
        if tag:
            # The container's labels go into the image, and from there into whatever its user runs from it.
            changes += [f'LABEL {label}=""' for label in ALL]
        repository, version = split_tag(tag)

        def commit(container: str) -> str:
            api: Any = self.life.daemon.long_api
            return str(api.commit(container, repository=repository, tag=version, changes=changes)["Id"])

        return await self.life.call(commit)

    async def stop(self) -> None:
        """Remove the container and all its processes, at once; safe to call twice and in a cancelled task."""
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._stop())
        await asyncio.shield(self._stopping)

    async def _stop(self) -> None:
        try:
            for stream in self._streams:
                await stream.hang_up()
            await self.life.remove()
        finally:
            self._on_stop(self)

    async def _open_as_root(self, argv: Sequence[str]) -> ExecStream:
        return await self.open_stream(argv, user="0", cwd="/")

    async def _prepared(self, command: str) -> list[str]:
        """The shell's arguments; a command too long for one goes into a file."""
        encoded = command.encode("utf-8", "replace")
        if len(encoded) <= scripts.LONGEST_ARGUMENT:
            return ["-c", command]
        path = f"/tmp/.lceval-{time.monotonic_ns()}.sh"
        await self.put(path, encoded)
        return [path]


def split_tag(name: str) -> tuple[str | None, str | None]:
    """`host:5000/a/b:1` as (`host:5000/a/b`, `1`); a name without a tag gets `latest`, none stays none."""
    repository, colon, version = name.rpartition(":")
    if colon and "/" not in version:
        return repository, version
    return (name, "latest") if name else (None, None)
