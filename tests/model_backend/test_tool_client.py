import json
from typing import Any

import pytest
from asking import ask, endpoint
from loopback import FakeEndpoint, Raw, completion

from longcat_eval.errors import UsageError
from longcat_eval.model_backend.tool_client import ToolPromptModel, ToolReplyError, with_tool_parser
from longcat_eval.model_backend.tool_prompt import with_tools_in_prompt
from longcat_eval.protocols import Model, ModelError
from longcat_eval.records import Outcome, ToolCall, Wire

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}
TOOLS: list[Wire] = [
    {
        "type": "function",
        "function": {"name": "weather", "description": "Looks up 天气.", "parameters": SCHEMA},
    },
    {"type": "function", "function": {"name": "clock", "description": "Tells the time."}},
]
CALL = {
    "longcat_xml": "<longcat_tool_call>weather\n<longcat_arg_key>city</longcat_arg_key>\n"
    "<longcat_arg_value>Oslo</longcat_arg_value>\n</longcat_tool_call>",
    "hermes": '<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}\n</tool_call>',
}
BROKEN = {"longcat_xml": "<longcat_tool_call>weather\n", "hermes": "<tool_call>weather"}
BOTH = pytest.mark.parametrize("grammar", ["longcat_xml", "hermes"])


def tool_model(server: FakeEndpoint, grammar: str, **settings: Any) -> ToolPromptModel:
    return ToolPromptModel(endpoint(server.base_url, max_tries=1), grammar, **settings)


@BOTH
async def test_a_turn_with_a_tool_over_the_wire(grammar: str) -> None:
    """Ask with tools, get a call, send its result, get an answer: the server sees plain text only."""
    replies = ["I look.\n" + CALL[grammar], "Sunny."]
    async with FakeEndpoint(lambda _: replies.pop(0)) as server:
        model = tool_model(server, grammar)
        first = await model.complete(ask("Weather in Oslo?", tools=TOOLS, tool_choice="auto"))
        assert first.message.tool_calls == (ToolCall("call_0", "weather", '{"city": "Oslo"}'),)
        assert (first.message.content, first.finish_reason) == ("I look.", "tool_calls")
        assert first.parse_mode == "strict"
        messages = [
            {"role": "user", "content": "Weather in Oslo?"},
            first.message.wire(),
            {"role": "tool", "tool_call_id": "call_0", "content": "sun"},
        ]
        second = await model.complete(ask(messages=messages, tools=TOOLS))
        await model.close()
    assert (second.text, second.message.tool_calls, second.parse_mode) == ("Sunny.", (), "strict")
    for body in server.bodies:
        assert not {"tools", "tool_choice"} & set(body)
        assert body["messages"][0]["role"] == "system"
        assert "weather" in body["messages"][0]["content"]
    later = server.bodies[1]["messages"]
    assert [message["role"] for message in later] == ["system", "user", "assistant", "user"]
    assert later[2]["content"] == "I look.\n" + CALL[grammar]
    assert "sun" in later[3]["content"]
    if grammar == "longcat_xml":
        assert later[3]["content"] == "<longcat_tool_response>weather\nsun</longcat_tool_response>"


@BOTH
async def test_what_is_recorded_is_what_is_sent(grammar: str) -> None:
    request = ask("Weather?", tools=TOOLS, tool_choice="required", parallel_tool_calls=True)
    async with FakeEndpoint() as server:
        model = tool_model(server, grammar)
        await model.complete(request)
        await model.close()
    assert server.bodies == [model.rewrite(request).body]
    assert "tools" in request.body
    assert model.rewrite(request).meta is request.meta
    assert "Your reply must call a tool." in server.bodies[0]["messages"][0]["content"]


@BOTH
async def test_a_request_without_tools_is_left_alone(grammar: str) -> None:
    async with FakeEndpoint(lambda _: CALL[grammar]) as server:
        model = tool_model(server, grammar)
        assert model.rewrite(ask()) is not None
        done = await model.complete(ask())
        await model.close()
    assert model.rewrite(ask()).body == ask().body == server.bodies[0]
    assert (done.text, done.message.tool_calls, done.parse_mode) == (CALL[grammar], (), None)


@BOTH
async def test_an_unreadable_call_is_the_models_fault_and_its_reply_is_kept(grammar: str) -> None:
    async with FakeEndpoint(lambda _: BROKEN[grammar]) as server:
        model = tool_model(server, grammar)
        with pytest.raises(ModelError) as caught:
            await model.complete(ask(tools=TOOLS))
        await model.close()
    assert isinstance(caught.value, ToolReplyError)
    assert (caught.value.outcome, caught.value.reason) == (Outcome.TOOL_PROTOCOL_ERROR, "tool_syntax")
    assert caught.value.completion.text == BROKEN[grammar]
    assert caught.value.completion.usage.total > 0


@BOTH
async def test_a_call_cut_at_the_token_limit_is_a_cut_reply(grammar: str) -> None:
    whole = completion("I look. " + BROKEN[grammar])
    whole["choices"][0]["finish_reason"] = "length"
    async with FakeEndpoint(lambda _: whole) as server:
        model = tool_model(server, grammar)
        done = await model.complete(ask(tools=TOOLS))
        await model.close()
    assert (done.finish_reason, done.message.tool_calls) == ("length", ())


