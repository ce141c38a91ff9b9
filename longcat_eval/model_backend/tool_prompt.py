"""Conversations with tools as plain text, for servers that know no tools."""

from collections.abc import Iterator, Sequence
from typing import Any

from longcat_eval.model_backend.tool_grammars import grammar_named
from longcat_eval.model_backend.tool_text import Grammar, ToolSyntaxError
from longcat_eval.records import Wire


def with_tools_in_prompt(
    messages: Sequence[Wire], tools: Sequence[Wire], grammar: str, *, demand: str = ""
) -> list[Wire]:
    """Return the conversation with tools declared first in the system prompt, calls and results as text.

    An assistant message that holds its calls as text already (as received) stays as it is. Results of one
    turn come in one user message. `demand` is a sentence after the declaration (`tool_choice`).
    """
    form = grammar_named(grammar)
    plain = list(as_text(messages, form))
    return declared(plain, form.declare(tools, demand)) if tools else plain


def declared(messages: list[Wire], declaration: str) -> list[Wire]:
    """Put the declaration before the system prompt, which is made if there is none."""
    first = messages[0] if messages else {}
    if first.get("role") != "system":
        return [{"role": "system", "content": declaration}, *messages]
    return [first | {"content": f"{declaration}\n{text_of(first)}"}, *messages[1:]]


def as_text(messages: Sequence[Wire], form: Grammar) -> Iterator[Wire]:
    """Yield messages without `tool_calls` and role tool."""
    names: dict[str, str] = {}
    results: list[str] = []
    for message in messages:
        if message.get("role") == "tool":
            call_id = str(message.get("tool_call_id", ""))
            name = message.get("name") or names.get(call_id) or call_id
            results.append(form.render_result(name, text_of(message)))
            continue
        if results:
            yield {"role": "user", "content": "\n".join(results)}
            results = []
        if message.get("role") == "assistant":
            names = call_names(message, form)
        yield calls_as_text(message, form) if message.get("tool_calls") else message
    if results:
        yield {"role": "user", "content": "\n".join(results)}


def calls_as_text(message: Wire, form: Grammar) -> Wire:
    """Return an assistant message with its calls written after its content."""
    parts = [text_of(message)] if text_of(message) else []
    for item in message["tool_calls"]:
        function = item["function"]
        arguments = function.get("arguments")
        parts.append(form.render_call(function["name"], arguments if isinstance(arguments, str) else ""))
    rest = {key: value for key, value in message.items() if key != "tool_calls"}
    return rest | {"content": "\n".join(parts)}


def call_names(message: Wire, form: Grammar) -> dict[str, str]:
    """Return the tool names of an assistant message by call id, from its fields or from its text."""
    if message.get("tool_calls"):
        return {str(item.get("id")): item["function"]["name"] for item in message["tool_calls"]}
    try:
        return {call.id: call.name for call in form.parse(text_of(message), (), True).tool_calls}
    except ToolSyntaxError:
        return {}


def text_of(message: Wire) -> str:
    """Return the text of a message, whose content may be a string, parts, or nothing."""
    content: Any = message.get("content")
    if isinstance(content, list):
        return "".join(part.get("text") or "" for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""
