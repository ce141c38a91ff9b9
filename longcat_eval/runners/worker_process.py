"""The other side of `WorkerPool`: a process that runs one function call at a time until it is killed.

Frames are a 4-byte big-endian length and msgpack. In: `[function, arguments]`. Out: `["ready"]` once, then
for every call `["ok", value]`, `["error", message]` or `["memory", message]`.
"""

import contextlib
import ctypes
import importlib
import os
import resource
import signal
import sys
from typing import Any, BinaryIO

import msgspec

HEADER_BYTES = 4
_PR_SET_PDEATHSIG = 1


def main(memory_bytes: int, parent: int) -> None:
    """Serve calls from stdin until it ends; address space is capped at `memory_bytes` (0 = no cap)."""
    requests, replies = _take_over_pipes()
    _die_with(parent)
    if memory_bytes:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    _send(replies, ["ready"])
    while (request := _receive(requests)) is not None:
        _send(replies, _answer(*request))


def _take_over_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Keep the two pipes under new numbers, so that what a library prints or reads cannot touch them."""
    requests, replies = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.close(null)
    return os.fdopen(requests, "rb"), os.fdopen(replies, "wb")


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends, even in the middle of a computation (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _answer(function: str, arguments: list[Any]) -> list[Any]:
    module, _, name = function.partition(":")
    try:
        return ["ok", getattr(importlib.import_module(module), name)(*arguments)]
    except MemoryError:
        return ["memory", f"{function} needed more memory than a worker may use"]
    except Exception as error:  # noqa: BLE001 - whatever the function raises is the caller's to judge
        return ["error", f"{function}: {type(error).__name__}: {error}"]


def _send(stream: BinaryIO, reply: list[Any]) -> None:
    try:
        frame = msgspec.msgpack.encode(reply)
    except (TypeError, ValueError, OverflowError) as error:
        frame = msgspec.msgpack.encode(["error", f"the result cannot be sent back: {error}"])
    stream.write(len(frame).to_bytes(HEADER_BYTES, "big") + frame)
    stream.flush()


def _receive(stream: BinaryIO) -> Any:
    header = stream.read(HEADER_BYTES)
    if len(header) < HEADER_BYTES:
        return None
    return msgspec.msgpack.decode(stream.read(int.from_bytes(header, "big")))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
