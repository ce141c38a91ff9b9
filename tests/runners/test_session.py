"""The engine and the run directory together, on the toy benchmark."""

import json
from pathlib import Path

import pytest
from toy import NoWorkers, ToyModel, ToyTask, endpoint_error, ignore, manifest, planned, right_answer, role

from longcat_eval.errors import EnvironmentUnusableError, UsageError
from longcat_eval.protocols import ModelError
from longcat_eval.records import AttemptRow, Outcome, Request
from longcat_eval.runners.budget import Budget
from longcat_eval.runners.events import AttemptFinished, Event, RunEnded, RunStarted
from longcat_eval.runners.plan import Shard
from longcat_eval.runners.session import Session
from longcat_eval.runners.store import read_run, read_transcript


async def run_toy(
    path: Path,
    model: ToyModel,
    task: ToyTask | None = None,
    *,
    concurrency: int = 4,
    budget: Budget | None = None,
    shard: Shard | None = None,
    listener: object = ignore,
    **changes: object,
) -> str:
    """One start of the toy run in `path`."""
    part = planned(task or ToyTask())
    session = Session(path, manifest(part, **changes), shard)
    session.open()
    try:
        return await session.run(
            [part],
            {"agent": role(model)},
            NoWorkers(),
            concurrency=concurrency,
            budget=budget or Budget(),
            emit=listener,  # type: ignore[arg-type]
        )
    finally:
        session.close()


def verdicts(rows: list[AttemptRow]) -> list[tuple[object, ...]]:
    return [(r.key, r.outcome, r.value, r.extracted) for r in rows]


async def test_every_attempt_is_kept_with_its_transcript(tmp_path: Path) -> None:
    model = ToyModel()
    assert await run_toy(tmp_path / "r", model, ToyTask(5, repeats=3)) == ""
    run = read_run(tmp_path / "r")
    assert len(run.rows) == 15
    assert all(r.value == 1.0 for r in run.rows)
    row = run.rows[7]
    transcript = read_transcript(run.path, row)
    assert transcript.key == row.key
    call = transcript.calls[0]
    assert call.completion.text == row.extracted
    assert call.request in [r.body for r in model.requests]
    assert call.request["temperature"] == 0.7
    assert call.request["max_tokens"] == 16
    assert row.cost == 0.5
    assert (row.prompt_tokens, row.completion_tokens) == (10, 2)


async def test_repeats_have_their_own_seeds_and_nothing_else_changes_them(tmp_path: Path) -> None:
    def seeds(model: ToyModel) -> dict[str, int]:
        return {str(r.meta.key): r.body["seed"] for r in model.requests}

    one, many = ToyModel(), ToyModel(seconds=0.001)
    await run_toy(tmp_path / "a", one, ToyTask(4, repeats=8), concurrency=1)
    await run_toy(tmp_path / "b", many, ToyTask(4, repeats=8), concurrency=32)
    assert seeds(one) == seeds(many)
    assert len(set(seeds(one).values())) == 32
    assert all(0 <= s < 2**31 for s in seeds(one).values())
    assert many.most_at_once > 1


async def test_resume_makes_only_what_is_missing(tmp_path: Path) -> None:
    broken = {"s003", "s005"}

    def answer(request: Request) -> str | ModelError:
        return endpoint_error() if request.meta.key.sample in broken else right_answer(request)

    model = ToyModel(answer)
    await run_toy(tmp_path / "r", model)
    rows = read_run(tmp_path / "r").rows
    assert {r.sample for r in rows if r.outcome is Outcome.ENDPOINT_ERROR} == broken
    assert all(r.value is None for r in rows if not r.outcome.valid)
    assert len(model.requests) == 12, "each broken attempt was tried twice"

    broken.clear()
    again = ToyModel(answer)
    await run_toy(tmp_path / "r", again)
    assert {r.meta.key.sample for r in again.requests} == {"s003", "s005"}
    assert again.requests[0].body["seed"] in [r.body["seed"] for r in model.requests]

    fresh = ToyModel()
    await run_toy(tmp_path / "fresh", fresh)
    assert verdicts(read_run(tmp_path / "r").rows) == verdicts(read_run(tmp_path / "fresh").rows)
    assert [r.tries for r in read_run(tmp_path / "r").rows if r.sample == "s003"] == [3]


async def test_one_bug_ends_one_attempt(tmp_path: Path) -> None:
    class Buggy(ToyTask):
        async def score(self, sample, transcript, ctx):  # type: ignore[no-untyped-def]
            if sample.id == "s002":
                raise ZeroDivisionError("by design")
            return await super().score(sample, transcript, ctx)

    await run_toy(tmp_path / "r", ToyModel(), Buggy())
    rows = {r.sample: r for r in read_run(tmp_path / "r").rows}
    assert rows["s002"].outcome is Outcome.HARNESS_ERROR
    assert rows["s002"].reason == "ZeroDivisionError"
    assert "by design" in rows["s002"].error
    assert read_transcript(tmp_path / "r", rows["s002"]).calls, "what was paid for is kept"
    assert sum(r.value == 1.0 for r in rows.values()) == 9


