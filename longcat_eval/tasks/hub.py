"""Fetch the files of a benchmark from the Hugging Face hub, at one commit, through its cache.

HF_HOME, HF_HUB_CACHE, HF_TOKEN, HF_ENDPOINT and HF_HUB_OFFLINE are read at every call and handed over,
because huggingface_hub reads them once, when it is imported. Known with huggingface_hub 0.34 to 2.4.
"""

import glob
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.tasks.data_files import first_matches
from longcat_eval.tasks.pins import Pin, read_pins

HUB = "https://huggingface.co"


class HubFiles(NamedTuple):
    """Files of one commit in the local cache; `pin` names them, with the hash noted for them, if any."""

    folder: Path
    pin: Pin


def fetch(name: str, repo: str, revision: str | None, patterns: Sequence[str], remedy: str) -> HubFiles:
    """Return the files of dataset `repo` that match the first of `patterns` that any matches.

    `revision` None means the commit noted for task `name`, else `main` as it stands now. Files that are here
    already cost no request. Raises `EnvironmentUnusableError` with `remedy` at its end.
    """
    pin = read_pins().get(name)
    if pin is not None and not (
        pin.repo == repo and revision in (None, pin.revision) and first_matches(pin.files, patterns)
    ):
        pin = None
    if pin is not None and _is_cached(pin):
        return HubFiles(_snapshot_folder(pin), pin)
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # read when huggingface_hub is imported
    try:
        import huggingface_hub  # noqa: F401
    except ImportError:
        raise EnvironmentUnusableError(
            f"fetching {repo} needs huggingface-hub: pip install 'longcat-eval[data]', or {remedy}"
        ) from None
    fetched = _from_hub(repo, revision or (pin.revision if pin else None), patterns, remedy)
    if pin is not None:
        fetched = Pin(repo, fetched.revision, fetched.files, pin.sha256)
    return HubFiles(_snapshot_folder(fetched), fetched)


def _from_hub(repo: str, revision: str | None, patterns: Sequence[str], remedy: str) -> Pin:
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    if _offline():
        return _from_cache(repo, revision, patterns) or _refuse(
            f"{repo} is not in the hub cache and HF_HUB_OFFLINE is set: unset it", remedy
        )
    # The base of all transport errors is requests' or httpx's own, whichever this version is built on.
    failures: tuple[type[BaseException], ...]
    failures = (OSError, *(c for c in HfHubHTTPError.__mro__ if _is_transport_error(c)))
    try:
        return _download(repo, revision, patterns, remedy)
    except GatedRepoError:
        return _from_cache(repo, revision, patterns) or _refuse(
            f"{repo} is gated: accept its terms at {HUB}/datasets/{repo} and set HF_TOKEN to a token of that"
            " account",
            remedy,
        )
    except (RepositoryNotFoundError, RevisionNotFoundError):
        return _from_cache(repo, revision, patterns) or _refuse(
            f"the hub does not know {repo} at {revision or 'main'}, or HF_TOKEN is not valid", remedy
        )
    except failures as error:
        return _from_cache(repo, revision, patterns) or _refuse(
            f"{repo} cannot be fetched from {_endpoint()} ({_short(error)}): check the network, HTTPS_PROXY"
            " and HF_ENDPOINT",
            remedy,
        )


def _download(repo: str, revision: str | None, patterns: Sequence[str], remedy: str) -> Pin:
    from huggingface_hub import HfApi, snapshot_download

    api = HfApi(endpoint=_endpoint(), token=_token())
    info = api.dataset_info(repo, revision=revision, timeout=30)
    files = sorted(first_matches([f.rfilename for f in info.siblings or []], patterns))
    if not files or not info.sha:
        _refuse(f"{repo} at {info.sha or 'main'} holds none of {', '.join(patterns)}", remedy)
    snapshot_download(
        repo,
        repo_type="dataset",
        revision=info.sha,
        cache_dir=_cache_folder(),
        allow_patterns=[glob.escape(name) for name in files],
        endpoint=_endpoint(),
        token=_token(),
    )
    return Pin(repo, info.sha, files)


def _from_cache(repo: str, revision: str | None, patterns: Sequence[str]) -> Pin | None:
    """Return what another tool, or an earlier run whose notes are lost, left in the hub cache."""
    repository = _cache_folder() / f"datasets--{repo.replace('/', '--')}"
    if revision is None:
        try:
            revision = (repository / "refs" / "main").read_text(encoding="ascii").strip()
        except FileNotFoundError:
            return None
    folder = repository / "snapshots" / revision
    names = [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()]
    files = sorted(first_matches(names, patterns))
    return Pin(repo, revision, files) if files else None


def _refuse(problem: str, remedy: str) -> NoReturn:
    raise EnvironmentUnusableError(f"{problem}, or {remedy}") from None


def _short(error: BaseException) -> str:
    """Name an error without its text, which may hold a header with the token."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    return f"HTTP {status}" if status else type(error).__name__


def _is_transport_error(kind: type) -> bool:
    return kind.__module__.partition(".")[0] in ("httpx", "httpx2", "requests")


def _is_cached(pin: Pin) -> bool:
    folder = _snapshot_folder(pin)
    return bool(pin.files) and all((folder / name).is_file() for name in pin.files)


def _snapshot_folder(pin: Pin) -> Path:
    return _cache_folder() / f"datasets--{pin.repo.replace('/', '--')}" / "snapshots" / pin.revision


def _cache_folder() -> Path:
    """The hub cache, by the rules of huggingface_hub."""
    named = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    if named:
        return Path(named).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("HF_HOME") or f"{cache}/huggingface"
    return Path(home).expanduser() / "hub"


def _endpoint() -> str:
    return (os.environ.get("HF_ENDPOINT") or HUB).rstrip("/")


def _token() -> str | None:
    return os.environ.get("HF_TOKEN") or None


def _offline() -> bool:
    values = (os.environ.get(name, "") for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"))
    return any(value.upper() in ("1", "ON", "YES", "TRUE") for value in values)
