"""Terminus 1: waits for what blocks, sees the screen alone, ends at the first claim."""

import time
from dataclasses import replace
from typing import Any

import pytest
from terminus_play import OVERFLOW, TASK, ListTerminal, cut, hang, play1, types1

from longcat_eval.protocols import ModelError, SandboxError
from longcat_eval.records import Completion, Message, Outcome
from longcat_eval.runners.agent import episode as ends
from longcat_eval.runners.agent.terminus.answer import Command
from longcat_eval.runners.agent.terminus.prompts1 import command_words, own_prompts1
from longcat_eval.runners.agent.terminus.settings import TERMINUS1_LIMITS

LS, DONE = types1("ls\n"), types1(done=True)
FILTERED = Completion(Message("assistant", "No."), "content_filter")
DISK = SandboxError("disk_budget", "more than 4 GiB written")


def breaking(error: Exception) -> ListTerminal:
    terminal = ListTerminal()
    terminal.raises = error
    return terminal


TABLE: list[tuple[str, list[Any], dict[str, Any], int]] = [
    (ends.SUBMITTED, [LS, DONE], {}, 2),
    (ends.SUBMITTED, [types1("exit\n", done=True)], {}, 1),
    (ends.TERMINAL_GONE, [types1("exit\n")], {}, 1),
    (ends.STEPS, [LS], {}, 50),
    (ends.STEPS, ["hm", "hm", LS], {"limits": TERMINUS1_LIMITS._replace(steps=2)}, 4),
    (ends.TOKENS, [LS], {"limits": TERMINUS1_LIMITS._replace(tokens=330)}, 3),
    (ends.DISK, [LS], {"terminal": breaking(DISK)}, 1),
    (ends.CONTEXT, [LS, OVERFLOW], {}, 2),
    (ends.LENGTH, [LS, cut(LS)], {}, 2),
    (ends.EMPTY_REPLY, [""], {}, 3),
    (ends.FORMAT_ERRORS, [LS, "hm"], {}, 4),
    (ends.REFUSED, [FILTERED], {}, 1),
    (ends.WALL_CLOCK, [hang], {"seconds": 0.1}, 1),
]


@pytest.mark.parametrize(("end", "lines", "how", "steps"), TABLE)
async def test_the_end_and_its_step(
    end: str, lines: list[Any], how: dict[str, Any], steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("longcat_eval.runners.agent.terminus.loop1.SETTLE_SECONDS", 0.0)
    played = await play1(*lines, **how)
    assert (played.episode.end, played.episode.steps) == (end, steps)


async def test_what_blocks_is_waited_for_and_the_rest_typed() -> None:
    blocking = types1("make\n", "sleep 9 &\n", "cat <<EOF\nx\nEOF\n", "C-c", "", "\n", "a\nb\n")
    played = await play1(blocking, types1("vim x\n", blocking=False), DONE)
    assert played.terminal.ran == [("make", 5.0), ("a\nb", 5.0)]
    assert played.terminal.sent == ["sleep 9 &\n", "cat <<EOF\nx\nEOF\n", "C-c", "\n", "vim x\n"]
    assert [entry["input"] for entry in played.episode.commands][:2] == ["make\n", "sleep 9 &\n"]


async def test_patience_is_a_number_of_seconds_that_are_left() -> None:
    odd = types1("a\n").replace("5.0", "{}")
    for said, patience in (("-3", 0.0), ("1e400", 30.0), ("NaN", 0.0), ("86400", 30.0)):
        played = await play1(odd.replace("{}", said), DONE, seconds=30.0)
        ((_, seconds),) = played.terminal.ran
        assert seconds == pytest.approx(patience, abs=5.0)


async def test_the_screen_alone_is_seen() -> None:
    terminal = ListTerminal(lambda line: "\n".join(map(str, range(100))))
    played = await play1(LS, DONE, terminal=terminal)
    assert played.prompt(1) == "\n".join([*map(str, range(61, 100)), "$"])
    assert TASK in played.prompt(0)
    assert played.prompt(0).rstrip().endswith("$")
    assert played.roles == ["u", "a", "u"]


async def test_a_command_that_takes_too_long_ends_the_batch() -> None:
    own = own_prompts1()
    terminal = ListTerminal(ended=False)
    played = await play1(types1("make\n", "ls\n"), DONE, terminal=terminal)
    assert terminal.ran == [("make", 5.0)]
    assert played.prompt(1) == own.timed_out.format(
        timeout_sec="5", command="make", terminal_state="$ make\n$"
    )
    assert played.episode.commands[0]["timed_out"] is True
    played = await play1(
        types1("make\n"), DONE, terminal=ListTerminal(ended=False), prompts=replace(own, plain=True)
    )
    words = command_words(Command("make\n", 5.0, True))
    assert words == "keystrokes='make\\n' is_blocking=True timeout_sec=5.0"
    assert words in played.prompt(1)


async def test_a_reply_that_cannot_be_read_is_asked_for_again_with_the_same_words() -> None:
    played = await play1("hm", LS, "hm", "hm", DONE)
    assert played.prompt(1) == played.prompt(0)
    assert [m["content"] for m in played.agent.history(1)][1] == "hm"
    assert (played.episode.end, played.episode.format_errors) == (ends.SUBMITTED, 3)
    assert len({request.body["seed"] for request in played.agent.requests}) == 5


async def test_the_server_may_be_asked_to_hold_the_form() -> None:
    played = await play1(DONE, constrained=True)
    sent = played.agent.requests[0].body["response_format"]
    assert sent["type"] == "json_schema"
    assert set(sent["json_schema"]["schema"]["required"]) == {
        "state_analysis",
        "explanation",
        "commands",
        "is_task_complete",
    }
    assert "response_format" not in (await play1(DONE)).agent.requests[0].body


async def test_keys_have_a_moment_to_show() -> None:
    began = time.monotonic()
    await play1(types1("C-c", blocking=False), DONE)
    assert time.monotonic() - began >= 0.1


async def test_what_is_not_the_models_doing_passes_through() -> None:
    with pytest.raises(ModelError, match="503"):
        await play1(LS, ModelError(Outcome.ENDPOINT_ERROR, "overloaded", "http 503"))
    with pytest.raises(SandboxError, match="gone"):
        await play1(LS, terminal=breaking(SandboxError("container_lost", "gone")))
