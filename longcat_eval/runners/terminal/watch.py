"""An eye beside a terminal's shell: whether it waits for a command, and what runs in its foreground.

It goes by what the kernel knows of the terminal and its processes; nothing is typed and no screen is read.
"""

import asyncio
import itertools
from collections.abc import Iterable
from typing import NamedTuple

from longcat_eval.protocols import Sandbox, SandboxError, SandboxStream
from longcat_eval.runners.terminal import scripts
from longcat_eval.runners.terminal.jobs import DEAD, LINE_EDITORS, Process, read_process, read_table

ANSWER_SECONDS = 60.0
NOT_FOR_INPUT = frozenset({"do_wait", "tty_wait_until_sent"})
"""Functions of the kernel in which a process waits for a child, or for its output to go."""


class Look(NamedTuple):
    """One process beside its terminal. `switches` counts how often it has gone to sleep of its own accord.

    `consumed` is how many bytes it and its ended children have read, None if unknown. `mode` is raw, lines
    or unknown (empty); `unread` whether input waits in the terminal, None if unknown.
    """

    process: Process
    switches: int
    waits_in: str
    mode: str
    unread: bool | None
    consumed: int | None = None

    @property
    def at_prompt(self) -> bool:
        """Whether this shell waits for a command; see `jobs.LINE_EDITORS` for those that tell by the mode."""
        process = self.process
        if process.state != "S" or process.foreground != process.group:
            return False
        if self.unread or self.waits_in in NOT_FOR_INPUT:
            return False
        return self.mode in ("raw", "") or process.name not in LINE_EDITORS


class Watch:
    """One helper process in the sandbox, started at the first question and again if somebody ends it."""

    def __init__(self, sandbox: Sandbox, user: str | None, tty: str) -> None:
        self._sandbox, self._user, self._tty = sandbox, user, tty
        self._stream: SandboxStream | None = None
        self._rest = b""
        self._ids = itertools.count(1)
        self._turn = asyncio.Lock()

    async def table(self) -> dict[int, Process]:
        """Every process of the sandbox that lives."""
        return read_table(await self._ask("table"))

    async def look(self, pid: int) -> Look | None:
        """One process; None if it is gone."""
        answer = await self._ask(f"look {pid}")
        stat, switches, waits_in, mode, unread, consumed = [*answer, *[""] * 6][:6]
        process = read_process(stat)
        if process is None or process.state in DEAD:
            return None
        known = {"yes": True, "no": False}.get(unread)
        count = int(consumed) if consumed.isdecimal() else None
        return Look(process, int(switches or 0), waits_in, mode, known, count)

    async def signal(self, name: str, pids: Iterable[int]) -> None:
        """Send a signal to what this user may send it to."""
        if numbers := " ".join(map(str, sorted(pids))):
            await self._ask(f"signal {name} {numbers}")

    async def drain(self) -> None:
        """Read away what was typed and not read."""
        await self._ask("drain")

    async def mark(self, title: str) -> None:
        """Print a title behind all that was printed on the terminal so far."""
        await self._ask(f"mark {title}")

    async def close(self) -> None:
        """End the helper."""
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.close()

    async def _ask(self, question: str) -> list[str]:
        async with self._turn:
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    answer = await self._asked(question)
                    if answer is None:
                        await self.close()
                        answer = await self._asked(question)
            except TimeoutError:
                raise SandboxError(
                    "exec_stuck", f"the watch on a terminal has not answered for {ANSWER_SECONDS:g} s"
                ) from None
        if answer is None:
            raise SandboxError("exec_stuck", "the watch on a terminal ends as soon as it starts")
        return answer

    async def _asked(self, question: str) -> list[str] | None:
        """The lines of the answer; None if the helper is gone. Answers that nobody took are skipped."""
        if self._stream is None:
            self._stream, self._rest = await self._open(), b""
        stream, number = self._stream, next(self._ids)
        try:
            await stream.send(f"{number} {question}\n".encode())
        except SandboxError:
            return None
        lines: list[str] = []
        while True:
            *whole, self._rest = self._rest.split(b"\n")
            for at, raw in enumerate(whole):
                line = raw.decode("utf-8", "replace")
                if line == f"{scripts.WATCH_END}{number}":
                    self._rest = b"\n".join([*whole[at + 1 :], self._rest])
                    return lines
                lines = [] if line.startswith(scripts.WATCH_END) else [*lines, line]
            data = await stream.read()
            if not data:
                return None
            self._rest += data

    async def _open(self) -> SandboxStream:
        run = f'eval "${scripts.WATCH_VARIABLE}"'
        start = f"command -v bash >/dev/null && exec bash -c '{run}' watch \"$@\"; {run}"
        return await self._sandbox.open_stream(
            ["/bin/sh", "-c", start, "watch", self._tty],
            user=self._user,
            env={scripts.WATCH_VARIABLE: scripts.WATCH},
        )
