"""The embedded model: a llama.cpp server that a run starts and stops itself."""

import asyncio
import os
import sys
from importlib.util import find_spec
from pathlib import Path

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.model_backend.endpoint import EndpointModel
from longcat_eval.protocols import ModelError
from longcat_eval.records import Completion, Outcome, Request

SLOTS = 4
START_TIMEOUT = 60.0
STOP_TIMEOUT = 5.0
LOGS_KEPT = 5
# libgomp's threads spin at barriers: on two cores 10 tok/s, not 39, beside one busy process; 0 beside two.
PATIENT = {"OMP_WAIT_POLICY": "passive"}


class EmbeddedServer:
    """The server process; made by `start`, ended by `stop`, and dead when this process dies."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self.process, self.log = process, log
        self.address = ""

    @classmethod
    async def start(
        cls, model: Path, alias: str, slots: int = SLOTS, timeout: float = START_TIMEOUT
    ) -> "EmbeddedServer":
        """Start a server on a free loopback port and wait until it answers; timeout in seconds.

        Raises `EnvironmentUnusableError` without xllamacpp, and where the server does not come up.
        """
        need_xllamacpp()
        log = new_log()
        command = [sys.executable, "-m", f"{__package__}.embedded_server", "--model", str(model)]
        command += ["--alias", alias, "--slots", str(slots)]
        with log.open("wb") as stderr:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
                env=PATIENT | os.environ,
                start_new_session=True,  # Ctrl-C at the terminal is for us: open requests are to be finished
            )
        server = cls(process, log)
        try:
            async with asyncio.timeout(timeout):
                server.address = await server._announced()
                await server._healthy()
        except TimeoutError:
            await server.stop()
            raise EnvironmentUnusableError(
                f"the embedded model was not ready after {timeout:g} s; its log is {log}"
            ) from None
        except BaseException:
            await server.stop()
            raise
        return server

    @property
    def base_url(self) -> str:
        """Where it answers."""
        return f"{self.address}/v1"

    async def stop(self) -> None:
        """End the process; kill it if it does not go by itself."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            async with asyncio.timeout(STOP_TIMEOUT):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()

    async def _announced(self) -> str:
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()
        if not line:
            code = await self.process.wait()
            raise EnvironmentUnusableError(
                f"the embedded model did not start (exit {code}): {last_error(self.log)}; log: {self.log}"
            )
        return line.decode().strip()

    async def _healthy(self) -> None:
        import aiohttp

        async with aiohttp.ClientSession() as session:
            while True:
                try:
                    async with session.get(f"{self.address}/health") as reply:
                        if reply.status == 200:
                            return
                except aiohttp.ClientError:
                    if self.process.returncode is not None:
                        raise EnvironmentUnusableError(
                            f"the embedded model ended at once: {last_error(self.log)}; its log is {self.log}"
                        ) from None
                await asyncio.sleep(0.05)


class EmbeddedModel:
    """A model on a server of its own, which ends with it."""

    def __init__(self, model: EndpointModel, server: EmbeddedServer) -> None:
        self.model, self.server = model, server
        self.name, self.limiter = model.name, model.limiter
        self.capabilities = model.capabilities - {"loglikelihood"}  # llama.cpp echoes no prompt

    async def complete(self, request: Request) -> Completion:
        """Answer one request; raises `ModelError`."""
        try:
            return await self.model.complete(request)
        except ModelError:
            code = self.server.process.returncode
            if code is None:
                raise
        raise ModelError(
            Outcome.ENDPOINT_ERROR,
            "embedded_server_exited",
            f"the embedded model's server ended (exit {code}): {last_error(self.server.log)}",
            alike="embedded server ended",
        )

    async def close(self) -> None:
        """Close the connections and end the server."""
        try:
            await self.model.close()
        finally:
            await self.server.stop()


def need_xllamacpp() -> None:
    """Raise `EnvironmentUnusableError` where the extra is not installed."""
    if find_spec("xllamacpp") is None:
        raise EnvironmentUnusableError(
            "the embedded model needs xllamacpp: pip install 'longcat-eval[demo]', or give a --base-url"
        )


def new_log() -> Path:
    """A file in the user's cache for what one server says; old ones are dropped."""
    from platformdirs import user_cache_path

    folder = user_cache_path("longcat-eval") / "logs"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        logs = sorted(folder.glob("embedded-*.log"), key=lambda path: path.stat().st_mtime)
        for old in logs[: max(0, len(logs) - LOGS_KEPT + 1)]:
            old.unlink(missing_ok=True)
        path = folder / f"embedded-{os.getpid()}-{os.urandom(3).hex()}.log"
        path.touch()
    except OSError as error:
        raise EnvironmentUnusableError(f"cannot write a log to {folder}: {error}") from None
    return path


def last_error(log: Path) -> str:
    """The last line of a log that says something."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    return next((line.strip()[:200] for line in reversed(lines) if line.strip()), "it said nothing")
