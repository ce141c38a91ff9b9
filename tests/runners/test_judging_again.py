"""Judged runs that go on: what was kept, what it is called, and what it cost."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from test_judging import Models, down, records, run
from toy import NoWorkers, ToyModel, ToyTask, ignore, manifest, planned
from toy_judged import SCORER, JudgedToy, yes_or_no

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.protocols import DataOptions
from longcat_eval.records import AttemptRow, Outcome, Request, Score
from longcat_eval.runners.budget import Budget
from longcat_eval.runners.rescoring import keep, rescore
from longcat_eval.runners.session import Session
from longcat_eval.runners.store import read_run, read_transcript, write_manifest


def samples(task: ToyTask) -> dict[str, Any]:
    return {s.id: s for s in task.load(DataOptions()).samples}


async def again(path: Path, task: ToyTask) -> list[tuple[AttemptRow, AttemptRow]]:
    return await rescore(read_run(path), {task.name: (task, samples(task))}, NoWorkers())


async def test_rescoring_leaves_the_limit_that_the_user_gave_a_judge(tmp_path: Path) -> None:
    """Else the command that made the run would no longer fit its directory."""

    class Short(JudgedToy):
        def __init__(self) -> None:
            super().__init__(2)
            rules = structs.replace(SCORER.rules, max_tokens=5)
            judges = {**self.protocol.judges, "scorer": rules}
            self.protocol = structs.replace(self.protocol, judges=judges)

    await run(tmp_path, Models(), Short())
    today = JudgedToy(2)
    keep(tmp_path, await again(tmp_path, today), {today.name: today.protocol})
    kept = read_run(tmp_path).manifest.tasks[today.name].protocol.judges["scorer"]
    assert kept == structs.replace(SCORER.rules, max_tokens=5)
    await run(tmp_path, Models(), Short())


async def test_rescoring_asks_nothing_of_a_run_whose_version_had_no_such_judge(tmp_path: Path) -> None:
    part = planned(ToyTask(2))
    session = Session(tmp_path, manifest(part))
    session.open()
    roles = {"agent": Models().roles["agent"]}
    await session.run([part], roles, NoWorkers(), concurrency=2, budget=Budget(), emit=ignore)
    session.close()
    task = JudgedToy(2)
    task.name = ToyTask.name
    with pytest.raises(EnvironmentUnusableError, match="was not asked in this run"):
        await again(tmp_path, task)


async def test_an_attempt_judged_by_rescoring_has_no_error_left(tmp_path: Path) -> None:
    class Broken(JudgedToy):
        async def score(self, sample: Any, transcript: Any, ctx: Any) -> Any:
            await super().score(sample, transcript, ctx)
            raise RuntimeError("a bug")

    await run(tmp_path, Models(), Broken(1))
    task = JudgedToy(1)
    keep(tmp_path, await again(tmp_path, task), {task.name: task.protocol})
    (row,) = read_run(tmp_path).rows
    assert (row.outcome, row.value, row.error, row.unjudged) == (Outcome.ANSWERED, 1.0, "", False)


async def test_tasks_with_and_without_judges_share_a_directory(tmp_path: Path) -> None:
    """A suite grows, and a run of its other tasks is there already."""
    plain = planned(ToyTask(2))
    for _ in range(2):
        session = Session(tmp_path, manifest(plain, roles={"agent": records()["agent"]}))
        session.open()
        try:
            roles = {"agent": Models().roles["agent"]}
            await session.run([plain], roles, NoWorkers(), concurrency=2, budget=Budget(), emit=ignore)
        finally:
            session.close()
        await run(tmp_path, Models(), JudgedToy(2))
    data = read_run(tmp_path)
    assert sorted(data.manifest.tasks) == ["judged-toy", "toy"]
    assert sorted(data.manifest.roles) == ["agent", "reader", "scorer"]
    assert [row.value for row in data.rows] == [1.0] * 4


async def test_money_is_counted_where_only_the_judge_has_a_price(tmp_path: Path) -> None:
    """`rescore --judge-model … --max-cost` over the answers of a model without a price."""
    budget = Budget(max_cost=2.0)
    for cost in (1.5, 1.0):
        since = AttemptRow(task="t", sample="s", repeat=0, outcome=Outcome.JUDGE_ERROR, unjudged=True)
        budget.spend(structs.replace(since, role_costs={"agent": None, "judge": cost}), since)
    assert budget.cost == 2.5
    assert "--max-cost" in budget.exhausted()


async def test_a_kept_answer_that_the_disk_lost_is_asked_for_again(tmp_path: Path) -> None:
    """After a power failure a row may stand whose transcript never reached the disk."""
    await run(tmp_path, Models(scorer=lambda request: down()), JudgedToy(1))
    frames = tmp_path / "transcripts.zst"
    frames.write_bytes(bytes(frames.stat().st_size))
    models = Models()
    await run(tmp_path, models, JudgedToy(1))
    assert models.asked() == {"agent": 1, "reader": 0, "scorer": 2}, "the reader's reply stands in its file"
    assert read_run(tmp_path).rows[0].value == 1.0


async def test_what_one_call_was_asked_with_is_not_read_into_the_next(tmp_path: Path) -> None:
    class Formatted(JudgedToy):
        async def score(self, sample: Any, transcript: Any, ctx: Any) -> Any:
            first, _ = await SCORER.verdict(ctx, "Is it?", yes_or_no, response_format={"type": "json"})
            again, _ = await SCORER.verdict(ctx, "Is it?", yes_or_no, turn=1)
            return Score(float(first and again), Outcome.ANSWERED)

    await run(tmp_path, Models(), Formatted(1))
    ((_, new),) = await again(tmp_path, Formatted(1))
    assert new.value == 1.0


async def test_a_null_that_the_protocol_reads_is_no_reason_to_ask_more_often(tmp_path: Path) -> None:
    """Whether something else failed before says nothing about the answer."""

    class Final(JudgedToy):
        async def score(self, sample: Any, transcript: Any, ctx: Any) -> Any:
            found = await SCORER.ask(ctx, "Is it?", yes_or_no, final=True)
            return Score(float(found.value or 0), Outcome.ANSWERED)

    broken = Models(scorer=lambda request: down() if request.meta.turn == 1000 else "well")
    await run(tmp_path, broken, Final(1))
    models = Models(scorer=lambda request: "well")
    await run(tmp_path, models, Final(1))
    assert [r.meta.turn for r in models.models["scorer"].requests] == [1000, 2000]
    assert read_run(tmp_path).rows[0].value == 0.0


async def test_judging_that_takes_long_keeps_no_answer_waiting(tmp_path: Path) -> None:
    """The model and its judge are two servers: the one is asked while the other thinks."""
    agent_done, open_gate = asyncio.Event(), asyncio.Event()

    class Slow(ToyModel):
        async def complete(self, request: Request) -> Any:
            await open_gate.wait()
            return await super().complete(request)

    models = Models()
    models.models["reader"] = Slow(lambda request: request.body["messages"][0]["content"].rpartition(" ")[2])
    start = asyncio.create_task(run(tmp_path, models, JudgedToy(8)))
    for _ in range(200):
        await asyncio.sleep(0.005)
        if models.asked()["agent"] == 8:
            agent_done.set()
            break
    open_gate.set()
    await start
    assert agent_done.is_set(), "four at once, and four more while those wait for their judge"
    assert models.models["agent"].most_at_once <= 4


async def test_what_a_judge_said_within_the_attempt_stays_in_it(tmp_path: Path) -> None:
    """As in the first of two rounds, whose marks the model gets to see."""

    class TwoRounds(JudgedToy):
        async def attempt(self, sample: Any, ctx: Any) -> Any:
            await super().attempt(sample, ctx)
            await SCORER.verdict(ctx, "Is the first round right?", yes_or_no, turn=500)
            return ctx.transcript()

    broken = Models(scorer=lambda request: "yes" if request.meta.turn == 500 else down())
    before = await run(tmp_path, broken, TwoRounds(1))
    assert before.cost == 1.5
    models = Models()
    after = await run(tmp_path, models, TwoRounds(1))
    assert models.asked() == {"agent": 0, "reader": 0, "scorer": 2}
    (row,) = read_run(tmp_path).rows
    assert (row.value, row.cost, after.cost) == (1.0, 2.5, 2.5)
    calls = read_transcript(tmp_path, row).calls
    assert [(call.role, call.turn) for call in calls if call.role == "scorer"] == [
        ("scorer", 500),
        ("scorer", 0),
        ("scorer", 1),
    ]


def test_a_merged_run_tells_all_roles_and_their_first_requests(tmp_path: Path) -> None:
    """The first shard may have met no judge."""
    part = planned(JudgedToy(2))
    first = manifest(part, roles={"agent": records()["agent"]}, first_requests={"judged-toy/agent": {"n": 1}})
    second = manifest(part, roles=records(), first_requests={"judged-toy/scorer": {"n": 2}})
    for number, one in enumerate((first, second), 1):
        write_manifest(tmp_path / f"manifest-{number}of2.json", one)
    whole = read_run(tmp_path).manifest
    assert sorted(whole.roles) == ["agent", "reader", "scorer"]
    assert whole.first_requests == {"judged-toy/agent": {"n": 1}, "judged-toy/scorer": {"n": 2}}
