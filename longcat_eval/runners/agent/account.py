"""What an episode has used up, which limit forbids another step, and what useless replies come to."""

import time
from collections.abc import Sequence

from longcat_eval.protocols import AttemptContext, ModelError
from longcat_eval.records import Outcome
from longcat_eval.runners.agent import episode as ends
from longcat_eval.runners.agent.episode import Episode
from longcat_eval.runners.agent.faults import CUT, EMPTY, UNREADABLE
from longcat_eval.runners.agent.limits import AgentLimits
from longcat_eval.runners.participant import EMPTY_REPLY, UNREADABLE_TOOL_CALL

SANDBOX_ENDS = {"disk_budget": ends.DISK, "deadline": ends.WALL_CLOCK}
"""Failures of a sandbox that are the doing of what ran in it."""
GAVE_UP = {EMPTY: ends.EMPTY_REPLY, CUT: ends.LENGTH}


class Account:
    """Counts into `episode` what the calls since now take, and holds it against the limits."""

    def __init__(self, ctx: AttemptContext, episode: Episode, limits: AgentLimits) -> None:
        self.ctx, self.episode, self.limits = ctx, episode, limits
        self._before = self._seen = len(ctx.transcript().calls)
        self._told_cost, self._priced = 0.0, True

    @property
    def seconds_left(self) -> float:
        """Seconds until the attempt's deadline."""
        return float("inf") if self.ctx.deadline is None else self.ctx.deadline - time.monotonic()

    def limit_reached(self) -> str:
        """The limit that forbids another step, or ''."""
        episode, limits = self.episode, self.limits
        if episode.steps >= limits.steps:
            return ends.STEPS
        if limits.tokens and episode.tokens >= limits.tokens:
            return ends.TOKENS
        if limits.cost and self._told_cost >= limits.cost:
            return ends.COST
        return ends.WALL_CLOCK if self.seconds_left <= 0 else ""

    def count(self, asked: float) -> None:
        """Add up what the newest replies took, unreadable ones too; `asked` is when, by `time.monotonic`."""
        self.episode.model_seconds += time.monotonic() - asked
        calls = self.ctx.transcript().calls
        for call in calls[self._seen :]:
            self.episode.tokens += call.completion.usage.total
            self._priced &= call.completion.cost is not None
            self._told_cost += call.completion.cost or 0.0
        self._seen = len(calls)
        self.episode.cost = self._told_cost if self._priced and calls else None

    def given_up(self, faults: Sequence[str]) -> str:
        """The end that the useless replies since the last good one are, by their kinds, or ''."""
        if len(faults) < self.limits.format_errors:
            return ""
        kind = faults[0] if len(set(faults)) == 1 else ""
        if kind == CUT and self._context_is_full():
            return ends.CONTEXT
        return GAVE_UP.get(kind, ends.FORMAT_ERRORS)

    def _context_is_full(self) -> bool:
        """Whether the replies had less room than the first one, because the history left them no more."""
        calls = self.ctx.transcript().calls[self._before :]
        room = [call.request.get("max_tokens") or 0 for call in calls]
        return bool(room and room[-1] < room[0])


def read_failure(error: ModelError, *, timed: bool) -> tuple[str, str]:
    """Return the end that a request without a reply is, or '' and the kind of useless reply it was.

    `timed`: a deadline is the agent's own. Raises the error if it is not the model's doing.
    """
    if error.reason == "deadline" and timed:
        return ends.WALL_CLOCK, ""
    if is_overflow(error):
        return ends.CONTEXT, ""
    if error.outcome is Outcome.REFUSED:
        return ends.REFUSED, ""
    if error.reason == UNREADABLE_TOOL_CALL:
        return "", UNREADABLE
    if error.reason == EMPTY_REPLY:
        return "", CUT if error.outcome is Outcome.LENGTH_LIMIT else EMPTY
    raise error


def is_overflow(error: ModelError) -> bool:
    """Whether a request was longer than the model's context."""
    return error.outcome is Outcome.LENGTH_LIMIT and error.reason == "context"
