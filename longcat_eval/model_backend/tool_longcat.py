"""LongCat's tool grammar: XML-like blocks with one tag pair per argument.

The form is that of the LongCat-Flash-Thinking-2601 trajectory and of `parse_model_response` as its public ports
(SGLang-FluentLLM `longcat_xml`, mlx-lm) have it; see specs model §5. The wording of the note is ours.
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
    argument_type,
    call,
    function_of,
    read_object,
    to_json,
    without_prefix,
)
from longcat_eval.model_backend.tool_values import read_value
from longcat_eval.records import ToolCall, Wire

OPEN, CLOSE = "<longcat_tool_call>", "</longcat_tool_call>"
KEY = "<longcat_arg_key>"
BLOCK = re.compile(f"{OPEN}(.*?){CLOSE}", re.DOTALL)
LOOSE_BLOCK = re.compile(f"{OPEN}(.*?)(?:{CLOSE}|(?={OPEN})|$)", re.DOTALL)
HEAD = re.compile(r"([^\n]*)(?:\n(.*))?", re.DOTALL)
PAIR = re.compile(
    r"<longcat_arg_key>(.*?)</longcat_arg_key>\s*<longcat_arg_value>(.*?)</longcat_arg_value>", re.DOTALL
)
NAME = re.compile(r"[^\s<{(]+")
FUNCTION = re.compile(r"functions\.([\w.-]+)\s*\(")

NOTE = """**Note**: to use a tool, write its call in exactly this form, with one key and one value per argument:
<longcat_tool_call>tool name
<longcat_arg_key>argument name</longcat_arg_key>
<longcat_arg_value>argument value</longcat_arg_value>
</longcat_tool_call>
Write text values as they are and all other values as JSON. For several calls, write several such blocks."""


class Block(NamedTuple):
    """The call in one block: its name, its arguments, and whether it needed leniency."""

    name: str
    arguments: Wire
    lenient: bool = False


class LongcatXml:
    """`<longcat_tool_call>` blocks; string values stand as they are, so outer white space of them is lost."""

    def declare(self, tools: Sequence[Wire], demand: str) -> str:
        """Return the `<longcat_tool_declare>` block."""
        parts = ["<longcat_tool_declare>", "# Tools", "You have access to the following tools:\n"]
        parts.append("## Tool namespace: function\n")
        for tool in map(function_of, tools):
            parts.append(f"### Tool name: {tool.get('name', '')}\n")
            parts.append(f"Description: {tool.get('description', '')}\n")
            parts.append(f"InputSchema: {to_json(tool.get('parameters') or {})}\n")
        parts += [f"{NOTE} {demand}".rstrip(), "</longcat_tool_declare>"]
        return "\n".join(parts)

    def render_call(self, name: str, arguments: str) -> str:
        """Return a call block; arguments that are no JSON object raise ValueError."""
        pairs = read_object(arguments)
        if pairs is None:
            raise ValueError(f"the arguments of {name} are no JSON object: {arguments[:80]!r}")
        lines = [OPEN + name]
        for key, value in pairs.items():
            text = value if isinstance(value, str) else to_json(value)
            lines.append(f"<longcat_arg_key>{key}</longcat_arg_key>")
            lines.append(f"<longcat_arg_value>{text}</longcat_arg_value>")
        return "\n".join([*lines, CLOSE])

    def render_result(self, name: str, content: str) -> str:
        """Return a `<longcat_tool_response>` block."""
        return f"<longcat_tool_response>{name}\n{content}</longcat_tool_response>"

    def parse(self, text: str, tools: Sequence[Wire], lenient: bool) -> ParsedReply:
        """Read every block (§5 steps 1 to 4); text after the first one is dropped, as the official parser does."""
        if OPEN not in text:
            bare = bare_calls(text, tools) if lenient else None
            return bare or ParsedReply(text, (), STRICT)
        bodies = (LOOSE_BLOCK if lenient else BLOCK).findall(text)
        if not bodies:
            raise ToolSyntaxError("a tool call is not closed", text)
        blocks = [read_block(body, tools, lenient, text) for body in bodies]
        loose = any(block.lenient for block in blocks) or len(bodies) > len(BLOCK.findall(text))
        calls = tuple(call(i, block.name, block.arguments) for i, block in enumerate(blocks))
        return ParsedReply(text[: text.index(OPEN)].strip(), calls, LENIENT if loose else STRICT)


def read_block(body: str, tools: Sequence[Wire], lenient: bool, text: str) -> Block:
    """Return the call in the inside of one block."""
    head = HEAD.fullmatch(body.strip())
    assert head is not None
    name, rest = head.group(1).strip(), (head.group(2) or "").strip()
    if lenient:
        wild = read_wild_block(name, rest, body.strip())
        if wild is not None:
            return wild
    if not NAME.fullmatch(name):
        raise ToolSyntaxError("a tool call has no name on its first line", text)
    pairs = PAIR.findall(rest)
    if rest and not pairs:
        raise ToolSyntaxError(f"the arguments of the call of {name} cannot be read", text)
    plain = without_prefix(name) if lenient else name
    keys = ((key.strip(), value) for key, value in pairs)
    arguments = {key: read_value(value, argument_type(tools, plain, key)) for key, value in keys}
    return Block(plain, arguments, plain != name)


def read_wild_block(name: str, rest: str, body: str) -> Block | None:
    """Return a call in one of the forms seen outside the grammar: JSON, TypeScript, one object after the key tag."""
    typescript = FUNCTION.match(body)
    if typescript is not None:
        arguments = leading_object(body[typescript.end() :])
        return None if arguments is None else Block(typescript.group(1), arguments, True)
    if body.startswith("{"):
        whole = leading_object(body) or {}
        arguments = whole.get("arguments", {})
        if isinstance(whole.get("name"), str) and isinstance(arguments, dict):
            return Block(without_prefix(whole["name"]), arguments, True)
        return None
    if NAME.fullmatch(name) and rest.startswith(KEY) and not PAIR.match(rest):
        arguments = leading_object(rest.removeprefix(KEY))
        return None if arguments is None else Block(without_prefix(name), arguments, True)
    return None


def bare_calls(text: str, tools: Sequence[Wire]) -> ParsedReply | None:
    """Return `functions.name({...})` calls of declared tools that stand without any tag."""
    known = {function_of(tool).get("name") for tool in tools}
    calls: list[ToolCall] = []
    first = len(text)
    for found in FUNCTION.finditer(text):
        arguments = leading_object(text[found.end() :])
        if found.group(1) in known and arguments is not None:
            first = min(first, found.start())
            calls.append(call(len(calls), found.group(1), arguments))
    return ParsedReply(text[:first].strip(), tuple(calls), LENIENT) if calls else None


def leading_object(text: str) -> Wire | None:
    """Return the JSON object a text starts with; `)` alone is an empty one."""
    text = text.lstrip()
    if text.startswith(")"):
        return {}
    try:
        value: Any = JSONDecoder(strict=False).raw_decode(text)[0]
    except (JSONDecodeError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
