"""What the tool grammars share: calls written as text instead of JSON fields."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from longcat_eval.records import ToolCall, Wire

STRICT = "strict"
LENIENT = "lenient"
UNREADABLE = (ValueError, SyntaxError, TypeError, MemoryError, RecursionError)
"""What decoders raise at text from a model, and encoders at what JSON cannot hold."""


class ParsedReply(NamedTuple):
    """A reply taken apart; `parse_mode` is `lenient` exactly when a form outside the grammar was accepted."""

    content: str
    tool_calls: tuple[ToolCall, ...]
    parse_mode: str


class ToolSyntaxError(ValueError):
    """The reply opens a tool call that cannot be read; `text` is the whole reply."""

    def __init__(self, problem: str, text: str) -> None:
        super().__init__(f"{problem} in the reply {text[:200]!r}")
        self.text = text


class Grammar(Protocol):
    """One way of writing tools, calls and results as text."""

    def declare(self, tools: Sequence[Wire], demand: str) -> str:
        """Return what tells a model its tools and how to call them; `demand` is one more sentence or ''."""
        ...

    def render_call(self, name: str, arguments: str) -> str:
        """Return a call as a model should have written it; arguments that are no JSON object stand as is."""
        ...

    def render_result(self, name: str, content: str) -> str:
        """Return what a tool gave, for a user turn."""
        ...

    def parse(self, text: str, tools: Sequence[Wire], lenient: bool) -> ParsedReply:
        """Take a reply apart; raises `ToolSyntaxError`."""
        ...


class Block(NamedTuple):
    """One call as read: `arguments` is JSON text, `lenient` says that it was written in some other form."""

    name: str
    arguments: str
    lenient: bool = False


def parsed(content: str, blocks: Sequence[Block]) -> ParsedReply:
    """Return a parsed reply; ids count the calls of the reply from call_0."""
    calls = tuple(ToolCall(f"call_{i}", b.name, b.arguments) for i, b in enumerate(blocks))
    return ParsedReply(content.strip(), calls, LENIENT if any(b.lenient for b in blocks) else STRICT)


def function_of(tool: Wire) -> Wire:
    """Return the function object of a tool, given in the API's shape or bare."""
    function: Any = tool.get("function", tool)
    return function if isinstance(function, dict) else {}


def argument_type(tools: Sequence[Wire], name: str, argument: str) -> Any:
    """Return the declared JSON Schema type of an argument, None where nothing is declared."""
    for tool in tools:
        function = function_of(tool)
        if function.get("name") == name:
            schema: Any = function.get("parameters")
            for step in ("properties", argument, "type"):
                schema = schema.get(step) if isinstance(schema, dict) else None
            return schema
    return None


def read_object(arguments: str) -> Wire | None:
    """Return JSON arguments as an object; empty and `null` are `{}`, anything else that is no object None."""
    if arguments.strip() in ("", "null"):
        return {}
    try:
        value = json.loads(arguments)
    except UNREADABLE:
        return None
    return value if isinstance(value, dict) and json_text(value) is not None else None


def without_prefix(name: str) -> str:
    """Return a tool name without the `functions.` that some models put in front."""
    return name.removeprefix("functions.")


def to_json(value: Any) -> str:
    """Return one line of JSON with its text readable; raises UNREADABLE for what JSON has not."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def json_text(value: Any) -> str | None:
    """Return a value as JSON text that survives UTF-8, None where that cannot be."""
    try:
        text = to_json(value)
        text.encode()
    except UNREADABLE:
        return None
    return text


def loose_object(text: str) -> tuple[str, int] | None:
    """Return the JSON object a text starts with, as JSON text, and where it ends; raw line breaks pass."""
    try:
        value, end = json.JSONDecoder(strict=False).raw_decode(text)
    except UNREADABLE:
        return None
    encoded = json_text(value) if isinstance(value, dict) else None
    return None if encoded is None else (encoded, end)
