"""What the tool grammars share: calls written as text instead of JSON fields."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from longcat_eval.records import ToolCall, Wire

STRICT = "strict"
LENIENT = "lenient"
PREFIX = "functions."


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
        """The text that tells a model its tools and how to call them; `demand` is an extra sentence or ''."""
        ...

    def render_call(self, name: str, arguments: str) -> str:
        """A call as the model should have written it; `arguments` is JSON text."""
        ...

    def render_result(self, name: str, content: str) -> str:
        """What a tool gave, for a user turn."""
        ...

    def parse(self, text: str, tools: Sequence[Wire], lenient: bool) -> ParsedReply:
        """Take a reply apart; raises `ToolSyntaxError`."""
        ...


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
        value = msgspec.json.decode(arguments)
    except msgspec.DecodeError:
        return None
    return value if isinstance(value, dict) else None


def without_prefix(name: str) -> str:
    """Return a tool name without the `functions.` that some models put in front."""
    return name.removeprefix(PREFIX)


def call(index: int, name: str, arguments: Wire | str) -> ToolCall:
    """Return the index-th call of a reply."""
    text = arguments if isinstance(arguments, str) else to_json(arguments)
    return ToolCall(f"call_{index}", name, text)


def to_json(value: Any) -> str:
    """Return one line of JSON with its text readable; raises ValueError or TypeError for what JSON has not."""
    import json

    return json.dumps(value, ensure_ascii=False, allow_nan=False)
