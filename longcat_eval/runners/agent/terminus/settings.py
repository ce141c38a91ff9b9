"""What a Terminus agent is set to, and the limits of its protocol."""

from dataclasses import dataclass

from longcat_eval.runners.agent.limits import AgentLimits
from longcat_eval.runners.agent.terminus.prompts import Prompts

TERMINUS2_LIMITS = AgentLimits(steps=1_000_000, seconds=0.0, format_errors=20)
"""The clock of the task alone ends the original; here so do twenty replies in a row that cannot be read."""
TERMINUS1_LIMITS = AgentLimits(steps=50, seconds=0.0, format_errors=3)
"""Turns and tries of `terminal_bench/agents/terminus_1.py` 0.2.18."""


@dataclass(frozen=True, kw_only=True)
class TerminusSettings:
    """How a Terminus 2 works.

    `context_limit` (tokens) is the model's context, 0 for what its settings or its server tell. The history
    is handed over while `free_tokens` are left of it, or a quarter of a context that is small; 0 waits until
    the server refuses. `unwound_tokens` are freed before a hand-off that comes too late. After `hand_offs` of
    them the episode ends with `context`.
    """

    prompts: Prompts
    context_limit: int = 0
    free_tokens: int = 8_000
    unwound_tokens: int = 4_000
    hand_offs: int = 20
