"""A sandbox without walls, for tests of the agent loop alone: commands run on this machine, as this user.

Never for anything a model wrote: it isolates nothing.
"""

import asyncio
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path

from longcat_eval.protocols import ExecResult

LONGEST_ARGUMENT = 100_000


class LocalSandbox:
    """`protocols.Sandbox` over `subprocess`; paths are this machine's, so tests keep to their tmp_path."""

    image_id = "local"

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.commands: list[str] = []
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(scratch),
            "LANG": "C.UTF-8",
            "GIT_CONFIG_NOSYSTEM": "1",
        }

    async def exec(
        self,
        command: str,
        *,
        timeout: float,
        user: str | None = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> ExecResult:
        self.commands.append(command)
        arguments = ["-c", command]
        if len(command.encode()) > LONGEST_ARGUMENT:
            script = self.scratch / f"long-{len(self.commands)}.sh"
            script.write_text(command, encoding="utf-8")
            arguments = [str(script)]
        started = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            "bash",
            *arguments,
            cwd=cwd,
            env={**self.env, **(env or {}), "BASH_ENV": ""},  # the .bashrc of this machine is not an image's
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        reading = asyncio.create_task(process.communicate())
        done, _ = await asyncio.wait({reading}, timeout=timeout)
        if not done:
            os.killpg(process.pid, signal.SIGKILL)
        output, _ = await reading
        code = (process.returncode or 0) if done else 124
        return ExecResult(code, output, not done, False, seconds=time.monotonic() - started)

    async def put(self, path: str, content: bytes, *, mode: int = 0o644) -> None:
        _write(Path(path), content, mode)

    async def get(self, path: str, *, max_bytes: int = 64 << 20) -> bytes:
        return _read(Path(path), max_bytes)

    async def open_stream(self, *_: object, **__: object) -> object:
        raise NotImplementedError

    async def restart(self) -> None:
        """Nothing outlives its command here."""

    async def snapshot(self, tag: str = "") -> str:
        raise NotImplementedError

    async def stop(self) -> None:
        """Nothing to remove."""


def _write(path: Path, content: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)


def _read(path: Path, max_bytes: int) -> bytes:
    if not path.exists():
        raise FileNotFoundError(path)
    if not path.is_file():
        raise OSError(f"{path} is not a file")
    content = path.read_bytes()
    if len(content) > max_bytes:
        raise OSError(f"{path} has {len(content)} bytes, more than {max_bytes}")
    return content
