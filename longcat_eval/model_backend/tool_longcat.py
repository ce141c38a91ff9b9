"""LongCat's tool grammar: XML-like blocks with one tag pair per argument.

The form is that of the LongCat-Flash-Thinking-2601 trajectory and of `parse_model_response` as its public
ports (SGLang-FluentLLM `longcat_xml`, mlx-lm) have it: specs model §5. The wording of the note is ours.
"""

import re
from collections.abc import Sequence

from longcat_eval.model_backend.tool_text import (
    STRICT,
    Block,
    ParsedReply,
    ToolSyntaxError,
    argument_type,
    function_of,
    loose_object,
    parsed,
    read_object,
    to_json,
    without_prefix,
)
from longcat_eval.model_backend.tool_values import read_value
from longcat_eval.records import Wire

OPEN, CLOSE = "<longcat_tool_call>", "</longcat_tool_call>"
KEY = "<longcat_arg_key>"
BLOCK = re.compile(f"{OPEN}(.*?){CLOSE}", re.DOTALL)
PAIR = re.compile(
    r"<longcat_arg_key>(.*?)</longcat_arg_key>\s*<longcat_arg_value>(.*?)</longcat_arg_value>", re.DOTALL
)
NAME = re.compile(r"[^\s<{(]+")
TYPESCRIPT = re.compile(r"functions\.([\w.-]+)\s*\(\s*")

NOTE = """**Note**: to use a tool, write its call in exactly this form, one key and one value per argument:
<longcat_tool_call>tool name
<longcat_arg_key>argument name</longcat_arg_key>
<longcat_arg_value>argument value</longcat_arg_value>
</longcat_tool_call>
Write text values as they are and all other values as JSON. For several calls, write several such blocks."""


class LongcatXml:
    """`<longcat_tool_call>` blocks. String values stand unescaped: their outer white space is lost."""

    def declare(self, tools: Sequence[Wire], demand: str) -> str:
        """Return the `<longcat_tool_declare>` block."""
        parts = ["<longcat_tool_declare>", "# Tools", "You have access to the following tools:\n"]
        parts.append("## Tool namespace: function\n")
        for tool in map(function_of, tools):
            parts.append(f"### Tool name: {tool.get('name', '')}")
            parts.append(f"Description: {tool.get('description', '')}\n")
            parts.append(f"InputSchema: {to_json(tool.get('parameters') or {})}\n")
        parts += [f"{NOTE} {demand}".rstrip(), "</longcat_tool_declare>"]
        return "\n".join(parts)

    def render_call(self, name: str, arguments: str) -> str:
        """Return a call block."""
        pairs = read_object(arguments)
        if pairs is None:
            return f"{OPEN}{name}\n{arguments}\n{CLOSE}"
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
        """Read every closed block (§5 steps 1 to 4); what follows the first one is no content.

        Lenient also reads a last block that is not closed, and calls without any tag.
        """
        start = text.find(OPEN)
        if start < 0:
            bare = bare_calls(text, tools) if lenient else None
            return bare or ParsedReply(text, (), STRICT)
        found = list(BLOCK.finditer(text))
        blocks = [read_block(block.group(1), tools, lenient, text) for block in found]
        if lenient:
            rest = text[found[-1].end() if found else 0 :]
            blocks += open_block(rest, tools, text, needed=not blocks)
        if not blocks:
            raise ToolSyntaxError("a tool call is not closed", text)
        return parsed(text[:start], blocks)


def read_block(body: str, tools: Sequence[Wire], lenient: bool, text: str) -> Block:
    """Return the call in the inside of one block: the name on the first line, then pairs or nothing."""
    body = body.strip()
    first, _, rest = body.partition("\n")
    name, rest = first.strip(), rest.strip()
    wild = read_wild_block(body, name, rest) if lenient else None
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
    return Block(plain, to_json(arguments), plain != name)


def read_wild_block(body: str, name: str, rest: str) -> Block | None:
    """Return a call written as TypeScript, as JSON, or as one JSON object straight after the key tag."""
    typescript = TYPESCRIPT.match(body)
    if typescript is not None:
        return typescript_call(typescript, body)
    if body.startswith("{"):
        found = loose_object(body)
        whole = read_object(found[0]) if found else None
        arguments = whole.get("arguments", {}) if whole else None
        if whole and isinstance(whole.get("name"), str) and isinstance(arguments, dict):
            return Block(without_prefix(whole["name"]), to_json(arguments), True)
        return None
    if NAME.fullmatch(name) and rest.startswith(KEY) and not PAIR.match(rest):
        found = loose_object(rest.removeprefix(KEY).lstrip())
        return Block(without_prefix(name), found[0], True) if found else None
    return None


def typescript_call(head: re.Match[str], text: str) -> Block | None:
    """Return the call `functions.name({...})` whose head was found in the text."""
    if text.startswith(")", head.end()):
        return Block(head.group(1), "{}", True)
    found = loose_object(text[head.end() :])
    return Block(head.group(1), found[0], True) if found else None


def open_block(rest: str, tools: Sequence[Wire], text: str, *, needed: bool) -> list[Block]:
    """Return the call of a last block without closing tag; unreadable, it is an error only if `needed`."""
    _, tag, body = rest.partition(OPEN)
    if not tag:
        return []
    try:
        return [read_block(body, tools, True, text)._replace(lenient=True)]
    except ToolSyntaxError:
        if needed:
            raise
        return []


def bare_calls(text: str, tools: Sequence[Wire]) -> ParsedReply | None:
    """Return `functions.name({...})` calls of declared tools that stand without any tag."""
    known = {function_of(tool).get("name") for tool in tools}
    heads = [head for head in TYPESCRIPT.finditer(text) if head.group(1) in known]
    found = [(head.start(), typescript_call(head, text)) for head in heads]
    blocks = [(start, block) for start, block in found if block is not None]
    return parsed(text[: blocks[0][0]], [block for _, block in blocks]) if blocks else None
