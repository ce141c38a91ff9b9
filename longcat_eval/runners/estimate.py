"""What a run will take, before it is paid for: requests, tokens, and from them cost and time.

Prompts are counted by driving some attempts with a model that gives the reference answers in every role.
Completion lengths come from the run directory where it has some, else from the protocol's rough figure.

Reference dialogues are shorter than real ones. Where the protocol knows how many requests T a role makes in
an attempt (`typical_requests`), its dialogue is stretched to T: at every request the history grows by the
same amount g, so that the prompt of request i has P + (i - 1) g tokens, all T together T P + g T (T - 1) / 2.
P is the mean first prompt, and g is such that the reference dialogues, at their own lengths, come out as
counted.
"""

from collections.abc import Mapping, Sequence
from math import fsum
from typing import Any, NamedTuple

import msgspec

from longcat_eval.model_backend.role import Role
from longcat_eval.model_backend.text_scores import scored
from longcat_eval.protocols import ModelError, Rehearsed, Workers
from longcat_eval.records import AttemptKey, AttemptRow, Completion, Message, Request, Sample, Wire
from longcat_eval.runners.context import Context
from longcat_eval.runners.plan import PlannedTask

PROBED_SAMPLES = 50
CHARACTERS_PER_TOKEN = 4.0
AGENT, ALL_ROLES = "agent", "all roles"


class RoleEstimate(NamedTuple):
    """Means of one attempt in one role, or `ALL_ROLES` together, and where they are from."""

    role: str
    requests: float
    prompt_tokens: float
    completion_tokens: float
    source: str


class TaskEstimate(NamedTuple):
    """One task: attempts to make, and each role in one of them.

    `cost` is the mean cost of real attempts in US dollars, None where there are none or a price was unknown.
    """

    task: str
    attempts: int
    roles: tuple[RoleEstimate, ...]
    cost: float | None = None


class CountingModel:
    """Gives the reference replies of one sample and counts the characters it is asked with and answers."""

    name = "counting"
    capabilities = frozenset({"chat", "tools"})

    def __init__(self, gold: Mapping[str, Sequence[Message]]) -> None:
        self.gold = gold
        self.prompts: dict[str, list[int]] = {}
        self.replies: dict[str, int] = {}

    async def complete(self, request: Request) -> Completion:
        """Count one request and answer it; empty once the reference replies are used up."""
        role, turn, body = request.meta.role, request.meta.turn, request.body
        lines = self.gold.get(role, ())
        message = lines[turn] if turn < len(lines) else Message("assistant", "")
        said = len(body["prompt"]) if "prompt" in body else sum(map(characters, body["messages"]))
        prompt = said + _json_length(body.get("tools"))
        self.prompts.setdefault(role, []).append(prompt)
        self.replies[role] = self.replies.get(role, 0) + characters(message.wire())
        return Completion(message, "tool_calls" if message.tool_calls else "stop")

    async def loglikelihood(self, request: Request, start: int) -> Completion:
        """Count one text to score."""
        self.prompts.setdefault(request.meta.role, []).append(len(request.body["prompt"]))
        self.replies.setdefault(request.meta.role, 0)
        return scored(0.0, True, 0)

    async def close(self) -> None:
        """Nothing to release."""


