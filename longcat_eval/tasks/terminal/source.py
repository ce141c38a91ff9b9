"""Where the tasks of terminal-bench-core come from: two source distributions on PyPI, by the user's own pip.

Task bodies carry a canary against training on them: they are kept in the user's cache and nowhere else.
"""

import shutil
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.model_backend.wheels import download_source


class Release(NamedTuple):
    """A source distribution, the folder of it that is kept, and where in that the tasks lie."""

    version: str
    sha256: str
    folder: str
    tasks: str


RELEASES = (
    Release("0.2.10", "3196ccad3e5d1c1c7b129bb1c7b279d7f44b102ca581310fc38e73207a12b981", "tasks", ""),
    Release("0.2.0", "74a3a73811afa12a513f443df5ae3e63da89508d1b93bb486a0b5ac2a9ce8de3", "dataset", "tasks"),
)
"""terminal-bench on PyPI (Apache-2.0): 100 tasks of 1.x, and 82 of the generation with `descriptions`."""


def release_folder(release: Release) -> Path:
    """Where the tasks of a release are kept."""
    from platformdirs import user_cache_path

    return user_cache_path("longcat-eval") / "terminal-bench" / f"{release.version}-{release.sha256[:12]}"


def fetched_folders() -> list[Path]:
    """The folders of tasks that were fetched, the newer release first."""
    places = [release_folder(release) / release.tasks for release in RELEASES]
    return [folder for folder in places if folder.is_dir()]


def fetch_core() -> list[Path]:
    """Fetch both releases (52 MB) unless they are here; return their folders.

    Raises `EnvironmentUnusableError`.
    """
    return [_fetch(release) / release.tasks for release in RELEASES]


def core_folder() -> Path:
    """The folder of the newer release's tasks, fetched if need be."""
    return _fetch(RELEASES[0])


def _fetch(release: Release) -> Path:
    folder = release_folder(release)
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder.parent, prefix="fetch-") as scratch:
            requirement = f"terminal-bench=={release.version}"
            remedy = "download it elsewhere and give its tasks with --dataset, or try again"
            archive = download_source(requirement, release.sha256, Path(scratch), remedy)
            fresh = Path(scratch) / "tasks"
            _unpack(archive, release, fresh)
            fresh.rename(folder)
    except OSError as error:
        if not folder.is_dir():  # another process may have been faster
            raise EnvironmentUnusableError(f"cannot keep tasks in {folder.parent}: {error}") from None
    return folder


def _unpack(archive: Path, release: Release, folder: Path) -> None:
    """Take the files of the tasks' folder, with no mode but whether one can be run.

    Not by `tarfile`'s filter for data: Python 3.11 has it from 3.11.4 on, and Debian 12 is at 3.11.2.
    """
    prefix = f"terminal_bench-{release.version}/{release.folder}/"
    with tarfile.open(archive) as tar:
        for member in tar:
            if not member.isfile() or not member.name.startswith(prefix) or ".." in member.name.split("/"):
                continue
            content = tar.extractfile(member)
            assert content is not None  # it is a file
            path = folder / member.name.removeprefix(prefix)
            path.parent.mkdir(parents=True, exist_ok=True)
            with content, path.open("wb") as file:
                shutil.copyfileobj(content, file)
            path.chmod(0o755 if member.mode & 0o100 else 0o644)
