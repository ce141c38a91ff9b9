"""Replies taken apart into content and tool calls, whole or as they come."""

import json
from collections.abc import Sequence

from longcat_eval.model_backend.tool_grammars import parse_reply
from longcat_eval.model_backend.tool_longcat import OPEN
from longcat_eval.records import Wire

GRAMMAR = "longcat_xml"


def parse_model_response(
    response: str, tools: Sequence[Wire] | None = None, *, lenient: bool = False
) -> Wire:
    """Return the assistant message that a reply is: `role`, `content`, and `tool_calls` if it has some.

    Arguments are objects, as chat templates want them back. Without an opening tag the whole text is
    content; otherwise what stands before it, stripped, and what follows is dropped. `parse_mode` is in the
    message exactly when a form outside the strict grammar was read. Raises `ToolSyntaxError` for a call that
    is opened and cannot be read. After the `parse_model_response` that the model card calls, as its public
    ports have it (SGLang-FluentLLM, mlx-lm; specs model §5); calls without arguments work.
    """
    reply = parse_reply(response, tools or (), GRAMMAR, lenient=lenient)
    message: Wire = {"role": "assistant", "content": reply.content}
    if reply.tool_calls:
        message["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": json.loads(call.arguments)},
            }
            for call in reply.tool_calls
        ]
    if reply.parse_mode != "strict":
        message["parse_mode"] = reply.parse_mode
    return message


class ContentStream:
    """The content of a reply that may hold calls, as its text comes.

    `feed` returns what is content for certain: nothing from the first opening tag on, and no white space that
    may turn out to stand before one. `end` returns what was held back if the reply has no calls after all.
    """

    def __init__(self) -> None:
        self.text = ""
        self._given = 0

    def feed(self, text: str) -> str:
        """Take more of the reply."""
        self.text += text
        opened = self.text.find(OPEN, max(0, self._given - len(OPEN)))
        end = opened if opened >= 0 else len(self.text) - _begun(self.text)
        return self._give(self._given + len(self.text[self._given : end].rstrip()))

    def end(self, *, calls: bool) -> str:
        """What is still to be shown, once the whole reply is known to have calls or not."""
        return "" if calls else self._give(len(self.text))

    def _give(self, end: int) -> str:
        fresh = self.text[self._given : end]
        self._given = max(self._given, end)
        return fresh


def _begun(text: str) -> int:
    """How many characters at the end may be the start of an opening tag."""
    longest = min(len(OPEN) - 1, len(text))
    return next((n for n in range(longest, 0, -1) if OPEN.startswith(text[-n:])), 0)
