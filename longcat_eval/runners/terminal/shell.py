"""What tmux and pseudo-terminals have in common: waiting for their shell, and ending what it runs."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import NamedTuple

from longcat_eval.protocols import Sandbox, SandboxError
from longcat_eval.runners.terminal.jobs import Process, foreground_job, reader
from longcat_eval.runners.terminal.keys import printable
from longcat_eval.runners.terminal.watch import Look, Watch

ROOT = "0"
FIRST_POLL, LAST_POLL = 0.01, 0.1
SETTLED_SECONDS, UNSURE_SECONDS = 0.02, 0.3
INTERRUPTS = frozenset({"c-c", "c-z", "c-\\", "^c", "^z", "^\\"})
QUEUE_BYTES = 3500
"""A terminal holds 4096 bytes that nobody reads; behind more than that, keys wait."""
STUCK_SECONDS = 1.0
KILL_ROUNDS, INTERRUPT_ROUNDS, SIGNAL_POLLS = 50, 5, 5
GRACE_SECONDS, PROMPT_SECONDS, START_SECONDS = 0.1, 2.0, 10.0


class _Before(NamedTuple):
    """The shell that is about to read `typed` bytes, and its counts of sleeps and of bytes read before."""

    pid: int
    switches: int
    consumed: int | None = None
    typed: int = 0

    def has_read(self, look: Look) -> bool:
        """Whether it has surely read them; what a command of several lines read itself counts too."""
        if not self.typed:
            return True
        known = self.consumed is not None and look.consumed is not None
        return known and (look.consumed or 0) - (self.consumed or 0) >= self.typed


class ShellTerminal:
    """A shell on a terminal (`tty`) in a sandbox; the two kinds of terminals add keys and screen."""

    def __init__(self, sandbox: Sandbox, user: str | None, tty: str) -> None:
        self.tty = tty
        self._sandbox = sandbox
        self._shell_pid = 0
        self._watch = Watch(sandbox, user, tty)
        self._typed = 0

    async def send(self, keys: Sequence[str]) -> None:
        """Type; see `session.Terminal`.

        An interrupt behind a text that its program does not read would wait as long as that: then the text
        goes, as a terminal drops what waits when it gets an interrupt.
        """
        await self._type(keys)
        for key in keys:
            if key.lower() in INTERRUPTS and self._typed > QUEUE_BYTES:
                await self._free_the_way()
            self._typed += len(key.encode("utf-8", "replace"))

    async def run(self, command: str, timeout: float) -> bool:
        """Type a command and Enter, wait for the shell to end it; see `session.Terminal`."""
        try:
            async with asyncio.timeout(timeout):
                text = f"{command}\r"
                before = await self._before() if await self._shell() else None
                await self._type_text(text)
                self._typed += len(text)
                if before is not None:
                    await self._ended(before._replace(typed=len(printable(text))))
        except TimeoutError:
            return False
        await self._all_printed()
        return True

    async def freeze(self) -> None:
        """End what runs in the foreground and stop the shell for good; see `session.Terminal`.

        A sandbox in which that cannot be done any more, for want of process ids, is restarted.
        """
        try:
            if await self._shell():
                await self._job_control("STOP")
                await self._end_job()
                await self._all_printed()
        except SandboxError as error:
            if error.reason not in ("daemon_error", "exec_stuck"):
                raise
            await self._sandbox.restart()

    async def end_foreground(self) -> bool:
        """End what runs in the foreground and leave the shell at an empty prompt; see `session.Terminal`."""
        for _ in range(INTERRUPT_ROUNDS if await self._shell() else 0):
            await self._job_control("STOP")
            table = await self._watch.table()
            if self._shell_pid not in table:
                return False
            if job := foreground_job(table, self._shell_pid):
                # A shell ends its loop or list where a command of it ends by an interrupt, not by a kill.
                await self._watch.signal("INT", job)
                await asyncio.sleep(GRACE_SECONDS)
                await self._end_job()
                await self._all_printed()
            await self._watch.drain()
            look = await self._watch.look(self._shell_pid)
            await self._job_control("CONT")
            await self._watch.signal("INT", {self._shell_pid})
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PROMPT_SECONDS):
                    if look is not None:
                        await self._ended(_Before(self._shell_pid, look.switches))
                    self._typed = 0
                    await self._all_printed()
                    return await self._watch.look(self._shell_pid) is not None
        return False

    async def _type(self, keys: Sequence[str]) -> None:
        """Type, elements as in `session.Terminal.send`."""
        raise NotImplementedError

    async def _type_text(self, text: str) -> None:
        """Type literally, in one piece if it is not long."""
        raise NotImplementedError

    async def _all_printed(self) -> None:
        """Wait until what has been printed so far can be seen."""

    def _is_shell(self, process: Process) -> bool:
        """Whether this is the terminal's shell."""
        raise NotImplementedError

    async def _shell(self) -> int:
        """The process id of the shell, 0 if there is none: it was there at the latest when asked first."""
        clock = asyncio.get_running_loop().time
        until = clock() + START_SECONDS
        while not self._shell_pid and clock() < until:
            found = [p.pid for p in (await self._watch.table()).values() if self._is_shell(p)]
            if found:
                self._shell_pid = found[0]
            elif not await self.alive():
                break
            else:
                await asyncio.sleep(FIRST_POLL)
        return self._shell_pid

    async def alive(self) -> bool:
        """Whether the shell is still there."""
        raise NotImplementedError

    async def _before(self) -> _Before | None:
        pid = reader(await self._watch.table(), self._shell_pid)
        look = await self._watch.look(pid) if pid is not None else None
        return _Before(pid, look.switches, look.consumed) if pid and look else None

    async def _ended(self, before: _Before) -> None:
        """Wait until the shell, woken since, waits for a command again and has not slept in between.

        Where it is not known to have read all that was typed, that may be on its way: then it waits longer.
        """
        clock = asyncio.get_running_loop().time
        poll, last, since = FIRST_POLL, -1, 0.0
        while True:
            look = await self._watch.look(before.pid)
            if look is None:
                outer = None if before.pid == self._shell_pid else await self._before()
                if outer is None:
                    return
                before, last = outer._replace(switches=-1, consumed=None, typed=1), -1
            elif not look.at_prompt or look.switches <= before.switches:
                last = -1
                await asyncio.sleep(poll)
                poll = min(poll * 1.5, LAST_POLL)
            elif look.switches != last:
                last, since = look.switches, clock()
                await asyncio.sleep(SETTLED_SECONDS)
            elif clock() - since >= (SETTLED_SECONDS if before.has_read(look) else UNSURE_SECONDS):
                return
            else:
                await asyncio.sleep(SETTLED_SECONDS)

    async def _free_the_way(self) -> None:
        """If what was typed waits unread before a process that does nothing, drop it."""
        clock = asyncio.get_running_loop().time
        until = clock() + STUCK_SECONDS
        first = await self._in_front() if await self._shell() else None
        while first is not None and first.unread:
            await asyncio.sleep(LAST_POLL)
            now = await self._in_front()
            if now is None or (now.process.pid, now.switches) != (first.process.pid, first.switches):
                return
            if not now.unread:
                break
            if clock() >= until:
                await self._watch.drain()
                break
        self._typed = 0

    async def _in_front(self) -> Look | None:
        """The leader of the foreground group, or the shell."""
        look = await self._watch.look(self._shell_pid)
        if look is None or look.process.foreground == look.process.group:
            return look
        return await self._watch.look(look.process.foreground) or look

    async def _job_control(self, name: str) -> None:
        """Send the shell STOP or CONT; as root too where it made itself another user's."""
        pid = self._shell_pid
        for _ in range(SIGNAL_POLLS):
            await self._watch.signal(name, {pid})
            process = (await self._watch.table()).get(pid)
            if process is None or (process.state in "Tt") == (name == "STOP"):
                return
            await asyncio.sleep(FIRST_POLL)
        await self._sandbox.exec(f"kill -{name} {pid}", timeout=10, user=ROOT, cwd="/")

    async def _end_job(self) -> None:
        """Kill the foreground job; its processes are stopped first, so that none starts another meanwhile."""
        stopped: set[int] = set()
        for n in range(KILL_ROUNDS):
            table = await self._watch.table()
            job = foreground_job(table, self._shell_pid) | (stopped & table.keys())
            if not job:
                return
            if job - stopped:
                await self._watch.signal("STOP", job - stopped)
                stopped |= job
                continue
            await self._watch.signal("KILL", job)
            if n >= KILL_ROUNDS // 10:
                numbers = " ".join(map(str, sorted(job)))
                await self._sandbox.exec(f"kill -KILL {numbers}", timeout=10, user=ROOT, cwd="/")
            await asyncio.sleep(FIRST_POLL)
        raise SandboxError("exec_stuck", "what runs in the foreground of a terminal cannot be ended")
