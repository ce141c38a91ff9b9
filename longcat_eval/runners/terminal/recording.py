"""Commands on pseudo-terminals, with lines to type, and a record of what could be seen.

A line is typed when the program waits for one, not by the clock: what is recorded then has questions and
answers in their order, however slow the machine. A program that waits for more than there is gets Ctrl-C.
"""

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from longcat_eval.protocols import Sandbox, SandboxError, SandboxStream
from longcat_eval.runners.sandbox.capture import Capture
from longcat_eval.runners.terminal.keys import printable
from longcat_eval.runners.terminal.opening import first_line
from longcat_eval.runners.terminal.watch import Look, Watch

START = """
stty rows 40 cols 160 2>/dev/null
read -r stat </proc/$$/stat
echo "$stat"
exec bash -c "$1"
"""
"""$1 is the command; the first line is one of /proc, which names the terminal."""

KEPT_AT_EACH_END = 64 << 10
TERM = "xterm"
CHUNK = 1 << 16
QUIET_SECONDS, POLL_SECONDS = 0.03, 0.05
READS = frozenset({"n_tty_read", "wait_woken"})
"""Functions of the kernel in which a process waits that reads a terminal; the second by sockets too."""
BLINDED = frozenset({"exec_stuck", "daemon_error"})
"""Failures of the watch where a program leaves no process ids: it is ended at its time."""
BREAK, BREAK_LINES = b"\x03", frozenset({"^C", "Ctrl+C", "\x03"})
"""Lines that stand for the key, and its byte."""


class RecordLimits(NamedTuple):
    """Seconds: a command as a whole; one that does nothing, and before a line is typed into it all the same;
    one that waits for a line and there is none; and one after its Ctrl-C.
    """

    command: float = 120.0
    idle: float = 10.0
    ahead: float = 3.0
    hungry: float = 1.0
    grace: float = 3.0


class Recording(NamedTuple):
    """What a command on a terminal did. `output` is what was printed, typed lines echoed into it.

    `end` is exited, interrupted (by Ctrl-C), killed, or left: it went on beside the next ones. `typed` of
    `given` lines were typed, `cut` bytes are missing in the middle.
    """

    command: str
    output: bytes
    end: str
    exit_code: int | None
    typed: int
    given: int
    cut: int
    seconds: float


class _Doing(Enum):
    """What the processes on a terminal are at."""

    READING, BUSY, ASLEEP, GONE = range(4)


class Recorder:
    """Runs commands in a sandbox one after another; what one leaves running goes on until `end`.

    Raises `SandboxError`.
    """

    def __init__(
        self, sandbox: Sandbox, limits: RecordLimits, *, cwd: str, env: Mapping[str, str] | None = None
    ) -> None:
        self._sandbox, self._limits, self._cwd = sandbox, limits, cwd
        self._env = {"TERM": TERM, **(env or {})}
        self._open: list[_Session] = []

    async def run(self, command: str, lines: Sequence[str] = (), *, more: bool = False) -> Recording:
        """Run a command to its end. With `more` to come, one that only waits (a server) is left to it."""
        session = await _Session.start(self._sandbox, command, lines, self._cwd, self._env)
        self._open.append(session)
        return await session.play(self._limits, may_stay=more)

    async def end(self) -> None:
        """End what is left, with all that it started."""
        sessions, self._open = self._open, []
        await asyncio.gather(*(session.close() for session in sessions))


