"""Every way an episode of the agent loop ends, corner by corner."""

import asyncio
import time
from typing import Any

import pytest
from agent_play import PROTOCOL, FakeSandbox, ScriptedAgent, bash, calls, context, fenced, play, submitting
from asking import endpoint
from loopback import FakeEndpoint

from longcat_eval.model_backend.role import Role
from longcat_eval.protocols import ExecResult, ModelError, SandboxError
from longcat_eval.records import Completion, Message, Outcome, Usage
from longcat_eval.runners.agent import episode as ends
from longcat_eval.runners.agent.episode import ENDS
from longcat_eval.runners.agent.limits import AgentLimits
from longcat_eval.runners.agent.loop import run_agent
from longcat_eval.runners.agent.profile import PROFILES

EMPTY = Message("assistant", "")
CUT = Completion(Message("assistant", "I think that"), "length", Usage(100, 1000))
CUT_EMPTY = Completion(Message("assistant", None), "length", Usage(100, 1000))
SYNTAX = ModelError(Outcome.TOOL_PROTOCOL_ERROR, "tool_syntax", "no end of the call")
CONTEXT = ModelError(Outcome.LENGTH_LIMIT, "context", "maximum context length is 8192")
FILTERED = Completion(Message("assistant", "I cannot help with that."), "content_filter")
LS = bash("ls")
DISK = SandboxError("disk_budget", "more than 4 GiB written")
LIFE = SandboxError("deadline", "the sandbox is older than 6 h")


def breaks(error: Exception) -> FakeSandbox:
    return FakeSandbox(lambda command: error)


TABLE: list[tuple[str, list[Any], dict[str, Any], int]] = [
    (ends.SUBMITTED, [LS, bash("submit")], {}, 2),
    (ends.SUBMITTED, [LS, bash("submit")], {"limits": {"steps": 2}}, 2),
    (ends.SUBMITTED, [bash("submit")], {"limits": {"tokens": 1, "cost": 0.01}}, 1),
    (ends.SUBMITTED, [calls(("finish", {}))], {"profile": "edit"}, 1),
    (ends.SUBMITTED, [fenced("submit")], {"profile": "bash-text"}, 1),
    (ends.STEPS, [LS], {"limits": {"steps": 7}}, 7),
    (ends.STEPS, [LS, "hm"], {"limits": {"steps": 3}}, 3),
    (ends.TOKENS, [LS], {"limits": {"tokens": 330}}, 3),
    (ends.COST, [LS], {"limits": {"cost": 0.75}}, 3),
    (ends.DISK, [LS], {"sandbox": breaks(DISK)}, 1),
    (ends.WALL_CLOCK, [LS], {"sandbox": breaks(LIFE)}, 1),
    (ends.CONTEXT, [LS, CONTEXT], {}, 2),
    (ends.LENGTH, [LS, CUT], {}, 4),
    (ends.LENGTH, [CUT_EMPTY], {}, 3),
    (ends.LENGTH, [Completion(calls(("bash", '{"command": "cat <<E')), "length")], {}, 3),
    (
        ends.LENGTH,
        [Completion(Message("assistant", "```bash\ncat <<E"), "length")],
        {"profile": "bash-text"},
        3,
    ),
    (ends.EMPTY_REPLY, [EMPTY], {}, 3),
    (ends.EMPTY_REPLY, [" \n"], {"profile": "bash-text"}, 3),
    (ends.EMPTY_REPLY, [EMPTY], {"limits": {"format_errors": 1}}, 1),
    (ends.FORMAT_ERRORS, ["I am done."], {}, 3),
    (ends.FORMAT_ERRORS, [LS, SYNTAX], {}, 4),
    (ends.FORMAT_ERRORS, [EMPTY, CUT, "hm"], {}, 3),
    (ends.FORMAT_ERRORS, [calls(("python", {"code": "1"}))], {}, 3),
    (ends.FORMAT_ERRORS, [calls(("bash", "{not json"))], {}, 3),
    (ends.FORMAT_ERRORS, [calls(("bash", {"cmd": "ls"}))], {}, 3),
    (ends.FORMAT_ERRORS, ["no block here"], {"profile": "bash-text"}, 3),
    (ends.FORMAT_ERRORS, [fenced("a") + fenced("b")], {"profile": "bash-text"}, 3),
    (ends.REFUSED, [LS, FILTERED], {}, 2),
    (ends.REFUSED, [Completion(Message("assistant", None), "content_filter")], {}, 1),
    (ends.REFUSED, [ModelError(Outcome.REFUSED, "content_filter", "no")], {}, 1),
]


