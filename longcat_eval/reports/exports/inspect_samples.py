"""One attempt as a sample of an Inspect log (inspect_ai.log.EvalSample, version 2)."""

from collections.abc import Mapping
from typing import Any

import msgspec

from longcat_eval.records import Usage, Wire
from longcat_eval.reports.exports.conversation import Turn, conversation, opening, usage
from longcat_eval.reports.exports.source import AGENT, Attempt, Source, instant

SCORER = "longcat_eval"
STOP_REASONS = {
    "stop": "stop",
    "eos": "stop",
    "length": "max_tokens",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}
ENDPOINTS = "openai-api"
"""Inspect's provider for endpoints that speak OpenAI's API."""
SHOWN_INPUT = 500
"""Characters of a question in the summary of a sample, which viewers list."""


def inspect_model(source: Source, role: str = AGENT) -> str:
    """A model under Inspect's naming: what an OpenAI-compatible endpoint serves is `openai-api/<name>`."""
    record = source.run.manifest.roles.get(role)
    name = source.role_model(role)
    return f"{ENDPOINTS}/{name}" if record is not None and record.kind == "endpoint" else name


def inspect_sample(source: Source, attempt: Attempt) -> Wire:
    """The sample; epochs count from 1. An attempt without a verdict has an error and no score."""
    row, turns = attempt.row, conversation(attempt.transcript)
    names = _tool_names(turns)
    sample: Wire = {
        "id": row.sample,
        "epoch": row.repeat + 1,
        "input": [_message(turn, names, source) for turn in opening(turns)],
        "target": "",
        "messages": [_message(turn, names, source) for turn in turns],
        "output": _output(source, turns, names),
        "scores": {SCORER: score(attempt)} if attempt.counts else None,
        "metadata": _metadata(attempt),
        "model_usage": model_usage(source, attempt),
        "role_usage": {role: _usage(each) for role, each in usage(attempt.transcript).items()},
        "working_time": row.seconds,
    }
    if row.time:
        sample["completed_at"] = instant(row.time).isoformat()
    if not attempt.counts:
        message = ": ".join(filter(None, (row.outcome.value, row.reason, row.error)))
        sample["error"] = {"message": message, "traceback": "", "traceback_ansi": ""}
    return sample


def score(attempt: Attempt) -> Wire:
    """The verdict of one attempt."""
    row = attempt.row
    how: Wire = {"outcome": row.outcome.value}
    how |= {name: value for name, value in (("reason", row.reason), ("rule", row.rule)) if value}
    how |= {"metrics": row.metrics} if row.metrics else {}
    return {"value": row.value, "answer": row.extracted, "metadata": how}


def summary(sample: Wire) -> Wire:
    """What viewers list without opening a sample."""
    first = "\n".join(_text(message) for message in sample["input"])
    names = ("id", "epoch", "target", "scores", "metadata", "model_usage", "role_usage", "working_time")
    kept = {name: sample[name] for name in names}
    kept |= {name: sample[name] for name in ("completed_at",) if name in sample}
    kept |= {"error": sample["error"]["message"]} if "error" in sample else {}
    count = len(sample["messages"])
    return {**kept, "input": first[:SHOWN_INPUT], "completed": True, "message_count": count}


def model_usage(source: Source, attempt: Attempt) -> dict[str, Wire]:
    """Tokens by model; without a transcript the row's, which are those of all roles together."""
    found: dict[str, Wire] = {}
    by_role = usage(attempt.transcript)
    if attempt.transcript is None:
        row = attempt.row
        by_role = {AGENT: Usage(row.prompt_tokens, row.completion_tokens)}
    for role, tokens in by_role.items():
        add_usage(found, inspect_model(source, role), _usage(tokens))
    return found


def add_usage(found: dict[str, Wire], model: str, tokens: Mapping[str, int]) -> None:
    """Add the tokens of a model to those `found` so far."""
    before = found.setdefault(model, {})
    for name, count in tokens.items():
        before[name] = before.get(name, 0) + count


def _usage(tokens: Usage) -> dict[str, int]:
    cached = min(tokens.cached_tokens, tokens.prompt_tokens)
    return {
        "input_tokens": tokens.prompt_tokens - cached,
        "output_tokens": tokens.completion_tokens,
        "total_tokens": tokens.total,
        "input_tokens_cache_read": cached,
        "reasoning_tokens": tokens.reasoning_tokens,
    }


def _metadata(attempt: Attempt) -> Wire:
    row = attempt.row
    told = {
        "outcome": row.outcome.value,
        "reason": row.reason,
        "group": row.group,
        "tries": row.tries,
        "finish_reason": row.finish_reason,
        "cost": row.cost,
    }
    return {name: value for name, value in told.items() if value not in (None, "")}


def _output(source: Source, turns: list[Turn], names: Mapping[str, str]) -> Wire:
    last = next((turn for turn in reversed(turns) if turn.completion is not None), None)
    if last is None or last.completion is None:
        return {"model": source.model_id, "choices": []}
    reply = last.completion
    stop = STOP_REASONS.get(reply.finish_reason, "unknown")
    return {
        "model": reply.served_model or source.model_id,
        "choices": [{"message": _message(last, names, source), "stop_reason": stop}],
        "usage": _usage(reply.usage),
        "time": reply.seconds,
    }


def _message(turn: Turn, names: Mapping[str, str], source: Source) -> Wire:
    role, message = turn.role, turn.message
    if role == "assistant":
        return _assistant(turn, source)
    said: Wire = {"role": role, "content": turn.text}
    if role == "tool":
        call = str(message.get("tool_call_id") or "")
        said |= {"tool_call_id": call, "function": names.get(call, "")}
    return said


def _assistant(turn: Turn, source: Source) -> Wire:
    text: Any = turn.text
    reasoning = turn.completion.message.reasoning if turn.completion is not None else None
    if turn.completion is not None:
        text = turn.completion.text
    content = [{"type": "reasoning", "reasoning": reasoning}, {"type": "text", "text": text}]
    said: Wire = {"role": "assistant", "content": content if reasoning else text}
    if turn.completion is not None:
        said |= {"source": "generate", "model": inspect_model(source)}
    if calls := [_call(call) for call in turn.message.get("tool_calls") or []]:
        said["tool_calls"] = calls
    return said


def _call(call: Wire) -> Wire:
    """A tool call; arguments that are no JSON object stand as they were written, with the error."""
    function = call.get("function") or {}
    written = function.get("arguments")
    told: Wire = {
        "id": str(call.get("id") or ""),
        "function": str(function.get("name") or ""),
        "type": "function",
    }
    try:
        read = msgspec.json.decode(written) if isinstance(written, str) else written
    except msgspec.DecodeError as error:
        return {**told, "arguments": {"raw": written}, "parse_error": str(error)}
    if not isinstance(read, dict):
        return {**told, "arguments": {"raw": written}, "parse_error": "the arguments are no JSON object"}
    return {**told, "arguments": read}


def _tool_names(turns: list[Turn]) -> dict[str, str]:
    calls = (call for turn in turns for call in turn.message.get("tool_calls") or [])
    return {str(call.get("id") or ""): str((call.get("function") or {}).get("name") or "") for call in calls}


def _text(message: Wire) -> str:
    content = message["content"]
    return content if isinstance(content, str) else "\n".join(str(part.get("text", "")) for part in content)
