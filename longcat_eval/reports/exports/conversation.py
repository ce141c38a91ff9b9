"""A transcript as one conversation, for formats that hold a list of messages."""

from typing import NamedTuple

import msgspec

from longcat_eval.records import Completion, Transcript, Usage, Wire

KNOWN_ROLES = ("system", "user", "assistant", "tool")


class Turn(NamedTuple):
    """A message as on the wire; `completion` is set on the replies of the role itself."""

    message: Wire
    completion: Completion | None = None

    @property
    def role(self) -> str:
        """system, user, assistant or tool; other names of the wire (developer) are system."""
        role = str(self.message.get("role"))
        return role if role in KNOWN_ROLES else "system"

    @property
    def text(self) -> str:
        """What is said; parts of a list that are no text are named."""
        content = self.message.get("content")
        if isinstance(content, list):
            return "\n".join(_part(part) for part in content)
        return "" if content is None else str(content)


def _part(part: object) -> str:
    """A part of a message as text."""
    if not isinstance(part, dict):
        return str(part)
    return str(part["text"]) if "text" in part else f"[{part.get('type', 'part')}]"


def conversation(transcript: Transcript | None, role: str = "agent") -> list[Turn]:
    """What a role was told and replied, in the order it came.

    A call adds what the role's call before did not hold (`Call.shared`), less the echo of its own reply.
    Where an agent has rebuilt its context, so that nothing is shared, it adds what was not told yet. A text
    that was asked without a chat (`prompt`) is a user's message.
    """
    turns: list[Turn] = []
    told: set[bytes] = set()
    counted = 0
    before: Wire | None = None
    for call in transcript.calls if transcript is not None else ():
        if call.role != role:
            continue
        messages = _asked(call.request)
        if before is not None and call.shared and messages and messages[0] == before:
            messages = messages[1:]
        elif before is not None and not call.shared:
            told |= {msgspec.json.encode(turn.message) for turn in turns[counted:]}
            counted = len(turns)
            messages = [message for message in messages if msgspec.json.encode(message) not in told]
        turns += [Turn(message) for message in messages]
        before = call.completion.message.wire()
        turns.append(Turn(before, call.completion))
    return turns


def _asked(request: Wire) -> list[Wire]:
    messages: list[Wire] = request.get("messages") or []
    if not messages and "prompt" in request:
        return [{"role": "user", "content": request["prompt"]}]
    return messages


def opening(turns: list[Turn]) -> list[Turn]:
    """What stands before the first reply."""
    end = next((i for i, turn in enumerate(turns) if turn.completion is not None), len(turns))
    return turns[:end]


def usage(transcript: Transcript | None) -> dict[str, Usage]:
    """Tokens by role."""
    found: dict[str, Usage] = {}
    for call in transcript.calls if transcript is not None else ():
        before, more = found.get(call.role, Usage()), call.completion.usage
        found[call.role] = Usage(
            before.prompt_tokens + more.prompt_tokens,
            before.completion_tokens + more.completion_tokens,
            before.reasoning_tokens + more.reasoning_tokens,
            before.cached_tokens + more.cached_tokens,
        )
    return found
