"""Where the official grader comes from: the wheel of `swebench`, fetched alone, or an installed one.

`swebench` 5 declares an environment of 490 MB (82 packages), of which reading a test log needs one: unidiff,
which the extra [swe] brings. So its wheel (143 KB, MIT) is fetched by itself, and `adapter.py` imports from
it the modules that grade.
"""

import re
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.tasks.unpacked_wheel import UnpackedWheel

VERSION = "5.0.2"
WHEEL = f"swebench=={VERSION}"
WHEEL_SHA256 = "b7f0416a1e686eca22c2f749b5f816685a202835032f6683080e2b53545bbb62"
RECORD = f"swebench-{VERSION}.dist-info/RECORD"
RECORD_SHA256 = "51f92cb49141fd23219a3449a03d0dc74b720226e84e83839b1dbb2ba74b96f9"
REMEDY = f"check network and index, or pip install 'swebench>={VERSION},<6'"


class Swebench(NamedTuple):
    """One copy of `swebench`: the folder that holds its package, and its version."""

    folder: Path
    version: str

    def __str__(self) -> str:
        return f"swebench {self.version}"


def cached_package() -> Path:
    """Where the unpacked wheel is kept, present or not."""
    from platformdirs import user_cache_path

    return user_cache_path("longcat-eval") / "swebench" / f"swebench-{VERSION}"


def fetch_swebench() -> Path:
    """Return the folder of the checked package, downloading and unpacking it once (143 KB, 620 KB unpacked).

    A damaged one is replaced. Raises `EnvironmentUnusableError`.
    """
    return _wheel().fetch()


def find_swebench() -> Swebench:
    """Return the fetched package, else an installed one of a known version.

    Raises `EnvironmentUnusableError` where there is none, or where unidiff is missing.
    """
    if find_spec("unidiff") is None:
        raise EnvironmentUnusableError(
            "grading SWE-bench needs the module unidiff: pip install 'longcat-eval[swe]'"
        )
    wheel = _wheel()
    damaged = wheel.damaged(wheel.folder)
    if not damaged:
        return Swebench(wheel.folder, VERSION)
    installed = _installed()
    if installed is not None:
        return installed
    trouble = f"{damaged} in {wheel.folder} is damaged" if wheel.folder.exists() else "swebench is not here"
    raise EnvironmentUnusableError(
        f"{trouble}: `longcat-eval fetch swebench` fetches it (143 KB, MIT), or pip install "
        f"'swebench>={VERSION},<6'"
    )


def is_known(version: str) -> bool:
    """Whether `adapter.py` works with this version: from 5.0.2 on, below 6."""
    numbers = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", version)
    return numbers is not None and (5, 0, 2) <= tuple(int(part or 0) for part in numbers.groups()) < (6,)


def _installed() -> Swebench | None:
    try:
        found = metadata.distribution("swebench")
    except metadata.PackageNotFoundError:
        return None
    folder = Path(str(found.locate_file(".")))
    if not is_known(found.version) or not (folder / "swebench" / "harness").is_dir():
        return None
    return Swebench(folder.resolve(), found.version)


def _wheel() -> UnpackedWheel:
    return UnpackedWheel("swebench", WHEEL, WHEEL_SHA256, RECORD, RECORD_SHA256, cached_package(), REMEDY)
