"""A build by the daemon's own builder, over one connection: closing it ends the build.

Docker Engine API: "Build an image" (version 1).
"""

import asyncio
import contextlib
import json
import os
import re
from collections.abc import AsyncIterator, Callable, Mapping
from typing import IO, Any
from urllib.parse import urlencode

from longcat_eval.protocols import SandboxError
from longcat_eval.runners.sandbox.hijack import Connection, Endpoint

PIECE_BYTES = 1 << 20
_RED = re.compile(r"\x1b\[(91|0)m")
"""Around each piece of stderr, wherever it was cut."""

Say = Callable[[str], None]


class RefusedError(Exception):
    """The builder ended with an error; its words are the message."""


async def classic_build(
    endpoint: Endpoint,
    version: str,
    archive: IO[bytes],
    settings: Mapping[str, Any],
    say: Say,
) -> str:
    """Build from an archive and return the image's id; `say` hears the log as it comes.

    `settings` are the query's fields; mappings among them are sent as JSON. Raises `RefusedError`, or
    `SandboxError` (`daemon_lost`). When it is cancelled, so is the build.
    """
    query = {
        name: json.dumps(value) if isinstance(value, Mapping) else value for name, value in settings.items()
    }
    size = archive.seek(0, os.SEEK_END)
    archive.seek(0)
    head = (
        f"POST /v{version}/build?{urlencode(query)} HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n"
        f"Content-Type: application/x-tar\r\nContent-Length: {size}\r\n{_logins()}\r\n"
    )
    try:
        connection = await endpoint.connect()
    except OSError as error:
        raise SandboxError("daemon_lost", f"build: {error}") from None
    try:
        sending = asyncio.create_task(_send(connection, head.encode("ascii"), archive))
        try:
            return await _answer(connection.reader, say)
        finally:
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await sending
    except (OSError, asyncio.IncompleteReadError, ValueError) as error:
        raise SandboxError("daemon_lost", f"build: {type(error).__name__}: {error}") from None
    finally:
        await connection.close()


def _logins() -> str:
    """The header with the logins of the user's docker configuration, for images that a build pulls."""
    from docker import auth

    config: Any = auth.load_config()
    logins = config.get_all_credentials()
    return f"X-Registry-Config: {auth.encode_header(logins).decode('ascii')}\r\n" if logins else ""


async def _send(connection: Connection, head: bytes, archive: IO[bytes]) -> None:
    """Write request and archive. A daemon that refuses early closes: its answer says why, not this."""
    with contextlib.suppress(ConnectionError):
        connection.writer.write(head)
        while piece := await asyncio.to_thread(archive.read, PIECE_BYTES):
            connection.writer.write(piece)
            await connection.writer.drain()
        await connection.writer.drain()


async def _answer(reader: asyncio.StreamReader, say: Say) -> str:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status = int(head.split(None, 2)[1])
    body = _chunks(reader) if "transfer-encoding: chunked" in head.lower() else _rest(reader)
    if status != 200:
        text = b"".join([piece async for piece in body]).decode("utf-8", "replace")
        with contextlib.suppress(ValueError, KeyError, TypeError):
            text = json.loads(text)["message"]
        raise RefusedError(text.strip())
    image = ""
    async for event in _events(body):
        if refused := event.get("error"):
            raise RefusedError(str(refused).strip())
        image = (event.get("aux") or {}).get("ID") or image
        if said := event.get("stream"):
            say(_RED.sub("", said))
        elif (news := event.get("status")) and "progress" not in event:
            say(f"{news}\n")
    if not image:
        raise SandboxError("daemon_lost", "build: the daemon closed the connection before the end")
    return image


async def _events(body: AsyncIterator[bytes]) -> AsyncIterator[dict[str, Any]]:
    """One JSON object a line, wherever the pieces are cut."""
    left = b""
    async for piece in body:
        *lines, left = (left + piece).split(b"\n")
        for line in lines:
            if line.strip():
                yield json.loads(line)
    if left.strip():
        yield json.loads(left)


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        yield await reader.readexactly(size)
        await reader.readexactly(2)


async def _rest(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while piece := await reader.read(PIECE_BYTES):
        yield piece
