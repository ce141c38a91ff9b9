"""Histories that get too long: handed over in time, after an overflow, and not for ever."""

import asyncio
from typing import Any

import pytest
from terminus_play import DONE, OVERFLOW, TASK, play2, sized, types

from longcat_eval.protocols import ModelError
from longcat_eval.records import Completion, Message, Outcome, Request, Usage
from longcat_eval.runners.agent import episode as ends
from longcat_eval.runners.agent.terminus.own_prompts import own_prompts

OWN = own_prompts("json")
LS = types("ls\n")
LIMIT = 32_000
LONG = sized(LS, 20_000)
NOTES, ASKED, ANSWERED = "NOTES", "QUESTIONS?", "ANSWERS"


def ways(played: Any) -> list[tuple[str, bool]]:
    return [(e["input"], e["error"]) for e in played.episode.commands if e["tool"] == "hand_off"]


async def test_the_history_is_handed_over_in_three_calls_when_little_is_left() -> None:
    played = await play2(sized(LS, 23_990), NOTES, ASKED, ANSWERED, sized(DONE, 9_000), context_limit=LIMIT)
    requests = [[m["content"] for m in request.body["messages"]] for request in played.agent.requests]
    first, notes, asked, answered, after = requests[:5]
    summary = OWN.summary.format(instruction=TASK)
    assert notes == [first[0], LS, summary]
    take_over = OWN.questions.format(instruction=TASK, summary=NOTES, screen="$ ls\n$")
    assert asked == [take_over]
    assert answered == [first[0], LS, summary, NOTES, OWN.answers.format(questions=ASKED)]
    assert after == [f"{first[0]}\n\n{take_over}", ASKED, OWN.hand_over.format(answers=ANSWERED)]
    assert (played.episode.end, played.episode.steps) == (ends.SUBMITTED, 3)
    assert ways(played) == [("full", False)]
    assert played.episode.tokens == 24_000 + 3 * 110 + 2 * 9_010


async def test_plain_prompts_send_two_user_messages_as_the_originals_do() -> None:
    from terminus_play import plain

    played = await play2(
        sized(LS, 23_990), NOTES, ASKED, ANSWERED, DONE, context_limit=LIMIT, prompts=plain(OWN)
    )
    assert [m["role"] for m in played.agent.history(4)] == ["user", "user", "assistant", "user"]


@pytest.mark.parametrize(
    ("tokens", "settings", "handed"),
    [
        (23_700, {"context_limit": LIMIT}, False),
        (23_990, {"context_limit": LIMIT}, True),
        (23_990, {"context_length": LIMIT}, True),
        (23_990, {}, False),
        (31_000, {"context_limit": LIMIT, "free_tokens": 0}, False),
        (26_000, {"context_limit": LIMIT, "free_tokens": 5_000}, False),
        (3_100, {"context_limit": 4_096}, True),
        (2_900, {"context_limit": 4_096}, False),
    ],
)
async def test_when_it_is_handed_over(tokens: int, settings: dict[str, Any], handed: bool) -> None:
    """At 8 000 free tokens, a quarter of a small context, or never where nobody knows the context."""
    played = await play2(sized(LS, tokens), NOTES, ASKED, ANSWERED, sized(DONE, 1_000), **settings)
    assert bool(ways(played)) == handed


async def test_reasoning_takes_no_room_in_the_history() -> None:
    long = Completion(Message("assistant", LS), "stop", Usage(10_000, 20_000, reasoning_tokens=19_900))
    played = await play2(long, sized(DONE, 10_200), context_limit=LIMIT)
    assert ways(played) == []


async def test_a_server_that_counts_nothing_is_counted_with_caution() -> None:
    free = Completion(Message("assistant", types("ls\n", analysis="x" * 90_000)), "stop")
    played = await play2(free, NOTES, ASKED, ANSWERED, DONE, context_limit=LIMIT)
    assert ways(played) == [("full", False)]


async def test_the_room_for_a_reply_is_what_the_server_counted() -> None:
    """An estimate from characters would leave a reply no room in a history that is not so long."""
    text = types("ls\n", analysis="x" * 90_000)
    played = await play2(sized(text, 1_000, 9_000), sized(DONE, 10_100), context_length=LIMIT)
    assert [request.body["max_tokens"] for request in played.agent.requests] == [1000, 1000, 1000]


async def test_a_claim_before_a_hand_off_is_no_claim_after_it() -> None:
    played = await play2(
        sized(DONE, 23_990), NOTES, ASKED, ANSWERED, sized(DONE, 900), DONE, context_limit=LIMIT
    )
    assert (played.episode.end, played.episode.steps) == (ends.SUBMITTED, 3)


async def test_a_hand_off_that_fails_in_time_changes_nothing() -> None:
    for failing in ("", OVERFLOW, ModelError(Outcome.REFUSED, "content_filter", "no")):
        played = await play2(
            sized(LS, 23_990),
            failing,
            sized(DONE, 24_100),
            NOTES,
            ASKED,
            ANSWERED,
            sized(DONE, 5_000),
            context_limit=LIMIT,
        )
        assert ways(played) == [("full", True), ("full", False)]
        assert [m["role"] for m in played.agent.history(2)] == ["user", "assistant", "user"]
        assert played.episode.end == ends.SUBMITTED


