"""Reward files: the verdict of a Harbor task, read strictly and fail-closed.

The rules are those of `harbor/verifier/verifier.py` (0.24.0, Apache-2.0): the JSON file is looked at first,
and if it is there the other one is not; what is missing, empty, no number or not finite is no reward.
"""

import json
import math
from collections.abc import Mapping
from statistics import fmean
from typing import Any, NamedTuple

REWARD = "reward"
MISSING, EMPTY, UNREADABLE = "reward_missing", "reward_empty", "reward_unreadable"


class Rewards(NamedTuple):
    """Rewards by name, or the reason why there are none (`problem`, with `detail` in words)."""

    by_name: Mapping[str, float]
    problem: str = ""
    detail: str = ""


def value_of(rewards: Mapping[str, float]) -> float:
    """The one number: the reward called `reward`, else the mean of all, which for one is that one."""
    return rewards[REWARD] if REWARD in rewards else fmean(rewards.values())


def read_rewards(as_json: bytes | None, as_text: bytes | None) -> Rewards:
    """Read `reward.json` and `reward.txt`, each None where there is no such file."""
    if as_json is not None:
        return _from_json(as_json)
    if as_text is not None:
        return _from_text(as_text)
    return Rewards({}, MISSING, "the tests wrote neither reward.json nor reward.txt")


def _from_text(content: bytes) -> Rewards:
    if not content:
        return Rewards({}, EMPTY, "reward.txt is empty")
    try:
        number = float(content.decode())
    except ValueError:
        return Rewards({}, UNREADABLE, "reward.txt holds no number")
    if not math.isfinite(number):
        return Rewards({}, UNREADABLE, f"reward.txt holds {number}")
    return Rewards({REWARD: number})


def _from_json(content: bytes) -> Rewards:
    if not content:
        return Rewards({}, EMPTY, "reward.json is empty")
    try:
        found: Any = json.loads(content)
    except (ValueError, RecursionError):
        return Rewards({}, UNREADABLE, "reward.json is not JSON")
    by_name = found if isinstance(found, dict) else {REWARD: found}
    if not by_name:
        return Rewards({}, EMPTY, "reward.json holds no reward")
    for name, value in by_name.items():
        try:
            fine = isinstance(value, int | float) and math.isfinite(value)
        except OverflowError:
            fine = False
        if not fine:
            return Rewards({}, UNREADABLE, f"reward.json: {name} is no finite number")
    return Rewards({name: float(value) for name, value in by_name.items()})


def mean_rewards(steps: list[Mapping[str, float]]) -> dict[str, float]:
    """Per name the mean over steps, a name that a step lacks counting 0 (harbor
    `Trial._aggregate_step_rewards`).
    """
    names = dict.fromkeys(name for rewards in steps for name in rewards)
    return {name: sum(rewards.get(name, 0.0) for rewards in steps) / len(steps) for name in names}


def below(rewards: Mapping[str, float], least: float | Mapping[str, float]) -> str:
    """Say which reward is below the least that a step asks for, or nothing; one that is absent is below."""
    wanted = least if isinstance(least, Mapping) else {REWARD: least}
    for name, threshold in wanted.items():
        found = rewards.get(name, -math.inf)
        if found < threshold:
            return f"{name} {found:g} < {threshold:g}"
    return ""
