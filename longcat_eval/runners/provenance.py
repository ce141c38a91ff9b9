"""Where a run was made: versions, commit, host. Collected once at start, no secrets."""

import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from longcat_eval import __version__
from longcat_eval.runners.manifest import Invocation

PACKAGES = (
    "aiohttp",
    "antlr4-python3-runtime",
    "docstring-parser",
    "huggingface-hub",
    "latex2sympy2_extended",
    "math-verify",
    "msgspec",
    "numpy",
    "openai",
    "pyarrow",
    "pydantic",
    "scipy",
    "sympy",
    "xllamacpp",
)


def invocation(argv: list[str], settings: dict[str, Any]) -> Invocation:
    """Describe this start of the program."""
    commit, dirty = git_state(Path(__file__).resolve().parents[2])
    return Invocation(
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        argv=argv,
        version=__version__,
        python=sys.version.split()[0],
        packages={name: v for name in PACKAGES if (v := _version(name))},
        git_commit=commit,
        git_dirty=dirty,
        host=platform.platform(),
        settings=settings,
    )


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def git_state(root: Path) -> tuple[str | None, bool | None]:
    """Commit and dirty flag of a checkout; (None, None) where `root` is none, such as an installed wheel."""
    if not (root / ".git").exists():
        return None, None
    try:
        commit, status = (
            subprocess.run(
                ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=5, check=True
            ).stdout.strip()
            for arguments in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
        )
    except (OSError, subprocess.SubprocessError):
        return None, None
    return commit, bool(status)