class _Session:
    """One command on its terminal."""

    def __init__(
        self, sandbox: Sandbox, stream: SandboxStream, tty: str, command: str, lines: Sequence[str]
    ) -> None:
        self._stream, self._tty, self._command = stream, tty, command
        self._lines, self._typed = list(lines), 0
        self._watch = Watch(sandbox, None, tty)
        self._capture = Capture(KEPT_AT_EACH_END)
        self._reading: asyncio.Task[bytes] | None = None
        self._over = False

    @classmethod
    async def start(
        cls, sandbox: Sandbox, command: str, lines: Sequence[str], cwd: str, env: Mapping[str, str]
    ) -> "_Session":
        """Open the terminal and start the command on it."""
        argv = ["/bin/sh", "-c", START, "sh", command]
        stream = await sandbox.open_stream(argv, tty=True, cwd=cwd, env=env)
        try:
            process, rest = await first_line(stream)
            session = cls(sandbox, stream, process.tty, command, lines)
            session._capture.feed(rest)
        except BaseException:
            await asyncio.shield(stream.close())
            raise
        return session

    async def play(self, limits: RecordLimits, *, may_stay: bool) -> Recording:
        """Type and wait until it ends, is ended, or is left."""
        began = time.monotonic()
        end = await self._drive(began, limits, may_stay=may_stay)
        if end not in ("exited", "left"):
            end = await self._interrupt(limits.grace)
        code = await self._stream.exit_code() if self._over else None
        return Recording(
            command=self._command,
            output=self._capture.output(),
            end=end,
            exit_code=code,
            typed=self._typed,
            given=len(self._lines),
            cut=self._capture.left_out,
            seconds=round(time.monotonic() - began, 3),
        )

    async def close(self) -> None:
        """End it with all it started."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        await asyncio.gather(self._watch.close(), self._stream.close())

    async def _drive(self, began: float, limits: RecordLimits, *, may_stay: bool) -> str:
        """Return exited or left, or why it must be ended: late, idle or hungry."""
        since, before = time.monotonic(), _Doing.BUSY
        while True:
            heard = await self._listen(QUIET_SECONDS)
            if self._over:
                return "exited"
            now = time.monotonic()
            if now - began > limits.command:
                return "late"
            doing = _Doing.BUSY if heard else await self._look()
            if doing != before:
                since, before = now, doing
            if doing is _Doing.GONE:
                await self._listen(POLL_SECONDS)
                continue
            waited = now - since
            if self._typed < len(self._lines) and (
                doing is _Doing.READING or (doing is _Doing.ASLEEP and waited > limits.ahead)
            ):
                await self._type_next()
                before = _Doing.BUSY
            elif doing is _Doing.READING and waited > limits.hungry:
                return "hungry"
            elif doing is _Doing.ASLEEP and waited > limits.idle:
                return "left" if may_stay else "idle"
            else:
                await asyncio.sleep(POLL_SECONDS)

    async def _interrupt(self, grace: float) -> str:
        """Press Ctrl-C, and where that is not the end of it, kill."""
        until = time.monotonic() + grace
        await self._send(BREAK)
        while not self._over and time.monotonic() < until:
            await self._listen(POLL_SECONDS)
        if self._over:
            return "interrupted"
        with contextlib.suppress(SandboxError):
            table = await self._watch.table()
            await self._watch.signal("KILL", [p.pid for p in table.values() if p.tty == self._tty])
        while not self._over and time.monotonic() < until + grace:
            await self._listen(POLL_SECONDS)
        return "killed"

    async def _type_next(self) -> None:
        line = self._lines[self._typed]
        self._typed += 1
        await self._send(BREAK if line in BREAK_LINES else printable(line) + b"\r")

    async def _send(self, data: bytes) -> None:
        with contextlib.suppress(SandboxError):  # it has just ended, which the next read tells
            await self._stream.send(data)

    async def _listen(self, seconds: float) -> bool:
        """Take what is printed within that time; whether there was anything."""
        if self._over:
            return False
        if self._reading is None:
            self._reading = asyncio.create_task(self._stream.read(CHUNK))
        done, _ = await asyncio.wait({self._reading}, timeout=seconds)
        if not done:
            return False
        data, self._reading = self._reading.result(), None
        self._over = not data
        self._capture.feed(data)
        return bool(data)

    async def _look(self) -> _Doing:
        try:
            return await self._looked()
        except SandboxError as error:
            if error.reason not in BLINDED:
                raise
            return _Doing.BUSY

    async def _looked(self) -> _Doing:
        table = await self._watch.table()
        here = [process for process in table.values() if process.tty == self._tty]
        if not here:
            return _Doing.GONE
        asleep = True
        for process in here:
            if process.state != "S":
                asleep = False
                continue
            if process.group != process.foreground:
                continue
            look = await self._watch.look(process.pid)
            if look is not None and _reads(look):
                return _Doing.READING
        return _Doing.ASLEEP if asleep else _Doing.BUSY


def _reads(look: Look) -> bool:
    """Whether a process waits for what is typed: in a read, or with the terminal taken out of line mode."""
    if look.process.state != "S" or look.unread:
        return False
    return look.waits_in in READS or (look.mode == "raw" and look.waits_in not in ("do_wait", "sigsuspend"))
