"""Waiting for what a terminal or a sandbox comes to, with a generous deadline."""

import asyncio
import time

from longcat_eval.protocols import Sandbox
from longcat_eval.runners.terminal.session import Terminal

PATIENCE = 60.0


async def see(terminal: Terminal, text: str) -> str:
    """The first screen with `text` on it."""
    until = time.monotonic() + PATIENCE
    while text not in (screen := await terminal.screen()):
        assert time.monotonic() < until, screen
        await asyncio.sleep(0.02)
    return screen


async def content(sandbox: Sandbox, path: str) -> bytes:
    """A file, as soon as it is there and not empty."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            if found := await sandbox.get(path):
                return found
        except FileNotFoundError:
            pass
        assert time.monotonic() < until, f"{path} does not come"
        await asyncio.sleep(0.05)


async def absent(sandbox: Sandbox, path: str) -> bool:
    """Whether there is no such file."""
    return (await sandbox.exec(f"test -e {path}", timeout=20)).exit_code == 1
