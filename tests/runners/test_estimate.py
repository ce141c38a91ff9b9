"""What a run will take: counted on reference dialogues, stretched to real lengths, or taken from rows."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from msgspec import structs
from toy import NoWorkers, ToyTask
from toy_dialogue import GREETING, LOOK_UP, STOP, ToyDialogue

from longcat_eval.protocols import AttemptContext, DataOptions, ModelError
from longcat_eval.records import AttemptRow, JudgeRules, Message, Outcome, Sample, Score, Transcript
from longcat_eval.runners.estimate import (
    ALL_ROLES,
    CHARACTERS_PER_TOKEN,
    PROBED_SAMPLES,
    RoleEstimate,
    estimate,
    stretched,
)
from longcat_eval.runners.plan import PlannedTask

TOOLS = json.dumps([LOOK_UP], separators=(",", ":"))
"""The toy's tools as they are sent with every request."""


def plan(task: Any) -> PlannedTask:
    data = task.load(DataOptions())
    return PlannedTask(task, data, data.samples, task.protocol.repeats)


async def by_role(task: Any) -> dict[str, RoleEstimate]:
    return {role.role: role for role in (await estimate(plan(task), [], NoWorkers())).roles}


def test_a_history_grows_by_the_same_amount_at_every_request() -> None:
    assert stretched([[100, 130, 160]], 3) == 390
    assert stretched([[100, 130, 160]], 5) == 100 + 130 + 160 + 190 + 220
    assert stretched([[100, 130, 160]], 1.5) == pytest.approx(1.5 * 100 + 30 * 0.375)
    assert stretched([[100], [50]], 4) == 300, "nobody saw it grow"


def test_reference_dialogues_come_out_as_counted() -> None:
    dialogues = [[100], [100, 150], [200, 220, 300], [10, 11, 12, 90]]
    growth = stretched(dialogues, 2) - 2 * stretched(dialogues, 1)
    again = sum(len(d) * d[0] + growth * len(d) * (len(d) - 1) / 2 for d in dialogues)
    assert again == pytest.approx(sum(map(sum, dialogues)))


async def test_one_question_is_one_request() -> None:
    done = await estimate(plan(ToyTask(10, repeats=3)), [], NoWorkers())
    assert (done.task, done.attempts, done.cost) == ("toy", 30, None)
    (agent,) = done.roles
    assert (agent.role, agent.requests, agent.source.split(";")[0]) == ("agent", 1.0, "prompts counted")
    assert agent.prompt_tokens * CHARACTERS_PER_TOKEN == len("7 + 7 = ?")


async def test_every_role_is_counted_on_the_reference_dialogue() -> None:
    roles = await by_role(ToyDialogue(items=1))
    asked, told, error = "What costs item 0?", "It costs 0.", "Error: no item 0"
    assert roles["user"].requests == roles["agent"].requests == 2
    user = 2 * len(f"You buy.{GREETING}") + len(asked) + len(told)
    assert roles["user"].prompt_tokens * CHARACTERS_PER_TOKEN == user
    assert roles["user"].completion_tokens * CHARACTERS_PER_TOKEN == len(asked) + len(STOP)
    call = '[{"id":"call-0","type":"function","function":{"name":"look_up","arguments":"{\\"item\\": 0}"}}]'
    agent = 2 * len(f"You sell.{asked}{TOOLS}") + len(call) + len(error)
    assert roles["agent"].prompt_tokens * CHARACTERS_PER_TOKEN == agent
    assert roles["agent"].completion_tokens * CHARACTERS_PER_TOKEN == len(call) + len(told)


async def test_a_dialogue_is_stretched_to_its_typical_length() -> None:
    short = await by_role(ToyDialogue(items=1))
    long = await by_role(ToyDialogue(items=1, typical_requests={"agent": 6.0}, typical_tokens=900))
    first = len(f"You sell.What costs item 0?{TOOLS}")
    growth = short["agent"].prompt_tokens * CHARACTERS_PER_TOKEN - 2 * first
    expected = (6 * first + 15 * growth) / CHARACTERS_PER_TOKEN
    assert long["agent"].prompt_tokens == pytest.approx(expected)
    assert (long["agent"].requests, long["agent"].completion_tokens) == (6.0, 900)
    assert long["agent"].source == "prompts of 2.0 requests, stretched; a rough completion length"
    assert long["user"] == short["user"]


async def test_replies_of_a_stretched_user_grow_with_its_requests() -> None:
    short = await by_role(ToyDialogue(items=3))
    long = await by_role(ToyDialogue(items=3, typical_requests={"user": 8.0}))
    assert long["user"].completion_tokens == pytest.approx(4 * short["user"].completion_tokens)


async def test_only_some_samples_are_probed() -> None:
    task = ToyDialogue(items=400)
    asked = []

    def reference(sample: Sample, repeat: int) -> Mapping[str, Sequence[Message]]:
        asked.append(sample.id)
        return ToyDialogue.reference(task, sample, repeat)

    task.reference = reference  # type: ignore[method-assign]
    assert (await estimate(plan(task), [], NoWorkers())).attempts == 800
    assert len(asked) == len(set(asked)) == PROBED_SAMPLES


def row(**values: Any) -> AttemptRow:
    common = {"task": "toy-dialogue", "sample": "s0", "outcome": Outcome.ANSWERED, "value": 1.0}
    return AttemptRow(**(common | values))


@pytest.mark.parametrize(("costs", "mean"), [((0.25, 0.75), 0.5), ((0.25, None), None)])
async def test_rows_that_stand_are_the_better_estimate(
    costs: tuple[float | None, ...], mean: float | None
) -> None:
    rows = [
        row(repeat=i, calls=10 + 2 * i, prompt_tokens=1000, completion_tokens=40 + i, cost=cost)
        for i, cost in enumerate(costs)
    ]
    done = await estimate(plan(ToyDialogue()), rows, NoWorkers())
    assert (done.attempts, done.cost) == (6, mean)
    (together,) = done.roles
    assert together[:4] == (ALL_ROLES, 11.0, 1000.0, 40.5)
    assert "do not split roles" in together.source


async def test_a_reference_that_ends_early_is_counted_until_then() -> None:
    class Mute(ToyDialogue):
        async def attempt(self, sample: Sample, ctx: AttemptContext) -> Transcript:
            await ctx.ask([{"role": "user", "content": "1234"}])
            raise ModelError(Outcome.NO_ANSWER, "empty_reply", "the agent said nothing")

    roles = await by_role(Mute())
    assert (roles["agent"].requests, roles["agent"].prompt_tokens) == (1.0, 1.0)
    assert roles["user"] == RoleEstimate("user", 0.0, 0.0, 0.0, "not asked in the reference")


async def test_a_judge_is_asked_when_an_attempt_is_scored() -> None:
    class Judged(ToyTask):
        async def score(self, sample: Sample, transcript: Transcript, ctx: AttemptContext) -> Score:
            await ctx.ask([{"role": "user", "content": "is it right?"}], role="judge")
            return Score(1.0, Outcome.ANSWERED)

    task = Judged()
    task.protocol = structs.replace(
        task.protocol, roles=("agent", "judge"), judges={"judge": JudgeRules("", 1, 9)}
    )
    judge = (await by_role(task))["judge"]
    assert (judge.requests, judge.prompt_tokens) == (1.0, len("is it right?") / CHARACTERS_PER_TOKEN)
