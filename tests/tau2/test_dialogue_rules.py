"""Turn semantics of the dialogue runner, corner by corner, on a toy world and scripted sides."""

from collections.abc import Sequence
from typing import Any

import pytest
from toy import NoWorkers

from longcat_eval.model_backend.role import Role
from longcat_eval.protocols import ModelError
from longcat_eval.records import AttemptKey, Completion, Message, Outcome, Request, TaskProtocol, ToolCall
from longcat_eval.runners.context import Context
from longcat_eval.runners.dialogue import Dialogue, Rules, ToolResult, converse
from longcat_eval.runners.participant import Participant

PROTOCOL = TaskProtocol(
    name="toy/1",
    repeats=1,
    metric="acc",
    max_tokens=64,
    prompt_hash="",
    grader="",
    roles=("agent", "user"),
    role_sampling={"user": {"temperature": 0.0}},
)
TOOLS = [{"type": "function", "function": {"name": "add", "parameters": {}}}]


class Counter:
    """A world with one number; `add` adds, everything else fails."""

    def __init__(self) -> None:
        self.value = self.syncs = 0
        self.callers: list[str] = []

    def call(self, role: str, name: str, arguments: dict[str, Any]) -> ToolResult:
        self.callers.append(role)
        if name != "add":
            return ToolResult(f"Error: Tool '{name}' not found.", True)
        self.value += arguments["n"]
        return ToolResult(str(self.value), False)

    def sync(self) -> None:
        self.syncs += 1


class Sides:
    """Plays both roles from lists; an exception in a list is raised, and a list's last item repeats."""

    capabilities = frozenset({"chat", "tools"})

    def __init__(self, agent: Sequence[Any], user: Sequence[Any]) -> None:
        self.name, self.scripts = "sides", {"agent": list(agent), "user": list(user)}
        self.requests: list[Request] = []

    async def complete(self, request: Request) -> Completion:
        self.requests.append(request)
        script = self.scripts[request.meta.role]
        said = script.pop(0) if len(script) > 1 else script[0]
        if isinstance(said, ModelError):
            raise said
        if isinstance(said, Completion):
            return said
        return Completion(said if isinstance(said, Message) else Message("assistant", said), "stop")

    async def close(self) -> None:
        pass

    def of(self, role: str) -> list[dict[str, Any]]:
        return [r.body for r in self.requests if r.meta.role == role]


def calls(*named: tuple[str, str], text: str | None = None) -> Message:
    return Message(
        "assistant",
        text,
        tool_calls=tuple(ToolCall(f"c{i}", name, args) for i, (name, args) in enumerate(named)),
    )


ADD = calls(("add", '{"n": 1}'))


async def talk(
    agent: Sequence[Any],
    user: Sequence[Any],
    *,
    steps: int = 50,
    errors: int = 10,
    world: Counter | None = None,
) -> tuple[Dialogue, Sides, Context]:
    sides = Sides(agent, user)
    roles = {
        "agent": Role(sides, "a", {"temperature": 0.7, "top_k": 4, "repetition_penalty": 1.06}),
        "user": Role(sides, "u"),
    }
    ctx = Context(AttemptKey("toy", "s"), roles, PROTOCOL, 0, NoWorkers(), lambda *_: None)
    one = Participant("agent", [{"role": "system", "content": "policy"}], TOOLS)
    two = Participant("user", [{"role": "system", "content": "scenario"}], TOOLS)
    two.hear("Hi!")
    rules = Rules(
        steps, errors, 3, lambda role, text: "user_stop" if role == "user" and "STOP" in text else ""
    )
    return await converse(ctx, one, two, world or Counter(), rules, 626729), sides, ctx


