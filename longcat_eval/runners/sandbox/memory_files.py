"""Files in a container's tmpfs mounts: the daemon's archives do not reach them, a process inside does.

An archive is written below such a mount and read past it, without a word.
"""

import asyncio
import io
import posixpath
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import IO

from longcat_eval.protocols import SandboxError
from longcat_eval.runners.sandbox.stream import ExecStream
from longcat_eval.runners.sandbox.trees import unpack_tree

OpenStream = Callable[[Sequence[str]], Awaitable[ExecStream]]
"""Starts a program in the container as root."""

ALWAYS = ("/dev",)
"""A tmpfs in every container, with /dev/shm."""
PIECE = 1 << 18
MISSING, WRONG, NO_TAR = 44, 45, 46

_REST = "code=$?; cat >/dev/null; exit $code"
"""A program that ends with input unread leaves the daemon's connection hanging for minutes."""
_PUT = f'{{ mkdir -p -- "${{1%/*}}/" 2>&1 && cat >"$1" && chmod "$2" "$1"; }} || {{ {_REST}; }}'
_PUT_TREE = (
    f'{{ {{ command -v tar >/dev/null || ( exit {NO_TAR} ); }} && mkdir -p -- "$1" && tar -xf - -C "$1"; }} '
    f"|| {{ {_REST}; }}"
)
_GET = f'[ -e "$1" ] || exit {MISSING}; [ -f "$1" ] || exit {WRONG}; exec cat -- "$1"'
_GET_TREE = (
    f'[ -e "$1" ] || exit {MISSING}; [ -d "$1" ] || exit {WRONG}; '
    f'command -v tar >/dev/null || exit {NO_TAR}; exec tar -cf - -C "$1" . 2>/dev/null'
)


def in_memory(path: str, mounts: Iterable[str]) -> bool:
    """Whether a path is in one of the mounts, or holds one."""
    below = posixpath.normpath(path).rstrip("/") + "/"
    return any(below.startswith(f"{mount}/") for mount in (*mounts, *ALWAYS)) or any(
        mount.startswith(below) for mount in mounts
    )


async def put_one(open_stream: OpenStream, path: str, content: bytes, mode: int) -> None:
    """Write one file, and the folders on the way to it."""
    await _feed(open_stream, [_PUT, "sh", path, f"{mode:o}"], io.BytesIO(content), path)


async def put_many(open_stream: OpenStream, path: str, archive: IO[bytes]) -> None:
    """Unpack an archive at `path`, which is made where it is not there."""
    await _feed(open_stream, [_PUT_TREE, "sh", path], archive, path)


async def get_one(open_stream: OpenStream, path: str, max_bytes: int) -> bytes:
    """Read one file; raises as `Sandbox.get`."""
    return b"".join(await _collect(open_stream, [_GET, "sh", path], path, max_bytes, "is not a file"))


async def get_many(open_stream: OpenStream, path: str, max_bytes: int) -> dict[str, bytes]:
    """Read a folder's regular files; raises as `archives.get_folder`."""
    chunks = await _collect(open_stream, [_GET_TREE, "sh", path], path, 2 * max_bytes + (1 << 20), "")
    return unpack_tree(chunks, max_bytes, top=False)


async def _feed(open_stream: OpenStream, arguments: Sequence[str], content: IO[bytes], path: str) -> None:
    async with _running(open_stream, arguments) as stream:
        closed = None
        try:
            while piece := content.read(PIECE):
                await stream.send(piece)
            await stream.finish()
        except SandboxError as error:  # it ended before it had read all, and may have said why
            closed = error
        said = b"".join([piece async for piece in _pieces(stream)])
        if code := await stream.exit_code():
            raise _failure(code, path, said.decode("utf-8", "replace").strip())
        if closed is not None:
            raise closed


async def _collect(
    open_stream: OpenStream, arguments: Sequence[str], path: str, max_bytes: int, wrong: str
) -> list[bytes]:
    chunks, size = [], 0
    async with _running(open_stream, arguments) as stream:
        async for piece in _pieces(stream):
            chunks.append(piece)
            size += len(piece)
            if size > max_bytes:
                raise OSError(f"{path} has more than {max_bytes} bytes")
        code = await stream.exit_code()
        if code == WRONG and wrong:
            raise OSError(f"{path} {wrong}")
        if code and not (code == 1 and not wrong):  # tar: a file changed as it was read
            raise _failure(code, path, b"".join(chunks)[-300:].decode("utf-8", "replace"))
    return chunks


@asynccontextmanager
async def _running(open_stream: OpenStream, arguments: Sequence[str]) -> AsyncIterator[ExecStream]:
    stream = await open_stream(["/bin/sh", "-c", *arguments])
    try:
        yield stream
    except BaseException:
        await asyncio.shield(stream.close())
        raise
    await stream.hang_up()


async def _pieces(stream: ExecStream) -> AsyncIterator[bytes]:
    while piece := await stream.read(PIECE):
        yield piece


def _failure(code: int | None, path: str, said: str) -> Exception:
    if code == MISSING:
        return FileNotFoundError(path)
    if code == WRONG:
        return NotADirectoryError(path)
    if code == NO_TAR:
        return SandboxError(
            "image_unusable", f"{path} is in memory, and a folder there needs tar in the image"
        )
    return OSError(f"{path}: {said or f'exit code {code}'}")