@pytest.mark.parametrize(("end", "lines", "how", "steps"), TABLE)
async def test_the_end_and_its_step(end: str, lines: list[Any], how: dict[str, Any], steps: int) -> None:
    episode, agent, _ = await play(*lines, **how)
    assert (episode.end, episode.steps) == (end, steps)
    assert len(agent.requests) == steps
    assert episode.outcome == ENDS[end]
    assert (episode.submission is not None) == (end == ends.SUBMITTED)


def test_the_table_reaches_every_end() -> None:
    """The wall clock of the loop itself has tests of its own below; there is no terminal here to lose."""
    assert {row[0] for row in TABLE} == set(ENDS) - {ends.TERMINAL_GONE}


async def test_a_good_step_forgives_the_useless_ones_before_it() -> None:
    episode, _, _ = await play("hm", EMPTY, LS, "hm", EMPTY, LS, bash("submit"))
    assert (episode.end, episode.format_errors) == (ends.SUBMITTED, 4)


async def test_a_message_with_one_good_call_is_a_good_step() -> None:
    mixed = calls(("nonsense", {}), ("bash", {"command": "ls"}))
    episode, agent, sandbox = await play(mixed, mixed, mixed, mixed, bash("submit"))
    assert (episode.end, episode.format_errors) == (ends.SUBMITTED, 4)
    assert sandbox.commands == ["ls"] * 4 + ["submit"]
    assert [m["tool_call_id"] for m in agent.history(1) if m["role"] == "tool"] == ["c0", "c1"]


async def test_nothing_runs_after_the_submission() -> None:
    episode, _, sandbox = await play(bash("a", "submit", "b"))
    assert sandbox.commands == ["a", "submit"]
    assert episode.submission == b"diff --git a/x b/x\n"


@pytest.mark.parametrize("reason", ["container_lost", "daemon_error", "exec_stuck"])
async def test_a_sandbox_that_fails_by_itself_is_no_end(reason: str) -> None:
    with pytest.raises(SandboxError):
        await play(LS, sandbox=breaks(SandboxError(reason, "gone")))


async def test_an_endpoint_that_fails_is_no_end() -> None:
    with pytest.raises(ModelError) as caught:
        await play(LS, ModelError(Outcome.ENDPOINT_ERROR, "overloaded", "http 503"))
    assert caught.value.reason == "overloaded"


async def test_the_failure_that_ended_it_is_kept() -> None:
    episode, _, _ = await play(CONTEXT)
    assert episode.failure is CONTEXT
    episode, _, _ = await play(EMPTY, LS, bash("submit"))
    assert episode.failure is None


async def test_replies_cut_short_because_the_history_is_long_end_with_context() -> None:
    """The room for a reply shrinks with the history; that is the context's limit and not the protocol's."""
    agent = ScriptedAgent([bash("x" * 300), CUT])
    ctx = context(agent, context_length=2_600)
    episode, _, _ = await play(ctx=ctx, sandbox=FakeSandbox(lambda command: b"y" * 3_000))
    room = [request.body["max_tokens"] for request in agent.requests]
    assert room[0] == PROTOCOL.max_tokens > room[-1]
    assert (episode.end, episode.outcome) == (ends.CONTEXT, Outcome.LENGTH_LIMIT)


async def test_the_wall_clock_ends_it_between_two_steps() -> None:
    async def slow(request: Any) -> Message:
        await asyncio.sleep(0.05)
        return LS

    episode, _, _ = await play(slow, limits={"seconds": 0.12})
    assert episode.end == ends.WALL_CLOCK
    assert 1 <= episode.steps <= 3
    assert 0.12 <= episode.seconds < 5
    assert 0.05 <= episode.model_seconds <= episode.seconds


