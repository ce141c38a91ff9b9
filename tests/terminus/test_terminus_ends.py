"""Every way an episode of Terminus 2 ends."""

import asyncio
import time
from typing import Any

import pytest
from agent_play import ScriptedAgent
from terminus_play import (
    DONE,
    OVERFLOW,
    TAGS_DONE,
    ListTerminal,
    cut,
    hang,
    play2,
    tags,
    types,
)

from longcat_eval.protocols import ModelError, SandboxError
from longcat_eval.records import Completion, Message, Outcome, Usage
from longcat_eval.runners.agent import episode as ends
from longcat_eval.runners.agent.episode import ENDS, episode_record
from longcat_eval.runners.agent.terminus.settings import TERMINUS2_LIMITS

LS = types("ls\n")
SYNTAX = ModelError(Outcome.TOOL_PROTOCOL_ERROR, "tool_syntax", "no end of the call")
FILTERED = Completion(Message("assistant", "I cannot help with that."), "content_filter")
FILTERED_ERROR = ModelError(Outcome.REFUSED, "content_filter", "no")
THREE = TERMINUS2_LIMITS._replace(format_errors=3)
DISK = SandboxError("disk_budget", "more than 4 GiB written")
LIFE = SandboxError("deadline", "the sandbox is older than 6 h")


def breaking(error: Exception) -> ListTerminal:
    terminal = ListTerminal()
    terminal.raises = error
    return terminal


TABLE: list[tuple[str, list[Any], dict[str, Any], int]] = [
    (ends.SUBMITTED, [LS, DONE], {}, 3),
    (ends.SUBMITTED, [DONE], {}, 2),
    (ends.SUBMITTED, [types("ls\n", done=True)], {}, 2),
    (ends.SUBMITTED, [tags("ls\n"), TAGS_DONE], {"prompts": "xml"}, 3),
    (ends.TERMINAL_GONE, [types("exit\n"), LS], {}, 1),
    (ends.TERMINAL_GONE, [types("exit\n", done=True), LS], {}, 1),
    (ends.SUBMITTED, [DONE, types("exit\n", done=True)], {}, 2),
    (ends.STEPS, [LS], {"limits": TERMINUS2_LIMITS._replace(steps=4)}, 4),
    (ends.TOKENS, [LS], {"limits": TERMINUS2_LIMITS._replace(tokens=330)}, 3),
    (ends.COST, [LS], {"limits": TERMINUS2_LIMITS._replace(cost=0.75)}, 3),
    (ends.DISK, [LS], {"terminal": breaking(DISK)}, 1),
    (ends.WALL_CLOCK, [LS], {"terminal": breaking(LIFE)}, 1),
    (ends.CONTEXT, [OVERFLOW], {}, 1),
    (ends.CONTEXT, [LS, OVERFLOW], {}, 2),
    (ends.LENGTH, [LS, cut(LS)], {"limits": THREE}, 4),
    (ends.LENGTH, [cut("")], {"limits": THREE}, 3),
    (ends.EMPTY_REPLY, [LS, Message("assistant", None)], {"limits": THREE}, 4),
    (ends.EMPTY_REPLY, [" \n"], {"limits": THREE, "prompts": "xml"}, 3),
    (ends.FORMAT_ERRORS, [LS, "I am done."], {}, 21),
    (ends.FORMAT_ERRORS, ["hm", "", cut("hm")], {"limits": THREE}, 3),
    (ends.FORMAT_ERRORS, [LS, SYNTAX], {"limits": THREE}, 4),
    (ends.REFUSED, [LS, FILTERED], {}, 2),
    (ends.REFUSED, [FILTERED_ERROR], {}, 1),
]


@pytest.mark.parametrize(("end", "lines", "how", "steps"), TABLE)
async def test_the_end_and_its_step(end: str, lines: list[Any], how: dict[str, Any], steps: int) -> None:
    played = await play2(*lines, **how)
    assert (played.episode.end, played.episode.steps) == (end, steps)
    assert played.episode.outcome == ENDS[end]
    assert episode_record(played.episode)["end"] == end


def test_the_table_reaches_every_end() -> None:
    assert {row[0] for row in TABLE} == set(ENDS)


