"""Files and folders in and out of a container, through the daemon's tar archives."""

import io
import posixpath
import stat
import tarfile
import time
from collections.abc import Mapping
from typing import IO, Any

from longcat_eval.protocols import SandboxError
from longcat_eval.runners.sandbox.trees import pack_folders, unpack_tree

LARGEST_PUT = 1 << 30
HTTP_NOT_FOUND = 404
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
    chunks, about = _opened(api, container, path)
    try:
        if about["mode"] & _GO_IRREGULAR:
            raise OSError(f"{path} is not a file")
        if about["size"] > max_bytes:
            raise OSError(f"{path} has {about['size']} bytes, more than {max_bytes}")
        return _only_member(chunks, path, max_bytes)
    finally:
        chunks.close()


def put_folder(api: Any, container: str, path: str, archive: IO[bytes]) -> None:
    """Unpack an archive of `trees.pack_tree` at `path`, which is made where it is not there.

    Raises `NotADirectoryError` where something else is. The container need not run.
    """
    from docker.errors import APIError

    there, missing = path, list[str]()
    while there != "/" and not _exists(api, container, there):
        there, name = posixpath.split(there)
        missing.append(name)
    try:
        if missing:
            names = ["/".join(reversed(missing[depth:])) for depth in range(len(missing) - 1, -1, -1)]
            api.put_archive(container, there, pack_folders(names))
        archive.seek(0)
        if not api.put_archive(container, path, archive):
            raise SandboxError("daemon_error", f"{path} could not be written")
    except APIError as error:
        if "not a directory" in str(error.explanation):
            raise NotADirectoryError(path) from None
        raise


def _exists(api: Any, container: str, path: str) -> bool:
    """Whether a path is there; asked before a large body is sent, to which no early refusal comes through."""
    url = f"{api.base_url}/v{api.api_version}/containers/{container}/archive"
    answer = api.head(url, params={"path": path}, timeout=api.timeout)
    return bool(answer.status_code != HTTP_NOT_FOUND)


def get_folder(api: Any, container: str, path: str, max_bytes: int) -> dict[str, bytes]:
    """Read a folder's regular files by relative path, through a link to it.

    Raises `FileNotFoundError`, `NotADirectoryError`, and `OSError` for more than `max_bytes`.
    """
    chunks, about = _opened(api, container, path)
    try:
        if not about["mode"] & _GO_DIRECTORY:
            raise NotADirectoryError(path)
        return unpack_tree(chunks, max_bytes)
    finally:
        chunks.close()


def _opened(api: Any, container: str, path: str) -> tuple[Any, Mapping[str, Any]]:
    """The archive of a path, through links, and what the daemon says of it; the caller closes it."""
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
            return chunks, about
        chunks.close()
        path = posixpath.join(posixpath.dirname(path), about["linkTarget"])
    raise OSError(f"{path}: too many links")


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
