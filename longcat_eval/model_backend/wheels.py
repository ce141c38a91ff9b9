"""Pinned files from the user's package index, without their dependencies, checked."""

import hashlib
import platform
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from longcat_eval.errors import EnvironmentUnusableError

DOWNLOAD_TIMEOUT = 1800.0
PINS_FILE = "pins.txt"

Pins = Mapping[str, list[str]]
"""`name==version` -> sha256 of each file of it that will do (one per kind of machine)."""


def download_wheel(
    requirement: str, known_sha256: str, folder: Path, remedy: str, platform: str = ""
) -> Path:
    """Let pip download the wheel `name==version` into `folder` and return it, checked.

    It is the user's own pip, so indexes, proxies and certificates are those of the user. `platform` is the
    wheel's tag where it is for another machine than this one. Raises `EnvironmentUnusableError`, with
    `remedy` at its end where pip could not download.
    """
    flags = ["--only-binary", ":all:", *(("--platform", platform) if platform else ())]
    return _download(requirement, known_sha256, folder, remedy, flags)


def download_source(requirement: str, known_sha256: str, folder: Path, remedy: str) -> Path:
    """The same for the source distribution, whichever Python it is for.

    Nothing of it is installed; pip asks its build backend for its metadata, in an environment of its own.
    """
    name = requirement.partition("==")[0]
    return _download(
        requirement, known_sha256, folder, remedy, ["--no-binary", name, "--ignore-requires-python"]
    )


def _download(requirement: str, known_sha256: str, folder: Path, remedy: str, flags: Sequence[str]) -> Path:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download"]
    command += ["--quiet", "--no-deps", "--dest", str(folder), *flags, requirement]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=DOWNLOAD_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        raise EnvironmentUnusableError(
            f"pip took over {DOWNLOAD_TIMEOUT:g} s to download {requirement}"
        ) from None
    if done.returncode:
        raise EnvironmentUnusableError(
            f"pip cannot download {requirement} ({pip_error(done.stderr)}); {remedy}"
        )
    file = next(path for path in folder.iterdir() if path.is_file())
    if sha256(file) != known_sha256:
        raise EnvironmentUnusableError(
            f"{requirement} from your index is not the known file: its sha256 differs"
        )
    return file


def download_pinned(pins: Pins, folder: Path, how: Sequence[str]) -> None:
    """Let pip download one file of each pin into `folder`, beside a list of the pins.

    `how` are further flags of `pip download`. Raises `EnvironmentUnusableError`.
    """
    lines = [[name, *(f"--hash=sha256:{known}" for known in hashes)] for name, hashes in pins.items()]
    listed = folder / PINS_FILE
    listed.write_text("\n".join(map(" ".join, lines)), encoding="utf-8")
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download"]
    command += ["--quiet", "--no-deps", "--require-hashes", "--dest", str(folder), *how, "-r", str(listed)]
    first = next(iter(pins))
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=DOWNLOAD_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        raise EnvironmentUnusableError(f"pip took over {DOWNLOAD_TIMEOUT:g} s for {first}") from None
    if done.returncode:
        raise EnvironmentUnusableError(
            f"pip cannot download {first} and its like ({pip_error(done.stderr)}); check network and index"
        )


def wheels_for(python: str, *glibc: str) -> list[str]:
    """Flags of `pip download` for wheels for that CPython on this kind of machine, in a container.

    `glibc` are versions (`2_28`) whose wheels will do, beside those that run everywhere.
    """
    machine = platform.machine()
    return [
        *("--only-binary", ":all:", "--python-version", python, "--implementation", "cp"),
        *("--platform", f"manylinux2014_{machine}", "--platform", f"manylinux_2_17_{machine}"),
        *(flag for version in glibc for flag in ("--platform", f"manylinux_{version}_{machine}")),
    ]


def pip_error(stderr: str) -> str:
    """The last error line of pip, without credentials that stand in an address."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")] or lines[-1:] or ["no reason given"]
    return re.sub(r"//[^/@\s]+@", "//", errors[-1].removeprefix("ERROR:").strip())[:200]


def sha256(path: Path) -> str:
    """The file's SHA-256 in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
