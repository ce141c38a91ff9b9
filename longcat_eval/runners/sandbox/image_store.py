"""Images that this tool pulled or built, remembered so that only they are evicted, the longest unused first.

The memory is a small JSON file in the user's cache, by daemon: {daemon id: {image name: Pulled}}.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from longcat_eval.protocols import SandboxError

if TYPE_CHECKING:
    from docker.api import APIClient

GIB = 1 << 30
RATE_LIMIT_MARKS = ("toomanyrequests", "429", "rate limit")
COUNTING_SECONDS = 120.0
"""Patience with a disk usage count that another client began."""
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 60.0, 1800.0
PATIENCE_SECONDS = 8 * 3600.0
"""A registry's window is six hours (Docker Hub): who waits longer than that waits for nothing."""


class Pulled(msgspec.Struct, omit_defaults=True):
    """One image that this tool brought; times in seconds since the epoch."""

    id: str
    pulled: float
    used: float


Ledger = dict[str, dict[str, Pulled]]


def ledger_path() -> Path:
    """Where the memory is kept."""
    from platformdirs import user_cache_path

    return user_cache_path("longcat-eval") / "images.json"


def read_ledger(path: Path | None = None) -> Ledger:
    """All daemons' images; a file that cannot be read counts as empty: nothing is evicted by mistake."""
    try:
        return msgspec.json.decode((path or ledger_path()).read_bytes(), type=Ledger)
    except (OSError, msgspec.DecodeError, msgspec.ValidationError):
        return {}


@contextmanager
def ledger_for_update() -> Iterator[Ledger]:
    """Change the memory while no other process does; it is replaced in one step."""
    path = ledger_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ledger = read_ledger(path)
        yield ledger
        fresh = path.with_suffix(f".{os.getpid()}")
        fresh.write_bytes(msgspec.json.format(msgspec.json.encode(ledger)))
        fresh.replace(path)


def note_use(daemon: str, name: str) -> None:
    """Mark an image as used just now, if this tool pulled it to that daemon."""
    if name in read_ledger().get(daemon, {}):
        with ledger_for_update() as ledger:
            if known := ledger.get(daemon, {}).get(name):
                known.used = time.time()


def note_built(api: "APIClient", daemon: str, name: str) -> None:
    """Remember an image that this tool built or built on, to be evicted like one that was asked for."""
    now = time.time()
    with ledger_for_update() as ledger:
        ledger.setdefault(daemon, {})[name] = Pulled(image_id(api, name), now, now)


