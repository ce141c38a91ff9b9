import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from asking import ask
from hypothesis import given
from hypothesis import strategies as st

from longcat_eval.errors import UsageError
from longcat_eval.model_backend.resolve import ModelOptions, open_model, resolve_model
from longcat_eval.model_backend.scripted import Pattern, RecordedReply, read_replies
from longcat_eval.protocols import Model, ModelError
from longcat_eval.records import AttemptKey, Message, Outcome, Request, RequestMeta, ToolCall, Usage


def request(
    role: str = "agent", turn: int = 0, task: str = "t", sample: str = "s", repeat: int = 0
) -> Request:
    return Request({"messages": []}, RequestMeta(AttemptKey(task, sample, repeat), role, turn))


async def opened(name: str, references: Any = None, **options: Any) -> Model:
    return await open_model(resolve_model(ModelOptions(model=name, **options), env={}), references)


def written(path: Path, *lines: dict[str, Any] | str) -> str:
    path.write_text("\n".join(x if isinstance(x, str) else json.dumps(x) for x in lines), encoding="utf-8")
    return f"scripted/{path}"


async def test_null_says_nothing_and_counts_nothing() -> None:
    done = await (await opened("scripted/null")).complete(ask())
    assert (done.text, done.finish_reason, done.usage) == ("", "stop", Usage())


async def test_the_oracle_says_its_references_turn_by_turn() -> None:
    call = Message("assistant", tool_calls=(ToolCall("1", "look", "{}"),))
    gold = {"agent": [call, Message("assistant", content="42")], "user": [Message("assistant", content="hi")]}
    asked: list[AttemptKey] = []

    def references(key: AttemptKey) -> dict[str, list[Message]]:
        asked.append(key)
        return gold

    model = await opened("scripted/oracle", references)
    first = await model.complete(request(turn=0, repeat=3))
    second = await model.complete(request(turn=1))
    assert (first.message, first.finish_reason) == (call, "tool_calls")
    assert (second.text, second.finish_reason) == ("42", "stop")
    assert (await model.complete(request(turn=2))).text == ""
    assert (await model.complete(request(role="user"))).text == "hi"
    assert (await model.complete(request(role="judge"))).text == ""
    assert asked[0] == AttemptKey("t", "s", 3)


async def test_the_line_with_most_fields_answers(tmp_path: Path) -> None:
    name = written(
        tmp_path / "r.jsonl",
        {"content": "default"},
        {"sample": "s", "content": "sample"},
        "",
        {"sample": "s", "repeat": 1, "content": "sample and repeat"},
        {"task": "t", "turn": 2, "content": "task and turn"},
        {"task": "t", "sample": "s", "repeat": 1, "role": "user", "turn": 0, "content": "all"},
        {"sample": "long", "content": "cut", "finish_reason": "length"},
    )
    model = await opened(name)
    said = {
        "default": request(sample="other"),
        "sample": request(),
        "sample and repeat": request(repeat=1, turn=2),  # two fields each: the leftmost of Pattern decide
        "task and turn": request(sample="other", turn=2),
        "all": request(repeat=1, role="user"),
    }
    for text, asked in said.items():
        assert (await model.complete(asked)).text == text
    assert (await model.complete(request(sample="long"))).finish_reason == "length"


async def test_recorded_messages_keep_their_tool_calls(tmp_path: Path) -> None:
    message = {
        "content": None,
        "reasoning_content": "hm",
        "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}],
    }
    done = await (await opened(written(tmp_path / "r.jsonl", {"message": message}))).complete(request())
    assert done.message.tool_calls == (ToolCall("a", "f", '{"x": 1}'),)
    assert (done.message.reasoning, done.finish_reason) == ("hm", "tool_calls")
    assert done.message.wire()["role"] == "assistant"


async def test_without_a_line_it_is_the_scripts_fault(tmp_path: Path) -> None:
    model = await opened(written(tmp_path / "r.jsonl", {"sample": "s", "content": "x"}))
    with pytest.raises(ModelError, match=r"r\.jsonl has no reply for t/other#0") as caught:
        await model.complete(request(sample="other"))
    assert (caught.value.outcome, caught.value.reason) == (Outcome.ENDPOINT_ERROR, "no_recorded_reply")


async def test_recorded_text_goes_through_the_tool_parser(tmp_path: Path) -> None:
    text = '<tool_call>\n{"name": "look", "arguments": {"at": "it"}}\n</tool_call>'
    model = await opened(written(tmp_path / "r.jsonl", {"content": text}), tool_parser="hermes")
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
    done = await model.complete(ask(tools=tools))
    assert [(c.name, json.loads(c.arguments)) for c in done.message.tool_calls] == [("look", {"at": "it"})]


BROKEN: dict[str, tuple[list[Any], str]] = {
    "not JSON": ([{"content": "x"}, "{oops"], "line 2 is not JSON"),
    "not an object": (["[1]"], "line 1"),
    "unknown field": ([{"conten": "x"}], "did you mean 'content'"),
    "wrong type": ([{"content": "x", "turn": "first"}], "line 1"),
    "nothing to say": ([{"sample": "s"}], "line 1 wants `content` or `message`"),
    "two things to say": ([{"content": "x", "message": {}}], "and not both"),
    "twice the same": ([{"sample": "s", "content": "a"}, {"sample": "s", "content": "b"}], "line 2 is for"),
    "bad tool call": ([{"message": {"tool_calls": [1]}}], "line 1"),
    "empty": ([""], "holds no replies"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_named_with_its_line(case: str, tmp_path: Path) -> None:
    lines, words = BROKEN[case]
    name = written(tmp_path / "r.jsonl", *lines)
    with pytest.raises(UsageError) as caught:
        resolve_model(ModelOptions(model=name), env={})
    assert words in str(caught.value)
    assert str(tmp_path / "r.jsonl") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_absent_file_is_named() -> None:
    with pytest.raises(UsageError, match=r"gone\.jsonl"):
        resolve_model(ModelOptions(model="scripted/gone.jsonl"), env={})


small = st.integers(0, 1)
patterns = st.builds(
    Pattern,
    sample=st.none() | small.map(str),
    repeat=st.none() | small,
    turn=st.none() | small,
    role=st.none() | st.sampled_from(["agent", "user"]),
    task=st.none() | small.map(str),
)


@given(
    st.sets(patterns, min_size=1), st.tuples(small, small, small, st.sampled_from(["agent", "user"]), small)
)
def test_the_choice_is_the_best_fitting_line(
    tmp_path_factory: pytest.TempPathFactory, lines: set[Pattern], asked: tuple[int, int, int, str, int]
) -> None:
    """Against the plain definition: of all that fit, most fields first, then the leftmost fields."""
    sample, repeat, turn, role, task = str(asked[0]), asked[1], asked[2], asked[3], str(asked[4])
    full = Pattern(sample, repeat, turn, role, task)
    fitting = [p for p in lines if all(a in (None, b) for a, b in zip(p, full, strict=True))]
    path = tmp_path_factory.mktemp("replies") / "r.jsonl"
    path.write_bytes(
        b"\n".join(msgspec.json.encode(RecordedReply(**p._asdict(), content=repr(p))) for p in lines)
    )
    meta = RequestMeta(AttemptKey(task, sample, repeat), role, turn)
    if not fitting:
        with pytest.raises(ModelError):
            read_replies(path).reply(meta)
        return
    best = max(fitting, key=lambda p: (sum(v is not None for v in p), [v is not None for v in p]))
    assert read_replies(path).reply(meta).text == repr(best)