async def test_the_wall_clock_ends_it_between_two_calls_of_a_message() -> None:
    def slow(command: str) -> bytes:
        time.sleep(0.06)
        return b""

    episode, _, sandbox = await play(bash(*["x"] * 50), limits={"seconds": 0.1}, sandbox=FakeSandbox(slow))
    assert episode.end == ends.WALL_CLOCK
    assert len(sandbox.commands) <= 2


async def test_a_command_gets_no_more_time_than_is_left() -> None:
    _, _, sandbox = await play(LS, bash("submit"), limits={"seconds": 20, "command_seconds": 60})
    assert [0 < how["timeout"] <= 20 for how in sandbox.execs] == [True, True]
    _, _, sandbox = await play(LS, bash("submit"), limits={"seconds": 0, "command_seconds": 60})
    assert [how["timeout"] for how in sandbox.execs] == [60, 60]


async def test_a_server_that_hangs_is_left_at_the_deadline() -> None:
    """Over the wire: the loop's deadline goes with every request, and is gone afterwards."""

    async def hang(body: Any) -> str:
        await asyncio.sleep(30)
        return ""

    async with FakeEndpoint(hang) as server:
        model = endpoint(server.base_url)
        ctx = context(ScriptedAgent([LS]))
        ctx._roles = {"agent": Role(model, "m")}
        profile, bounds = PROFILES["bash"]("/testbed"), AgentLimits(seconds=0.3)
        episode = await run_agent(ctx, FakeSandbox(submitting), profile, "go", bounds)
        await model.close()
    assert (episode.end, episode.outcome) == (ends.WALL_CLOCK, Outcome.AGENT_BUDGET)
    assert 0.3 <= episode.seconds < 10
    assert ctx.deadline is None


async def test_an_earlier_deadline_of_the_attempt_stays() -> None:
    agent = ScriptedAgent([LS, bash("submit")])
    ctx = context(agent)
    ctx.deadline = outer = time.monotonic() + 5
    await play(ctx=ctx, limits={"seconds": 3600})
    assert {request.meta.deadline for request in agent.requests} == {outer}
    assert ctx.deadline == outer


async def test_tokens_and_cost_are_those_of_all_replies_unreadable_ones_too() -> None:
    unreadable = ModelError(Outcome.TOOL_PROTOCOL_ERROR, "tool_syntax", "no end")
    unreadable.completion = Completion(Message("assistant", "<tool_call>"), "stop", Usage(50, 5), cost=1.0)
    episode, _, _ = await play(LS, unreadable, bash("submit"))
    assert (episode.tokens, episode.cost) == (110 + 55 + 110, 0.25 + 1.0 + 0.25)


async def test_a_cost_that_nobody_tells_is_unknown_and_no_limit() -> None:
    free = Completion(LS, "tool_calls", Usage(1, 1))
    episode, _, _ = await play(free, limits={"cost": 0.01, "steps": 5})
    assert (episode.end, episode.cost) == (ends.STEPS, None)


async def test_what_is_left_out_of_the_limits_is_no_limit() -> None:
    episode, _, _ = await play(LS, limits={"steps": 30, "seconds": 0, "tokens": 0, "cost": 0})
    assert (episode.end, episode.steps) == (ends.STEPS, 30)


async def test_a_timeout_of_a_command_is_an_observation() -> None:
    late = ExecResult(124, b"half", True, False, seconds=60.0)
    episode, agent, _ = await play(
        LS, bash("submit"), sandbox=FakeSandbox(lambda c: late if c == "ls" else submitting(c))
    )
    assert episode.end == ends.SUBMITTED
    seen = agent.history()[-1]["content"]
    assert "exit code 124" in seen
    assert "longer than" in seen
    assert seen.endswith("half")
    assert episode.commands[0] | {"exit_code": 124, "timed_out": True} == episode.commands[0]
