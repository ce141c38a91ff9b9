"""What the model is sent: a linear history that every server takes."""

from typing import Any

import msgspec
import pytest
from agent_play import KEY, FakeSandbox, ScriptedAgent, bash, calls, context, fenced, play, submitting

from longcat_eval.model_backend.role import Role
from longcat_eval.model_backend.tool_client import ToolPromptModel
from longcat_eval.protocols import ModelError
from longcat_eval.records import Completion, Message, Outcome, ToolCall
from longcat_eval.runners.agent.episode import episode_record
from longcat_eval.runners.agent.faults import NOTHING_SAID
from longcat_eval.runners.agent.limits import AgentLimits
from longcat_eval.runners.agent.loop import run_agent
from longcat_eval.runners.agent.profile import PROFILES
from longcat_eval.runners.seeds import attempt_seed


async def test_the_raw_messages_go_back_unchanged_and_in_order() -> None:
    raw = {
        "role": "assistant",
        "content": None,
        "reasoning_content": "first look",
        "tool_calls": [
            {
                "id": "x1",
                "index": 0,
                "type": "function",
                "function": {"name": "bash", "arguments": '{ "command":"ls"}'},
            }
        ],
    }
    said = Message("assistant", None, "first look", (ToolCall("x1", "bash", '{ "command":"ls"}'),), raw=raw)
    _, agent, _ = await play(said, bash("pwd"), bash("submit"))
    history = agent.history()
    assert [m["role"] for m in history] == ["system", "user", "assistant", "tool", "assistant", "tool"]
    assert history[2] is raw
    assert history[3]["tool_call_id"] == "x1"
    for earlier, later in zip(agent.requests, agent.requests[1:], strict=False):
        assert later.body["messages"][: len(earlier.body["messages"])] == earlier.body["messages"]


async def test_each_step_has_its_own_seed_and_turn_useless_ones_too() -> None:
    _, agent, _ = await play("hm", "", bash("ls"), bash("submit"))
    assert [request.meta.turn for request in agent.requests] == [0, 1, 2, 3]
    assert [r.body["seed"] for r in agent.requests] == [attempt_seed(0, KEY, turn) for turn in range(4)]
    assert len({r.body["seed"] for r in agent.requests}) == 4


async def test_every_call_has_its_result_whatever_it_was() -> None:
    odd = calls(("bash", "[1]"), ("nothing", {}), ("bash", {"command": 5}), ("bash", {"command": "ls"}))
    _, agent, _ = await play(odd, bash("submit"))
    results = [m for m in agent.history() if m["role"] == "tool"]
    assert [m["tool_call_id"] for m in results] == ["c0", "c1", "c2", "c3"]
    assert "no JSON object" in results[0]["content"]
    assert "no such tool" in results[1]["content"]
    assert "no string but int" in results[2]["content"]
    assert results[3]["content"] == "exit code 0\nls"


@pytest.mark.parametrize(
    ("useless", "told"),
    [
        ("All done!", "calls no tool"),
        ("", "was empty"),
        (Message("assistant", None, "only thoughts"), "was empty"),
        (Completion(Message("assistant", "and then"), "length"), "cut off"),
        (Completion(Message("assistant", None), "length"), "cut off"),
    ],
)
async def test_a_useless_reply_stays_in_the_history_with_words_on_it(useless: Any, told: str) -> None:
    _, agent, _ = await play(useless, bash("submit"))
    said, correction = agent.history()[2:]
    assert said["role"] == "assistant"
    assert said["content"] in ("All done!", "and then", NOTHING_SAID)
    assert correction["role"] == "user"
    assert told in correction["content"]
    assert "COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT" in correction["content"]


async def test_an_unreadable_call_in_the_text_comes_back_as_it_was() -> None:
    written = "<longcat_tool_call>bash\n<longcat_arg_key>comm"
    error = ModelError(Outcome.TOOL_PROTOCOL_ERROR, "tool_syntax", "no end")
    error.completion = Completion(
        Message("assistant", written, raw={"role": "assistant", "content": written})
    )
    _, agent, _ = await play(error, bash("submit"))
    assert agent.history()[2] == {"role": "assistant", "content": written}
    assert "cannot be read" in agent.history()[3]["content"]


