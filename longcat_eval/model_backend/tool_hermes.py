"""The Hermes tool grammar: one JSON object per call between `<tool_call>` tags.

The form is NousResearch's Hermes function calling, as vLLM's `hermes` parser and the Qwen templates have it.
The wording of the instructions is ours.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

from longcat_eval.model_backend.tool_text import (
    STRICT,
    UNREADABLE,
    Block,
    ParsedReply,
    ToolSyntaxError,
    function_of,
    json_text,
    loose_object,
    parsed,
    read_object,
    to_json,
    without_prefix,
)
from longcat_eval.model_backend.tool_values import read_literal
from longcat_eval.records import Wire

OPEN, CLOSE = "<tool_call>", "</tool_call>"
SPACE = re.compile(r"\s*")
FENCE = re.compile(r"\s*(?:```(?:json)?\s*)?")
CLOSED = re.compile(r"\s*</tool_call>")

INTRODUCTION = """# Tools
These functions can be called. Each line is the JSON signature of one of them:
<tools>
"""
NOTE = """
</tools>
To call a function, write a JSON object with its name and its arguments between tool_call tags:
<tool_call>
{"name": "function name", "arguments": {"argument name": "argument value"}}
</tool_call>
For several calls, write several such blocks."""


class Hermes:
    """`<tool_call>` blocks around JSON; a `</tool_call>` inside a JSON string does not end one."""

    def declare(self, tools: Sequence[Wire], demand: str) -> str:
        """Return the `<tools>` list and how to call them."""
        lines = [to_json({"type": "function", "function": function_of(tool)}) for tool in tools]
        return f"{INTRODUCTION}{chr(10).join(lines)}{NOTE} {demand}".rstrip()

    def render_call(self, name: str, arguments: str) -> str:
        """Return a call block."""
        pairs = read_object(arguments)
        shown = arguments if pairs is None else to_json(pairs)
        return f'{OPEN}\n{{"name": {to_json(name)}, "arguments": {shown}}}\n{CLOSE}'

    def render_result(self, name: str, content: str) -> str:
        """Return a `<tool_response>` block; this grammar has no place for the name."""
        return f"<tool_response>\n{content}\n</tool_response>"

    def parse(self, text: str, tools: Sequence[Wire], lenient: bool) -> ParsedReply:
        """Read every block; text after the first is no content, and one unreadable block fails them all."""
        start = at = text.find(OPEN)
        if start < 0:
            return ParsedReply(text, (), STRICT)
        blocks = []
        while at >= 0:
            found = read_block(text, at + len(OPEN))
            if found is None and lenient:
                found = read_wild_block(text, at + len(OPEN))
            if found is None:
                raise ToolSyntaxError("a tool call cannot be read", text)
            blocks.append(unprefixed(found[0]) if lenient else found[0])
            at = text.find(OPEN, found[1])
        return parsed(text[:start], blocks)


def read_block(text: str, start: int) -> tuple[Block, int] | None:
    """Return the call that begins at `start`, JSON and then the closing tag, and where it ends."""
    try:
        value, end = json.JSONDecoder().raw_decode(text, skip(SPACE, text, start))
    except UNREADABLE:
        return None
    closed = CLOSED.match(text, end)
    block = as_call(value)
    return (block, closed.end()) if block is not None and closed is not None else None


def read_wild_block(text: str, start: int) -> tuple[Block, int] | None:
    """Return a call that is not closed, fenced, a Python literal, or has raw line breaks in its strings."""
    start = skip(FENCE, text, start)
    found = loose_object(text[start:])
    if found is not None:
        value, end = json.loads(found[0]), start + found[1]
    else:
        close = text.find(CLOSE, start)
        end = len(text) if close < 0 else close
        try:
            value = read_literal(text[start:end].strip().removesuffix("```").strip())
        except UNREADABLE:
            return None
    block = as_loose_call(value)
    return None if block is None else (block, end)


def as_call(value: Any) -> Block | None:
    """Return a decoded block as a call: `name` a text, `arguments` an object or absent."""
    name = value.get("name") if isinstance(value, dict) else None
    if not isinstance(name, str) or not name or ("parameters" in value and "arguments" not in value):
        return None
    arguments = value.get("arguments")
    encoded = json_text({} if arguments is None else arguments)
    return Block(name, encoded) if encoded is not None and encoded.startswith("{") else None


def as_loose_call(value: Any) -> Block | None:
    """Return a call whose arguments may also be called `parameters` or be JSON inside a string."""
    if not isinstance(value, dict):
        return None
    arguments = value.get("arguments", value.get("parameters"))
    if isinstance(arguments, str):
        arguments = read_object(arguments)
        if arguments is None:
            return None
    block = as_call({"name": value.get("name"), "arguments": arguments})
    return None if block is None else block._replace(lenient=True)


def skip(pattern: re.Pattern[str], text: str, start: int) -> int:
    """Return where a pattern that may match nothing ends."""
    found = pattern.match(text, start)
    return found.end() if found else start


def unprefixed(block: Block) -> Block:
    """Return a call without `functions.` in front of its name, marked as lenient if it had that."""
    name = without_prefix(block.name)
    return block if name == block.name else block._replace(name=name, lenient=True)
