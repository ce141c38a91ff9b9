"""Reading a chat completion off the wire."""

from typing import Any

import msgspec

from longcat_eval.model_backend.classify import read_error
from longcat_eval.model_backend.failures import RequestError
from longcat_eval.records import Completion, Message, ToolCall, Usage, Wire


def read_completion(body: bytes) -> Completion:
    """Return the first choice of a chat completion reply; raises `RequestError` (bad_body, no_choices).

    A well-formed reply without content is a completion like any other. `Message.raw` is the assistant message
    as received; a refusal is marked by the finish reason `content_filter`.
    """
    reply = _decoded(body)
    choice = first_choice(reply)
    if choice is None:
        said = read_error(body).message if isinstance(reply, dict) and "error" in reply else ""
        raise RequestError("no_choices", said or "the reply has no choice with a message")
    message = choice["message"]
    return Completion(
        message=read_message(message),
        finish_reason="content_filter" if message.get("refusal") else str(choice.get("finish_reason") or ""),
        usage=read_usage(reply.get("usage")),
        served_model=text_or_none(reply.get("model")),
        fingerprint=text_or_none(reply.get("system_fingerprint")),
        logprobs=choice.get("logprobs"),
    )


def read_continuation(body: bytes) -> Completion:
    """Return the first choice of a text completion reply; raises `RequestError` as `read_completion` does."""
    reply = _decoded(body)
    choices = reply.get("choices") if isinstance(reply, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    if not isinstance(choice.get("text"), str):
        said = read_error(body).message if isinstance(reply, dict) and "error" in reply else ""
        raise RequestError("no_choices", said or "the reply has no choice with a text")
    return Completion(
        message=Message("assistant", choice["text"]),
        finish_reason=str(choice.get("finish_reason") or ""),
        usage=read_usage(reply.get("usage")),
        served_model=text_or_none(reply.get("model")),
        fingerprint=text_or_none(reply.get("system_fingerprint")),
        logprobs=choice.get("logprobs"),
    )


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        said = " ".join(body[:200].decode("utf-8", "replace").split())
        raise RequestError("bad_body", f"the reply is no JSON: {said or '(empty)'}") from None


def read_models(body: bytes) -> list[Wire]:
    """Return the entries of a GET /models reply; raises `RequestError` (bad_body)."""
    try:
        reply = msgspec.json.decode(body)
    except msgspec.DecodeError:
        reply = None
    entries = reply.get("data") if isinstance(reply, dict) else reply
    if not isinstance(entries, list):
        raise RequestError("bad_body", "the reply to GET /models is no list of models")
    return [entry for entry in entries if isinstance(entry, dict)]


def first_choice(reply: Any) -> Wire | None:
    """Return the first choice if it is whole enough to hold a message."""
    choices = reply.get("choices") if isinstance(reply, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    if isinstance(choice, dict) and isinstance(choice.get("message"), dict):
        return choice
    return None


def read_message(message: Wire) -> Message:
    """Return an assistant message; content in parts is joined, reasoning is found under either name."""
    content = message.get("content")
    if isinstance(content, list):
        content = "".join(part.get("text") or "" for part in content if isinstance(part, dict))
    reasoning = message.get("reasoning_content") or message.get("reasoning")
    return Message(
        role="assistant",
        content=text_or_none(content),
        reasoning=text_or_none(reasoning),
        tool_calls=tuple(read_tool_calls(message.get("tool_calls"))),
        raw=message if message.get("role") == "assistant" else None,
    )


def read_tool_calls(calls: Any) -> list[ToolCall]:
    """Return function calls; arguments that came as an object become JSON text, absent ones `{}`."""
    read = []
    for index, call in enumerate(calls or ()):
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict):
            raise RequestError("bad_body", "the reply has a tool call without a function")
        arguments = function.get("arguments")
        if not isinstance(arguments, str):
            arguments = msgspec.json.encode(arguments or {}).decode()
        read.append(
            ToolCall(str(call.get("id") or f"call_{index}"), str(function.get("name") or ""), arguments)
        )
    return read


def read_usage(usage: Any) -> Usage:
    """Return token counts; what the server left out is 0."""
    if not isinstance(usage, dict):
        return Usage()
    completion = usage.get("completion_tokens_details")
    prompt = usage.get("prompt_tokens_details")
    return Usage(
        prompt_tokens=count(usage, "prompt_tokens"),
        completion_tokens=count(usage, "completion_tokens"),
        reasoning_tokens=count(completion, "reasoning_tokens"),
        cached_tokens=count(prompt, "cached_tokens"),
    )


def count(counts: Any, name: str) -> int:
    """Return a token count, 0 if it is absent or no number."""
    value = counts.get(name) if isinstance(counts, dict) else None
    return int(value) if isinstance(value, int | float) else 0


def text_or_none(value: Any) -> str | None:
    """Return a text as it is and anything else as None."""
    return value if isinstance(value, str) else None
