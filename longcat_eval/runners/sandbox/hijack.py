"""An exec's own connection to the daemon, in asyncio: no thread waits for a command or a terminal.

The SDK can hand out such a socket too, but what its HTTP reader had already buffered is lost then, and it
blocks. Docker Engine API: "Start an exec instance", with the connection upgraded to raw TCP.
"""

import asyncio
import contextlib
import json
import ssl
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.protocols import SandboxError

if TYPE_CHECKING:
    from docker.tls import TLSConfig

BUFFER_BYTES = 1 << 20
OPEN_SECONDS = 120.0


class Connection:
    """Bytes in both directions; `close` is safe to call twice."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        process: asyncio.subprocess.Process | None = None,
    ) -> None:
        self.reader, self.writer, self._process = reader, writer, process

    async def close(self) -> None:
        """Close both directions."""
        self.writer.close()
        with contextlib.suppress(OSError, asyncio.TimeoutError):
            await asyncio.wait_for(self.writer.wait_closed(), 5)
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()


class Endpoint(NamedTuple):
    """Where the daemon listens, as DOCKER_HOST and its companions say."""

    scheme: str
    host: str
    port: int
    path: str
    tls: ssl.SSLContext | None

    async def connect(self) -> Connection:
        """Open one connection."""
        if self.scheme == "http+unix":
            return Connection(*await asyncio.open_unix_connection(self.path, limit=BUFFER_BYTES))
        if self.scheme == "ssh":
            return await _over_ssh(self.host, self.port)
        return Connection(
            *await asyncio.open_connection(self.host, self.port, ssl=self.tls, limit=BUFFER_BYTES)
        )


async def _over_ssh(host: str, port: int) -> Connection:
    """The way the docker command line does it: the remote docker connects its stdio to the daemon."""
    process = await asyncio.create_subprocess_exec(
        *("ssh", *(("-p", str(port)) if port else ()), "--", host, "docker", "system", "dial-stdio"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=BUFFER_BYTES,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    return Connection(process.stdout, process.stdin, process)


def find_endpoint() -> Endpoint:
    """Read DOCKER_HOST, DOCKER_TLS_VERIFY and DOCKER_CERT_PATH as the SDK does."""
    from docker.utils import kwargs_from_env, parse_host

    settings = kwargs_from_env()
    tls: TLSConfig | None = settings.get("tls") or None
    url = urlsplit(str(parse_host(settings.get("base_url"), False, bool(tls))))
    if url.scheme not in ("http+unix", "http", "https", "ssh"):
        raise EnvironmentUnusableError(f"DOCKER_HOST={url.geturl()}: use unix://, tcp:// or ssh://")
    host = f"{url.username}@{url.hostname}" if url.username else url.hostname or ""
    port = url.port or (0 if url.scheme == "ssh" else 2375)
    return Endpoint(url.scheme, host, port, url.path, _tls_context(tls) if tls else None)


def _tls_context(tls: "TLSConfig") -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=tls.ca_cert or None)
    if tls.cert:
        context.load_cert_chain(*tls.cert)
    if not tls.verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def start_exec(endpoint: Endpoint, version: str, exec_id: str, *, tty: bool) -> Connection:
    """Start exec `exec_id`, return its raw connection.

    Raises `SandboxError`: `container_lost` if the container is gone, `daemon_error` or `daemon_lost`.
    """
    body = json.dumps({"Detach": False, "Tty": tty}).encode()
    request = (
        f"POST /v{version}/exec/{exec_id}/start HTTP/1.1\r\nHost: docker\r\n"
        "Connection: Upgrade\r\nUpgrade: tcp\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    try:
        async with asyncio.timeout(OPEN_SECONDS):
            connection = await endpoint.connect()
            try:
                connection.writer.write(request.encode("ascii") + body)
                await connection.writer.drain()
                head = await connection.reader.readuntil(b"\r\n\r\n")
                status = int(head.split(None, 2)[1])
                if status not in (101, 200):
                    raise await _refusal(status, connection.reader)
            except BaseException:
                await connection.close()
                raise
    except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError) as error:
        raise SandboxError("daemon_lost", f"exec: {type(error).__name__}: {error}") from None
    return connection


async def _refusal(status: int, reader: asyncio.StreamReader) -> SandboxError:
    text = (await reader.read(4096)).decode("utf-8", "replace").strip()
    with contextlib.suppress(ValueError, KeyError, TypeError):
        text = json.loads(text)["message"]
    lost = status in (404, 409) or "is not running" in text  # which is a 500 for some daemons
    return SandboxError("container_lost" if lost else "daemon_error", text)
