"""A response cache: a model that remembers what another model answered."""

import hashlib
import logging
import sqlite3
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import zstandard

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.model_backend.text_scores import scorer
from longcat_eval.protocols import Model
from longcat_eval.records import Completion, Request

Ask = Callable[[Request], Awaitable[Completion]]

log = logging.getLogger(__name__)

SCHEMA = """
create table if not exists replies (
    key blob primary key, value blob not null, endpoint text not null, namespace text not null,
    time real not null
)
"""
DAY = 86400.0


class CachedModel:
    """Answers from a sqlite file where it can, and keeps every completion of the inner model, never an error.

    A hit is marked `cached`, costs nothing and took no time and no tries; `as_paid` gives it as it came, for
    who was interrupted before it was written down elsewhere. The key is sha256 over (endpoint identity, exact
    body bytes, repeat, namespace), so k repeats at T > 0 stay k draws. Calls to sqlite are direct: 20 to 200
    microseconds each, less than a hop to a thread and back.
    """

    def __init__(
        self, model: Model, path: Path, *, identity: str, namespace: str = "", as_paid: bool = False
    ) -> None:
        self.model, self.name, self.capabilities = model, model.name, model.capabilities
        self._identity, self._namespace = identity, namespace
        self._path, self._db = path, open_cache(path)
        self._writable, self._as_paid = True, as_paid

    async def complete(self, request: Request) -> Completion:
        """Return the kept completion of this very request, else ask; raises what the inner model raises."""
        return await self._remembered(request, self._namespace, self.model.complete)

    async def loglikelihood(self, request: Request, start: int) -> Completion:
        """The same for the score of what follows character `start` of a prompt."""
        ask = partial(scorer(self.model).loglikelihood, start=start)
        return await self._remembered(request, f"{self._namespace}\0score {start}", ask)

    async def _remembered(self, request: Request, namespace: str, ask: Ask) -> Completion:
        key = cache_key(self._identity, request, namespace)
        kept = self._get(key)
        if kept is not None:
            return kept
        done = await ask(request)
        self._put(key, done)
        return done

    async def close(self) -> None:
        """Close the file and the inner model."""
        self.close_file()
        await self.model.close()

    def close_file(self) -> None:
        """Close the file alone."""
        self._db.close()

    def _get(self, key: bytes) -> Completion | None:
        try:
            row = self._db.execute("select value from replies where key = ?", (key,)).fetchone()
        except sqlite3.DatabaseError as error:
            log.warning("%s is damaged (%s): what it held is asked for again", self._path, error)
            return None
        if row is None:
            return None
        try:
            kept = msgspec.json.decode(zstandard.decompress(row[0]), type=Completion)
        except (msgspec.DecodeError, zstandard.ZstdError):
            return None  # written by another version: ask again and overwrite
        if self._as_paid:
            return kept
        return msgspec.structs.replace(kept, cached=True, cost=0.0, seconds=0.0, tries=0)

    def _put(self, key: bytes, done: Completion) -> None:
        if not self._writable:
            return
        value = zstandard.compress(msgspec.json.encode(done))
        row = (key, value, self._identity, self._namespace, time.time())
        try:
            self._db.execute("insert or replace into replies values (?, ?, ?, ?, ?)", row)
        except sqlite3.Error as error:
            # The reply is paid for and goes on; only the remembering stops.
            self._writable = False
            log.warning("the response cache takes no more replies: %s", error)


def cache_key(identity: str, request: Request, namespace: str = "") -> bytes:
    """Return sha256 over (endpoint identity, exact body bytes, repeat, namespace)."""
    body = msgspec.json.encode(request.body).decode()
    return hashlib.sha256(msgspec.json.encode([identity, body, request.meta.key.repeat, namespace])).digest()


def open_cache(path: Path) -> sqlite3.Connection:
    """Open or create a cache file, in WAL mode where the file system allows it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(path, timeout=30, isolation_level=None)
        try:
            db.execute("pragma page_size = 16384")
            use_wal(db)
            db.execute(SCHEMA)
        except sqlite3.Error:
            db.close()
            raise
    except (sqlite3.Error, OSError) as error:
        raise EnvironmentUnusableError(
            f"cannot use {path} as response cache ({error}): name another file or delete it"
        ) from None
    return db


def use_wal(db: sqlite3.Connection) -> None:
    """Switch to write-ahead logging; network file systems refuse it and get a rollback journal."""
    try:
        mode = db.execute("pragma journal_mode = wal").fetchone()[0]
    except sqlite3.OperationalError:
        mode = ""
    if mode != "wal":
        db.execute("pragma journal_mode = delete")
    db.execute("pragma synchronous = normal")


def cache_stats(path: Path) -> dict[str, Any]:
    """Return entries, bytes, and the times of the oldest and newest; `EnvironmentUnusableError` if absent."""
    db = open_existing(path)
    try:
        count, *times = db.execute("select count(*), min(time), max(time) from replies").fetchone()
    finally:
        db.close()
    oldest, newest = (iso(time) if time else "" for time in times)
    return {"entries": count, "bytes": path.stat().st_size, "oldest": oldest, "newest": newest}


def iso(seconds: float) -> str:
    """Return a time as text, in UTC to the second."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def prune_cache(path: Path, older_than_days: float) -> int:
    """Delete replies older than this, give the space back, and return how many went."""
    db = open_existing(path)
    try:
        gone = db.execute(
            "delete from replies where time < ?", (time.time() - older_than_days * DAY,)
        ).rowcount
        db.execute("vacuum")
    finally:
        db.close()
    return gone


def open_existing(path: Path) -> sqlite3.Connection:
    """Open a cache file that must be there already."""
    if not path.is_file():
        raise EnvironmentUnusableError(f"there is no response cache at {path}")
    return open_cache(path)
