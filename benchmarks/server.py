"""The loopback server of tests/loopback.py as a process of its own, and what it cost."""

import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from measure import cpu_seconds

SCRIPT = Path(__file__).resolve().parents[1] / "tests" / "loopback.py"
MODEL = "loopback"
"""The one model the server lists."""


class Server:
    """Answers every chat request with `text` after `latency` seconds; `base_url` ends in /v1."""

    def __init__(self, text: str, latency: float = 0.0) -> None:
        self.text, self.latency = text, latency
        self.base_url = ""

    def __enter__(self) -> Self:
        argv = [sys.executable, str(SCRIPT), "--text", self.text, "--latency", str(self.latency)]
        self._process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.base_url = self._process.stdout.readline().strip()
        if not self.base_url:
            raise RuntimeError(f"{SCRIPT} did not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    @property
    def cpu(self) -> float:
        """CPU seconds used so far."""
        return cpu_seconds(self._process.pid)
