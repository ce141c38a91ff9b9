"""Budgets that end a run cleanly: money, time, tokens."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from longcat_eval.records import AttemptKey, AttemptRow

ANSWER_TAKEN = "answer_taken"
"""The reason of a row whose attempt was made, and paid for, in another run; only its judges are ours."""


@dataclass
class Budget:
    """What may be spent.

    `max_cost` (US dollars) and `max_tokens` hold for the whole run directory, `max_seconds` for this start.
    """

    max_cost: float | None = None
    max_seconds: float | None = None
    max_tokens: int | None = None
    cost: float = 0.0
    tokens: int = 0
    started: float = field(default_factory=time.monotonic)

    def spend(self, row: AttemptRow, since: AttemptRow | None = None) -> None:
        """Count one attempt, valid or not: it was paid for; `since` is the row that it goes on from."""
        self.cost += known_cost(row) - (known_cost(since) if since else 0.0)
        self.tokens += tokens_of(row) - (tokens_of(since) if since else 0)

    def spend_all(self, rows: Iterable[AttemptRow]) -> None:
        """Count what stands in a run directory."""
        unjudged: dict[AttemptKey, AttemptRow] = {}
        for row in sorted(rows, key=lambda r: r.time):
            if not row.rescored:
                since = unjudged.pop(row.key, None)
                if row.reason != ANSWER_TAKEN:
                    self.spend(row, since)
                if row.unjudged:
                    unjudged[row.key] = row

    def exhausted(self) -> str:
        """Why nothing new may start, or an empty string."""
        seconds = time.monotonic() - self.started
        if self.max_cost is not None and self.cost >= self.max_cost:
            return f"--max-cost {self.max_cost:g} is spent (${self.cost:.2f})"
        if self.max_tokens is not None and self.tokens >= self.max_tokens:
            return f"--max-total-tokens {self.max_tokens:,} is spent ({self.tokens:,})"
        if self.max_seconds is not None and seconds >= self.max_seconds:
            return f"--max-time {self.max_seconds:g} s is over"
        return ""

    def overdue(self, grace: float) -> bool:
        """Whether the time budget ended more than `grace` seconds ago."""
        return self.max_seconds is not None and time.monotonic() - self.started > self.max_seconds + grace


def known_cost(row: AttemptRow) -> float:
    """US dollars, of those roles whose price is known."""
    return sum(cost or 0.0 for cost in (row.role_costs.values() if row.cost is None else [row.cost]))


def tokens_of(row: AttemptRow) -> int:
    """Prompt and completion tokens together."""
    return row.prompt_tokens + row.completion_tokens
