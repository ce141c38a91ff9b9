"""Where VitaBench comes from: the user's checkout, its tasks, and whether they are the known ones."""

import hashlib
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.protocols import DataOptions
from longcat_eval.records import Wire
from longcat_eval.runners.provenance import git_state

REPOSITORY = "https://github.com/meituan-longcat/vitabench"
COMMIT = "96f3b8529d8e"
"""The known version, of 2025-11-06; the one of 2026-01 has other tasks and tools."""
NEEDED = ("src/vita/domains", "src/vita/prompts")
DATA = "data/vita/domains"
CODE = "src/vita/"
NAMED = 4
"""So many files that differ are named."""

TOOLKITS: Mapping[str, tuple[str, ...]] = {
    "delivery": ("delivery",),
    "instore": ("instore",),
    "ota": ("ota",),
    "cross-domain": ("delivery", "instore", "ota"),
}
"""Domain -> whose tools its agent has."""
ENDINGS: Mapping[str, str] = {"chinese": "", "english": "_en"}
"""Language -> how the names of its task files end."""


class VitaSource(NamedTuple):
    """A checkout of the official repository; `version` says which."""

    root: Path
    version: str

    @property
    def package(self) -> Path:
        """The folder with `vita/` in it."""
        return self.root / "src"


class Tasks(NamedTuple):
    """The tasks of a domain in the file's order, and how the files that decide a result were recognised.

    `sha256` is over the lines "name id", sorted, of these files; `drift` names those that are not the known
    ones, empty if all are.
    """

    rows: list[Wire]
    sha256: str
    drift: str
    place: str


def find_source(options: DataOptions) -> VitaSource:
    """Return the checkout of --vita-src; `EnvironmentUnusableError` where there is none."""
    chosen = options.sources.get("vita")
    if chosen is None:
        raise EnvironmentUnusableError(
            "VitaBench is a program with its data and on no package index: "
            f"git clone {REPOSITORY}, git checkout {COMMIT} in it, and give --vita-src the folder"
        )
    root = Path(chosen).expanduser().resolve()
    if not all((root / name).is_dir() for name in NEEDED):
        raise EnvironmentUnusableError(
            f"--vita-src {root} is no checkout of vitabench: it needs {' and '.join(NEEDED)}"
        )
    commit, dirty = git_state(root)
    place = f"{commit[:12]} with local changes" if commit and dirty else (commit or "unknown")[:12]
    return VitaSource(root, f"checkout {root.name} at {place}")


def read_tasks(source: VitaSource, domain: str, language: str, options: DataOptions) -> Tasks:
    """Read a domain's tasks from --data-dir (or LONGCAT_EVAL_DATA), else from the checkout, and check them.

    Raises `EnvironmentUnusableError` where they are absent or damaged.
    """
    name = f"{DATA}/{domain.replace('-', '_')}/tasks{ENDINGS[language]}.json"
    path = _local_file(domain, language, options) or source.root / name
    if not path.is_file():
        raise EnvironmentUnusableError(
            f"there is no {path}: the checkout lacks {domain} in {language}; get it whole, or give "
            f"--data-dir DIR with DIR/{_local_names(domain, language)[0]}"
        )
    found = {name: blob_id(path)}
    for needed in known_files():
        if _decides(needed, domain):
            file = source.root / needed
            found[needed] = blob_id(file) if file.is_file() else "absent"
    known = known_files()
    drift = [
        needed if value != "absent" else f"{needed} (absent)"
        for needed, value in sorted(found.items())
        if known.get(needed) != value
    ]
    lines = "".join(f"{needed} {value}\n" for needed, value in sorted(found.items()))
    place = source.version if path.is_relative_to(source.root) else f"{path.name} and {source.version}"
    more = f" and {len(drift) - NAMED} more" if len(drift) > NAMED else ""
    told = f"{', '.join(drift[:NAMED])}{more}"
    return Tasks(_read(path), hashlib.sha256(lines.encode()).hexdigest(), told, place)


def blob_id(path: Path) -> str:
    """The id that git gives a file's content (`git hash-object`)."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


@cache
def known_files() -> dict[str, str]:
    """Return git's blob id by name in the repository, from known_files.yaml."""
    import yaml

    loaded = yaml.safe_load(Path(__file__).with_name("known_files.yaml").read_text(encoding="utf-8"))
    return {str(name): str(value) for name, value in loaded.items()}


def _decides(name: str, domain: str) -> bool:
    """Whether a file of the code decides results of a domain."""
    if not name.startswith(CODE):
        return False
    part = name.removeprefix(f"{CODE}domains/")
    return part == name or part.partition("/")[0] in TOOLKITS[domain]


def _local_names(domain: str, language: str) -> tuple[str, str]:
    part, ending = domain.replace("-", "_"), ENDINGS[language]
    return f"vitabench/{part}_tasks{ending}.json", f"vitabench/{part}/tasks{ending}.json"


def _local_file(domain: str, language: str, options: DataOptions) -> Path | None:
    folder = options.data_dir or os.environ.get("LONGCAT_EVAL_DATA")
    if not folder:
        return None
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise EnvironmentUnusableError(f"there is no data folder {root} (--data-dir or LONGCAT_EVAL_DATA)")
    names = _local_names(domain, language)
    return next((root / name for name in names if (root / name).is_file()), None)


def _read(path: Path) -> list[Wire]:
    import msgspec

    try:
        rows: list[Wire] = msgspec.json.decode(path.read_bytes(), type=list[Wire])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise EnvironmentUnusableError(f"{path} is no list of tasks in JSON: {error}") from None
    except OSError as error:
        raise EnvironmentUnusableError(f"cannot read {path}: {error.strerror}") from None
    return rows
