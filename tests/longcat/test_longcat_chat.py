"""Prompts as the template writes them, and conversations made ready for it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longcat_eval.model_backend.longcat.byte_tokenizer import MARKERS, VOCABULARY, ByteTokenizer
from longcat_eval.model_backend.longcat.chat import ConversationError, for_template, render
from longcat_eval.model_backend.longcat.config import LiteConfig

TOKENIZER = ByteTokenizer()
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "search",
            "description": "Web search",
            "parameters": {"type": "object", "properties": {"query": {"type": "array"}}},
        },
    }
]
TALK: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "Where "}, {"type": "text", "text": "is it?"}]},
    {
        "role": "assistant",
        "content": "I search.",
        "tool_calls": [
            {
                "id": "a",
                "type": "function",
                "function": {"name": "search", "arguments": '{"query": ["é", 1], "site": "x"}'},
            },
            {"id": "b", "type": "function", "function": {"name": "now", "arguments": None}},
        ],
    },
    {"role": "tool", "tool_call_id": "a", "content": "found"},
    {"role": "tool", "tool_call_id": "b", "content": "noon"},
    {"role": "assistant", "content": "There."},
    {"role": "user", "content": "Thanks."},
]
# The layout of the public trajectory of LongCat-Flash-Thinking-2601 less its thinking; the note is ours.
GOLDEN = """\
<longcat_tool_declare>
# Tools
You have access to the following tools:

## Tool namespace: function

### Tool name: search
Description: Web search

InputSchema: {"type": "object", "properties": {"query": {"type": "array"}}}

**Note**: to use a tool, write its call in exactly this form, one key and one value per argument:
<longcat_tool_call>tool name
<longcat_arg_key>argument name</longcat_arg_key>
<longcat_arg_value>argument value</longcat_arg_value>
</longcat_tool_call>
Write text values as they are and all other values as JSON. For several calls, write several such blocks.
</longcat_tool_declare><longcat_system>Be brief.<longcat_user>Where is it?<longcat_assistant>I search.
<longcat_tool_call>search
<longcat_arg_key>query</longcat_arg_key>
<longcat_arg_value>["é", 1]</longcat_arg_value>
<longcat_arg_key>site</longcat_arg_key>
<longcat_arg_value>x</longcat_arg_value>
</longcat_tool_call>
<longcat_tool_call>now
</longcat_tool_call>
</longcat_s><longcat_observation><longcat_tool_response>search
found</longcat_tool_response><longcat_tool_response>now
noon</longcat_tool_response><longcat_assistant>There.</longcat_s><longcat_user>Thanks.<longcat_assistant>"""


def test_the_template_is_golden() -> None:
    assert TOKENIZER.chat_text(for_template(TALK), TOOLS) == GOLDEN
    without = TOKENIZER.chat_text(for_template(TALK[:2]), generate=False)
    assert without == "<longcat_system>Be brief.<longcat_user>Where is it?"


def test_templates_are_rendered_as_transformers_does() -> None:
    from transformers.utils.chat_template_utils import render_jinja_template

    messages = for_template(TALK)
    for template in (TOKENIZER.template, "{% for m in messages %}\n  {{ m | tojson }}\n{% endfor %}"):
        (theirs,), _ = render_jinja_template(
            [messages], tools=TOOLS, chat_template=template, add_generation_prompt=True
        )
        assert render(template, messages, TOOLS) == theirs


def test_a_conversation_for_the_template() -> None:
    ready = for_template(TALK)
    calls = ready[2]["tool_calls"]
    assert [call["function"]["arguments"] for call in calls] == [{"query": ["é", 1], "site": "x"}, {}]
    assert [message.get("name") for message in ready[3:5]] == ["search", "now"]
    assert TALK[2]["tool_calls"][0]["function"]["arguments"] == '{"query": ["é", 1], "site": "x"}'
    named = for_template([{"role": "tool", "tool_call_id": "9", "name": "look", "content": "x"}])
    nameless = for_template([{"role": "tool", "tool_call_id": "9", "content": "x"}])
    assert (named[0]["name"], nameless[0]["name"]) == ("look", "9")
    assert for_template([{"role": "developer", "content": "x"}])[0]["role"] == "system"


@pytest.mark.parametrize("arguments", ["", "null", None, "{}", {}, " "])
def test_no_arguments_are_an_empty_object(arguments: Any) -> None:
    call = {"id": "a", "function": {"name": "f", "arguments": arguments}}
    (ready,) = for_template([{"role": "assistant", "content": None, "tool_calls": [call]}])
    assert ready["tool_calls"][0]["function"]["arguments"] == {}


@pytest.mark.parametrize("arguments", ["[1]", "{", "3", '"x"', 3, ["a"]])
def test_arguments_that_are_no_object_are_refused(arguments: Any) -> None:
    call = {"id": "a", "function": {"name": "f", "arguments": arguments}}
    with pytest.raises(ConversationError, match="JSON object") as caught:
        for_template([{"role": "assistant", "tool_calls": [call]}])
    assert caught.value.where == "messages[0].tool_calls[0].function.arguments"


def test_the_bytes_fit_the_tiny_model() -> None:
    config = LiteConfig.tiny()
    assert (TOKENIZER.vocab_size, VOCABULARY) == (config.vocab_size, 320)
    assert (TOKENIZER.bos_id, TOKENIZER.eos_id, TOKENIZER.pad_id) == (
        config.bos_token_id,
        config.eos_token_id,
        config.pad_token_id,
    )
    assert [TOKENIZER.encode(marker) for marker in MARKERS] == [[i] for i in range(len(MARKERS))]


def test_role_markers_are_special_and_tool_tags_are_text() -> None:
    ids = TOKENIZER.encode("<longcat_user>a<longcat_tool_call>b</longcat_s>")
    assert TOKENIZER.decode(ids) == "a<longcat_tool_call>b"
    assert TOKENIZER.decode(ids, skip_special=False) == "<longcat_user>a<longcat_tool_call>b</longcat_s>"
    spelled = TOKENIZER.encode("</longcat_s>", allow_special=False)
    assert TOKENIZER.eos_id not in spelled
    assert TOKENIZER.decode(spelled) == "</longcat_s>"


@given(st.lists(st.sampled_from([*MARKERS, "<longcat_", "é", "😀", "\n", "a"]) | st.text(max_size=4)))
def test_bytes_give_every_text_back(parts: list[str]) -> None:
    text = "".join(parts).encode("utf-8", "replace").decode()
    assert TOKENIZER.decode(TOKENIZER.encode(text), skip_special=False) == text
    plain = TOKENIZER.encode(text, allow_special=False)
    assert not set(plain) & TOKENIZER.special_ids
    assert TOKENIZER.decode(plain) == text


@given(st.lists(st.integers(0, VOCABULARY - 1)))
def test_every_id_has_a_text(ids: list[int]) -> None:
    text = TOKENIZER.decode(ids, skip_special=False)
    assert text == b"".join(map(TOKENIZER.token_bytes, ids)).decode("utf-8", "replace")
    json.dumps(text)