async def test_an_overflow_unwinds_the_newest_pairs_and_hands_over() -> None:
    replies = [sized(types(f"{i}\n"), 1_000 * (i + 1), 500) for i in range(8)]
    played = await play2(*replies, OVERFLOW, NOTES, ASKED, ANSWERED, DONE)
    notes = played.agent.history(9)
    kept = [m["content"] for m in notes if m["role"] == "assistant"]
    assert kept == [types(f"{i}\n") for i in range(4)], "4 000 tokens below 8 500 and some"
    assert ways(played) == [("full", False)]
    pending = f"{OWN.hand_over.format(answers=ANSWERED)}\n\n"
    assert played.prompt(12).startswith(pending)
    assert played.prompt(12).endswith("$ 7\n$")
    assert played.episode.end == ends.SUBMITTED


async def test_an_overflow_drops_one_pair_at_least() -> None:
    replies = [sized(types(f"{i}\n", analysis="y" * 30_000), 100_000 * (i + 1)) for i in range(3)]
    played = await play2(*replies, OVERFLOW, NOTES, ASKED, ANSWERED, DONE, context_limit=1_000_000)
    assert len(played.agent.history(4)) == 5


async def test_after_an_overflow_the_question_at_the_end_goes_along() -> None:
    played = await play2(LONG, sized(DONE, 30_000), OVERFLOW, NOTES, ASKED, ANSWERED, DONE)
    assert "once more" in played.prompt(6)
    assert (played.episode.end, played.episode.steps) == (ends.SUBMITTED, 3)


async def test_after_an_overflow_shorter_ways_follow() -> None:
    screen = "$ ls\n$ ls\n$"
    played = await play2(LONG, LONG, OVERFLOW, OVERFLOW, "Look around.", DONE)
    assert ways(played) == [("full", True), ("short", False)]
    assert played.prompt(4) == OWN.short.format(instruction=TASK, screen=screen)
    short = OWN.short_over.format(instruction=TASK, summary="Look around.")
    assert played.agent.history(5)[0]["content"].endswith(short)
    assert len(played.agent.history(5)) == 1
    played = await play2(LONG, LONG, OVERFLOW, OVERFLOW, OVERFLOW, DONE)
    assert ways(played) == [("full", True), ("short", True), ("none", False)]
    assert played.prompt(5).endswith(OWN.last_resort.format(instruction=TASK, screen=screen))
    assert played.episode.end == ends.SUBMITTED


async def test_a_second_overflow_at_once_takes_the_short_way() -> None:
    played = await play2(LONG, LONG, OVERFLOW, NOTES, ASKED, ANSWERED, OVERFLOW, "Look.", DONE)
    assert ways(played) == [("full", False), ("short", False)]
    assert played.episode.end == ends.SUBMITTED


async def test_where_nothing_is_left_to_forget_it_ends() -> None:
    played = await play2(LONG, LONG, OVERFLOW)
    assert (played.episode.end, played.episode.failure) == (ends.CONTEXT, OVERFLOW)
    assert ways(played) == [("full", True), ("short", True), ("none", False)]


async def test_hand_offs_are_bounded() -> None:
    def full(request: Request) -> Completion:
        return sized(LS, 31_000)

    played = await play2(full, context_limit=LIMIT, hand_offs=4)
    assert played.episode.end == ends.CONTEXT
    assert len(ways(played)) == 4
    assert len(played.agent.requests) == 1 + 4 * 4


async def test_what_is_not_the_models_doing_passes_through_a_hand_off() -> None:
    with pytest.raises(ModelError, match="503"):
        await play2(
            sized(LS, 23_990),
            ModelError(Outcome.ENDPOINT_ERROR, "overloaded", "http 503"),
            context_limit=LIMIT,
        )


async def test_the_deadline_ends_a_hand_off() -> None:
    async def hang(request: Request) -> str:
        await asyncio.sleep(60)
        return ""

    played = await play2(sized(LS, 23_990), hang, context_limit=LIMIT, seconds=0.2)
    assert played.episode.end == ends.WALL_CLOCK
    late = ModelError(Outcome.ENDPOINT_ERROR, "deadline", "the deadline passed")
    played = await play2(sized(LS, 23_990), late, context_limit=LIMIT)
    assert (played.episode.end, played.episode.failure) == (ends.WALL_CLOCK, late)


async def test_a_hand_off_is_read_in_the_transcript() -> None:
    played = await play2(sized(LS, 23_990), NOTES, ASKED, ANSWERED, sized(DONE, 9_000), context_limit=LIMIT)
    calls = played.ctx.transcript().calls
    assert [call.completion.text for call in calls][:4] == [LS, NOTES, ASKED, ANSWERED]
    assert [call.shared for call in calls] == [0, 1, 0, 0, 0, 3]