async def test_the_user_speaks_first_and_each_side_sees_its_own_view() -> None:
    world = Counter()
    dialogue, sides, _ = await talk(["fine", "bye"], ["help", ADD, "I added", "STOP"], world=world)
    assert dialogue.end == "user_stop"
    assert [(e["from"], e["content"]) for e in dialogue.trajectory] == [
        ("user", "help"),
        ("agent", "fine"),
        ("user", ""),
        ("env", "1"),
        ("user", "I added"),
        ("agent", "bye"),
        ("user", "STOP"),
    ]
    assert dialogue.steps == 7
    assert [m["role"] for m in sides.of("user")[-1]["messages"]] == [
        *("system", "user", "assistant", "user", "assistant", "tool", "assistant", "user")
    ]
    assert [m["content"] for m in sides.of("agent")[-1]["messages"]] == ["policy", "help", "fine", "I added"]
    assert world.callers == ["user"]


async def test_text_beside_calls_is_hidden_from_the_other_side_and_kept() -> None:
    dialogue, sides, _ = await talk([calls(("add", '{"n": 2}'), text="secret 42"), "done"], ["go", "STOP"])
    assert not any("secret" in (m["content"] or "") for m in sides.of("user")[-1]["messages"])
    assert dialogue.trajectory[1] == {
        "from": "agent",
        "content": "secret 42",
        "calls": [{"id": "c0", "name": "add", "arguments": {"n": 2}}],
    }


async def test_all_calls_of_a_message_run_in_order_as_one_step() -> None:
    many = calls(("add", '{"n": 1}'), ("add", '{"n": 10}'), ("sub", "{}"))
    dialogue, sides, _ = await talk([many, "done"], ["go", "STOP"])
    assert [e["content"] for e in dialogue.trajectory if e["from"] == "env"] == [
        *("1", "11", "Error: Tool 'sub' not found.")
    ]
    assert dialogue.steps == 5
    assert dialogue.errors == {"agent": 1, "user": 0}
    assert [m["tool_call_id"] for m in sides.of("agent")[1]["messages"] if m["role"] == "tool"] == [
        "c0",
        "c1",
        "c2",
    ]


@pytest.mark.parametrize(("steps", "end"), [(3, "max_steps"), (4, "user_stop")])
async def test_a_stop_on_the_last_step_counts_as_max_steps(steps: int, end: str) -> None:
    dialogue, _, _ = await talk(["fine"], ["help", "STOP"], steps=steps)
    assert (dialogue.end, dialogue.steps) == (end, 3)


async def test_limits_wait_for_the_environment() -> None:
    """The limit falls on the step of a call: the call is still run, and the dialogue ends behind it."""
    world = Counter()
    dialogue, _, _ = await talk([ADD, "x"], ["help", "more"], steps=2, world=world)
    assert (dialogue.end, dialogue.steps, world.value) == ("max_steps", 3, 1)


async def test_the_tenth_tool_error_ends_it_whoever_made_it() -> None:
    wrong = calls(("sub", "{}"))
    dialogue, _, _ = await talk([*[wrong] * 6, "your turn"], ["go", wrong], errors=10)
    assert (dialogue.end, dialogue.errors) == ("too_many_errors", {"agent": 6, "user": 4})


async def test_a_stop_word_beside_a_call_does_not_stop() -> None:
    dialogue, _, _ = await talk(["fine"], ["go", calls(("add", '{"n": 1}'), text="STOP"), "STOP"])
    assert [e["from"] for e in dialogue.trajectory] == ["user", "agent", "user", "env", "user"]


@pytest.mark.parametrize("arguments", ["{not json", "[1, 2]", '"text"', "7"])
async def test_arguments_that_are_no_object_are_one_tool_error(arguments: str) -> None:
    dialogue, sides, _ = await talk([calls(("add", arguments)), "sorry"], ["go", "STOP"])
    assert dialogue.errors["agent"] == 1
    assert dialogue.end == "user_stop"
    assert "no JSON object" in dialogue.trajectory[2]["content"]
    sent_back = sides.of("agent")[1]["messages"][2]["tool_calls"][0]["function"]["arguments"]
    assert sent_back.startswith('{"unreadable":'), "servers decode the arguments of earlier calls"


async def test_absent_arguments_are_an_empty_object() -> None:
    dialogue, _, _ = await talk([calls(("sub", "")), "ok"], ["go", "STOP"])
    assert dialogue.trajectory[1]["calls"][0]["arguments"] == {}


