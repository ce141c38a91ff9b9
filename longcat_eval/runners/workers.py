"""Worker processes that may be killed: for graders that can hang, eat memory or crash on hostile answers."""

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from typing import Any

import msgspec

from longcat_eval.protocols import WorkerError
from longcat_eval.runners.worker_process import HEADER_BYTES

START_SECONDS = 60.0
_SECRET_MARKS = ("KEY", "TOKEN", "SECRET", "PASSWORD")


class WorkerPool:
    """Up to `size` processes, started when first needed; implements `protocols.Workers`.

    Each has its own process group, an address space of `memory_bytes` (0 = unlimited) and `seconds` of wall
    time per call. A worker that breaks a limit or dies is replaced at the next call.
    """

    def __init__(self, size: int, memory_bytes: int = 3 << 30, seconds: float = 15.0) -> None:
        self._memory_bytes, self._seconds = memory_bytes, seconds
        self._slots = asyncio.Semaphore(size)
        self._idle: list[Process] = []
        self._alive: set[Process] = set()
        self._closed = False

    async def call(self, function: str, *args: Any, seconds: float | None = None) -> Any:
        """Run `package.module:function(*args)`; arguments and result are plain data that msgpack can carry.

        `seconds` replaces the pool's own limit. Raises `WorkerError`: `timeout`, `memory`, `crash` (the
        process died) or `error` (the function raised, or no worker could be started).
        """
        frame = msgspec.msgpack.encode([function, args])
        async with self._slots:
            if self._closed:
                raise WorkerError("error", "the worker pool is closed")
            worker = self._idle.pop() if self._idle else await self._start()
            try:
                reply = await self._exchange(worker, function, frame, seconds or self._seconds)
            except BaseException:
                await self._discard(worker)
                raise
            if reply[0] == "memory":
                await self._discard(worker)
            else:
                self._idle.append(worker)
        if reply[0] != "ok":
            raise WorkerError(reply[0], reply[1])
        return reply[1]

    async def close(self) -> None:
        """Kill every worker; calls under way end with `WorkerError`."""
        self._closed = True
        self._idle.clear()
        for worker in list(self._alive):
            await self._discard(worker)

    async def _exchange(self, worker: Process, function: str, frame: bytes, seconds: float) -> Any:
        assert worker.stdin is not None
        try:
            async with asyncio.timeout(seconds):
                worker.stdin.write(len(frame).to_bytes(HEADER_BYTES, "big") + frame)
                await worker.stdin.drain()
                return await _read_reply(worker)
        except TimeoutError:
            raise WorkerError("timeout", f"{function} took longer than {seconds:g} s") from None
        except (asyncio.IncompleteReadError, ConnectionError):
            raise WorkerError("crash", f"{function} ended its worker process") from None

    async def _start(self) -> Process:
        # -P: a folder called sympy where the user stands must not become the grader.
        command = (sys.executable, "-P", "-m", "longcat_eval.runners.worker_process")
        try:
            worker = await asyncio.create_subprocess_exec(
                *command,
                str(self._memory_bytes),
                str(os.getpid()),
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,
                start_new_session=True,
                env=_environment_without_secrets(),
            )
        except OSError as error:
            raise WorkerError("error", f"no worker starts: {error.strerror}") from None
        self._alive.add(worker)
        try:
            async with asyncio.timeout(START_SECONDS):
                await _read_reply(worker)
        except BaseException as error:
            await self._discard(worker)
            if isinstance(error, TimeoutError | asyncio.IncompleteReadError):
                raise WorkerError("error", f"no worker starts; see: {' '.join(command)} 0 0") from None
            raise
        return worker

    async def _discard(self, worker: Process) -> None:
        self._alive.discard(worker)
        if worker.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(worker.pid, signal.SIGKILL)
        # Reading both pipes to their end is what lets asyncio close the transport.
        with contextlib.suppress(RuntimeError, ConnectionError):
            await worker.communicate()


async def _read_reply(worker: Process) -> Any:
    assert worker.stdout is not None
    size = int.from_bytes(await worker.stdout.readexactly(HEADER_BYTES), "big")
    return msgspec.msgpack.decode(await worker.stdout.readexactly(size))


def _environment_without_secrets() -> dict[str, str]:
    """The environment less its keys: a worker handles text that a model wrote."""
    return {k: v for k, v in os.environ.items() if not any(mark in k.upper() for mark in _SECRET_MARKS)}
