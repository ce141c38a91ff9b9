"""One pinned wheel from the user's package index, without its dependencies, checked."""

import hashlib
import re
import subprocess
import sys
from pathlib import Path

from longcat_eval.errors import EnvironmentUnusableError

DOWNLOAD_TIMEOUT = 1800.0


def download_wheel(
    requirement: str, known_sha256: str, folder: Path, remedy: str, platform: str = ""
) -> Path:
    """Let pip download the wheel `name==version` into `folder` and return it, checked.

    It is the user's own pip, so indexes, proxies and certificates are those of the user. `platform` is the
    wheel's tag where it is for another machine than this one. Raises `EnvironmentUnusableError`, with `remedy`
    at its end where pip could not download.
    """
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download"]
    command += ["--quiet", "--no-deps", "--only-binary", ":all:", "--dest", str(folder)]
    command += [*(("--platform", platform) if platform else ()), requirement]
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
    wheel = next(folder.glob("*.whl"))
    if sha256(wheel) != known_sha256:
        raise EnvironmentUnusableError(
            f"{requirement} from your index is not the known file: its sha256 differs"
        )
    return wheel


def pip_error(stderr: str) -> str:
    """The last error line of pip, without credentials that stand in an address."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")] or lines[-1:] or ["no reason given"]
    return re.sub(r"//[^/@\s]+@", "//", errors[-1].removeprefix("ERROR:").strip())[:200]


def sha256(path: Path) -> str:
    """The file's SHA-256 in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
