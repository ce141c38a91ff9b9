"""Which run a command means when none is named."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from longcat_eval.errors import UsageError
from longcat_eval.runners.store import manifest_files


class _Start(msgspec.Struct):
    started: str


class _Starts(msgspec.Struct):
    invocations: list[_Start] = []


def latest_run(root: Path) -> Path:
    """The run directory right under `root` that was started or resumed last; `UsageError` if there is none.

    An unreadable manifest is an error and not passed over: an older run would be reported in its place.
    """
    folders = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    starts = {folder: manifests for folder in folders if (manifests := manifest_files(folder))}
    if not starts:
        raise UsageError(f"no run under {root}; name a run directory, or make one with `run`")
    return max(starts, key=lambda folder: max(_last_start(path) for path in starts[folder]))


def _last_start(manifest: Path) -> datetime:
    try:
        starts = msgspec.json.decode(manifest.read_bytes(), type=_Starts).invocations
        times = [datetime.fromisoformat(start.started) for start in starts]
    except (OSError, msgspec.DecodeError, ValueError) as error:
        raise UsageError(
            f"{manifest} cannot be read ({error}); name the run to report, or remove it"
        ) from None
    aware = [time if time.tzinfo else time.replace(tzinfo=UTC) for time in times]
    return max(aware, default=datetime.min.replace(tzinfo=UTC))
