"""The tmux of this machine, on a socket of its own: what keys, quotes and screens are compared with."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

READ = """
import sys, termios, tty
tty.setraw(0)
out = open(sys.argv[1], "wb", buffering=0)
print("ready", end="", flush=True)
while data := sys.stdin.buffer.raw.read(1 << 16):
    out.write(data)
"""
END = b"<stop>"


class HostTmux:
    """One server without configuration, with one window of 160x40."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.got = folder / "got"
        self._command = ["tmux", "-u", "-S", str(folder / "s"), "-f", "/dev/null"]

    def __call__(self, *arguments: str) -> str:
        """Run one command line of tmux and return what it prints."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("TMUX")}
        done = subprocess.run(
            [*self._command, *arguments], capture_output=True, check=True, env=environment, timeout=60
        )
        return done.stdout.decode()

    def source(self, line: str) -> None:
        """Have it read a line of its command language."""
        script = self.folder / "line"
        script.write_text(f"{line}\n", encoding="utf-8")
        self("source-file", str(script))

    def start(self, *program: str) -> None:
        """Run a program in a new window of a new server."""
        self("new-session", "-d", "-x", "160", "-y", "40", "--", *program)

    def start_reader(self) -> None:
        """Run a program that keeps what it reads in `got`."""
        script = self.folder / "read.py"
        script.write_text(READ, encoding="utf-8")
        self.start(sys.executable, str(script), str(self.got))
        self.wait_for(lambda: "ready" in self("capture-pane", "-p"))

    def sent(self, line: str) -> bytes:
        """What the reader gets when tmux reads `line`."""
        before = self.got.stat().st_size
        self.source(f"{line}\nsend-keys -l {END.decode()}")
        self.wait_for(lambda: self.got.read_bytes()[before:].endswith(END))
        return self.got.read_bytes()[before : -len(END)]

    def wait_for(self, true: "object") -> None:
        until = time.monotonic() + 30
        while not true():  # type: ignore[operator]
            assert time.monotonic() < until
            time.sleep(0.005)


def host_tmux(folder: Path) -> HostTmux:
    """A tmux to compare with; tests are skipped where there is none, and fail in CI."""
    if shutil.which("tmux") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no tmux here (apt-get install tmux)")
    return HostTmux(folder)
