"""Suites: named lists of tasks. A member that does not exist yet is named, never skipped in silence."""

from typing import NamedTuple

from longcat_eval.errors import UsageError, did_you_mean
from longcat_eval.tasks.table import CARD_TASKS, TASKS

SUITES: dict[str, tuple[str, ...]] = {
    "card": CARD_TASKS,
    "agentic": (*CARD_TASKS[:3], "terminal-bench", "prdbench", "vitabench"),
    "coding": CARD_TASKS[3:7],
    "general": CARD_TASKS[7:12],
    "math": CARD_TASKS[12:],
    "chinese": ("ceval", "cmmlu"),
    "instruction": ("ifeval", "collie", "arena-hard-v2", "meeseeks-zh"),
    "smoke": ("smoke",),
}

NOT_YET = "not yet part of this version"


class Expansion(NamedTuple):
    """The tasks of a suite that exist, in its order, and for each that does not what stands in its way."""

    available: list[str]
    missing: dict[str, str]


def expand_suite(name: str) -> Expansion:
    """Return the members of suite `name`; `UsageError` if there is no such suite."""
    if name not in SUITES:
        raise UsageError(
            f"unknown suite {name!r}{did_you_mean(name, SUITES)}; the suites are {', '.join(SUITES)}"
        )
    members = SUITES[name]
    return Expansion([m for m in members if m in TASKS], {m: NOT_YET for m in members if m not in TASKS})
