"""Folders as tar archives: what goes into a container belongs to root, what comes out is files alone."""

import fnmatch
import io
import os
import posixpath
import stat
import tarfile
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

Tree = Path | Mapping[str, bytes | Path]
"""A folder whose content is meant, or contents by relative path; a path among them is a file or a folder."""

IN_MEMORY_BYTES = 32 << 20
"""An archive that may be larger is written to a temporary file."""
MOST_ENTRIES = 100_000


def pack_tree(tree: Tree, exclude: Sequence[str] = ()) -> IO[bytes]:
    """Return an archive, at its begin, of the tree's files, folders and links with their modes, all root's.

    `exclude` are patterns of which none fits a path that goes in, or one of its names. Raises `OSError` for
    what cannot be read or is neither file, folder nor link.
    """
    entries = list(_entries(tree, exclude))
    size = sum(
        content.lstat().st_size if isinstance(content, Path) else len(content) for _, content in entries
    )
    archive = io.BytesIO() if size <= IN_MEMORY_BYTES else tempfile.TemporaryFile()  # noqa: SIM115 - returned
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in entries:
            _add(tar, name, content)
    archive.seek(0)
    return archive


def pack_folders(names: Iterable[str]) -> bytes:
    """An archive of empty folders, the outer ones first."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode, entry.mtime = tarfile.DIRTYPE, 0o755, int(time.time())
            tar.addfile(entry)
    return archive.getvalue()


def _entries(tree: Tree, exclude: Sequence[str], prefix: str = "") -> Iterator[tuple[str, bytes | Path]]:
    if isinstance(tree, Path):
        tree = {child.name: child for child in tree.iterdir()}
    for name, content in sorted(tree.items()):
        path = prefix + name
        if excluded(path, exclude):
            continue
        yield path, content
        if isinstance(content, Path) and content.is_dir() and not content.is_symlink():
            yield from _entries(content, exclude, f"{path}/")


def excluded(path: str, patterns: Iterable[str]) -> bool:
    """Whether a pattern fits the path, or one of its names."""
    names = [path, *path.split("/")]
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns for name in names)


def _add(tar: tarfile.TarFile, name: str, content: bytes | Path) -> None:
    entry = tarfile.TarInfo(name)
    entry.mtime = int(time.time())
    if isinstance(content, bytes):
        entry.size, entry.mode = len(content), 0o644
        tar.addfile(entry, io.BytesIO(content))
        return
    about = content.lstat()
    entry.mode, entry.mtime = stat.S_IMODE(about.st_mode), int(about.st_mtime)
    if stat.S_ISLNK(about.st_mode):
        entry.type, entry.linkname = tarfile.SYMTYPE, os.fspath(content.readlink())
        tar.addfile(entry)
    elif stat.S_ISDIR(about.st_mode):
        entry.type = tarfile.DIRTYPE
        tar.addfile(entry)
    elif stat.S_ISREG(about.st_mode):
        with content.open("rb") as file:
            entry.size = os.fstat(file.fileno()).st_size
            tar.addfile(entry, file)
    else:
        raise OSError(f"{content} is neither a file nor a folder nor a link")


def unpack_tree(chunks: Iterable[bytes], max_bytes: int, *, top: bool = True) -> dict[str, bytes]:
    """The regular files of an archive by relative path; with `top` under its one folder.

    Links and devices are left out, a second name of a file is a file. Raises `OSError` for a path that leaves
    the folder, and for more than `max_bytes` of content or `MOST_ENTRIES`.
    """
    found: dict[str, bytes] = {}
    left = max_bytes
    try:
        with tarfile.open(fileobj=_Reader(chunks), mode="r|") as tar:
            for count, member in enumerate(tar):
                name = _relative(member.name, top=top)
                left -= member.size if member.isreg() else 0
                if left < 0 or count > MOST_ENTRIES:
                    raise OSError(f"the folder holds more than {max_bytes} bytes or {MOST_ENTRIES} files")
                if member.isreg() and name:
                    content = tar.extractfile(member)
                    found[name] = content.read() if content is not None else b""
                elif member.islnk() and _relative(member.linkname, top=top) in found:
                    found[name] = found[_relative(member.linkname, top=top)]
    except tarfile.TarError as error:
        raise OSError(f"the folder does not come as an archive: {error}") from None
    return found


def _relative(name: str, *, top: bool) -> str:
    path = posixpath.normpath(name)
    if path.startswith(("/", "../")) or path == "..":
        raise OSError(f"{name!r} leaves the folder")
    if top:
        return path.partition("/")[2]
    return "" if path == "." else path


class _Reader(io.RawIOBase):
    """A file over chunks, as far as tarfile's streams need one."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks, self._ready = iter(chunks), memoryview(b"")

    def read(self, size: int = -1) -> Any:
        """Return up to `size` bytes, fewer only at the end."""
        parts, missing = [], size
        while missing > 0:
            if not self._ready:
                self._ready = memoryview(next(self._chunks, b""))
                if not self._ready:
                    break
            parts.append(bytes(self._ready[:missing]))
            missing -= len(parts[-1])
            self._ready = self._ready[len(parts[-1]) :]
        return b"".join(parts)
