"""Read tables from CSV, JSON lines, JSON or parquet files, gzipped or inside zip archives.

A path is virtual: members of an archive follow its name (`mmlu.zip/data/test/anatomy_test.csv`). Nothing is
unpacked to disk, and no error quotes a row, because some sets ask not to be spread in plain text.
"""

import csv
import gzip
import io
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from longcat_eval.errors import EnvironmentUnusableError

Row = dict[str, Any]
Parser = Callable[[bytes, str], list[Row]]
"""Reads the rows of a file from its content and name."""

FORMATS = ("csv", "jsonl", "parquet", "json")


def list_files(folder: Path) -> Iterator[str]:
    """Yield the virtual paths of all files below `folder`, sorted, with `/` between their parts."""
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        if path.suffix != ".zip":
            yield name
            continue
        with _opened(path) as archive:
            yield from (f"{name}/{member}" for member in sorted(archive.namelist()) if member[-1] != "/")


def first_matches(names: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """Return the names that match the first pattern that any matches; `*` also spans folders.

    A pattern without an ending stands for every format of `FORMATS` in turn, each plain or `.gz`.
    """
    for pattern in patterns:
        for ending in [""] if "." in PurePosixPath(pattern).name else [f".{form}" for form in FORMATS]:
            found = [n for n in names if _matches(n, pattern + ending)]
            if found:
                return found
    return []


def read_files(
    folder: Path, names: Sequence[str], columns: Sequence[str] = (), parse: Parser | None = None
) -> Iterator[tuple[str, list[Row]]]:
    """Yield (virtual path, rows) for `names` of `list_files(folder)`; every archive is opened once."""
    archives: dict[str, zipfile.ZipFile] = {}
    try:
        for name in names:
            archive, _, member = name.partition(".zip/")
            if not member:
                yield name, read_rows(folder / name, name, columns, parse)
                continue
            if archive not in archives:
                archives[archive] = _opened(folder / f"{archive}.zip")
            yield name, read_rows(_member(archives[archive], member, name), name, columns, parse)
    finally:
        for opened in archives.values():
            opened.close()


def read_rows(
    source: Path | bytes, name: str, columns: Sequence[str] = (), parse: Parser | None = None
) -> list[Row]:
    """Return the rows of one file, in order; `name` tells the format, `columns` names those of a bare CSV.

    `parse` reads a file of another format.

    Raises `EnvironmentUnusableError`, naming the file and what is wrong with it.
    """
    try:
        content = source if isinstance(source, bytes) else source.read_bytes()
        if name.lower().endswith(".gz"):
            content, name = gzip.decompress(content), name[: -len(".gz")]
        return parse(content, name) if parse else _parse(content, name, columns)
    except EnvironmentUnusableError:
        raise
    except OSError as error:
        raise EnvironmentUnusableError(f"cannot read {name}: {error.strerror or 'damaged file'}") from None
    except (EOFError, zlib.error, UnicodeDecodeError, csv.Error, msgspec.DecodeError) as error:
        raise EnvironmentUnusableError(
            f"{name} is damaged ({type(error).__name__}): fetch it again"
        ) from None


def _parse(content: bytes, name: str, columns: Sequence[str]) -> list[Row]:
    match PurePosixPath(name.lower()).suffix:
        case ".csv":
            return _csv(content, name, columns)
        case ".jsonl":
            return _objects(msgspec.json.Decoder().decode_lines(content), name)
        case ".json":
            return _objects(msgspec.json.decode(content), name)
        case ".parquet":
            return _parquet(content, name)
    raise EnvironmentUnusableError(f"{name}: not one of {', '.join(FORMATS)}, plain, .gz or in a .zip")


def _csv(content: bytes, name: str, columns: Sequence[str]) -> list[Row]:
    lines = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""))
    header = list(columns) or next(lines, [])
    rows = [row for row in lines if row]
    if any(len(row) != len(header) for row in rows):
        raise EnvironmentUnusableError(f"{name}: not every row has the {len(header)} columns of the first")
    return [dict(zip(header, row, strict=True)) for row in rows]


def _objects(value: Any, name: str) -> list[Row]:
    if not (isinstance(value, list) and all(isinstance(row, dict) for row in value)):
        raise EnvironmentUnusableError(f"{name} is not a list of objects")
    return value


def _parquet(content: bytes, name: str) -> list[Row]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise EnvironmentUnusableError(f"{name} needs pyarrow: pip install 'longcat-eval[data]'") from None
    try:
        rows: list[Row] = pyarrow.parquet.read_table(io.BytesIO(content)).to_pylist()
    except pyarrow.ArrowException as error:
        raise EnvironmentUnusableError(
            f"{name} is damaged ({type(error).__name__}): fetch it again"
        ) from None
    return rows


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile):
        raise EnvironmentUnusableError(f"{path.name} is not a readable zip archive: fetch it again") from None


def _member(archive: zipfile.ZipFile, member: str, name: str) -> bytes:
    try:
        return archive.read(member)
    except (RuntimeError, zipfile.BadZipFile, zlib.error, KeyError) as error:
        why = "is encrypted" if isinstance(error, RuntimeError) else "is damaged: fetch it again"
        raise EnvironmentUnusableError(f"{name} {why}") from None


def _matches(name: str, pattern: str) -> bool:
    name = name.lower().removesuffix(".gz")
    return fnmatchcase(name, pattern) and not name.startswith("__macosx/")
