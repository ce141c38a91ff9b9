"""What a run will take, before it is paid for: requests, tokens, and from them cost and time.

Prompts are counted by driving some attempts against a model that answers nothing; completion lengths come
from the run directory where it has some, else from the protocol's rough figure.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from longcat_eval.model_backend.role import Role
from longcat_eval.protocols import Workers
from longcat_eval.records import AttemptKey, AttemptRow, Completion, Message, Request
from longcat_eval.runners.context import Context
from longcat_eval.runners.plan import PlannedTask

PROBED_SAMPLES = 50
CHARACTERS_PER_TOKEN = 4.0


class TaskEstimate(NamedTuple):
    """One task: attempts to make and mean tokens of one; `measured` where real attempts gave the means."""

    task: str
    attempts: int
    requests: int
    prompt_tokens: float
    completion_tokens: float
    measured: bool


class CountingModel:
    """Answers nothing and counts the characters of what it was asked."""

    name = "counting"
    capabilities = frozenset({"chat", "tools"})

    def __init__(self) -> None:
        self.characters = self.requests = 0

    async def complete(self, request: Request) -> Completion:
        """Count one request."""
        self.requests += 1
        self.characters += sum(len(str(m.get("content") or "")) for m in request.body["messages"])
        return Completion(Message("assistant", ""), "stop")

    async def close(self) -> None:
        """Nothing to release."""


async def estimate(part: PlannedTask, rows: Sequence[AttemptRow], workers: Workers) -> TaskEstimate:
    """Estimate what is left of one task, given the valid rows that already stand."""
    attempts = len(part.samples) * part.repeats - len(rows)
    if rows:
        means = [
            sum(getattr(row, name) for row in rows) / len(rows)
            for name in ("calls", "prompt_tokens", "completion_tokens")
        ]
        return TaskEstimate(part.task.name, attempts, round(attempts * means[0]), means[1], means[2], True)
    counter, probed = CountingModel(), part.samples[:: max(1, len(part.samples) // PROBED_SAMPLES)]
    for sample in probed:
        key = AttemptKey(part.task.name, sample.id)
        roles = _every_role(part.task.protocol.roles, counter)
        await part.task.attempt(sample, Context(key, roles, part.task.protocol, 0, workers, _unheard))
    per_attempt = counter.requests / len(probed)
    return TaskEstimate(
        part.task.name,
        attempts,
        round(attempts * per_attempt),
        counter.characters / CHARACTERS_PER_TOKEN / len(probed),
        part.task.protocol.typical_tokens,
        measured=False,
    )


def _every_role(names: Sequence[str], model: CountingModel) -> Mapping[str, Role]:
    return {name: Role(model, "counting") for name in names}


def _unheard(role: str, request: Any) -> None:
    """Nobody keeps the requests of an estimate."""