async def test_the_raw_message_goes_back_unchanged() -> None:
    raw = {
        "role": "assistant",
        "content": None,
        "reasoning_content": "let me think",
        "tool_calls": [
            {"id": "x", "type": "function", "function": {"name": "add", "arguments": '{ "n":1 }'}, "index": 0}
        ],
    }
    said = Message("assistant", None, "let me think", (ToolCall("x", "add", '{ "n":1 }'),), raw=raw)
    _, sides, _ = await talk([said, "done"], ["go", "STOP"])
    assert sides.of("agent")[1]["messages"][2] is raw


async def test_an_absent_id_is_mended_and_nothing_else() -> None:
    raw = {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"function": {"name": "add", "arguments": '{"n":1}'}}],
    }
    said = Message("assistant", "", None, (ToolCall("call_0", "add", '{"n":1}'),), raw=raw)
    _, sides, _ = await talk([said, "done"], ["go", "STOP"])
    sent, result = sides.of("agent")[1]["messages"][2:4]
    assert sent["tool_calls"][0] == {"id": "call_0", "function": {"name": "add", "arguments": '{"n":1}'}}
    assert result["tool_call_id"] == "call_0"


async def test_one_seed_for_both_sides_and_every_turn_and_no_leak_of_sampling() -> None:
    _, sides, _ = await talk(["fine", "bye"], ["help", "hm", "STOP"])
    assert {body["seed"] for body in [*sides.of("agent"), *sides.of("user")]} == {626729}
    for body in sides.of("user"):
        assert body["temperature"] == 0.0
        assert not {"top_k", "repetition_penalty"} & body.keys()
    assert all(body["tool_choice"] == "auto" for body in sides.of("agent"))
    assert {body["temperature"] for body in sides.of("agent")} == {0.7}


SYNTAX = ModelError(Outcome.TOOL_PROTOCOL_ERROR, "tool_syntax", "no end")


@pytest.mark.parametrize("bad", ["", "  \n", Message("assistant", None), SYNTAX])
async def test_an_empty_or_unreadable_reply_is_asked_again_with_another_seed(bad: Any) -> None:
    dialogue, sides, _ = await talk([bad, bad, "fine"], ["help", "STOP"])
    assert dialogue.end == "user_stop"
    assert [body["seed"] for body in sides.of("agent")] == [626729, 626730, 626731]


@pytest.mark.parametrize(
    ("bad", "outcome"),
    [
        ("", Outcome.NO_ANSWER),
        (Completion(Message("assistant", ""), "length"), Outcome.LENGTH_LIMIT),
        (Completion(Message("assistant", None), "content_filter"), Outcome.REFUSED),
        (SYNTAX, Outcome.TOOL_PROTOCOL_ERROR),
        (ModelError(Outcome.LENGTH_LIMIT, "context", "too long"), Outcome.LENGTH_LIMIT),
    ],
)
async def test_an_agent_that_never_says_anything_usable_is_at_fault(bad: Any, outcome: Outcome) -> None:
    dialogue, _, _ = await talk([bad], ["help"])
    assert dialogue.failure is not None
    assert (dialogue.failure.outcome, dialogue.end) == (outcome, dialogue.failure.reason)
    assert [e["from"] for e in dialogue.trajectory] == ["user"]


@pytest.mark.parametrize("bad", ["", SYNTAX, ModelError(Outcome.LENGTH_LIMIT, "context", "too long")])
async def test_whatever_the_user_does_wrong_is_no_fault_of_the_agent(bad: Any) -> None:
    error = ModelError(bad.outcome, bad.reason, str(bad)) if isinstance(bad, ModelError) else bad
    with pytest.raises(ModelError) as caught:
        await talk(["fine"], [error])
    assert caught.value.outcome == Outcome.SIMULATOR_ERROR


async def test_the_tool_list_stands_in_the_first_call_of_each_role_only() -> None:
    _, _, ctx = await talk([ADD, "fine", "bye"], ["help", "hm", "STOP"])
    tools = [(c.role, "tools" in c.request) for c in ctx.transcript().calls]
    assert tools == [
        ("user", True),
        ("agent", True),
        ("agent", False),
        ("user", False),
        ("agent", False),
        ("user", False),
    ]
