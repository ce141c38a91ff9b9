"""The named protocols of τ²-Bench: what is fixed beside the data, and the floors of each domain.

Sources: tau2-bench 0.2 (github.com/sierra-research/tau2-bench, MIT), its defaults in `tau2/config.py` and
`tau2/cli.py`; Barres et al. 2025, arXiv 2506.07982. avg@8 is the model card's.
"""

import random
from typing import Any, NamedTuple

STOPS = ("###STOP###", "###TRANSFER###", "###OUT-OF-SCOPE###")
"""What ends the dialogue in a message of the user without calls (`tau2/user/base.py`)."""
SEED = 300


class Tau2Protocol(NamedTuple):
    """What a protocol fixes. `bases` are what its tasks may be judged by.

    NL_ASSERTION is in none yet: it needs a judge model, and belongs to the later tau2-v1.0.
    """

    name: str
    user_model: str
    user_sampling: dict[str, Any]
    repeats: int
    max_steps: int
    max_errors: int
    resamples: int
    max_tokens: int
    bases: tuple[str, ...]


V0_2 = Tau2Protocol(
    name="tau2-v0.2",
    user_model="gpt-4.1-2025-04-14",
    user_sampling={"temperature": 0.0},
    repeats=8,
    max_steps=200,
    max_errors=10,
    resamples=3,
    max_tokens=16_384,
    bases=("DB", "COMMUNICATE", "ENV_ASSERTION", "ACTION"),
)

NOTES = (
    "a reply without text and calls, or with an unreadable call, is asked again, up to `resamples` times",
    "arguments that are no JSON object are a tool error, which counts; the official runner raises",
    "calculate refuses numbers beyond 8,192 bits and 2,000 characters; the official one may take hours",
    "assistant messages go back as they came, reasoning included; max_tokens is sent",
)
"""Deviations from the official runner, all where that raises or hangs."""

BASE, FULL = "base", "full"

IDLE_PASSES: dict[tuple[str, str], frozenset[str]] = {
    ("airline", BASE): frozenset(
        map(str, (0, 1, 4, 5, 6, 10, 13, 26, 28, 31, 34, 36, 41, 43, 45, 46, 47, 48, 49))
    ),
    ("retail", BASE): frozenset(map(str, (10, 12, 25, 50, 57, 65, 105))),
    ("telecom", BASE): frozenset(),
    ("telecom", FULL): frozenset(),
}
"""By domain and split the tasks that an agent passes which says nothing useful and changes nothing."""


def trial_seed(base: int, repeat: int) -> int:
    """The seed of one trial, for agent and user and every turn alike: the official draw for `--seed 0`.

    tau2 seeds Python's generator with 300 and draws `randint(0, 1000000)` per trial; `base` moves the 300.
    """
    draws = random.Random(SEED + base)
    return [draws.randint(0, 1_000_000) for _ in range(repeat + 1)][-1]


def stop_of(role: str, text: str) -> str:
    """`user_stop` where a text of the user ends the dialogue; the agent of this protocol never ends it."""
    return "user_stop" if role == "user" and any(stop in text for stop in STOPS) else ""
