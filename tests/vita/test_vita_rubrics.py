"""The sliding-window judge: windows, what it is shown, how its answers are read, and the verdict."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vita_play import Said, Sides, context, dialogue, judging, loaded

from longcat_eval.protocols import ModelError
from longcat_eval.records import Message, Outcome, Request, Score, ToolCall, Transcript
from longcat_eval.runners.judging import NULL_VERDICT, NULLS
from longcat_eval.tasks.vita.rubrics import (
    OVERLAP,
    WINDOW,
    Rubric,
    reader,
    rubrics_of,
    window_text,
    windows_of,
)

GARBAGE = "I think the agent did well, all in all."
RUBRICS = {"rubric_0": Rubric("a"), "rubric_1": Rubric("b")}


# --- windows


@given(st.integers(1, 400))
def test_windows_cover_every_message_and_share_two_with_the_next(count: int) -> None:
    trajectory = [{"number": n} for n in range(count)]
    windows = windows_of(trajectory)
    seen = [entry["number"] for _, window in windows for entry in window]
    assert sorted(set(seen)) == list(range(count))
    assert all(1 <= len(window) <= WINDOW for _, window in windows)
    assert all(window[0]["number"] == start for start, window in windows)
    for (_, one), (_, two) in pairwise(windows):
        assert one[-OVERLAP:] == two[:OVERLAP]
        assert len(two) > OVERLAP, "no window without a new message"
    assert len(windows) == 1 + max(0, -((WINDOW - count) // (WINDOW - OVERLAP)))


def test_a_window_is_shown_as_numbered_lines() -> None:
    call = {"id": "c", "name": "order", "arguments": {"product": "面", "count": 2, "note": None}}
    window = [
        {"from": "agent", "content": "您好。"},
        {"from": "user", "content": "two noodles"},
        {"from": "agent", "content": "", "calls": [call, {"id": "d", "name": "pay", "arguments": {}}]},
        {"from": "env", "to": "agent", "content": "done", "error": False},
        {"from": "env", "to": "agent", "content": "", "error": False},
        {"from": "agent", "content": "Paying.", "calls": [{"id": "e", "name": "pay", "arguments": "{bad"}]},
        {"from": "user", "content": "", "calls": [call]},
        {"from": "agent", "content": "Bye ###STOP###"},
    ]
    assert window_text(window, 8).splitlines() == [
        "[9] assistant: 您好。",
        "[10] user: two noodles",
        "[11] assistant: order(product='面', count=2, note=None).pay()",
        "[12] tool: done",
        "[14] assistant: Paying. pay({bad)",
        "[16] assistant: Bye ###STOP###",
    ]


def test_rubrics_of_states_come_first_and_each_text_once() -> None:
    criteria = {
        "expected_states": [
            {"state_rubrics": ["a", "b"]},
            {"state_rubrics": None},
            {"state_rubrics": ["b", "c"]},
        ],
        "overall_rubrics": ["c", "d", "a"],
    }
    found = rubrics_of({"evaluation_criteria": criteria})
    assert {name: state.rubric for name, state in found.items()} == {
        f"rubric_{i}": text for i, text in enumerate("abcd")
    }
    assert not any(state.met for state in found.values())
    assert rubrics_of({"evaluation_criteria": None}) == {}


# --- answers


def line(name: str, met: Any, **more: Any) -> dict[str, Any]:
    return {"rubric_idx": name, "rubric": "x", "meetExpectation": met, **more}


BOTH = json.dumps([line("rubric_0", True, justification="ok"), line("rubric_1", False)])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOTH, {"rubric_0": True, "rubric_1": False}),
        (f"Here it is:\n```json\n{BOTH}\n```\nDone.", {"rubric_0": True, "rubric_1": False}),
        (f'{{"rubrics": {BOTH}}}', {"rubric_0": True, "rubric_1": False}),
        (json.dumps(line("rubric_1", True)), {"rubric_1": True}),
        (json.dumps([line("rubric_1", True)]), {"rubric_1": True}),
        (
            json.dumps([line("rubric_0", "true"), line("rubric_1", "False")]),
            {"rubric_0": True, "rubric_1": False},
        ),
        (json.dumps([line("rubric_0", True), line("rubric_0", False)]), {"rubric_0": False}),
        (json.dumps([line("rubric_0", True), line("rubric_7", True)]), {"rubric_0": True}),
        (json.dumps([line("rubric_0", True, justification=["a", "list"])]), {"rubric_0": True}),
        (
            '[{"rubric_idx": "rubric_0", "justification": "said "well"", "meetExpectation": true},]',
            {"rubric_0": True},
        ),
        (
            '[{"rubric_idx": "rubric_0", "meetExpectation": true}, {"rubric_idx": "rubric_1", "mee',
            {"rubric_0": True},
        ),
        (" [] ", {}),
        (GARBAGE, None),
        ("", None),
        ("[1, 2]", None),
        ("null", None),
        ('{"rubric_0": true}', None),
        (json.dumps([line("rubric_7", True)]), None),
        (json.dumps([line("rubric_0", "perhaps"), line("rubric_1", True)]), None),
        (json.dumps([line("rubric_0", None)]), None),
        (json.dumps([line("rubric_0", 1)]), None),
    ],
)
def test_an_answer_is_read_or_is_none(text: str, said: dict[str, bool] | None) -> None:
    found = reader(RUBRICS)(text)
    if said is None or found is None:
        assert found is None
        assert said is None
    else:
        assert {name: str(entry.meet).lower() == "true" for name, entry in found.items()} == said


@given(st.text(max_size=200))
def test_no_text_raises(text: str) -> None:
    found = reader(RUBRICS)(text)
    assert found is None or set(found) <= set(RUBRICS)


# --- verdicts


async def judged(
    judge: list[Said], turns: int = 1, sample_number: int = 4
) -> tuple[Score, Sides, Transcript]:
    """A dialogue of `turns` texts of each side, and its verdict by this judge."""
    task, samples = loaded()
    sample = samples[sample_number]
    lines: dict[str, list[Said]] = {
        "user": [f"wish {i}" for i in range(turns)],
        "agent": [*(f"answer {i}" for i in range(turns - 1)), "bye ###STOP###"],
        "judge": judge,
    }
    sides = Sides(lines)
    ctx = context(task, sample, sides)
    transcript = await task.attempt(sample, ctx)
    return await task.score(sample, transcript, ctx), sides, transcript


SAMPLE = loaded()[1][4]


@pytest.mark.parametrize(
    ("met", "value", "share"), [(True, 1.0, 1.0), (False, 0.0, 0.0), ([True, False], 0.0, 0.5)]
)
async def test_all_rubrics_are_one_and_fewer_nothing(met: Any, value: float, share: float) -> None:
    score, _, transcript = await judged([judging(SAMPLE, met)])
    assert (score.value, score.outcome, score.reason) == (value, Outcome.ANSWERED, "agent_stop")
    assert score.metrics["rubrics"] == share
    states = [True, True] if met is True else [False, False] if met is False else met
    assert [r["met"] for r in transcript.artifacts["rubrics"]] == states
    assert transcript.artifacts["rubrics"][1]["justification"] == "seen 1"


async def test_garbage_is_asked_again_and_then_a_judge_error_with_no_second_dialogue() -> None:
    task, samples = loaded()
    sides = Sides({"user": ["hello"], "agent": ["bye ###STOP###"], "judge": [GARBAGE]})
    ctx = context(task, samples[4], sides)
    transcript = await task.attempt(samples[4], ctx)
    with pytest.raises(ModelError) as caught:
        await task.score(samples[4], transcript, ctx)
    assert (caught.value.outcome, caught.value.reason) == (Outcome.JUDGE_ERROR, NULL_VERDICT)
    assert len({body["seed"] for body in sides.of("judge")}) == 3, "each try has a seed of its own"
    assert (len(sides.of("agent")), len(sides.of("user"))) == (1, 1)


async def test_one_readable_answer_after_garbage_counts() -> None:
    score, sides, _ = await judged([GARBAGE, judging(SAMPLE, True)])
    assert (score.value, score.metrics[NULLS], len(sides.of("judge"))) == (1.0, 1.0, 2)


async def test_states_go_from_window_to_window_and_may_turn_back() -> None:
    """12 messages beside the greeting: windows of 10 and 5."""
    score, sides, _ = await judged([judging(SAMPLE, [True, True]), judging(SAMPLE, [False, True])], turns=6)
    one, two = (body["messages"] for body in sides.of("judge"))
    assert one[0]["content"].startswith(
        "{'system_time': '2025-05-14 12:00:00 三', 'database': []} 订两份P4。 1/2"
    )
    assert one[0]["content"].endswith("{JSON}")
    assert "[1] assistant: 您好。\n[2] user: wish 0" in one[1]["content"]
    assert one[1]["content"].startswith("Window {\n[1]")
    assert "[11]" not in one[1]["content"]
    assert "Not evaluated yet" in one[1]["content"]
    assert "[9] assistant: answer 3" in two[1]["content"]
    assert two[1]["content"].count('"meetExpectation": true') == 2
    assert "seen 1" in two[1]["content"]
    assert (score.value, score.metrics["rubrics"]) == (0.0, 0.5)
    assert [body["temperature"] for body in sides.of("judge")] == [0.0, 0.0]


async def test_an_answer_that_leaves_a_rubric_out_leaves_its_state() -> None:
    first, second = judging(SAMPLE, [True, False]), json.dumps([line("rubric_1", True)])
    score, _, _ = await judged([first, second], turns=6)
    assert score.value == 1.0
    score, _, _ = await judged([judging(SAMPLE, True), "[]"], turns=6)
    assert score.value == 1.0


@pytest.mark.parametrize("judge", [[GARBAGE], [""]])
async def test_a_dialogue_that_no_side_ended_is_nothing_without_a_judge(judge: list[Said]) -> None:
    task, samples = loaded()
    sides = Sides({"user": ["hello"], "agent": ["well"], "judge": judge})
    ctx = context(task, samples[0], sides)
    transcript = await task.attempt(samples[0], ctx)
    score = await task.score(samples[0], transcript, ctx)
    assert (score.value, score.outcome, score.reason) == (0.0, Outcome.AGENT_BUDGET, "max_steps")
    assert score.metrics["rubrics"] == 0.0
    assert score.metrics["steps"] == 300
    assert not sides.of("judge")


# --- how a dialogue goes


async def test_the_agent_does_not_see_its_greeting_and_the_user_has_no_tools() -> None:
    task, samples = loaded()
    _, sides = await dialogue(task, samples[2], {"user": ["hello"], "agent": ["bye ###STOP###"]})
    (agent,), (user,) = sides.of("agent"), sides.of("user")
    assert [m["content"] for m in agent["messages"]] == ["现在是2025-03-12 12:00:00 三。", "hello"]
    assert (len(agent["tools"]), agent["tool_choice"]) == (5, "auto")
    assert [m["content"] for m in user["messages"]] == ["你是{'name': 'Guest 2'}。订两份P2。", "您好。"]
    assert "tools" not in user
    assert user["temperature"] == 0.0
    assert "temperature" not in agent


@pytest.mark.parametrize("word", ["###STOP###", "###TRANSFER###", "###OUT-OF-SCOPE###"])
async def test_the_user_may_end_it(word: str) -> None:
    task, samples = loaded()
    transcript, _ = await dialogue(task, samples[0], {"user": ["hello", f"bye {word}"], "agent": ["yes?"]})
    assert transcript.artifacts["end"] == "user_stop"


async def test_a_stop_of_the_agent_beside_calls_ends_it_before_they_run() -> None:
    task, samples = loaded()
    call = ToolCall("c", "create_order", '{"product_id": "P0", "count": 1}')
    said = Message("assistant", "I order. ###STOP###", tool_calls=(call,))
    transcript, _ = await dialogue(task, samples[0], {"user": ["hello"], "agent": [said]})
    assert (transcript.artifacts["end"], transcript.artifacts["orders"]) == ("agent_stop", [])
    assert transcript.artifacts["trajectory"][-1]["calls"][0]["name"] == "create_order"


async def test_failing_calls_end_nothing() -> None:
    task, samples = loaded()
    calls = [Message("assistant", tool_calls=(ToolCall(f"c{i}", "nothing", "{}"),)) for i in range(12)]
    transcript, _ = await dialogue(task, samples[0], {"user": ["hello"], "agent": [*calls, "###STOP###"]})
    assert (transcript.artifacts["end"], transcript.artifacts["errors"]["agent"]) == ("agent_stop", 12)


async def test_an_agent_that_says_nothing_is_asked_three_times_and_gets_nothing() -> None:
    task, samples = loaded()
    sides = Sides({"user": ["hello"], "agent": [""]})
    ctx = context(task, samples[0], sides)
    transcript = await task.attempt(samples[0], ctx)
    score = await task.score(samples[0], transcript, ctx)
    assert (score.value, score.outcome, len(sides.of("agent"))) == (0.0, Outcome.NO_ANSWER, 3)


async def test_a_user_that_says_nothing_is_no_fault_of_the_agent() -> None:
    task, samples = loaded()

    def play(request: Request) -> Said:
        return "" if request.meta.role == "user" else "hello"

    with pytest.raises(ModelError) as caught:
        await dialogue(task, samples[0], play)
    assert caught.value.outcome == Outcome.SIMULATOR_ERROR
