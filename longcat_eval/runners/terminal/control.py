"""tmux in control mode: commands as lines into one stream, their replies framed out of it.

Protocol: tmux(1), "CONTROL MODE". A reply stands between `%begin TIME NUMBER FLAGS` and `%end` or `%error`
with the same three; flag 1 marks the replies to what this client sent. Everything else is a notification
and dropped.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from longcat_eval.protocols import SandboxError, SandboxStream

CHUNK = 1 << 18
OWN = b"1"
_ENDS = (b"%end ", b"%error ")


class Reply(NamedTuple):
    """What a command printed; `ok` is false where it is tmux's complaint."""

    ok: bool
    text: bytes


class ClientLostError(Exception):
    """The control client ended: tmux did, or somebody ended it, or its connection broke."""


class Replies:
    """Cuts the bytes of a control client into the replies to its own commands, in the order of these."""

    def __init__(self) -> None:
        self._rest = b""
        self._head: list[bytes] = []
        self._body: list[bytes] = []

    def feed(self, data: bytes) -> list[Reply]:
        """Take bytes; return the replies that are complete with them."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        found = []
        for line in lines:
            if not self._head:
                words = line.split()
                if len(words) == 4 and words[0] == b"%begin":
                    self._head, self._body = words[1:], []
            elif line.startswith(_ENDS) and line.split()[1:] == self._head:
                if self._head[2] == OWN:
                    found.append(Reply(line.startswith(b"%end"), b"\n".join(self._body)))
                self._head = []
            else:
                self._body.append(line)
        return found


class ControlClient:
    """One control client. Calls may overlap and be cancelled: every command keeps its own reply."""

    def __init__(self, stream: SandboxStream) -> None:
        self.stream = stream
        self.lost = False
        self.said = b""
        self._waiting: deque[asyncio.Future[Reply | None]] = deque()
        self._tasks = {asyncio.create_task(self._read())}

    async def ask(self, commands: Sequence[str], seconds: float) -> list[Reply]:
        """Send commands, each one line, and return their replies.

        Raises `ClientLostError`, and `SandboxError` (exec_stuck) if `seconds` pass.
        """
        if self.lost:
            raise ClientLostError
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[Reply | None]] = [loop.create_future() for _ in commands]
        self._waiting += futures
        # A task of its own: cancelled half-way, a line would be torn.
        self._spawn("".join(f"{command}\n" for command in commands).encode())
        try:
            async with asyncio.timeout(seconds):
                replies = [await asyncio.shield(future) for future in futures]
        except TimeoutError:
            raise SandboxError("exec_stuck", f"tmux has not answered for {seconds:g} s") from None
        given = [reply for reply in replies if reply is not None]
        if len(given) < len(replies):
            raise ClientLostError
        return given

    async def close(self) -> None:
        """Stop listening and end the client with all that was started from it."""
        self._lose()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.stream.close()

    def _spawn(self, data: bytes) -> None:
        task = asyncio.create_task(self._write(data))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _write(self, data: bytes) -> None:
        with contextlib.suppress(SandboxError):  # the reader sees the end too
            await self.stream.send(data)

    async def _read(self) -> None:
        replies = Replies()
        try:
            while data := await self.stream.read(CHUNK):
                self.said = (self.said + data)[-2000:]
                for reply in replies.feed(data):
                    self._give(reply)
        finally:
            self._lose()

    def _lose(self) -> None:
        self.lost = True
        while self._waiting:
            self._give(None)

    def _give(self, reply: Reply | None) -> None:
        future = self._waiting.popleft() if self._waiting else None
        if future is not None and not future.done():
            future.set_result(reply)
