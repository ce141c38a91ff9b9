from typing import Any

import msgspec
import pytest

from longcat_eval.model_backend.failures import RequestError
from longcat_eval.model_backend.replies import read_completion, read_models
from longcat_eval.records import ToolCall, Usage


def reply(message: Any, **extra: Any) -> bytes:
    choice = {"index": 0, "message": message, "finish_reason": "stop"} | extra.pop("choice", {})
    return msgspec.json.encode({"model": "served", "choices": [choice], **extra})


def test_everything_a_server_says_is_kept() -> None:
    message = {
        "role": "assistant",
        "content": "Paris",
        "reasoning_content": "France...",
        "annotations": [],
        "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}},
        ],
    }
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 7,
        "completion_tokens_details": {"reasoning_tokens": 5},
        "prompt_tokens_details": {"cached_tokens": 3},
    }
    logprobs = {"content": [{"token": "P", "logprob": -0.5}]}
    done = read_completion(
        reply(message, usage=usage, system_fingerprint="fp", choice={"logprobs": logprobs})
    )
    assert done.text == "Paris"
    assert done.message.reasoning == "France..."
    assert done.message.tool_calls == (ToolCall("a", "f", '{"x": 1}'),)
    assert done.message.raw == message
    assert done.message.wire() == message
    assert done.finish_reason == "stop"
    assert done.usage == Usage(10, 7, 5, 3)
    assert (done.served_model, done.fingerprint, done.logprobs) == ("served", "fp", logprobs)


def test_reasoning_under_its_other_name() -> None:
    done = read_completion(reply({"role": "assistant", "content": "x", "reasoning": "why"}))
    assert done.message.reasoning == "why"


@pytest.mark.parametrize("content", ["", None])
def test_empty_content_is_a_completion(content: str | None) -> None:
    done = read_completion(reply({"role": "assistant", "content": content}))
    assert done.text == ""
    assert done.finish_reason == "stop"


def test_content_in_parts_is_joined() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}]
    assert read_completion(reply({"role": "assistant", "content": parts})).text == "ab"


@pytest.mark.parametrize(
    ("arguments", "text"), [({"x": [1]}, '{"x":[1]}'), ("{broken", "{broken"), (None, "{}"), ("", "")]
)
def test_tool_arguments_become_text(arguments: Any, text: str) -> None:
    calls = [{"function": {"name": "f", "arguments": arguments}}]
    done = read_completion(reply({"role": "assistant", "content": None, "tool_calls": calls}))
    assert done.message.tool_calls == (ToolCall("call_0", "f", text),)


def test_a_refusal_is_marked_by_the_finish_reason() -> None:
    done = read_completion(reply({"role": "assistant", "content": None, "refusal": "I cannot"}))
    assert done.finish_reason == "content_filter"
    assert done.message.raw is not None
    assert done.message.raw["refusal"] == "I cannot"


def test_a_message_without_a_role_is_not_sent_back_as_it_is() -> None:
    done = read_completion(reply({"content": "x"}))
    assert done.message.wire() == {"role": "assistant", "content": "x"}


@pytest.mark.parametrize(
    "usage", [None, [], {"prompt_tokens": None}, {"prompt_tokens": "7", "prompt_tokens_details": None}]
)
def test_odd_usage_counts_as_nothing(usage: Any) -> None:
    assert read_completion(reply({"role": "assistant", "content": "x"}, usage=usage)).usage == Usage()


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "bad_body"),
        (b"<html>502</html>", "bad_body"),
        (b'{"choices":[{"mess', "bad_body"),
        (b"\xff\xfe", "bad_body"),
        (b"{}", "no_choices"),
        (b"[]", "no_choices"),
        (b"null", "no_choices"),
        (b'{"choices":[]}', "no_choices"),
        (b'{"choices":null}', "no_choices"),
        (b'{"choices":[null]}', "no_choices"),
        (b'{"choices":[{"index":0}]}', "no_choices"),
        (b'{"choices":[{"message":null}]}', "no_choices"),
        (b'{"choices":[{"message":{"role":"assistant","tool_calls":[7]}}]}', "bad_body"),
    ],
)
def test_broken_replies_are_retried(body: bytes, kind: str) -> None:
    with pytest.raises(RequestError) as caught:
        read_completion(body)
    assert caught.value.kind == kind
    assert caught.value.rule.retried


def test_an_error_inside_a_200_is_quoted() -> None:
    with pytest.raises(RequestError, match="upstream is down"):
        read_completion(b'{"error":{"message":"upstream is down","code":502}}')


def test_the_model_list() -> None:
    assert read_models(b'{"data":[{"id":"a"},7]}') == [{"id": "a"}]
    assert read_models(b'[{"id":"a"}]') == [{"id": "a"}]
    for body in (b"", b"{}", b'"x"'):
        with pytest.raises(RequestError):
            read_models(body)
