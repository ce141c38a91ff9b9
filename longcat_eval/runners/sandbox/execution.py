"""One command in a container, from its start to its last byte; see `scripts.WRAPPER` for what runs inside."""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from longcat_eval.protocols import SandboxError
from longcat_eval.runners.sandbox.capture import STDERR, Capture, Frames
from longcat_eval.runners.sandbox.daemon import Daemon
from longcat_eval.runners.sandbox.hijack import Connection, start_exec
from longcat_eval.runners.sandbox.scripts import MARKER, centiseconds

CHUNK = 1 << 18
START_SECONDS = 120.0
"""From the daemon's word that it started to the first byte; minutes on a machine that swaps."""
DRAIN_IDLE_SECONDS, DRAIN_SECONDS = 0.5, 3.0
"""After the command's end, how long to wait for more while something it left behind holds its output open."""


@dataclass
class Reports:
    """The wrapper's two lines: (uptime, oom kills) first, (exit code, uptime, oom kills) at the end."""

    begin: tuple[str, int] | None = None
    end: tuple[int, str, int] | None = None
    _text: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes) -> None:
        """Take bytes of the wrapper's own stderr."""
        self._text += data
        while (newline := self._text.find(b"\n")) >= 0:
            words = self._text[:newline].decode("ascii", "replace").split()
            del self._text[: newline + 1]
            match words:
                case ["begin", uptime, kills] if kills.isdecimal():
                    self.begin = self.begin or (uptime, int(kills))
                case ["end", code, uptime, kills] if code.isdecimal() and kills.isdecimal():
                    self.end = (int(code), uptime, int(kills))

    @property
    def seconds(self) -> float | None:
        """The command's own time, on the container's clock."""
        if self.begin is None or self.end is None:
            return None
        return (int(centiseconds(self.end[1]) or 0) - int(centiseconds(self.begin[0]) or 0)) / 100


@dataclass
class Execution:
    """A command under way or ended. `overran`: it was given up at the deadline of the host's clock."""

    exec_id: str
    marker: str
    capture: Capture
    reports: Reports
    overran: bool = False

    @property
    def since(self) -> str:
        """When it began, in hundredths of a second of uptime; empty if it did not."""
        return centiseconds(self.reports.begin[0]) if self.reports.begin else ""


async def create_exec(
    daemon: Daemon,
    container: str,
    argv: Sequence[str],
    *,
    user: str | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bool = False,
    tty: bool = False,
) -> tuple[str, str]:
    """Prepare a command with a marker of its own; return (exec id, marker)."""
    marker = secrets.token_hex(8)
    created = await daemon.call(
        daemon.api.exec_create,
        container,
        list(argv),
        stdin=stdin,
        tty=tty,
        user=user or "",
        environment={**(env or {}), MARKER: marker},
    )
    return created["Id"], marker


async def follow(daemon: Daemon, execution: Execution, seconds: float) -> None:
    """Start the prepared command and read until it ends, or at most `seconds` from its begin.

    Raises `SandboxError` where it does not start.
    """
    connection = await start_exec(daemon.endpoint, daemon.version, execution.exec_id, tty=False)
    try:
        async with asyncio.timeout(START_SECONDS) as clock:
            await _read(connection, execution, clock, seconds)
    except TimeoutError:
        if execution.reports.begin is None:
            raise SandboxError("exec_stuck", f"no command starts within {START_SECONDS:g} s") from None
        execution.overran = execution.reports.end is None
    except OSError as error:
        raise SandboxError("daemon_lost", f"exec: {error}") from None
    finally:
        await connection.close()


async def _read(connection: Connection, execution: Execution, clock: asyncio.Timeout, seconds: float) -> None:
    loop, frames, reports = asyncio.get_running_loop(), Frames(), execution.reports
    drained = None
    while data := await connection.reader.read(CHUNK):
        began = reports.begin is not None
        for channel, payload in frames.feed(data):
            (reports if channel == STDERR else execution.capture).feed(payload)
        if reports.end is not None:
            drained = drained or loop.time() + DRAIN_SECONDS
            clock.reschedule(min(drained, loop.time() + DRAIN_IDLE_SECONDS))
        elif reports.begin is not None and not began:
            clock.reschedule(loop.time() + seconds)


async def run_briefly(daemon: Daemon, container: str, argv: Sequence[str], user: str | None = "0") -> bytes:
    """Run one of our own scripts, as root unless told; return its standard output.

    Raises `SandboxError`.
    """
    exec_id, _ = await create_exec(daemon, container, argv, user=user)
    connection = await start_exec(daemon.endpoint, daemon.version, exec_id, tty=False)
    capture, frames = Capture(), Frames()
    try:
        async with asyncio.timeout(START_SECONDS):
            while data := await connection.reader.read(CHUNK):
                for channel, payload in frames.feed(data):
                    if channel != STDERR:
                        capture.feed(payload)
    except TimeoutError:
        raise SandboxError("exec_stuck", f"a script of ours did not end within {START_SECONDS:g} s") from None
    except OSError as error:
        raise SandboxError("daemon_lost", f"exec: {error}") from None
    finally:
        await connection.close()
    return capture.output()
