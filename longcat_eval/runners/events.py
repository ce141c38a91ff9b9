"""What the engine tells whoever watches; the live display and the plain log are listeners."""

from collections.abc import Callable
from typing import NamedTuple

from longcat_eval.records import AttemptRow


class RunStarted(NamedTuple):
    """Before the first attempt: `expected` attempts by task, and the valid rows that stand."""

    expected: dict[str, int]
    done: list[AttemptRow]


class AttemptFinished(NamedTuple):
    """An attempt was kept; `retry` says that the engine will try its key again."""

    row: AttemptRow
    retry: bool


class RunEnded(NamedTuple):
    """After the last attempt; `stopped` is empty when everything was done, else why not."""

    stopped: str


Event = RunStarted | AttemptFinished | RunEnded
Listener = Callable[[Event], None]
