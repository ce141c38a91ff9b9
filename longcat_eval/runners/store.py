"""The run directory: an append-only line per attempt beside its transcript, safe against kill -9 (DESIGN §4).

A frame of transcripts.zst is written before its row of samples.jsonl, each by one write; a resume cuts what a
kill left torn. One writer per shard holds a lock; readers need none.
"""

import fcntl
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec
import zstandard

from longcat_eval.errors import EnvironmentUnusableError, UsageError
from longcat_eval.records import AttemptKey, AttemptRow, Transcript
from longcat_eval.runners.manifest import Manifest

FSYNC_SECONDS = 10.0

_rows = msgspec.json.Decoder(AttemptRow)
_transcripts = msgspec.json.Decoder(Transcript)


class RunData(NamedTuple):
    """A run as read from disk: one row per key, the newest valid one, else the newest."""

    path: Path
    manifest: Manifest
    rows: list[AttemptRow]


class LostTranscriptError(EnvironmentUnusableError):
    """A row's transcript is not on the disk, or not whole."""


class RunWriter:
    """The single writer of one shard of a run directory."""

    def __init__(self, path: Path, shard: str | None = None) -> None:
        part = f"-{shard}" if shard else ""
        self.path = path
        self.manifest_path = path / f"manifest{part}.json"
        self.rows_path = path / f"samples{part}.jsonl"
        self.frames_path = path / f"transcripts{part}.zst"
        self._compress = zstandard.ZstdCompressor(level=3).compress
        self._encode = msgspec.json.Encoder().encode
        self._synced = time.monotonic()
        self._fds: list[int] = []

    def open(self) -> list[AttemptRow]:
        """Lock the shard, cut a torn tail, and return the rows that stand."""
        with _disk_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            self._fds = [os.open(p, flags, 0o644) for p in (self.rows_path, self.frames_path)]
            self._lock()
            rows = _cut_torn_rows(self.rows_path)
            self._offset = max((r.offset + r.length for r in rows), default=0)
            size = os.fstat(self._fds[1]).st_size
            if size < self._offset:
                raise EnvironmentUnusableError(
                    f"{self.frames_path} is shorter ({size} bytes) than its rows say ({self._offset}); "
                    f"restore it or start a new directory with -o"
                )
            os.ftruncate(self._fds[1], self._offset)
        return rows

    def append(self, row: AttemptRow, transcript: Transcript) -> AttemptRow:
        """Keep one finished attempt; return its row with the place of the transcript filled in."""
        frame = self._compress(self._encode(transcript))
        row = msgspec.structs.replace(row, file=self.frames_path.name, offset=self._offset, length=len(frame))
        with _disk_errors(self.path):
            _write_all(self._fds[1], frame)
            self._offset += len(frame)
            self.append_row(row)
        return row

    def append_row(self, row: AttemptRow) -> None:
        """Keep a new verdict on a transcript that is already kept (rescore)."""
        with _disk_errors(self.path):
            _write_all(self._fds[0], self._encode(row) + b"\n")
            if time.monotonic() - self._synced > FSYNC_SECONDS:
                self._sync()

    def write_manifest(self, manifest: Manifest) -> None:
        """Replace the manifest atomically."""
        with _disk_errors(self.path):
            write_manifest(self.manifest_path, manifest)

    def close(self) -> None:
        """Flush to the disk and give up the lock."""
        if self._fds:
            self._sync()
        for fd in self._fds:
            os.close(fd)
        self._fds = []

    def _sync(self) -> None:
        for fd in reversed(self._fds):
            try:
                os.fsync(fd)
            except OSError as error:  # /dev/full and pipes cannot be synced; a full disk was reported before
                if error.errno not in (22, 28):
                    raise
        self._synced = time.monotonic()

    def _lock(self) -> None:
        try:
            fcntl.flock(self._fds[0], fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EnvironmentUnusableError(
                f"another process is writing {self.path}; wait for it, or use another directory with -o"
            ) from None


class _disk_errors:  # noqa: N801 - reads as a phrase in `with`
    """Turn a failing disk into one line; what was written before stays good."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise EnvironmentUnusableError(
                f"cannot write the run directory {self.path}: {error.strerror}; "
                f"finished attempts are kept, make room and run the same command again"
            ) from error


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Replace a manifest atomically, laid out for people to read."""
    write_atomically(path, msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")


def write_atomically(path: Path, content: bytes) -> None:
    """Write a whole file so that a reader sees the old or the new one, never half."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_run(path: Path) -> RunData:
    """Read a run directory, merged or not; `UsageError` if it is none."""
    manifests = manifest_files(path)
    if not manifests:
        raise UsageError(f"{path} is not a run directory (no manifest.json); give one that `run -o` made")
    whole = read_manifest(manifests[0])
    for other in map(read_manifest, manifests[1:]):
        whole.tasks = {**other.tasks, **whole.tasks}
        whole.roles = {**other.roles, **whole.roles}
        whole.first_requests = {**other.first_requests, **whole.first_requests}
    return RunData(path, whole, counting_rows(read_rows(path)))


def read_rows(path: Path, besides: Path | None = None) -> list[AttemptRow]:
    """Every whole row of a run directory, shard by shard, but those of the file `besides`."""
    files = (file for file in sorted(path.glob("samples*.jsonl")) if file != besides)
    return [row for file in files for row in _parse_rows(file.read_bytes(), file)[0]]


def manifest_files(path: Path) -> list[Path]:
    """The manifests of a run directory: one, or one per shard."""
    return sorted(path.glob("manifest*.json"))


def read_manifest(path: Path) -> Manifest:
    """Read one manifest; `UsageError` where it is not ours."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest)
    except msgspec.DecodeError as error:
        raise UsageError(f"{path} is not a manifest of this version: {error}") from error


def counting_rows(rows: Iterable[AttemptRow]) -> list[AttemptRow]:
    """One row per key: the newest valid one, else the newest; sorted by key."""
    best: dict[AttemptKey, AttemptRow] = {}
    for row in sorted(rows, key=lambda r: r.time):
        known = best.get(row.key)
        if known is None or row.outcome.valid or not known.outcome.valid:
            best[row.key] = row
    return [best[key] for key in sorted(best)]


def unjudged(rows: Iterable[AttemptRow]) -> dict[AttemptKey, AttemptRow]:
    """The newest attempt of each key that lacks nothing but its verdict."""
    return {row.key: row for row in sorted(rows, key=lambda r: r.time) if row.unjudged}


def read_transcript(path: Path, row: AttemptRow) -> Transcript:
    """Read the transcript of one row from the run directory `path`; raises `LostTranscriptError`."""
    try:
        with (path / row.file).open("rb") as file:
            file.seek(row.offset)
            frame = file.read(row.length)
        return _transcripts.decode(zstandard.ZstdDecompressor().decompress(frame))
    except (OSError, zstandard.ZstdError, msgspec.DecodeError) as error:
        raise LostTranscriptError(
            f"the transcript of {row.key} cannot be read from {path / row.file}: {error}"
        ) from error


def _cut_torn_rows(path: Path) -> list[AttemptRow]:
    content = path.read_bytes() if path.stat().st_size else b""
    rows, good = _parse_rows(content, path)
    if good < len(content):
        os.truncate(path, good)
    return rows


def _parse_rows(content: bytes, path: Path) -> tuple[list[AttemptRow], int]:
    """Return the rows and the length of the part of `content` that is whole lines."""
    good = content.rfind(b"\n") + 1
    try:
        return _rows.decode_lines(content[:good]), good
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise UsageError(f"{path} holds a line that is no attempt row: {error}") from error


def _write_all(fd: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]