async def test_lenient_reading_is_recorded() -> None:
    async with FakeEndpoint(lambda _: 'functions.weather({"city": "Oslo"})') as server:
        for lenient, mode, count in ((False, "strict", 0), (True, "lenient", 1)):
            model = tool_model(server, "longcat_xml", lenient=lenient)
            done = await model.complete(ask(tools=TOOLS))
            assert (done.parse_mode, len(done.message.tool_calls)) == (mode, count)
            await model.close()


async def test_calls_that_the_server_parsed_are_taken() -> None:
    calls = [{"id": "x", "type": "function", "function": {"name": "clock", "arguments": "{}"}}]
    async with FakeEndpoint(lambda _: {"role": "assistant", "content": None, "tool_calls": calls}) as server:
        model = tool_model(server, "hermes")
        done = await model.complete(ask(tools=TOOLS))
        await model.close()
    assert (done.message.tool_calls, done.parse_mode) == ((ToolCall("x", "clock", "{}"),), "server")


async def test_errors_of_the_inner_model_pass_through() -> None:
    async with FakeEndpoint(lambda _: Raw(401, b"no")) as server:
        model = tool_model(server, "hermes")
        with pytest.raises(ModelError) as caught:
            await model.complete(ask(tools=TOOLS))
        await model.close()
    assert caught.value.alike == "http 401"


@BOTH
def test_tool_choice_none_leaves_the_tools_out(grammar: str) -> None:
    model: Model = endpoint("http://127.0.0.1:1/v1")
    sent = ToolPromptModel(model, grammar).rewrite(ask(tools=TOOLS, tool_choice="none"))
    assert sent.body == ask().body
    named = {"type": "function", "function": {"name": "clock"}}
    sent = ToolPromptModel(model, grammar).rewrite(ask(tools=TOOLS, tool_choice=named))
    assert "Your reply must call clock." in sent.body["messages"][0]["content"]


def test_the_parser_none_changes_nothing() -> None:
    model: Model = endpoint("http://127.0.0.1:1/v1")
    assert with_tool_parser(model, "none") is model
    wrapped = with_tool_parser(model, "hermes")
    assert isinstance(wrapped, ToolPromptModel)
    assert wrapped.name == model.name
    with pytest.raises(UsageError, match="unknown tool parser 'xml'"):
        with_tool_parser(model, "xml")


def test_the_longcat_declaration_has_the_templates_form() -> None:
    messages: list[Wire] = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    sent = with_tools_in_prompt(messages, TOOLS, "longcat_xml")
    system = sent[0]["content"]
    lines = system.splitlines()
    assert lines[:3] == ["<longcat_tool_declare>", "# Tools", "You have access to the following tools:"]
    assert "## Tool namespace: function" in lines
    assert lines.index("### Tool name: weather") < lines.index("### Tool name: clock")
    first = lines.index("### Tool name: weather")
    # The public trajectory of LongCat-Flash-Thinking-2601 has no line between a name and its description.
    assert lines[first - 1 : first + 5] == [
        "",
        "### Tool name: weather",
        "Description: Looks up 天气.",
        "",
        f"InputSchema: {json.dumps(SCHEMA)}",
        "",
    ]
    assert lines[-2:] == ["</longcat_tool_declare>", "Be brief."]
    assert sent[1:] == messages[1:]
    assert messages[0]["content"] == "Be brief."


def test_the_hermes_declaration_is_one_json_line_per_tool() -> None:
    sent = with_tools_in_prompt([{"role": "user", "content": "Hi"}], TOOLS, "hermes")
    text = sent[0]["content"]
    listed = text.split("<tools>\n")[1].split("\n</tools>")[0].splitlines()
    assert [json.loads(line) for line in listed] == TOOLS
    assert "天气" in text
    assert sent[0]["role"] == "system"


@BOTH
def test_a_history_of_calls_becomes_text(grammar: str) -> None:
    """Two calls in one turn, results in one user turn, names found by id, a name given, an unknown id."""

    def call(call_id: str, name: str, arguments: str) -> Wire:
        return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}

    calls = [call("a", "weather", '{"city": "Oslo"}'), call("b", "clock", "")]
    messages: list[Wire] = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "a", "content": "sun"},
        {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "noon"}]},
        {"role": "assistant", "content": "Sunny.", "tool_calls": [call("c", "weather", "{broken")]},
        {"role": "tool", "tool_call_id": "z", "content": "?"},
        {"role": "tool", "tool_call_id": "c", "name": "given", "content": "!"},
        {"role": "user", "content": "Thanks"},
    ]
    sent = with_tools_in_prompt(messages, [], grammar)
    assert [m["role"] for m in sent] == ["user", "assistant", "user", "assistant", "user", "user"]
    assert sent[1]["content"].startswith(CALL[grammar])
    assert "clock" in sent[1]["content"]
    assert sent[3]["content"].startswith("Sunny.\n")
    assert "{broken" in sent[3]["content"]
    assert not any("tool_calls" in message for message in sent)
    if grammar == "longcat_xml":
        assert sent[2]["content"] == (
            "<longcat_tool_response>weather\nsun</longcat_tool_response>\n"
            "<longcat_tool_response>clock\nnoon</longcat_tool_response>"
        )
        assert sent[4]["content"] == (
            "<longcat_tool_response>z\n?</longcat_tool_response>\n"
            "<longcat_tool_response>given\n!</longcat_tool_response>"
        )
    else:
        assert sent[2]["content"] == (
            "<tool_response>\nsun\n</tool_response>\n<tool_response>\nnoon\n</tool_response>"
        )
