"""Test runs that are not made twice: by patch, tests, image and grader, in the user's cache.

An equal patch of another repeat, of a resumed run or of another model needs no second run of its tests.
"""

import contextlib
import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import zstandard

from longcat_eval.records import Sample
from longcat_eval.tasks.swe.data import TEST_LISTS
from longcat_eval.tasks.swe.evaluation import Evaluation, Limits

RECIPE = 1
"""Goes up with every change in how tests are run here."""


class KeptGrade(msgspec.Struct, frozen=True):
    """A test run as it was kept; `time` is when it was made, in ISO 8601."""

    time: str
    evaluation: Evaluation


def grade_key(sample: Sample, script: str, patch: bytes, image_id: str, swebench: str, limits: Limits) -> str:
    """Return sha256 over all that decides a test run and its reading."""
    tests = {name: sample.fields[name] for name in TEST_LISTS}
    parts = [RECIPE, sample.id, tests, sample.fields["log_parser"], script, image_id, swebench, limits]
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted") + b"\0" + patch).hexdigest()


def kept_folder() -> Path:
    """Where they are kept; the folder may be removed at any time."""
    from platformdirs import user_cache_path

    return user_cache_path("longcat-eval") / "swe-grades"


def look_up(key: str) -> KeptGrade | None:
    """The kept run of a key; a file that cannot be read counts as none."""
    try:
        content = zstandard.ZstdDecompressor().decompress(_file(key).read_bytes())
        return msgspec.json.decode(content, type=KeptGrade)
    except (OSError, zstandard.ZstdError, msgspec.DecodeError):
        return None


def keep(key: str, evaluation: Evaluation) -> None:
    """Keep a run; the file is written whole or not at all. Where it cannot be, the next run is made anew."""
    path = _file(key)
    fresh = path.with_suffix(f".{os.getpid()}")
    grade = KeptGrade(datetime.now(UTC).isoformat(timespec="seconds"), evaluation)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_bytes(zstandard.ZstdCompressor(level=6).compress(msgspec.json.encode(grade)))
        fresh.replace(path)


def _file(key: str) -> Path:
    return kept_folder() / key[:2] / f"{key}.zst"
