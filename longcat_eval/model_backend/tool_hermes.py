"""The Hermes tool grammar: one JSON object per call between `<tool_call>` tags.

The form is NousResearch's Hermes function calling, as the vLLM `hermes` parser and the Qwen templates have it. The
wording of the instructions is ours.
"""

import re
from collections.abc import Sequence
from json import JSONDecodeError, JSONDecoder
from typing import Any, NamedTuple

from longcat_eval.model_backend.tool_text import (
    LENIENT,
    STRICT,
    ParsedReply,
    ToolSyntaxError,
    call,
    function_of,
    read_object,
    to_json,
    without_prefix,
)
from longcat_eval.model_backend.tool_values import UNREADABLE, read_literal
from longcat_eval.records import Wire

OPEN, CLOSE = "<tool_call>", "</tool_call>"
FENCE = re.compile(r"```(?:json)?\s*|\s*```")

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


class Block(NamedTuple):
    """The call in one block, where the text goes on after it, and whether it needed leniency."""

    name: str
    arguments: Wire
    end: int
    lenient: bool = False


class Hermes:
    """`<tool_call>` blocks around JSON; a `</tool_call>` inside a JSON string does not end one."""

    def declare(self, tools: Sequence[Wire], demand: str) -> str:
        """Return the `<tools>` list and how to call them."""
        lines = [to_json({"type": "function", "function": function_of(tool)}) for tool in tools]
        return (INTRODUCTION + "\n".join(lines) + NOTE + " " + demand).rstrip()

    def render_call(self, name: str, arguments: str) -> str:
        """Return a call block; arguments that are no JSON object raise ValueError."""
        pairs = read_object(arguments)
        if pairs is None:
            raise ValueError(f"the arguments of {name} are no JSON object: {arguments[:80]!r}")
        return f"{OPEN}\n{to_json({'name': name, 'arguments': pairs})}\n{CLOSE}"

    def render_result(self, name: str, content: str) -> str:
        """Return a `<tool_response>` block; this grammar has no place for the name."""
        return f"<tool_response>\n{content}\n</tool_response>"

    def parse(self, text: str, tools: Sequence[Wire], lenient: bool) -> ParsedReply:
        """Read every block; text after the first one is dropped, and one unreadable block fails them all."""
        start = text.find(OPEN)
        if start < 0:
            return ParsedReply(text, (), STRICT)
        blocks: list[Block] = []
        at = start
        while at >= 0:
            block = read_block(text, at + len(OPEN))
            if block is None and lenient:
                block = read_wild_block(text, at + len(OPEN))
            if block is None:
                raise ToolSyntaxError("a tool call cannot be read", text)
            blocks.append(block)
            at = text.find(OPEN, block.end)
        if lenient:
            blocks = [unprefixed(block) for block in blocks]
        calls = tuple(call(i, block.name, block.arguments) for i, block in enumerate(blocks))
        mode = LENIENT if any(block.lenient for block in blocks) else STRICT
        return ParsedReply(text[:start].strip(), calls, mode)


def read_block(text: str, start: int) -> Block | None:
    """Return the call that begins at `start`: JSON with a name and an object of arguments, then the closing tag."""
    start += len(text[start:]) - len(text[start:].lstrip())
    try:
        value, end = JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):
        return None
    end += len(text[end:]) - len(text[end:].lstrip())
    if not text.startswith(CLOSE, end):
        return None
    return as_call(value, end + len(CLOSE))


def read_wild_block(text: str, start: int) -> Block | None:
    """Return a call that is not closed, fenced, a Python literal, or has raw line breaks in its strings."""
    close = text.find(CLOSE, start)
    end = len(text) if close < 0 else close
    inside = FENCE.sub("", text[start:end]).strip()
    for read in (read_loose_json, read_literal):
        try:
            block = as_call(read(inside), end if close < 0 else end + len(CLOSE), lenient=True)
        except (*UNREADABLE, JSONDecodeError):
            continue
        if block is not None:
            return block
    return None


def read_loose_json(text: str) -> Any:
    """Return the JSON value a text starts with; control characters inside strings are let through."""
    return JSONDecoder(strict=False).raw_decode(text)[0]


def as_call(value: Any, end: int, *, lenient: bool = False) -> Block | None:
    """Return a decoded block as a call if it has the right shape."""
    if not isinstance(value, dict) or not isinstance(value.get("name"), str) or not value["name"]:
        return None
    arguments = value.get("arguments", value.get("parameters") if lenient else None)
    if arguments is None:
        arguments = {}
    if lenient and isinstance(arguments, str):
        arguments = read_object(arguments)
    if not isinstance(arguments, dict):
        return None
    return Block(value["name"], arguments, end, lenient)


def unprefixed(block: Block) -> Block:
    """Return a call without `functions.` in front of its name, marked as lenient if it had that."""
    name = without_prefix(block.name)
    return block if name == block.name else block._replace(name=name, lenient=True)
