"""Whatever comes as a body, it becomes a job or an error of the API, never a bug."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from longcat_engines import ScriptedEngine

from longcat_eval.model_backend.longcat.byte_tokenizer import ByteTokenizer
from longcat_eval.model_backend.longcat.chat_service import ChatJob, answer_chat, prepare_chat, stream_chat
from longcat_eval.model_backend.longcat.server_schema import (
    NEUTRAL,
    ApiError,
    ChatBody,
    TextBody,
    read_chat,
    read_text,
)
from longcat_eval.model_backend.longcat.serving import ServedModel
from longcat_eval.model_backend.longcat.text_service import TextJob, answer_text, prepare_text, stream_text
from longcat_eval.records import Wire

SERVED = ServedModel("tiny", ScriptedEngine("ok"), ByteTokenizer())
SCALARS = st.none() | st.booleans() | st.integers(-3, 400) | st.floats() | st.text(max_size=4)
JSON = st.recursive(SCALARS, lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=4), x))
FUNCTION = st.fixed_dictionaries({"name": st.sampled_from(["f", "", 3])}, optional={"parameters": JSON})
CALL = st.fixed_dictionaries({"function": FUNCTION | JSON}, optional={"id": SCALARS})
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "tool", "developer", "function", 1])},
    optional={
        "content": JSON | st.just([{"type": "text", "text": "x"}]),
        "tool_calls": st.lists(CALL, max_size=2) | JSON,
        "tool_call_id": SCALARS,
        "name": SCALARS,
    },
)
DRAWING = ("temperature", "top_p", "top_k", "n", "stop", "seed", "stream", "stream_options")
SHARED = dict.fromkeys((*NEUTRAL, *DRAWING), SCALARS | JSON)
CHATS = st.fixed_dictionaries(
    {"model": st.just("tiny"), "messages": st.lists(MESSAGE, max_size=3) | JSON},
    optional=SHARED
    | {
        "tools": st.lists(st.fixed_dictionaries({"type": st.just("function"), "function": FUNCTION}) | JSON),
        "tool_choice": st.sampled_from(["auto", "none", "required"]) | JSON,
        "max_tokens": SCALARS,
        "logprobs": SCALARS,
        "top_logprobs": SCALARS,
    },
)
TEXTS = st.fixed_dictionaries(
    {"model": st.just("tiny"), "prompt": st.text(max_size=5) | st.lists(st.integers(0, 400)) | JSON},
    optional=SHARED | {"max_tokens": SCALARS, "logprobs": SCALARS, "echo": st.booleans()},
)


def refusal_or(make: Any) -> ChatJob | TextJob | None:
    try:
        job: ChatJob | TextJob = make()
    except ApiError as error:
        if error.status not in (400, 404) or not error.body["error"]["message"]:
            raise
        return None
    return job


@given(CHATS)
def test_any_chat_body(body: Wire) -> None:
    job = refusal_or(lambda: prepare_chat(SERVED, read_chat(body)))
    if job is not None:
        assert isinstance(job.body, ChatBody)
        assert 1 <= job.request.n <= 128
        assert job.request.max_new_tokens >= 1


@given(TEXTS)
def test_any_text_body(body: Wire) -> None:
    job = refusal_or(lambda: prepare_text(SERVED, read_text(body)))
    if job is not None:
        assert isinstance(job.body, TextBody)
        assert all(request.prompt_ids for request in job.requests)


@given(st.binary(max_size=40))
def test_any_bytes(raw: bytes) -> None:
    for read in (read_chat, read_text):
        with pytest.raises(ApiError):
            read(raw)


@pytest.mark.parametrize(
    "said", ["plain é", " lead", "a <longcat_tool_call>f\n</longcat_tool_call> b", "<longcat_"]
)
@pytest.mark.parametrize("extra", [{}, {"n": 3}, {"logprobs": True, "top_logprobs": 2}, {"max_tokens": 3}])
async def test_streams_add_up_to_replies(said: str, extra: Wire) -> None:
    served = ServedModel("tiny", ScriptedEngine(said), ByteTokenizer())
    tools = [{"type": "function", "function": {"name": "f"}}]
    body = read_chat(
        {"model": "tiny", "messages": [{"role": "user", "content": "x"}], "tools": tools} | extra
    )
    job = prepare_chat(served, body)
    whole = await answer_chat(served, job)
    texts: dict[int, str] = {}
    logprobs: dict[int, list[Wire]] = {}
    ends: dict[int, Wire] = {}
    async for chunk in stream_chat(served, job):
        (choice,) = chunk["choices"]
        i, delta = choice["index"], choice["delta"]
        texts[i] = texts.get(i, "") + (delta.get("content") or "")
        logprobs.setdefault(i, []).extend((choice["logprobs"] or {}).get("content", []))
        ends.setdefault(i, {"calls": []})["calls"] += delta.get("tool_calls", [])
        ends[i]["finish"] = choice["finish_reason"] or ends[i].get("finish")
    for choice in whole["choices"]:
        i, message = choice["index"], choice["message"]
        assert texts[i] == (message["content"] or "")
        assert [c["function"] for c in ends[i]["calls"]] == [
            c["function"] for c in message.get("tool_calls", [])
        ]
        assert ends[i]["finish"] == choice["finish_reason"]
        assert logprobs[i] == ((choice["logprobs"] or {}).get("content") or [])


@pytest.mark.parametrize(
    "extra", [{}, {"echo": True}, {"echo": True, "logprobs": 2}, {"n": 2, "logprobs": 0}, {"max_tokens": 0}]
)
async def test_text_streams_add_up_to_replies(extra: Wire) -> None:
    body = read_text({"model": "tiny", "prompt": ["aé", "b"]} | extra)
    served = ServedModel("tiny", ScriptedEngine("né!"), ByteTokenizer())
    job = prepare_text(served, body)
    whole = await answer_text(served, job)
    texts: dict[int, str] = {}
    tokens: dict[int, list[str]] = {}
    finishes: dict[int, Any] = {}
    async for chunk in stream_text(served, job):
        (choice,) = chunk["choices"]
        i = choice["index"]
        texts[i] = texts.get(i, "") + choice["text"]
        tokens.setdefault(i, []).extend((choice["logprobs"] or {}).get("tokens", []))
        finishes[i] = choice["finish_reason"] or finishes.get(i)
    for choice in whole["choices"]:
        i = choice["index"]
        assert (texts[i], finishes[i]) == (choice["text"], choice["finish_reason"])
        assert tokens[i] == ((choice["logprobs"] or {}).get("tokens") or [])