async def test_tools_are_declared_and_chosen_freely() -> None:
    _, agent, _ = await play(bash("submit"))
    (request,) = agent.requests
    assert [t["function"]["name"] for t in request.body["tools"]] == ["bash"]
    assert request.body["tool_choice"] == "auto"
    _, agent, _ = await play(calls(("finish", {})), profile="edit")
    names = [t["function"]["name"] for t in agent.requests[0].body["tools"]]
    assert names == ["bash", "editor", "search", "finish"]


async def test_the_text_profile_sends_no_tools_and_shows_results_as_user_messages() -> None:
    _, agent, sandbox = await play(fenced("ls"), "hm", fenced("submit"), profile="bash-text")
    assert not any("tools" in r.body or "tool_choice" in r.body for r in agent.requests)
    assert [m["role"] for m in agent.history()] == ["system", "user", *["assistant", "user"] * 2]
    assert agent.history()[3]["content"] == "exit code 0\nls"
    assert sandbox.commands == ["ls", "submit"]


async def test_calls_where_there_are_no_tools_are_answered_and_not_run() -> None:
    both = calls(("bash", {"command": "rm"}), text=fenced("ls"))
    _, agent, sandbox = await play(both, fenced("submit"), profile="bash-text")
    assert [m["role"] for m in agent.history()] == ["system", "user", "assistant", "tool", "user"]
    assert sandbox.commands == ["ls", "submit"]


async def test_tools_written_into_the_prompt_work_the_same() -> None:
    """An endpoint without tool calls, a model with a grammar of its own."""
    agent = ScriptedAgent(
        [
            '<tool_call>\n{"name": "bash", "arguments": {"command": "ls"}}\n</tool_call>',
            '<tool_call>\n{"name": "bash", "argum',
            '<tool_call>\n{"name": "bash", "arguments": {"command": "submit"}}\n</tool_call>',
        ]
    )
    ctx = context(agent)
    wrapped = ToolPromptModel(agent, "hermes")
    ctx._roles = {"agent": Role(wrapped, "m", rewriter=wrapped)}

    sandbox = FakeSandbox(submitting)
    episode = await run_agent(ctx, sandbox, PROFILES["bash"]("/w"), "go", AgentLimits())
    assert (episode.end, episode.format_errors) == ("submitted", 1)
    assert sandbox.commands == ["ls", "submit"]
    assert [m["role"] for m in agent.history()] == ["system", *["user", "assistant"] * 2, "user"]


async def test_the_record_says_what_was_run() -> None:

    episode, _, _ = await play(bash("ls"), "hm", calls(("bash", {"command": "x" * 5000})), bash("submit"))
    record = episode_record(episode)
    assert {
        k: record[k] for k in ("end", "steps", "format_errors", "tokens", "cost", "submission_bytes")
    } == {
        "end": "submitted",
        "steps": 4,
        "format_errors": 1,
        "tokens": 440,
        "cost": 1.0,
        "submission_bytes": 19,
    }
    assert [(c["step"], c["tool"], c["exit_code"]) for c in record["commands"]] == [
        *((1, "bash", 0), (3, "bash", 0), (4, "bash", 0))
    ]
    first, long, _ = record["commands"]
    assert (first["input"], first["input_chars"], first["output_bytes"]) == ("ls", 2, 3)
    assert (len(long["input"]), long["input_chars"]) == (1000, 5000)

    assert msgspec.json.decode(msgspec.json.encode(record)) == record


@pytest.mark.parametrize(
    ("sent", "back"), [(None, '{"command":"ls"}'), ("", "{}"), ({"command": "ls"}, None)]
)
async def test_arguments_that_came_as_no_text_go_back_readable(sent: Any, back: str | None) -> None:
    """A server that sends an object reads one; what is absent comes back as what was understood."""
    written = "{}" if sent == "" else '{"command":"ls"}'
    raw_call = {"id": "x", "type": "function", "function": {"name": "bash", "arguments": sent}}
    raw = {"role": "assistant", "content": None, "tool_calls": [raw_call]}
    said = Message("assistant", None, tool_calls=(ToolCall("x", "bash", written),), raw=raw)
    _, agent, _ = await play(said, bash("submit"))
    (call,) = agent.history()[2]["tool_calls"]
    assert call["function"]["arguments"] == (sent if back is None else back)
