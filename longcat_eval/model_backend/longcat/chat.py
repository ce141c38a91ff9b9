"""Conversations of the chat completions API in the form that LongCat's chat templates read.

Templates iterate over the arguments of a call and name the tool of a result, where the API has JSON text and
a call id (specs model §5; SGLang-FluentLLM makes the same changes).
"""

import json
from collections.abc import Sequence
from typing import Any

from longcat_eval.model_backend.tool_prompt import text_of
from longcat_eval.model_backend.tool_text import read_object
from longcat_eval.records import Wire

ROLES = ("system", "user", "assistant", "tool")
ALIASES = {"developer": "system"}


class ConversationError(ValueError):
    """Messages that cannot be put to the model; `where` is the field, such as `messages[2].content`."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"{where}: {problem}")
        self.where = where


def for_template(messages: Sequence[Wire]) -> list[Wire]:
    """Return the messages with plain text contents, arguments as objects, and names on tool results.

    Arguments that are empty or null become `{}`; a result without a name takes that of its call, else its
    call id. Raises `ConversationError`.
    """
    if not messages:
        raise ConversationError("messages", "there must be at least one message")
    names: dict[str, str] = {}
    return [_message(message, f"messages[{i}]", names) for i, message in enumerate(messages)]


def _message(message: Any, where: str, names: dict[str, str]) -> Wire:
    if not isinstance(message, dict):
        raise ConversationError(where, "a message must be an object")
    role = message.get("role")
    role = ALIASES.get(role, role) if isinstance(role, str) else role
    if role not in ROLES:
        raise ConversationError(f"{where}.role", f"{role!r} is none of {', '.join(ROLES)}")
    calls = message.get("tool_calls") if role == "assistant" else None
    plain: Wire = {"role": role, "content": _content(message, where, needed=not calls)}
    if calls:
        plain["tool_calls"] = _calls(calls, f"{where}.tool_calls", names)
    if role == "tool":
        call_id = str(message.get("tool_call_id") or "")
        name = message.get("name") or names.get(call_id) or call_id
        if not name:
            raise ConversationError(f"{where}.tool_call_id", "a tool result needs the id of its call")
        plain["name"] = str(name)
    return plain


def _content(message: Wire, where: str, *, needed: bool) -> str:
    """The text of a message; parts other than text are refused, because the model reads only text."""
    content = message.get("content")
    if isinstance(content, list):
        for i, part in enumerate(content):
            kind = part.get("type") if isinstance(part, dict) else None
            if kind != "text" or not isinstance(part.get("text"), str):
                raise ConversationError(
                    f"{where}.content[{i}]", f"only text parts are understood, this is {kind!r}"
                )
    elif content is None and (message["role"] == "assistant" or not needed):
        return ""
    elif not isinstance(content, str):
        raise ConversationError(f"{where}.content", "must be a string or a list of text parts")
    return text_of(message)


def _calls(calls: Any, where: str, names: dict[str, str]) -> list[Wire]:
    if not isinstance(calls, list):
        raise ConversationError(where, "must be a list")
    plain = []
    for i, call in enumerate(calls):
        function = call.get("function") if isinstance(call, dict) else None
        name = function.get("name") if isinstance(function, dict) else None
        if not isinstance(name, str) or not isinstance(function, dict):
            raise ConversationError(f"{where}[{i}].function.name", "a call needs the name of its function")
        call_id = str(call.get("id") or f"call_{i}")
        names[call_id] = name
        arguments = _arguments(function.get("arguments"), f"{where}[{i}].function.arguments")
        plain.append({"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}})
    return plain


def _arguments(arguments: Any, where: str) -> Wire:
    if isinstance(arguments, dict):
        return arguments
    found = read_object(arguments) if isinstance(arguments, str) else {} if arguments is None else None
    if found is None:
        raise ConversationError(where, "must be a JSON object, as an object or as its text")
    return found


def render(
    template: str, messages: Sequence[Wire], tools: Sequence[Wire] | None = None, *, generate: bool = True
) -> str:
    """Render a template as transformers does: a sandbox, trimmed blocks, JSON with readable text."""
    from jinja2 import TemplateError
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refuse(message: str) -> None:
        raise TemplateError(message)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
    )
    environment.filters["tojson"] = _tojson
    environment.globals["raise_exception"] = refuse
    return environment.from_string(template).render(
        messages=list(messages), tools=list(tools) if tools else None, add_generation_prompt=generate
    )


def _tojson(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)
