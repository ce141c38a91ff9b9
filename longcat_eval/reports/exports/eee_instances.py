"""One attempt as an instance of Every Eval Ever (instance_level_eval.schema.json, 0.3.0)."""

import json
from hashlib import sha256
from typing import Any

import msgspec

from longcat_eval.records import Wire
from longcat_eval.reports.exports.conversation import Turn, conversation, opening, usage
from longcat_eval.reports.exports.source import AGENT, Attempt


def instance(attempt: Attempt) -> Wire:
    """An attempt with a verdict: single_turn for one reply, agentic with tool calls, else multi_turn."""
    row, turns = attempt.row, conversation(attempt.transcript)
    asked = opening(turns)
    raw = asked[0].text if len(asked) == 1 else "\n\n".join(f"{turn.role}: {turn.text}" for turn in asked)
    replies = [turn for turn in turns if turn.completion is not None]
    calls = sum(len(turn.message.get("tool_calls") or []) for turn in replies)
    kind = "single_turn"
    if calls or any(turn.role == "tool" for turn in turns):
        kind = "agentic"
    elif len(replies) > 1:
        kind = "multi_turn"
    single = kind == "single_turn"
    record: Wire = {
        "sample_id": row.sample,
        "sample_hash": _hash(raw) if raw else None,
        "interaction_type": kind,
        "input": {"raw": raw, "reference": []},
        "output": _output(replies) if single else None,
        "messages": None if single else [_message(number, turn) for number, turn in enumerate(turns)],
        "answer_attribution": _attribution(attempt, turns, single),
        "evaluation": {"score": row.value, "is_correct": row.value == 1.0},
        "performance": {"latency_ms": row.seconds * 1000.0},
        "metadata": _metadata(attempt),
    }
    if replies and not single:
        record["evaluation"] |= {"num_turns": len(replies), "tool_calls_count": calls}
    record["token_usage"] = _usage(attempt)
    return record


def _hash(raw: str) -> str:
    """The hash over question and references, as the datastore's own converters make it."""
    text = json.dumps({"raw": raw, "reference": []}, sort_keys=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()


def _output(replies: list[Turn]) -> Wire:
    told: Wire = {"raw": [turn.text for turn in replies]}
    reasoned = [turn.completion.message.reasoning for turn in replies if turn.completion is not None]
    if any(reasoned):
        told["reasoning_trace"] = [text or "" for text in reasoned]
    return told


def _message(number: int, turn: Turn) -> Wire:
    told: Wire = {"turn_idx": number, "role": turn.role, "content": turn.text}
    if turn.completion is not None and turn.completion.message.reasoning:
        told["reasoning_trace"] = turn.completion.message.reasoning
    if calls := turn.message.get("tool_calls"):
        told["tool_calls"] = [_call(call) for call in calls]
    if turn.role == "tool" and turn.message.get("tool_call_id"):
        told["tool_call_id"] = [str(turn.message["tool_call_id"])]
    return told


def _call(call: Wire) -> Wire:
    """A tool call; the schema wants arguments whose values are texts."""
    function: Wire = call.get("function") or {}
    written: Any = function.get("arguments")
    try:
        read = msgspec.json.decode(written) if isinstance(written, str) else written
    except msgspec.DecodeError:
        read = None
    if not isinstance(read, dict):
        read = {"raw": written}
    told = {
        str(name): value if isinstance(value, str) else msgspec.json.encode(value).decode()
        for name, value in read.items()
    }
    return {"id": str(call.get("id") or ""), "name": str(function.get("name") or ""), "arguments": told}


def _attribution(attempt: Attempt, turns: list[Turn], single: bool) -> list[Wire]:
    """What was taken from the last reply, and by which rule."""
    row = attempt.row
    if row.extracted is None:
        return []
    last = max((i for i, turn in enumerate(turns) if turn.completion is not None), default=0)
    place = 0 if single else last
    return [
        {
            "turn_idx": place,
            "source": "output.raw" if single else f"messages[{place}].content",
            "extracted_value": row.extracted,
            "extraction_method": row.rule or "longcat-eval",
            "is_terminal": True,
        }
    ]


def _usage(attempt: Attempt) -> Wire:
    """The agent's tokens; without a transcript the row's, which are those of all roles."""
    row, agent = attempt.row, usage(attempt.transcript).get(AGENT)
    if agent is None:
        total = row.prompt_tokens + row.completion_tokens
        return {
            "input_tokens": row.prompt_tokens,
            "output_tokens": row.completion_tokens,
            "total_tokens": total,
        }
    return {
        "input_tokens": agent.prompt_tokens,
        "output_tokens": agent.completion_tokens,
        "total_tokens": agent.total,
        "input_tokens_cache_read": agent.cached_tokens,
        "reasoning_tokens": agent.reasoning_tokens,
    }


def _metadata(attempt: Attempt) -> dict[str, str]:
    row = attempt.row
    told = {
        "repeat": str(row.repeat),
        "outcome": row.outcome.value,
        "reason": row.reason,
        "group": row.group,
        "finish_reason": row.finish_reason,
        "cost_usd": "" if row.cost is None else f"{row.cost:.6f}",
        **{f"metric_{name}": f"{value:g}" for name, value in row.metrics.items()},
    }
    return {name: value for name, value in told.items() if value}
