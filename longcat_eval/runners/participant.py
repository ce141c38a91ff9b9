"""One side of a dialogue: what it has seen, what it may call, and how it is asked for its next message."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from longcat_eval.model_backend.tool_text import read_object
from longcat_eval.protocols import AttemptContext, ModelError
from longcat_eval.records import Completion, Message, Outcome, Wire

UNREADABLE_TOOL_CALL = "tool_syntax"
EMPTY_REPLY = "empty_reply"
EMPTY_OUTCOMES = {"length": Outcome.LENGTH_LIMIT, "content_filter": Outcome.REFUSED}
"""What an agent that says nothing did, by finish reason; without one of these it gave no answer."""


class ReadCall(NamedTuple):
    """A tool call with its arguments decoded; `arguments` is None where they are no JSON object."""

    id: str
    name: str
    arguments: dict[str, Any] | None
    written: str


class Said(NamedTuple):
    """One message of a participant: visible text and calls."""

    text: str
    calls: tuple[ReadCall, ...]
    finish_reason: str = ""


@dataclass
class Participant:
    """A model in a dialogue. `history` holds wire messages as this side sees them, its own as assistant.

    `faults` counts replies and calls that could not be used, `resampled` how often it was asked again.
    """

    role: str
    history: list[Wire]
    tools: Sequence[Wire] = ()
    turn: int = 0
    faults: int = field(default=0, init=False)
    resampled: int = field(default=0, init=False)

    def hear(self, text: str) -> None:
        """Add what the other side said."""
        self.history.append({"role": "user", "content": text})

    def see(self, call: ReadCall, content: str) -> None:
        """Add what a tool gave."""
        self.history.append({"role": "tool", "content": content, "tool_call_id": call.id})

    async def speak(self, ctx: AttemptContext, seed: int, resamples: int) -> Said:
        """Ask for the next message; a reply without text and calls, or with unreadable ones, is asked again.

        Each try has a seed of its own, the first one `seed`. After `resamples` more raises `ModelError`:
        no_answer, length_limit, refused or tool_protocol_error for the agent, simulator_error for the user.
        """
        choice: Wire = {"tool_choice": "auto"} if self.tools else {}
        for again in range(resamples + 1):
            self.resampled += again > 0
            try:
                reply = await ctx.ask(
                    self.history,
                    role=self.role,
                    turn=self.turn,
                    tools=self.tools,
                    seed=seed + again,
                    **choice,
                )
            except ModelError as error:
                self.faults += 1
                if error.reason != UNREADABLE_TOOL_CALL or again == resamples:
                    raise
                continue
            if reply.text.strip() or reply.message.tool_calls:
                return self._said(reply)
            self.faults += 1
        raise self._silence(reply)

    def _said(self, reply: Completion) -> Said:
        calls = tuple(
            ReadCall(call.id, call.name, read_object(call.arguments), call.arguments)
            for call in reply.message.tool_calls
        )
        self.faults += sum(call.arguments is None for call in calls)
        self.history.append(echo(reply.message, calls))
        self.turn += 1
        return Said(reply.text, calls, reply.finish_reason)

    def _silence(self, reply: Completion) -> ModelError:
        outcome = EMPTY_OUTCOMES.get(reply.finish_reason, Outcome.NO_ANSWER)
        if self.role != "agent":
            outcome = Outcome.SIMULATOR_ERROR
        error = ModelError(outcome, EMPTY_REPLY, f"the {self.role} sent neither text nor a tool call")
        error.completion = reply
        return error


def echo(message: Message, calls: Sequence[ReadCall]) -> Wire:
    """The message as it came, to be sent back; what servers refuse to read again is mended.

    Chat templates decode the arguments of earlier calls, and some servers leave out ids: arguments that are
    no JSON object become one that holds the text, an absent id the one the result is sent under.
    """
    wire, said = message.wire(), message.wire().get("tool_calls") or []
    if len(said) != len(calls) or all(
        _readable(given, call) for given, call in zip(said, calls, strict=True)
    ):
        return wire
    return wire | {"tool_calls": [_mended(given, call) for given, call in zip(said, calls, strict=True)]}


def _readable(given: Wire, call: ReadCall) -> bool:
    written = given["function"].get("arguments")
    return (
        call.arguments is not None
        and given.get("id") == call.id
        and (bool(written.strip()) if isinstance(written, str) else isinstance(written, dict))
    )


def _mended(given: Wire, call: ReadCall) -> Wire:
    import msgspec

    arguments: Mapping[str, Any] = {"unreadable": call.written} if call.arguments is None else call.arguments
    function = {**given["function"], "arguments": msgspec.json.encode(arguments).decode()}
    return {**given, "id": call.id, "function": function}