class ImageStore:
    """Pulls within a disk budget; blocking, to be called from a thread.

    `budget` bounds all image layers of the daemon together, in bytes (None: unbounded). Only images that this
    tool pulled are removed for it, never one that a container uses. `say` hears one line per step.
    """

    def __init__(
        self,
        budget: int | None = None,
        *,
        say: Callable[[str], None] = lambda line: None,
        first_wait: float = FIRST_WAIT_SECONDS,
        patience: float = PATIENCE_SECONDS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._budget, self._say = budget, say
        self._first_wait, self._patience, self._sleep = first_wait, patience, sleep

    def ensure(self, api: "APIClient", name: str) -> bool:
        """Pull `name` unless it is here; return whether it was pulled.

        Raises `SandboxError`: `image_missing` if the registry has none or refuses, `disk_full` if the budget
        has no room even after eviction.
        """
        if present(api, name):
            note_use(daemon_id(api), name)
            return False
        self.make_room(api)
        self._pull(api, name)
        now = time.time()
        with ledger_for_update() as ledger:
            ledger.setdefault(daemon_id(api), {})[name] = Pulled(image_id(api, name), now, now)
        self.make_room(api, keep=name)
        return True

    def make_room(self, api: "APIClient", keep: str = "") -> list[str]:
        """Evict until the layers are within the budget; return the names removed.

        Raises `SandboxError` (`disk_full`) if that is not enough.
        """
        removed: list[str] = []
        if self._budget is None:
            return removed
        while (bytes_now := layer_bytes(api)) > self._budget:
            name = self._evict_one(api, keep)
            if name is None:
                raise SandboxError(
                    "disk_full",
                    f"images take {bytes_now / GIB:.1f} GiB, more than the budget of "
                    f"{self._budget / GIB:.1f}, and no other of longcat-eval's own can go",
                )
            removed.append(name)
            self._say(f"evicted {name}")
        return removed

    def _evict_one(self, api: "APIClient", keep: str) -> str | None:
        busy = {entry["ImageID"] for entry in api.containers(all=True)}
        known = read_ledger().get(daemon_id(api), {})
        for name in sorted(known, key=lambda n: known[n].used):
            if name != keep and known[name].id not in busy and self._remove(api, name):
                return name
        return None

    def _remove(self, api: "APIClient", name: str) -> bool:
        """Remove one image by its name and forget it; whether that freed anything."""
        from docker.errors import APIError, ImageNotFound

        try:
            api.remove_image(name)
            gone = True
        except ImageNotFound:
            gone = False
        except APIError as error:
            if error.status_code != 409:
                raise
            return False
        with ledger_for_update() as ledger:
            ledger.get(daemon_id(api), {}).pop(name, None)
        return gone

    def _pull(self, api: "APIClient", name: str) -> None:
        """Pull, waiting out a registry's rate limit."""
        wait, waited = self._first_wait, 0.0
        while error := pull_once(api, name):
            if not any(mark in error.lower() for mark in RATE_LIMIT_MARKS):
                raise SandboxError("image_missing", f"{name} cannot be pulled: {error}")
            if waited + wait > self._patience:
                raise SandboxError("image_missing", f"{name}: the registry's rate limit lasts: {error}")
            self._say(f"rate limit of the registry: waiting {wait:.0f} s for {name}")
            self._sleep(wait)
            waited, wait = waited + wait, min(wait * 2, LONGEST_WAIT_SECONDS)


def daemon_id(api: "APIClient") -> str:
    """Which daemon this is; images on one are not on another."""
    return str(api.info()["ID"])


def image_id(api: Any, name: str) -> str:
    """The id of a local image; `docker.errors.ImageNotFound` if there is none."""
    return str(api.inspect_image(name)["Id"])


def present(api: "APIClient", name: str) -> bool:
    """Whether the daemon has an image of that name; asks no registry."""
    from docker.errors import ImageNotFound

    try:
        image_id(api, name)
    except ImageNotFound:
        return False
    return True


def image_bytes(api: Any, name: str) -> int | None:
    """The size of a local image with all its layers; None if there is none of that name."""
    from docker.errors import ImageNotFound

    try:
        return int(api.inspect_image(name)["Size"])
    except ImageNotFound:
        return None


def pull_once(api: "APIClient", name: str) -> str:
    """Pull an image; return the daemon's or the registry's refusal, empty if it is here now."""
    from docker.errors import APIError
    from docker.utils import parse_repository_tag

    repository, tag = parse_repository_tag(name)
    last = ""
    try:
        for line in api.pull(repository, tag=tag or "latest", stream=True, decode=True):
            last = str(line.get("error") or last)
    except APIError as error:
        return str(error.explanation or error)
    return last


def layer_bytes(api: "APIClient") -> int:
    """What all image layers of the daemon take on its disk, shared ones once.

    A daemon counts for one client at a time and refuses the next: that one waits.
    """
    from docker.errors import APIError
    from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_fixed

    def is_counting(error: BaseException) -> bool:
        return isinstance(error, APIError) and "disk usage operation is already running" in str(error)

    retry = Retrying(
        retry=retry_if_exception(is_counting),
        wait=wait_fixed(0.2),
        stop=stop_after_delay(COUNTING_SECONDS),
        reraise=True,
    )
    usage: dict[str, Any] = retry(api.df)
    return int(usage.get("LayersSize") or 0)
