"""A long-lived process in a sandbox as a stream of bytes: terminals, tmux, language servers.

One exec and one connection for its whole life, so a round trip costs what the process takes to answer.
"""

import asyncio
from collections.abc import Awaitable, Callable

from longcat_eval.protocols import SandboxError
from longcat_eval.runners.sandbox.capture import Frames
from longcat_eval.runners.sandbox.daemon import Daemon
from longcat_eval.runners.sandbox.hijack import Connection
from longcat_eval.runners.sandbox.scripts import centiseconds

Killer = Callable[[str], Awaitable[None]]
"""Ends everything that carries a marker."""

OPEN_SECONDS = 120.0
EXIT_POLLS, EXIT_POLL_SECONDS = 50, 0.02


class ExecStream:
    """`protocols.SandboxStream` over one exec; without a terminal stdout and stderr come joined.

    One reader at a time; `send` and `read` may run side by side.
    """

    def __init__(
        self, daemon: Daemon, connection: Connection, exec_id: str, marker: str, kill: Killer, *, tty: bool
    ) -> None:
        self._daemon, self._connection, self._exec_id = daemon, connection, exec_id
        self._marker, self._kill = marker, kill
        self._frames = None if tty else Frames()
        self._ready = bytearray()
        self._closed = False

    async def opened(self) -> "ExecStream":
        """Wait for the first line, which is ours (`scripts.OPEN_STREAM`)."""
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                while b"\n" not in self._ready and (data := await self._receive()):
                    self._ready += data
        except TimeoutError:
            raise SandboxError("exec_stuck", f"no stream opens within {OPEN_SECONDS:g} s") from None
        line, _, rest = bytes(self._ready).partition(b"\n")
        if not centiseconds(line.decode("ascii", "replace").strip()):
            raise SandboxError("daemon_error", line.decode("utf-8", "replace").strip() or "no stream opens")
        self._ready = bytearray(rest)
        return self

    async def send(self, data: bytes) -> None:
        """Write to its standard input, waiting while it does not read."""
        try:
            self._connection.writer.write(data)
            await self._connection.writer.drain()
        except (OSError, RuntimeError) as error:
            raise SandboxError("container_lost", f"the stream is closed: {error}") from None

    async def finish(self) -> None:
        """Tell it that its standard input has ended (without a terminal)."""
        self._connection.writer.write_eof()
        await self._connection.writer.drain()

    async def read(self, limit: int = 65536) -> bytes:
        """Return what is there, at most `limit` bytes, waiting for the first; empty at the end."""
        if not self._ready:
            self._ready += await self._receive(limit)
        taken = bytes(self._ready[:limit])
        del self._ready[:limit]
        return taken

    async def _receive(self, limit: int = 65536) -> bytes:
        """The next payload; a frame's header alone is none."""
        try:
            while data := await self._connection.reader.read(limit):
                payload = b"".join(p for _, p in self._frames.feed(data)) if self._frames else data
                if payload:
                    return payload
        except OSError:
            pass
        return b""

    async def resize(self, rows: int, columns: int) -> None:
        """Change the size of its terminal."""
        await self._daemon.call(self._daemon.api.exec_resize, self._exec_id, height=rows, width=columns)

    async def exit_code(self) -> int | None:
        """Its exit code once it ended, which the daemon may learn a moment after the last byte."""
        for _ in range(EXIT_POLLS):
            state = await self._daemon.call(self._daemon.api.exec_inspect, self._exec_id)
            if not state["Running"]:
                return int(state["ExitCode"] or 0)
            await asyncio.sleep(EXIT_POLL_SECONDS)
        return None

    async def hang_up(self) -> None:
        """Drop the connection and leave the process to itself."""
        self._closed = True
        await self._connection.close()

    async def close(self) -> None:
        """End the process with all it started."""
        if not self._closed:
            await self.hang_up()
            await self._kill(self._marker)
