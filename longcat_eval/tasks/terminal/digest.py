"""The name of a task's content: one hash over its files."""

import hashlib
import os
from pathlib import Path

IGNORED = frozenset({".git", "__pycache__", ".DS_Store"})


def folder_digest(folder: Path, variant: str = "") -> str:
    """Return sha256 over every file below `folder`: its path, whether it can be run, and its bytes.

    A link counts by its target. `variant` tells tasks of one folder apart.
    """
    whole = hashlib.sha256(f"{variant}\n".encode())
    for path in sorted(_files(folder), key=lambda p: p.relative_to(folder).as_posix()):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            kind, content = "link", hashlib.sha256(os.fsencode(path.readlink())).hexdigest()
        elif path.is_file():
            kind = "run" if path.stat().st_mode & 0o100 else "file"
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
        else:
            kind, content = "other", ""
        whole.update(f"{kind} {content} ".encode() + os.fsencode(name) + b"\n")
    return whole.hexdigest()


def _files(folder: Path) -> list[Path]:
    found = []
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in IGNORED]
        links = [name for name in folders if (Path(root) / name).is_symlink()]
        found += [Path(root) / name for name in (*files, *links) if name not in IGNORED]
    return found
