"""Predictions in the official format: who made which patch. Read to grade them, written to share them.

`instance_id`, `model_name_or_path`, `model_patch`, as a list, as an object by instance, or a line each.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from longcat_eval.errors import UsageError
from longcat_eval.records import Wire

SHOWN = 5


class Predictions(NamedTuple):
    """Patches by instance, None where there is a record without one; `model` is whose they are, if it says.

    `sha256` is that of the file.
    """

    patches: Mapping[str, bytes | None]
    model: str
    sha256: str


def read_predictions(path: Path, known: Iterable[str]) -> Predictions:
    """Read a file of predictions for instances of `known`; `UsageError` says what is wrong with it."""
    path = path.expanduser()
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"--grade-only {path}: {error.strerror}") from None
    patches: dict[str, bytes | None] = {}
    models: set[str] = set()
    for name, record in _records(path, content):
        if name in patches:
            raise UsageError(f"{path}: two predictions for {name}")
        patches[name] = _patch(path, name, record.get("model_patch"))
        models.add(str(record.get("model_name_or_path") or ""))
    if not patches:
        raise UsageError(f"{path} holds no predictions")
    if unknown := sorted(patches.keys() - set(known)):
        raise UsageError(f"{path}: this benchmark has no instance {_listed(unknown)}")
    if len(models) > 1:
        raise UsageError(f"{path} mixes models, give one at a time: {_listed(sorted(models))}")
    return Predictions(patches, models.pop(), hashlib.sha256(content).hexdigest())


def write_predictions(path: Path, records: Sequence[tuple[str, str]], model: str) -> None:
    """Write (instance, patch) pairs, as JSON lines where the name ends in .jsonl, else as a list."""
    rows = [
        {"instance_id": name, "model_name_or_path": model, "model_patch": patch} for name, patch in records
    ]
    if path.suffix == ".jsonl":
        path.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
    else:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(rows), indent=2) + b"\n")


def _records(path: Path, content: bytes) -> list[tuple[str, Wire]]:
    try:
        lines = path.suffix == ".jsonl"
        read: Any = msgspec.json.Decoder().decode_lines(content) if lines else msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is no JSON{' lines' if lines else ''}: {error}") from None
    if isinstance(read, dict):
        read = [{"instance_id": name, **_object(path, record)} for name, record in read.items()]
    if not isinstance(read, list):
        raise UsageError(f"{path}: predictions are a list, an object by instance_id, or JSON lines")
    return [(_name(path, record), record) for record in read]


def _object(path: Path, record: Any) -> Wire:
    if not isinstance(record, dict):
        raise UsageError(f"{path}: a prediction is an object with instance_id and model_patch")
    return record


def _name(path: Path, record: Any) -> str:
    name = _object(path, record).get("instance_id")
    if not isinstance(name, str):
        raise UsageError(f"{path}: a prediction has no instance_id")
    return name


def _patch(path: Path, name: str, patch: Any) -> bytes | None:
    if patch is not None and not isinstance(patch, str):
        raise UsageError(f"{path}: model_patch of {name} is no text")
    return None if patch is None else patch.encode("utf-8", "replace")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(name or "(no name)" for name in names[:SHOWN]) + more
