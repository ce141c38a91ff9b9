"""Tool calls as text: what each grammar accepts, refuses, and accepts only when asked to be lenient."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longcat_eval.errors import UsageError
from longcat_eval.model_backend.tool_grammars import GRAMMARS, parse_reply
from longcat_eval.model_backend.tool_text import ToolSyntaxError
from longcat_eval.records import Wire

PROPERTIES = {
    "city": {"type": "string"},
    "days": {"type": "integer"},
    "maybe": {"type": ["string", "null"]},
    "tags": {"type": "array"},
}
TOOLS: list[Wire] = [
    {"type": "function", "function": {"name": "weather", "parameters": {"properties": PROPERTIES}}},
    {"type": "function", "function": {"name": "clock", "parameters": {"type": "object", "properties": {}}}},
    {"type": "function", "function": {"name": "bare"}},
]


def pair(key: str, value: str) -> str:
    return f"<longcat_arg_key>{key}</longcat_arg_key>\n<longcat_arg_value>{value}</longcat_arg_value>\n"


def block(name: str, *pairs: str) -> str:
    return f"<longcat_tool_call>{name}\n{''.join(pairs)}</longcat_tool_call>"


def calls(text: str, grammar: str = "longcat_xml", *, lenient: bool = False) -> list[tuple[str, Any]]:
    reply = parse_reply(text, TOOLS, grammar, lenient=lenient)
    return [(call.name, json.loads(call.arguments)) for call in reply.tool_calls]


LONGCAT: dict[str, tuple[str, list[tuple[str, Any]]]] = {
    "one": (block("weather", pair("city", "Oslo")), [("weather", {"city": "Oslo"})]),
    "two arguments": (
        block("weather", pair("city", "Oslo"), pair("days", "3")),
        [("weather", {"city": "Oslo", "days": 3})],
    ),
    "several calls": (
        block("weather", pair("city", "Oslo")) + "\n" + block("clock"),
        [("weather", {"city": "Oslo"}), ("clock", {})],
    ),
    "no arguments": (block("clock"), [("clock", {})]),
    "no arguments, one line": ("<longcat_tool_call>clock</longcat_tool_call>", [("clock", {})]),
    "name on the next line": (
        "<longcat_tool_call>\nweather\n" + pair("city", "Oslo") + "</longcat_tool_call>",
        [("weather", {"city": "Oslo"})],
    ),
    "spaces around the name": (block(" weather  ", pair("city", "Oslo")), [("weather", {"city": "Oslo"})]),
    "declared string stays text": (block("weather", pair("city", "123")), [("weather", {"city": "123"})]),
    "declared string of JSON": (
        block("weather", pair("city", '{"a": 1}')),
        [("weather", {"city": '{"a": 1}'})],
    ),
    "number": (block("weather", pair("days", "1.5")), [("weather", {"days": 1.5})]),
    "boolean": (block("weather", pair("days", "true")), [("weather", {"days": True})]),
    "list": (block("weather", pair("tags", '["x", 1]')), [("weather", {"tags": ["x", 1]})]),
    "Python True": (block("weather", pair("days", "True")), [("weather", {"days": True})]),
    "Python None": (block("weather", pair("days", "None")), [("weather", {"days": None})]),
    "Python dict": (block("weather", pair("tags", "{'a': (1, 2)}")), [("weather", {"tags": {"a": [1, 2]}})]),
    "listed schema type": (block("weather", pair("maybe", "5")), [("weather", {"maybe": 5})]),
    "unknown argument": (block("weather", pair("other", "7")), [("weather", {"other": 7})]),
    "unknown tool": (block("nowhere", pair("city", "12")), [("nowhere", {"city": 12})]),
    "no schema": (block("bare", pair("x", "[1]")), [("bare", {"x": [1]})]),
    "text that is neither": (block("weather", pair("days", "three")), [("weather", {"days": "three"})]),
    "outer white space is lost": (
        block("weather", pair(" city ", "\n  a\n b \n")),
        [("weather", {"city": "a\n b"})],
    ),
    "value with a key tag": (
        block("weather", pair("city", "a</longcat_arg_key>b")),
        [("weather", {"city": "a</longcat_arg_key>b"})],
    ),
    "value over lines": (
        block("weather", pair("city", "def f():\n    return 1")),
        [("weather", {"city": "def f():\n    return 1"})],
    ),
    "empty value": (block("weather", pair("city", "")), [("weather", {"city": ""})]),
    "same key twice": (
        block("weather", pair("city", "a"), pair("city", "b")),
        [("weather", {"city": "b"})],
    ),
    "a set is no JSON": (block("weather", pair("days", "{1, 2}")), [("weather", {"days": "{1, 2}"})]),
    "NaN is no JSON": (block("weather", pair("days", "NaN")), [("weather", {"days": "NaN"})]),
    "too large a number": (block("weather", pair("days", "1e999")), [("weather", {"days": "1e999"})]),
    "deep nesting": (
        block("weather", pair("days", "[" * 5000)),
        [("weather", {"days": "[" * 5000})],
    ),
    "half a surrogate": (
        block("weather", pair("days", '"\\ud800"')),
        [("weather", {"days": '"\\ud800"'})],
    ),
    "invalid escape": (block("weather", pair("days", r"'\d'")), [("weather", {"days": r"\d"})]),
    "a second block cut off": (
        block("clock") + "<longcat_tool_call>weather\n<longcat_arg_key>ci",
        [("clock", {})],
    ),
}


@pytest.mark.parametrize(("text", "expected"), LONGCAT.values(), ids=LONGCAT.keys())
def test_longcat_shapes(text: str, expected: list[tuple[str, Any]]) -> None:
    assert calls(text) == expected
    assert parse_reply(text, TOOLS, "longcat_xml").parse_mode == "strict"


def test_content_is_the_text_before_and_text_after_is_dropped() -> None:
    reply = parse_reply("\n Let me look.\n" + block("clock") + " Done!", TOOLS, "longcat_xml")
    assert reply.content == "Let me look."
    assert [(call.id, call.name) for call in reply.tool_calls] == [("call_0", "clock")]


@pytest.mark.parametrize("grammar", GRAMMARS)
@pytest.mark.parametrize("text", ["", " plain text \n", "</tool_call></longcat_tool_call>", "<tool"])
def test_text_without_a_call_is_content_as_it_is(text: str, grammar: str) -> None:
    for lenient in (False, True):
        reply = parse_reply(text, TOOLS, grammar, lenient=lenient)
        assert reply == (text, (), "strict")


BROKEN_LONGCAT = {
    "not closed": "<longcat_tool_call>weather\n" + pair("city", "Oslo"),
    "no name": "<longcat_tool_call>\n</longcat_tool_call>",
    "arguments but no name": block("", pair("city", "Oslo")),
    "key without value": block("weather", "<longcat_arg_key>city</longcat_arg_key>"),
    "JSON inside": block('{"name": "weather", "arguments": {"city": "Oslo"}}'),
    "TypeScript inside": block('functions.weather({"city": "Oslo"})'),
    "object after the key": block("weather", '<longcat_arg_key>{"city": "Oslo"}'),
    "key on the name's line": "<longcat_tool_call>weather" + pair("city", "x") + "</longcat_tool_call>",
    "prose": block("I will now look up the weather"),
}


@pytest.mark.parametrize("text", BROKEN_LONGCAT.values(), ids=BROKEN_LONGCAT.keys())
def test_longcat_strict_refuses(text: str) -> None:
    with pytest.raises(ToolSyntaxError) as caught:
        parse_reply("Look: " + text, TOOLS, "longcat_xml")
    assert caught.value.text == "Look: " + text


WILD_LONGCAT = {
    "not closed": BROKEN_LONGCAT["not closed"],
    "TypeScript inside": BROKEN_LONGCAT["TypeScript inside"],
    "TypeScript without tags": 'functions.weather({"city": "Oslo"})',
    "object after the key": BROKEN_LONGCAT["object after the key"],
    "object after the key, closed": block("weather", '<longcat_arg_key>{"city": "Oslo"}</longcat_arg_key>'),
    "object after the key, not closed": '<longcat_tool_call>weather\n<longcat_arg_key>{"city": "Oslo"}',
    "prefix": block("functions.weather", pair("city", "Oslo")),
    "JSON inside": BROKEN_LONGCAT["JSON inside"],
}


@pytest.mark.parametrize("text", WILD_LONGCAT.values(), ids=WILD_LONGCAT.keys())
def test_longcat_lenient_accepts_and_says_so(text: str) -> None:
    reply = parse_reply("Look: " + text, TOOLS, "longcat_xml", lenient=True)
    assert [(c.name, json.loads(c.arguments)) for c in reply.tool_calls] == [("weather", {"city": "Oslo"})]
    assert (reply.content, reply.parse_mode) == ("Look:", "lenient")


def test_longcat_lenient_reads_types_by_the_name_without_prefix() -> None:
    assert calls(block("functions.weather", pair("city", "123")), lenient=True) == [
        ("weather", {"city": "123"})
    ]


def test_longcat_lenient_takes_the_last_block_too() -> None:
    text = block("clock") + "<longcat_tool_call>weather\n" + pair("city", "Oslo")
    assert calls(text, lenient=True) == [("clock", {}), ("weather", {"city": "Oslo"})]
    assert calls(block("clock") + "<longcat_tool_call>\n", lenient=True) == [("clock", {})]


def test_typescript_of_an_unknown_function_is_prose() -> None:
    text = 'Use functions.other({"a": 1}) and functions.clock() then.'
    assert calls(text) == []
    assert calls(text, lenient=True) == [("clock", {})]
    assert calls("functions.weather(no json)", lenient=True) == []


HERMES: dict[str, tuple[str, list[tuple[str, Any]]]] = {
    "one": (
        '<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}\n</tool_call>',
        [("weather", {"city": "Oslo"})],
    ),
    "one line": ('<tool_call>{"name":"clock","arguments":{}}</tool_call>', [("clock", {})]),
    "no arguments": ('<tool_call>{"name": "clock"}</tool_call>', [("clock", {})]),
    "null arguments": ('<tool_call>{"name": "clock", "arguments": null}</tool_call>', [("clock", {})]),
    "arguments first": (
        '<tool_call>{"arguments": {"days": 3}, "name": "weather"}</tool_call>',
        [("weather", {"days": 3})],
    ),
    "several": (
        '<tool_call>{"name": "clock"}</tool_call> and\n<tool_call>{"name": "bare"}</tool_call>',
        [("clock", {}), ("bare", {})],
    ),
    "types are JSON's": (
        '<tool_call>{"name": "weather", "arguments": {"city": 123, "tags": [true, null]}}</tool_call>',
        [("weather", {"city": 123, "tags": [True, None]})],
    ),
    "closing tag in a string": (
        '<tool_call>{"name": "weather", "arguments": {"city": "</tool_call>"}}</tool_call>',
        [("weather", {"city": "</tool_call>"})],
    ),
    "opening tag in a string": (
        '<tool_call>{"name": "weather", "arguments": {"city": "<tool_call>"}}</tool_call>',
        [("weather", {"city": "<tool_call>"})],
    ),
    "white space inside strings stays": (
        '<tool_call>{"name": "weather", "arguments": {"city": " a\\n "}}</tool_call>',
        [("weather", {"city": " a\n "})],
    ),
    "Chinese": (
        '<tool_call>{"name": "weather", "arguments": {"city": "北京"}}</tool_call>',
        [("weather", {"city": "北京"})],
    ),
    "unknown tool": (
        '<tool_call>{"name": "nowhere", "arguments": {"a": 1}}</tool_call>',
        [("nowhere", {"a": 1})],
    ),
    "more fields": ('<tool_call>{"name": "clock", "id": 7}</tool_call>', [("clock", {})]),
}


@pytest.mark.parametrize(("text", "expected"), HERMES.values(), ids=HERMES.keys())
def test_hermes_shapes(text: str, expected: list[tuple[str, Any]]) -> None:
    reply = parse_reply("I look. " + text, TOOLS, "hermes")
    assert [(c.name, json.loads(c.arguments)) for c in reply.tool_calls] == expected
    assert (reply.content, reply.parse_mode) == ("I look.", "strict")
    assert parse_reply("I look. " + text, TOOLS, "hermes", lenient=True) == reply


BROKEN_HERMES = {
    "not closed": '<tool_call>{"name": "weather", "arguments": {"city": "Oslo"}}',
    "cut": '<tool_call>{"name": "weather", "argu',
    "no JSON": "<tool_call>weather(Oslo)</tool_call>",
    "empty": "<tool_call></tool_call>",
    "no name": '<tool_call>{"arguments": {"city": "Oslo"}}</tool_call>',
    "empty name": '<tool_call>{"name": ""}</tool_call>',
    "name is no text": '<tool_call>{"name": 7}</tool_call>',
    "a list": '<tool_call>[{"name": "clock"}]</tool_call>',
    "arguments as text": '<tool_call>{"name": "weather", "arguments": "{}"}</tool_call>',
    "arguments as list": '<tool_call>{"name": "weather", "arguments": []}</tool_call>',
    "Python literal": "<tool_call>{'name': 'weather', 'arguments': {}}</tool_call>",
    "fenced": '<tool_call>```json\n{"name": "clock"}\n```</tool_call>',
    "raw line break": '<tool_call>{"name": "weather", "arguments": {"city": "a\nb"}}</tool_call>',
    "text after the JSON": '<tool_call>{"name": "clock"} please</tool_call>',
    "NaN": '<tool_call>{"name": "weather", "arguments": {"days": NaN}}</tool_call>',
    "half a surrogate": '<tool_call>{"name": "weather", "arguments": {"city": "\\ud800"}}</tool_call>',
    "parameters": '<tool_call>{"name": "weather", "parameters": {"city": "Oslo"}}</tool_call>',
    "the second one": '<tool_call>{"name": "clock"}</tool_call><tool_call>',
}


@pytest.mark.parametrize("text", BROKEN_HERMES.values(), ids=BROKEN_HERMES.keys())
def test_hermes_strict_refuses(text: str) -> None:
    with pytest.raises(ToolSyntaxError):
        parse_reply(text, TOOLS, "hermes")


WILD_HERMES = {
    "not closed": BROKEN_HERMES["not closed"],
    "prefix": '<tool_call>{"name": "functions.weather", "arguments": {"city": "Oslo"}}</tool_call>',
    "arguments as text": '<tool_call>{"name":"weather","arguments":"{\\"city\\": \\"Oslo\\"}"}</tool_call>',
    "parameters": '<tool_call>{"name": "weather", "parameters": {"city": "Oslo"}}</tool_call>',
    "Python literal": "<tool_call>{'name': 'weather', 'arguments': {'city': 'Oslo'}}</tool_call>",
    "fenced": '<tool_call>```json\n{"name": "weather", "arguments": {"city": "Oslo"}}\n```</tool_call>',
    "fenced literal": "<tool_call>```\n{'name': 'weather', 'arguments': {'city': 'Oslo'}}\n```</tool_call>",
    "text after the JSON": '<tool_call>{"name": "weather", "arguments": {"city": "Oslo"}} go</tool_call>',
}


@pytest.mark.parametrize("text", WILD_HERMES.values(), ids=WILD_HERMES.keys())
def test_hermes_lenient_accepts_and_says_so(text: str) -> None:
    reply = parse_reply(text, TOOLS, "hermes", lenient=True)
    assert [(c.name, json.loads(c.arguments)) for c in reply.tool_calls] == [("weather", {"city": "Oslo"})]
    assert reply.parse_mode == "lenient"


def test_hermes_lenient_reads_unclosed_calls_in_a_row() -> None:
    text = '<tool_call>{"name": "clock"}\n<tool_call>{"name": "bare"}</tool_call>'
    assert calls(text, "hermes", lenient=True) == [("clock", {}), ("bare", {})]


@pytest.mark.parametrize("text", ["<tool_call>", "<tool_call>nothing", '<tool_call>{"name": "weather", "ar'])
def test_hermes_lenient_still_refuses_what_is_no_call(text: str) -> None:
    with pytest.raises(ToolSyntaxError):
        parse_reply(text, TOOLS, "hermes", lenient=True)


def test_an_unknown_grammar_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"did you mean 'longcat_xml'\?"):
        parse_reply("", [], "longcat_xlm")


names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,20}", fullmatch=True)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.lists(st.tuples(names, st.dictionaries(st.text(), json_values, max_size=4)), min_size=1, max_size=3)
)
def test_hermes_reads_back_what_it_renders(written: list[tuple[str, Wire]]) -> None:
    """Any name and any JSON arguments; a lenient parser may only differ by the functions. prefix."""
    form = GRAMMARS["hermes"]
    text = "\n".join(form.render_call(name, json.dumps(arguments)) for name, arguments in written)
    assert calls(text, "hermes") == written


def survives(value: Any) -> bool:
    """Whether a value outside the declared strings keeps its type: text must not look like a literal."""
    return not isinstance(value, str)


plain = st.text().map(str.strip).filter(lambda text: "longcat_" not in text)
longcat_arguments = st.fixed_dictionaries(
    {},
    optional={"city": plain, "days": json_values.filter(survives), "tags": st.lists(json_values, max_size=3)},
)


@given(st.lists(longcat_arguments, min_size=1, max_size=3))
def test_longcat_reads_back_what_it_renders(written: list[Wire]) -> None:
    """Declared strings without outer white space and tags, and any other JSON value."""
    form = GRAMMARS["longcat_xml"]
    text = "\n".join(form.render_call("weather", json.dumps(arguments)) for arguments in written)
    if "longcat_" in json.dumps([{k: v for k, v in a.items() if k != "city"} for a in written]):
        return
    assert calls(text) == [("weather", arguments) for arguments in written]


PIECES = st.sampled_from(
    [
        *("<longcat_tool_call>", "</longcat_tool_call>", "<longcat_arg_key>", "</longcat_arg_key>"),
        *("<longcat_arg_value>", "</longcat_arg_value>", "<tool_call>", "</tool_call>", "weather", "\n", " "),
        *('{"name": "clock"}', "functions.", "functions.clock(", "{", "}", '"', "```", "1", "'", "\\"),
    ]
)


@given(st.lists(PIECES | st.text(max_size=5), max_size=25).map("".join), st.booleans())
@pytest.mark.parametrize("grammar", GRAMMARS)
def test_no_text_breaks_a_parser(grammar: str, text: str, lenient: bool) -> None:
    """Anything at all gives a reply whose arguments are JSON objects, or a ToolSyntaxError."""
    try:
        reply = parse_reply(text, TOOLS, grammar, lenient=lenient)
    except ToolSyntaxError:
        assert "tool_call>" in text
        return
    assert all(isinstance(json.loads(call.arguments), dict) and call.name for call in reply.tool_calls)
    assert [call.id for call in reply.tool_calls] == [f"call_{i}" for i in range(len(reply.tool_calls))]
    if not lenient:
        assert reply.parse_mode == "strict"


@given(st.lists(PIECES | st.text(max_size=5), max_size=25).map("".join))
@pytest.mark.parametrize("grammar", GRAMMARS)
def test_lenient_never_reads_less_than_strict(grammar: str, text: str) -> None:
    try:
        strict = parse_reply(text, TOOLS, grammar)
    except ToolSyntaxError:
        return
    lenient = parse_reply(text, TOOLS, grammar, lenient=True)
    assert len(lenient.tool_calls) >= len(strict.tool_calls)
    if lenient.parse_mode == "strict":
        assert lenient == strict
