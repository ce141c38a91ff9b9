"""A sandbox whose commands are a certain user's, unless they say another.

An image with a user of its own would not do: in a container that starts without root's capabilities a command
as root has none of them either, and can give no file to anybody.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from longcat_eval.protocols import ExecResult, Sandbox, SandboxStream


class AsUser:
    """`protocols.Sandbox` over another one; `user` has a name or a number there."""

    def __init__(self, sandbox: Sandbox, user: str) -> None:
        self._sandbox, self._user = sandbox, user
        self.image_id = sandbox.image_id

    async def exec(
        self,
        command: str,
        *,
        timeout: float,
        user: str | None = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> ExecResult:
        """Run a shell command."""
        return await self._sandbox.exec(command, timeout=timeout, user=user or self._user, cwd=cwd, env=env)

    async def open_stream(
        self,
        argv: Sequence[str],
        *,
        tty: bool = False,
        user: str | None = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> SandboxStream:
        """Start a long-lived process."""
        return await self._sandbox.open_stream(argv, tty=tty, user=user or self._user, cwd=cwd, env=env)

    async def put(self, path: str, content: bytes, *, mode: int = 0o644) -> None:
        """Write one file, as root's."""
        await self._sandbox.put(path, content, mode=mode)

    async def get(self, path: str, *, max_bytes: int = 64 << 20) -> bytes:
        """Read one file."""
        return await self._sandbox.get(path, max_bytes=max_bytes)

    async def put_tree(
        self, path: str, tree: Path | Mapping[str, bytes | Path], *, exclude: Sequence[str] = ()
    ) -> None:
        """Write a folder, as root's."""
        await self._sandbox.put_tree(path, tree, exclude=exclude)

    async def get_tree(self, path: str, *, max_bytes: int = 64 << 20) -> dict[str, bytes]:
        """Read a folder."""
        return await self._sandbox.get_tree(path, max_bytes=max_bytes)

    async def pause(self) -> None:
        """Let every process stand still."""
        await self._sandbox.pause()

    async def unpause(self) -> None:
        """Let them go on."""
        await self._sandbox.unpause()

    async def restart(self) -> None:
        """Kill every process inside."""
        await self._sandbox.restart()

    async def snapshot(self, tag: str = "") -> str:
        """Freeze the file system as an image."""
        return await self._sandbox.snapshot(tag)

    async def stop(self) -> None:
        """Remove it."""
        await self._sandbox.stop()
