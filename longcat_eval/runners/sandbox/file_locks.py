"""Locks between the processes of a user on one machine: they go when their holder does."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

POLL_SECONDS = 0.1


@asynccontextmanager
async def any_lock(paths: Sequence[Path]) -> AsyncIterator[None]:
    """Hold one of these locks, whichever is free first; others of this process wait for it as well."""
    opened: list[int] = []
    try:
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            opened.append(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        while not any(_taken(file) for file in opened):  # noqa: ASYNC110 - nobody tells of another process
            await asyncio.sleep(POLL_SECONDS)
        yield
    finally:
        for file in opened:
            os.close(file)


def _taken(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
