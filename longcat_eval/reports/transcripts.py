"""A transcript as the sequence of things one reads, for the terminal and for HTML alike.

A dialogue is told as it went on: of every call only what its role has not seen in an earlier one, and what
another role just said is not repeated.
"""

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from longcat_eval.records import Call, Transcript, Wire

SHORT_TEXT = 60

Kind = Literal[
    "setup", "prompt", "prompt_call", "result", "failed_result", "reasoning", "reply", "call", "end"
]


class Block(NamedTuple):
    """One thing to read: `who` heads it and is empty for `setup` (what was asked at) and `end` (usage).

    `prompt` and `prompt_call` are what a model was shown, `result` what a tool gave it, the others its own.
    """

    kind: Kind
    who: str
    text: str


def blocks(transcript: Transcript) -> Iterator[Block]:
    """The calls of a transcript in their order; artifacts are in `leaves`."""
    before: dict[str, Call] = {}
    heard: Call | None = None
    for call in transcript.calls:
        yield from _call(call, before.get(call.role), heard)
        before[call.role] = heard = call


def _call(call: Call, before: Call | None, heard: Call | None) -> Iterator[Block]:
    again = ", asked again" if before is not None and before.turn == call.turn else ""
    settings = _settings(call.request, before.request if before else {})
    shown = f": {settings}" if settings else ""
    yield Block("setup", "", f"{call.role}, turn {call.turn}{again}{shown}")
    for tool in call.request.get("tools", []):
        yield Block("setup", "", f"tool {_signature(tool.get('function', {}))}")
    names = _call_names(before)
    for message in _unseen(call, before, heard):
        yield from _message(message, names)
    yield from _reply(call)


def _message(message: Wire, names: dict[str, str]) -> Iterator[Block]:
    """A message of a prompt; `names` are those of the tools by the id of their call.

    A tool result that begins with `Error` is marked as one: on the wire nothing else tells.
    """
    role, text = str(message["role"]), str(message.get("content") or "")
    if role == "tool":
        name = names.get(str(message.get("tool_call_id")), "")
        failed = text.startswith("Error")
        label = f"tool result{' of ' if name else ''}{name}{': an error' if failed else ''}"
        yield Block("failed_result" if failed else "result", label, text)
        return
    if text or not message.get("tool_calls"):
        yield Block("prompt", role, text)
    yield from _calls("prompt_call", role, message)


def _reply(call: Call) -> Iterator[Block]:
    reply = call.completion
    if reply.message.reasoning:
        yield Block("reasoning", f"{call.role} reasons", reply.message.reasoning)
    wire = {"content": reply.text, **reply.message.wire()}
    if reply.text or not wire.get("tool_calls"):
        yield Block("reply", f"{call.role} replies", reply.text)
    yield from _calls("call", call.role, wire)
    tokens = f"{reply.usage.prompt_tokens} + {reply.usage.completion_tokens} tokens"
    cached = " · from the cache" if reply.cached else ""
    yield Block("end", "", f"{reply.finish_reason} · {tokens} · {reply.seconds:.2f} s{cached}")


def _calls(kind: Kind, who: str, message: Wire) -> Iterator[Block]:
    for call in message.get("tool_calls") or []:
        function = call["function"]
        yield Block(kind, f"{who} calls", f"{function['name']}({function['arguments']})")


def leaves(label: str, value: Any) -> Iterator[tuple[str, str]]:
    """Texts of several lines by where they stand (`tested[0].log`), and all else as JSON above them."""
    import msgspec

    if isinstance(value, str) and "\n" in value:
        yield label, value
        return
    within = {f".{n}": v for n, v in value.items()} if isinstance(value, dict) else {}
    within |= {f"[{n}]": v for n, v in enumerate(value)} if isinstance(value, list) else {}
    found = {where: list(leaves(f"{label}{where}", inner)) for where, inner in within.items()}
    if not any("\n" in text for texts in found.values() for _, text in texts):
        yield label, msgspec.json.encode(value).decode()
        return
    for texts in found.values():
        yield from texts


def artifact_words(artifacts: dict[str, Any]) -> Iterator[str]:
    """`steps 12` for numbers and short texts, `trajectory (24 kept)` for what is larger."""
    large = []
    for name, value in artifacts.items():
        if isinstance(value, list | dict):
            large.append(f"{name} ({len(value)} kept)")
        elif isinstance(value, str) and not is_short(value):
            large.append(f"{name} ({len(value)} characters kept)")
        elif value not in (None, ""):
            yield f"{name} {value}"
    yield from large


def is_short(text: str) -> bool:
    """Whether a text fits into a line of words."""
    return len(text) <= SHORT_TEXT and "\n" not in text


def _settings(request: Wire, before: Wire) -> dict[str, Any]:
    """What a call was asked at, less what is as in the role's call before."""
    own = {name: value for name, value in request.items() if name not in ("messages", "prompt", "tools")}
    return {name: value for name, value in own.items() if name not in before or before[name] != value}


def _unseen(call: Call, before: Call | None, heard: Call | None) -> list[Wire]:
    """The messages that were not told yet: without the role's own last reply, and what it just heard."""
    if "prompt" in call.request:  # a text that is scored or continued, not a chat
        return [{"role": "text", "content": call.request["prompt"]}]
    messages: list[Wire] = call.request["messages"]
    if before is not None and call.shared and messages and messages[0] == before.completion.message.wire():
        messages = messages[1:]
    if heard is not None and heard.role != call.role and messages:
        last = messages[-1]
        if last["role"] == "user" and last.get("content") == heard.completion.text:
            messages = messages[:-1]
    return messages


def _call_names(before: Call | None) -> dict[str, str]:
    """The tools of the calls that the role made last, by the id its results come back under."""
    calls = before.completion.message.tool_calls if before is not None else ()
    return {call.id: call.name for call in calls}


def _signature(function: Wire) -> str:
    """`cancel(id, reason): first line of the description`."""
    known = function.get("parameters") or {}
    parameters = ", ".join((known.get("properties") or {}) if isinstance(known, dict) else ())
    lines = str(function.get("description") or "").strip().splitlines()
    return f"{function.get('name')}({parameters})" + (f": {lines[0]}" if lines else "")
