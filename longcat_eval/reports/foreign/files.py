"""Reading files of others: bounded, and every fault is one `UsageError` that names the file."""

import json
import mmap
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from longcat_eval.errors import UsageError

LARGEST = 64 << 20
"""Bytes of JSON that are read as a whole."""
LARGEST_MAPPED = 4 << 30
"""Bytes of a log whose header alone is wanted."""
ZSTANDARD = 93
"""Number of the method in a zip; Python's zipfile knows it from 3.14 on."""

SHOWN = 3
"""Names of files that are told."""

T = TypeVar("T")
R = TypeVar("R")


def unusable(path: Path, why: object) -> UsageError:
    """One line about a file that cannot be used."""
    return UsageError(f"--compare {path}: {' '.join(str(why).split())[:300]}")


def read_json(path: Path, kind: type[T], limit: int = LARGEST) -> T:
    """A JSON file of at most `limit` bytes as `kind`."""
    try:
        size = path.stat().st_size
        if size > limit:
            raise unusable(path, f"{size:,} bytes are more than the {limit:,} that are read")
        return decode(path, path.read_bytes(), kind)
    except OSError as error:
        raise unusable(path, error.strerror or error) from None


def read_mapped(path: Path, kind: type[T]) -> T:
    """What `kind` asks for of a large JSON file; the rest is passed over without being kept."""
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            if not size:
                raise unusable(path, "the file is empty")
            if size > LARGEST_MAPPED:
                raise unusable(path, f"{size:,} bytes; make an .eval log of it with `inspect log convert`")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole, memoryview(whole) as view:
                return decode(path, view, kind)
    except OSError as error:
        raise unusable(path, error.strerror or error) from None


def decode(path: Path, content: bytes | memoryview, kind: type[T]) -> T:
    """JSON as `kind`; NaN and Infinity, which Python writes and JSON has not, are allowed in small files."""
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.ValidationError as error:
        raise unusable(path, error) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if len(content) > LARGEST:
            raise unusable(path, f"no JSON: {error}") from None
    try:
        return msgspec.convert(json.loads(bytes(content)), kind)
    except (ValueError, RecursionError) as error:  # of JSON, of UTF-8, and msgspec's own
        raise unusable(path, error) from None


def zip_member(path: Path, names: tuple[str, ...]) -> tuple[str, bytes] | None:
    """The first of `names` that a zip has, with its content; None where it has none of them.

    zstd members, as Inspect writes them, are read too.
    """
    import zstandard

    try:
        with zipfile.ZipFile(path) as archive:
            there = set(archive.namelist())
            name = next((name for name in names if name in there), None)
            if name is None:
                return None
            entry = archive.getinfo(name)
            if entry.file_size > LARGEST:
                raise unusable(path, f"{name} has {entry.file_size:,} bytes, more than the {LARGEST:,} read")
            if entry.compress_type == ZSTANDARD:
                return name, _zstd_member(path, entry)
            with archive.open(entry) as member:
                return name, member.read(LARGEST + 1)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError, struct.error) as error:
        raise unusable(path, f"no whole zip: {error}") from None
    except (zlib.error, zstandard.ZstdError) as error:
        raise unusable(path, f"damaged: {error}") from None
    except OSError as error:
        raise unusable(path, error.strerror or error) from None


def _zstd_member(path: Path, entry: zipfile.ZipInfo) -> bytes:
    """What lies behind the local header: 30 bytes, the last four being the lengths of name and extra."""
    import zstandard

    with path.open("rb") as file:
        file.seek(entry.header_offset)
        name, extra = struct.unpack("<26xHH", file.read(30))
        file.seek(name + extra, 1)
        reader = zstandard.ZstdDecompressor().stream_reader(
            file.read(min(entry.compress_size, LARGEST)), read_across_frames=True
        )
        return reader.read(LARGEST + 1)


def read_all(
    files: Sequence[Path], read: Callable[[Path], R]
) -> tuple[list[tuple[Path, R]], tuple[str, ...]]:
    """What can be read of several files, and what is to be said of the others; `UsageError` where none can.

    A folder of logs often has one that a crash left behind.
    """
    found, refused = [], []
    for file in files:
        try:
            found.append((file, read(file)))
        except UsageError as error:
            refused.append((file, error))
    if refused and not found:
        raise refused[0][1]
    if not refused:
        return found, ()
    names = ", ".join(file.name for file, _ in refused[:SHOWN])
    more = f" and {len(refused) - SHOWN} more" if len(refused) > SHOWN else ""
    return found, (f"left out, because they cannot be used: {names}{more}",)
