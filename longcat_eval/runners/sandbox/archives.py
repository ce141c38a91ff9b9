"""Single files in and out of a container as bytes, through the daemon's tar archives."""

import io
import posixpath
import stat
import tarfile
import time
from typing import Any

from longcat_eval.protocols import SandboxError

LARGEST_PUT = 1 << 30
_GO_DIRECTORY, _GO_SYMLINK = 1 << 31, 1 << 27
_GO_IRREGULAR = _GO_DIRECTORY | _GO_SYMLINK | 1 << 26 | 1 << 25 | 1 << 24 | 1 << 21 | 1 << 19
"""Bits of Go's os.FileMode, in which the daemon describes a path: devices, pipes, sockets and the like."""


def pack(name: str, content: bytes, mode: int) -> bytes:
    """A tar archive of one file owned by root."""
    if len(content) > LARGEST_PUT:
        raise ValueError(
            f"{name}: {len(content)} bytes are more than a sandbox takes at once ({LARGEST_PUT})"
        )
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = len(content), stat.S_IMODE(mode), int(time.time())
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(entry, io.BytesIO(content))
    return archive.getvalue()


def put_file(api: Any, container: str, path: str, content: bytes, mode: int) -> None:
    """Write one file; `FileNotFoundError` if its folder is not there."""
    from docker.errors import NotFound

    folder, name = posixpath.split(path)
    try:
        done = api.put_archive(container, folder, pack(name, content, mode))
    except NotFound as error:
        if _no_container(error):
            raise
        raise FileNotFoundError(path) from None
    if not done:
        raise SandboxError("daemon_error", f"{path} could not be written")


def get_file(api: Any, container: str, path: str, max_bytes: int) -> bytes:
    """Read one file, through links; `FileNotFoundError`, or `OSError` if too large or not a file."""
    from docker.errors import APIError, NotFound

    for _ in range(8):
        try:
            chunks, about = api.get_archive(container, path)
        except NotFound as error:
            if _no_container(error):
                raise
            raise FileNotFoundError(path) from None
        except APIError as error:
            if "too many links" in str(error.explanation):
                raise OSError(f"{path}: too many links") from None
            if "not a directory" in str(error.explanation):
                raise FileNotFoundError(path) from None
            raise
        if not about["mode"] & _GO_SYMLINK:
            break
        chunks.close()
        path = posixpath.join(posixpath.dirname(path), about["linkTarget"])
    else:
        raise OSError(f"{path}: too many links")
    try:
        if about["mode"] & _GO_IRREGULAR:
            raise OSError(f"{path} is not a file")
        if about["size"] > max_bytes:
            raise OSError(f"{path} has {about['size']} bytes, more than {max_bytes}")
        return _only_member(chunks, path, max_bytes)
    finally:
        chunks.close()


def _no_container(error: Any) -> bool:
    """Whether a 404 is about the container and not about a path in it."""
    return "No such container: " in str(error.explanation)


def _only_member(chunks: Any, path: str, max_bytes: int) -> bytes:
    archive = io.BytesIO()
    for chunk in chunks:
        archive.write(chunk)
        if archive.tell() > max_bytes + (1 << 16):
            raise OSError(f"{path} grew beyond {max_bytes} bytes while it was read")
    archive.seek(0)
    with tarfile.open(fileobj=archive) as tar:
        member = tar.next()
        content = tar.extractfile(member) if member is not None else None
        if content is None:
            raise OSError(f"{path} is not a file")
        return content.read()