@pytest.mark.parametrize("items", [30, 3])
async def test_requests_refused_alike_stop_the_run(tmp_path: Path, items: int) -> None:
    model = ToyModel(lambda r: endpoint_error("http_401", alike="http 401"))
    with pytest.raises(EnvironmentUnusableError, match="failed alike \\(http 401\\): the server said"):
        await run_toy(tmp_path / "r", model, ToyTask(items), concurrency=2)
    assert len(model.requests) <= min(items, 22)


async def test_failures_that_differ_do_not_stop_the_run(tmp_path: Path) -> None:
    def answer(request: Request) -> str | ModelError:
        n = int(request.meta.key.sample[1:])
        if n % 10 == 9:
            return right_answer(request)
        return endpoint_error("http_400", alike="http 400")

    assert await run_toy(tmp_path / "r", ToyModel(answer), ToyTask(60), concurrency=1) == ""
    assert sum(r.outcome.valid for r in read_run(tmp_path / "r").rows) == 6


@pytest.mark.parametrize(
    ("budget", "why"),
    [
        (Budget(max_cost=2.0), "--max-cost 2 is spent"),
        (Budget(max_tokens=48), "--max-total-tokens 48 is spent"),
    ],
)
async def test_budgets_stop_cleanly(tmp_path: Path, budget: Budget, why: str) -> None:
    stopped = await run_toy(tmp_path / "r", ToyModel(), ToyTask(50), concurrency=1, budget=budget)
    assert stopped.startswith(why)
    assert len(read_run(tmp_path / "r").rows) == 4
    assert await run_toy(tmp_path / "r", ToyModel(), ToyTask(50)) == ""
    assert len(read_run(tmp_path / "r").rows) == 50


async def test_time_budget_counts_from_the_start(tmp_path: Path) -> None:
    budget = Budget(max_seconds=0.05)
    stopped = await run_toy(tmp_path / "r", ToyModel(seconds=0.02), ToyTask(50), concurrency=1, budget=budget)
    assert "--max-time" in stopped
    assert 0 < len(read_run(tmp_path / "r").rows) < 50


async def test_an_interrupted_run_drops_what_is_in_flight(tmp_path: Path) -> None:
    part = planned(ToyTask(20))
    session = Session(tmp_path / "r", manifest(part))
    session.open()
    heard: list[Event] = []

    def stop_after_three(event: Event) -> None:
        heard.append(event)
        if sum(isinstance(e, AttemptFinished) for e in heard) == 3:
            session.interrupt()

    stopped = await session.run(
        [part],
        {"agent": role(ToyModel(seconds=0.01))},
        NoWorkers(),
        concurrency=2,
        budget=Budget(),
        emit=stop_after_three,
    )
    session.close()
    assert stopped == "interrupted"
    assert isinstance(heard[0], RunStarted)
    assert isinstance(heard[-1], RunEnded)
    assert len(read_run(tmp_path / "r").rows) in (3, 4)


async def test_another_configuration_is_refused_with_a_diff(tmp_path: Path) -> None:
    await run_toy(tmp_path / "r", ToyModel())
    with pytest.raises(UsageError, match="seed: 0 -> 1"):
        await run_toy(tmp_path / "r", ToyModel(), seed=1)
    with pytest.raises(UsageError, match=r"tasks\.toy\.selected: 10 -> 12"):
        await run_toy(tmp_path / "r", ToyModel(), ToyTask(12))
    assert len(read_run(tmp_path / "r").manifest.invocations) == 0


async def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    first = Session(tmp_path / "r", manifest(planned(ToyTask())))
    first.open()
    second = Session(tmp_path / "r", manifest(planned(ToyTask())))
    with pytest.raises(EnvironmentUnusableError, match="another process is writing"):
        second.open()
    second.close()
    first.close()


async def test_shards_lie_side_by_side(tmp_path: Path) -> None:
    for index in (1, 2, 3):
        await run_toy(tmp_path / "r", ToyModel(), ToyTask(40, repeats=2), shard=Shard(index, 3))
    assert sorted(p.name for p in (tmp_path / "r").glob("samples*")) == [
        f"samples-{i}of3.jsonl" for i in (1, 2, 3)
    ]
    await run_toy(tmp_path / "whole", ToyModel(), ToyTask(40, repeats=2))
    parts, whole = read_run(tmp_path / "r"), read_run(tmp_path / "whole")
    assert verdicts(parts.rows) == verdicts(whole.rows)
    assert read_transcript(parts.path, parts.rows[5]).key == parts.rows[5].key


async def test_the_first_body_of_each_task_and_role_is_in_the_manifest(tmp_path: Path) -> None:
    model = ToyModel()
    await run_toy(tmp_path / "r", model, concurrency=1)
    stored = json.loads((tmp_path / "r" / "manifest.json").read_text())
    assert stored["first_requests"] == {"toy/agent": model.requests[0].body}
