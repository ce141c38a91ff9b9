"""Replies into content and calls: the cases of specs model §5, whole and as they come."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longcat_eval.model_backend.longcat.response import ContentStream, parse_model_response
from longcat_eval.model_backend.tool_longcat import OPEN
from longcat_eval.model_backend.tool_text import ToolSyntaxError


def tool(**types: Any) -> dict[str, Any]:
    properties = {name: {"type": kind} for name, kind in types.items()}
    return {"type": "function", "function": {"name": "f", "parameters": {"properties": properties}}}


def call(name: str = "f", **values: str) -> str:
    pairs = "".join(
        f"<longcat_arg_key>{key}</longcat_arg_key>\n<longcat_arg_value>{value}</longcat_arg_value>\n"
        for key, value in values.items()
    )
    return f"<longcat_tool_call>{name}\n{pairs}</longcat_tool_call>"


@pytest.mark.parametrize(
    ("text", "declared", "expected"),
    [
        ("123", "string", "123"),
        ("1.5", "number", 1.5),
        ("true", "boolean", True),
        ('["x", 1]', "array", ["x", 1]),
        ("True", "boolean", True),
        ("None", "object", None),
        ("5", ["string", "null"], 5),
        ("  keep  ", "string", "keep"),
        ("a</longcat_arg_key>b", "string", "a</longcat_arg_key>b"),
        ("not json", "integer", "not json"),
        ("", "string", ""),
        ("line\n  two", "string", "line\n  two"),
    ],
)
def test_values_follow_the_schema(text: str, declared: Any, expected: Any) -> None:
    message = parse_model_response(call(a=text), [tool(a=declared)])
    assert message["tool_calls"][0]["function"] == {"name": "f", "arguments": {"a": expected}}


def test_what_is_not_declared_is_read_as_json() -> None:
    unknown = parse_model_response(call(b="7"), [tool(a="string")])
    assert unknown["tool_calls"][0]["function"]["arguments"] == {"b": 7}
    other = parse_model_response(call("g", a="12"), [tool(a="string")])
    assert other["tool_calls"][0]["function"] == {"name": "g", "arguments": {"a": 12}}
    assert parse_model_response(call(a="12"))["tool_calls"][0]["function"]["arguments"] == {"a": 12}


def test_calls_without_arguments() -> None:
    for text in (
        call(),
        "<longcat_tool_call>f</longcat_tool_call>",
        "<longcat_tool_call>f\n\n</longcat_tool_call>",
    ):
        assert parse_model_response(text)["tool_calls"][0]["function"] == {"name": "f", "arguments": {}}


def test_content_is_what_stands_before_the_first_call() -> None:
    message = parse_model_response(f"  I do. \n{call()}\n{call('g')} and after")
    assert message["content"] == "I do."
    assert [c["function"]["name"] for c in message["tool_calls"]] == ["f", "g"]
    assert parse_model_response(" no call \n") == {"role": "assistant", "content": " no call \n"}


@pytest.mark.parametrize(
    "text",
    [
        "<longcat_tool_call>f\n",
        "<longcat_tool_call>\n</longcat_tool_call>",
        "<longcat_tool_call>f\njust text\n</longcat_tool_call>",
    ],
)
def test_what_cannot_be_read_is_an_error(text: str) -> None:
    with pytest.raises(ToolSyntaxError):
        parse_model_response(text)


@pytest.mark.parametrize(
    "text",
    [
        "<longcat_tool_call>f\n<longcat_arg_key>a</longcat_arg_key>\n<longcat_arg_value>x</longcat_arg_value>",
        'functions.f({"a": "x"})',
        '<longcat_tool_call>f\n<longcat_arg_key>{"a": "x"}\n</longcat_tool_call>',
        '<longcat_tool_call>{"name": "f", "arguments": {"a": "x"}}</longcat_tool_call>',
        call("functions.f", a="x"),
    ],
)
def test_forms_of_the_wild_are_read_leniently_and_it_is_told(text: str) -> None:
    message = parse_model_response(text, [tool(a="string")], lenient=True)
    assert message["tool_calls"][0]["function"] == {"name": "f", "arguments": {"a": "x"}}
    assert message["parse_mode"] == "lenient"


PIECES = [OPEN, "<longcat", "<", " ", "\n", "word", call(), "é", OPEN[:-1]]


@given(st.lists(st.sampled_from(PIECES)).map("".join), st.data())
def test_a_stream_gives_the_same_content(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    parts = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    stream = ContentStream()
    shown = [stream.feed(part) for part in parts]
    before, opened, _ = text.partition(OPEN)
    assert "".join(shown) == before[: len("".join(shown))]
    for i in range(len(shown)):
        assert OPEN not in "".join(shown[:i])
    rest = stream.end(calls=bool(opened))
    assert "".join(shown) + rest == (before.rstrip() if opened else text)
    unread = ContentStream()
    assert "".join(map(unread.feed, parts)) + unread.end(calls=False) == text
