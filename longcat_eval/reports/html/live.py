"""The page of runs that may still grow: made when it is asked for, its transcripts read one by one."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from longcat_eval.records import AttemptRow
from longcat_eval.reports.html.attempts import shown
from longcat_eval.reports.html.page import live_page
from longcat_eval.reports.table import Table

if TYPE_CHECKING:
    from longcat_eval.runners.store import RunData

SEARCH_SECONDS = 0.5
"""After so long a search tells what it has found, and is asked to go on."""

Load = Callable[[], tuple[Table, Sequence["RunData"]]]


class OutdatedError(Exception):
    """The runs have grown since the page was made, so its numbers of attempts are not theirs any more."""


class Snapshot(NamedTuple):
    """The runs as they were at one time; `attempts` are all rows with the directory they are in."""

    stamp: tuple[Any, ...]
    generation: str
    page: bytes
    attempts: Sequence[tuple[Path, AttemptRow]]


class LiveReport:
    """What `view` serves. `load` reads the runs in `paths`; it is called again when one has changed."""

    def __init__(self, load: Load, paths: Sequence[Path]) -> None:
        self._load = load
        self._paths = paths
        self._made = 0
        self._snapshot: Snapshot | None = None

    def page(self) -> bytes:
        """The page of the runs as they are, as UTF-8."""
        stamp = self._stamp()
        if self._snapshot is None or self._snapshot.stamp != stamp:
            table, runs = self._load()
            self._made += 1
            generation = str(self._made)
            attempts = [(run.path, row) for run in runs for row in run.rows]
            html = live_page(table, runs, generation)
            self._snapshot = Snapshot(stamp, generation, html.encode(), attempts)
        return self._snapshot.page

    def attempt(self, generation: str, number: int) -> dict[str, Any]:
        """One attempt, whole, by its number in the page's index; `IndexError` if it has none such."""
        attempts = self._attempts(generation)
        if not 0 <= number < len(attempts):
            raise IndexError(f"no attempt {number} of {len(attempts)}")
        return shown(*attempts[number])

    def search(self, generation: str, text: str, start: int) -> tuple[list[int], int]:
        """Attempts from number `start` on whose transcript has the text, in any case; and where to go on.

        At least one attempt is looked at, and about as many as `SEARCH_SECONDS` allow.
        """
        attempts, needle, found = self._attempts(generation), text.casefold(), list[int]()
        ends = time.monotonic() + SEARCH_SECONDS
        number = max(0, start)
        while number < len(attempts):
            if _has(shown(*attempts[number]), needle):
                found.append(number)
            number += 1
            if time.monotonic() > ends:
                break
        return found, number

    def _attempts(self, generation: str) -> Sequence[tuple[Path, AttemptRow]]:
        if self._snapshot is None or self._snapshot.generation != generation:
            raise OutdatedError("the run has grown since this page was made; load the page again")
        return self._snapshot.attempts

    def _stamp(self) -> tuple[Any, ...]:
        files = [file for path in self._paths for file in sorted(path.glob("*.json*"))]
        states = [(file, file.stat()) for file in files]
        return tuple((str(file), state.st_mtime_ns, state.st_size) for file, state in states)


def _has(page: dict[str, Any], needle: str) -> bool:
    texts = [*(block[2] for block in page["blocks"]), *(text for _, text in page["artifacts"]), page["error"]]
    return any(needle in text.casefold() for text in texts)