async def estimate(part: PlannedTask, rows: Sequence[AttemptRow], workers: Workers) -> TaskEstimate:
    """Estimate what is left of one task, given the valid rows that already stand."""
    protocol, attempts = part.task.protocol, len(part.samples) * part.repeats - len(rows)
    if rows:
        return TaskEstimate(part.task.name, attempts, (_measured(rows, protocol.roles),), _mean_cost(rows))
    probed = part.samples[:: max(1, len(part.samples) // PROBED_SAMPLES)]
    counted = [await _probe(part, sample, workers) for sample in probed]
    return TaskEstimate(
        part.task.name, attempts, tuple(_role(part, name, counted) for name in protocol.roles)
    )


def characters(message: Wire) -> int:
    """Length of what a message says and of the calls it makes."""
    return len(str(message.get("content") or "")) + _json_length(message.get("tool_calls"))


def stretched(dialogues: Sequence[Sequence[int]], requests: float) -> float:
    """Prompts of `requests` requests together, from those of dialogues (the formula above), in their unit."""
    first = fsum(prompts[0] for prompts in dialogues) / len(dialogues)
    beyond = fsum(sum(prompts) - len(prompts) * prompts[0] for prompts in dialogues)
    pairs = sum(len(prompts) * (len(prompts) - 1) // 2 for prompts in dialogues)
    growth = beyond / pairs if pairs else 0.0
    return requests * first + growth * max(requests * (requests - 1) / 2, 0.0)


async def _probe(part: PlannedTask, sample: Sample, workers: Workers) -> CountingModel:
    """Drive one attempt; a judge is asked when it is scored."""
    task = part.task
    model = CountingModel(task.reference(sample, 0))
    roles = {name: Role(model, "counting") for name in task.protocol.roles}
    context = Context(AttemptKey(task.name, sample.id), roles, task.protocol, 0, workers, _unheard)
    if isinstance(task, Rehearsed):
        await task.rehearse(sample, context)
        return model
    try:
        transcript = await task.attempt(sample, context)
        if task.protocol.judges:
            await task.score(sample, transcript, context)
    except ModelError:
        pass  # the reference ended before the attempt did: what was asked until then is counted
    return model


def _role(part: PlannedTask, role: str, counted: Sequence[CountingModel]) -> RoleEstimate:
    """One role from the probed attempts, stretched where the protocol knows better how long they get."""
    protocol = part.task.protocol
    dialogues = [model.prompts[role] for model in counted if model.prompts.get(role)]
    if not dialogues:
        return RoleEstimate(role, 0.0, 0.0, 0.0, "not asked in the reference")
    probed = sum(map(len, dialogues)) / len(counted)
    typical = protocol.typical_requests.get(role)
    requests = probed if typical is None else typical
    prompt = sum(map(sum, dialogues)) / len(counted) if typical is None else stretched(dialogues, typical)
    completion = sum(m.replies.get(role, 0) for m in counted) / len(counted) * requests / probed
    prompts = "prompts counted" if typical is None else f"prompts of {probed:.1f} requests, stretched"
    replies = "the reference's replies"
    if role == AGENT and protocol.typical_tokens:
        completion, replies = protocol.typical_tokens * CHARACTERS_PER_TOKEN, "a rough completion length"
    elif rough := protocol.typical_role_tokens.get(role):
        completion, replies = requests * rough * CHARACTERS_PER_TOKEN, "a rough completion length"
    tokens = prompt / CHARACTERS_PER_TOKEN, completion / CHARACTERS_PER_TOKEN
    return RoleEstimate(role, requests, *tokens, f"{prompts}; {replies}")


def _measured(rows: Sequence[AttemptRow], roles: Sequence[str]) -> RoleEstimate:
    calls, prompt, completion = (
        sum(getattr(row, name) for row in rows) / len(rows)
        for name in ("calls", "prompt_tokens", "completion_tokens")
    )
    if len(roles) == 1:
        return RoleEstimate(roles[0], calls, prompt, completion, "this run's own means")
    return RoleEstimate(
        ALL_ROLES, calls, prompt, completion, "this run's own means, which do not split roles"
    )


def _mean_cost(rows: Sequence[AttemptRow]) -> float | None:
    costs = [row.cost for row in rows if row.cost is not None]
    return fsum(costs) / len(costs) if len(costs) == len(rows) else None


def _json_length(value: Any) -> int:
    return len(msgspec.json.encode(value).decode()) if value else 0


def _unheard(role: str, request: Any) -> None:
    """Nobody keeps the requests of an estimate."""
