"""The user's notes on hub data: which commit was fetched first, which files, and their canonical hash.

`pins.json` in the user's cache folder. Where a task pins no revision, the commit noted here is used from
then on.
"""

import os
from pathlib import Path

import msgspec
import platformdirs

from longcat_eval.errors import EnvironmentUnusableError


class Pin(msgspec.Struct, frozen=True):
    """What was fetched for a task: hub repository, commit, files, hash of the samples (or empty)."""

    repo: str
    revision: str
    files: list[str]
    sha256: str = ""


def pins_file() -> Path:
    """Return where the notes are kept."""
    return Path(platformdirs.user_cache_dir("longcat-eval")) / "pins.json"


def read_pins() -> dict[str, Pin]:
    """Return the notes by task name; empty if there are none yet."""
    path = pins_file()
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Pin])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError) as error:
        raise EnvironmentUnusableError(f"{path} cannot be read ({type(error).__name__}): delete it") from None


def record_pin(name: str, pin: Pin) -> None:
    """Note `pin` for a task; the file is replaced in one step, so a reader sees the old or the new one."""
    path = pins_file()
    pins = {**read_pins(), name: pin}
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_bytes(msgspec.json.format(msgspec.json.encode(pins, order="sorted"), indent=2))
        fresh.replace(path)
    except OSError as error:
        raise EnvironmentUnusableError(f"cannot write {path}: {error.strerror}") from None
