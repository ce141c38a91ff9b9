"""A terminal that is a bare pseudo-terminal in the sandbox, for images without tmux; its screen is kept
here."""

import asyncio
import contextlib
import secrets
from collections.abc import Mapping, Sequence

from longcat_eval.protocols import Sandbox, SandboxError, SandboxStream
from longcat_eval.runners.terminal import scripts
from longcat_eval.runners.terminal.emulator import Emulator
from longcat_eval.runners.terminal.jobs import Process
from longcat_eval.runners.terminal.keys import key_bytes, printable
from longcat_eval.runners.terminal.opening import first_line
from longcat_eval.runners.terminal.place import Place
from longcat_eval.runners.terminal.session import COLUMNS, ROWS
from longcat_eval.runners.terminal.shell import ShellTerminal

CHUNK, SLICE = 1 << 16, 1 << 12
"""Bytes read and emulated at once: other work goes on in between."""
PIECE = 4096
WRITE_SECONDS, CATCH_UP_SECONDS, PRINTED_SECONDS = 0.2, 1.0, 30.0
TERM = "screen"
"""Knows the sequences that `keys.key_bytes` sends, and is in every terminfo."""


class PtyTerminal(ShellTerminal):
    """`session.Terminal` on a pseudo-terminal; made by `open_pty`."""

    kind = "pty"

    def __init__(
        self, sandbox: Sandbox, user: str | None, stream: SandboxStream, shell_pid: int, tty: str, said: bytes
    ) -> None:
        super().__init__(sandbox, user, tty)
        self._stream, self._pid = stream, shell_pid
        self._emulator = Emulator(self._put)
        self._emulator.feed(said)
        self._outgoing: asyncio.Queue[bytes] = asyncio.Queue()
        self._level = asyncio.Event()
        self._level.set()
        self._news = asyncio.Event()
        self._over = False
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._write())]

    async def screen(self) -> str:
        """The visible rows."""
        await self._caught_up()
        return "\n".join(self._emulator.rows()) + "\n"

    async def history(self) -> str:
        """The scrollback and the screen."""
        await self._caught_up()
        return "\n".join([*self._emulator.history(), *self._emulator.rows()]) + "\n"

    async def alive(self) -> bool:
        """Whether its shell is still there, or its connection lost, which is the same here."""
        return not self._over

    async def close(self) -> None:
        """End the shell and all that was started from it; safe to call twice."""
        self._over = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(self._watch.close(), self._stream.close())

    async def _type(self, keys: Sequence[str]) -> None:
        for key in keys:
            known = key_bytes(key, application=self._emulator.application_arrows)
            self._put(printable(key) if known is None else known)
        await self._written()

    async def _type_text(self, text: str) -> None:
        self._put(printable(text))
        await self._written()

    def _is_shell(self, process: Process) -> bool:
        return process.pid == self._pid

    async def _all_printed(self) -> None:
        """Printed behind it, a title of ours comes to us behind it."""
        if self._over:
            return
        title = f"lceval-{secrets.token_hex(4)}"
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PRINTED_SECONDS):
                await self._watch.mark(title)
                while self._emulator.title != title and not self._over:
                    self._news.clear()
                    await self._news.wait()

    def _put(self, data: bytes) -> None:
        for at in range(0, len(data), PIECE):
            self._outgoing.put_nowait(data[at : at + PIECE])

    async def _written(self) -> None:
        """Wait for what was typed to be on its way, but not for ever: a program may not read at all."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WRITE_SECONDS):
                await self._outgoing.join()

    async def _write(self) -> None:
        while True:
            data = await self._outgoing.get()
            try:
                await self._stream.send(data)
            except SandboxError:
                self._over = True
            finally:
                self._outgoing.task_done()

    async def _read(self) -> None:
        try:
            while data := await self._stream.read(CHUNK):
                self._level.clear()
                for at in range(0, len(data), SLICE):
                    self._emulator.feed(data[at : at + SLICE])
                    await asyncio.sleep(0)
                self._level.set()
                self._news.set()
        finally:
            self._over = True
            self._level.set()
            self._news.set()

    async def _caught_up(self) -> None:
        """Wait until what has come is on the screen; a program that prints without end is not waited for."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CATCH_UP_SECONDS):
                await self._level.wait()


async def open_pty(
    sandbox: Sandbox,
    place: Place,
    *,
    user: str | None = None,
    cwd: str | None = None,
    env: Mapping[str, str] | None = None,
) -> PtyTerminal:
    """Start a shell. Raises `SandboxError`."""
    argv = ["/bin/sh", "-c", scripts.START_PTY, "sh", place.shell]
    stream = await sandbox.open_stream(argv, tty=True, user=user, cwd=cwd, env={"TERM": TERM, **(env or {})})
    try:
        process, rest = await first_line(stream)
        await stream.resize(ROWS, COLUMNS)
        return PtyTerminal(sandbox, user, stream, process.pid, process.tty, rest)
    except BaseException:
        await asyncio.shield(stream.close())
        raise
