"""The whole command line in one process, and a fake endpoint in a thread beside it."""

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from loopback import FakeEndpoint

from longcat_eval.cli.main import main

SERVED = ("m", "some-model", "meituan-longcat/LongCat-Flash-Lite")


class Ran(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str


Cli = Callable[..., Ran]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Cli:
    """`cli("run", "--task", ...)` in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.setenv("NO_COLOR", "1")

    def call(*arguments: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["longcat-eval", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capsys.readouterr()
        return Ran(code, out, err)

    return call


@contextmanager
def serving(*arguments: Any, **options: Any) -> Iterator[FakeEndpoint]:
    """A fake endpoint in a thread of its own, while the block runs."""
    server = FakeEndpoint(*arguments, **{"models": SERVED, **options})
    ready = threading.Event()
    loop, done = asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        async with server:
            ready.set()
            await done.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert ready.wait(5)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join(5)
        loop.close()


@pytest.fixture
def endpoint() -> Iterator[FakeEndpoint]:
    """A fault-free endpoint that honours seeds."""
    with serving() as server:
        yield server