async def test_the_failure_that_ended_it_is_kept() -> None:
    assert (await play2(OVERFLOW)).episode.failure is OVERFLOW
    assert (await play2(FILTERED_ERROR)).episode.failure is FILTERED_ERROR
    assert (await play2(SYNTAX, LS, DONE)).episode.failure is None


async def test_what_is_not_the_models_doing_passes_through() -> None:
    overloaded = ModelError(Outcome.ENDPOINT_ERROR, "overloaded", "http 503")
    with pytest.raises(ModelError, match="503"):
        await play2(LS, overloaded)
    with pytest.raises(SandboxError, match="gone"):
        await play2(LS, terminal=breaking(SandboxError("container_lost", "gone")))


async def test_a_good_reply_forgives_the_useless_ones_before_it() -> None:
    played = await play2("hm", "hm", LS, "hm", "hm", LS, DONE, limits=THREE)
    assert (played.episode.end, played.episode.format_errors) == (ends.SUBMITTED, 4)


async def test_the_deadline_ends_a_wait() -> None:
    played = await play2(types("sleep 60\n", seconds=60.0), seconds=0.2)
    assert played.episode.end == ends.WALL_CLOCK
    assert played.terminal.sent == ["sleep 60\n"]
    (entry,) = played.episode.commands
    assert entry["input"] == "sleep 60\n"


async def test_the_deadline_ends_a_request() -> None:
    played = await play2(LS, hang, seconds=0.2)
    assert (played.episode.end, played.episode.steps) == (ends.WALL_CLOCK, 2)


async def test_a_deadline_that_the_server_keeps_is_the_clocks_too() -> None:
    late = ModelError(Outcome.ENDPOINT_ERROR, "deadline", "the deadline passed")
    played = await play2(LS, late)
    assert (played.episode.end, played.episode.failure) == (ends.WALL_CLOCK, late)


async def test_the_deadline_comes_between_two_commands() -> None:
    def slow(line: str) -> str:
        time.sleep(0.06)
        return ""

    played = await play2(types(*["x\n"] * 50), terminal=ListTerminal(slow), seconds=0.1)
    assert played.episode.end == ends.WALL_CLOCK
    assert len(played.terminal.sent) <= 3


async def test_an_episode_that_is_cancelled_is_filled() -> None:
    started = asyncio.Event()

    async def wait(request: Any) -> str:
        started.set()
        return await hang(request)

    played = await play2(types("ls\n", seconds=0.01), wait, seconds=0.5)
    assert started.is_set()
    assert played.episode.tokens == 110
    assert played.episode.commands[0]["output_chars"] > 0
    assert played.episode.model_seconds > 0.1


async def test_waits_are_no_longer_than_the_limit_and_than_a_number() -> None:
    began = time.monotonic()
    odd = '{"analysis": "", "plan": "", "commands": [%s]}'
    commands = ", ".join(
        f'{{"keystrokes": "a\\n", "duration": {d}}}' for d in ("NaN", "-5", "Infinity", "1e9")
    )
    limits = TERMINUS2_LIMITS._replace(command_seconds=0.05)
    played = await play2(odd % commands, DONE, limits=limits)
    assert played.terminal.sent == ["a\n"] * 4
    assert [entry["seconds"] for entry in played.episode.commands] == [0.0, 0.0, 0.05, 0.05]
    assert 0.1 <= time.monotonic() - began < 30


async def test_seeds_and_turns_are_those_of_requests() -> None:
    played = await play2(LS, "hm", DONE)
    assert isinstance(played.agent, ScriptedAgent)
    assert [request.meta.turn for request in played.agent.requests] == [0, 1, 2, 3]
    assert len({request.body["seed"] for request in played.agent.requests}) == 4
    calls = played.ctx.transcript().calls
    assert [call.shared for call in calls] == [0, 1, 3, 5]


async def test_tokens_and_cost_are_those_of_all_replies() -> None:
    bad = ModelError(Outcome.TOOL_PROTOCOL_ERROR, "tool_syntax", "no end")
    bad.completion = Completion(Message("assistant", "<tool_call>"), "stop", Usage(50, 5), cost=1.0)
    played = await play2(LS, bad, DONE)
    assert (played.episode.tokens, played.episode.cost) == (3 * 110 + 55, 3 * 0.25 + 1.0)
