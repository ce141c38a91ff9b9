"""Judges: asked when an attempt is scored, never twice for the same, and never at the agent's expense."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy import NoWorkers, ToyModel, ignore, manifest, planned, role
from toy_judged import READER, SCORER, JudgedToy

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.model_backend.role import Role
from longcat_eval.protocols import DataOptions, ModelError
from longcat_eval.records import AttemptRow, Completion, Message, Outcome, Request
from longcat_eval.runners.budget import ANSWER_TAKEN, Budget
from longcat_eval.runners.identity import differences
from longcat_eval.runners.judging import NULL_VERDICT, structured
from longcat_eval.runners.manifest import RoleRecord
from longcat_eval.runners.rescoring import rescore
from longcat_eval.runners.session import Session
from longcat_eval.runners.store import read_rows, read_run, read_transcript

Answer = Callable[[Request], "str | ModelError"]
RECORDS = {
    "agent": RoleRecord(name="toy-model", kind="endpoint", sampling={"temperature": 0.7}),
    "reader": RoleRecord(name="r", kind="endpoint", endpoint="http://r"),
    "scorer": RoleRecord(name="s", kind="endpoint", endpoint="http://s"),
}


def down(alike: str = "") -> ModelError:
    return ModelError(Outcome.REFUSED, "http_500", "the judge's server is down", alike=alike)


class Models:
    """An agent that is right, a reader that reads, a scorer that says yes, unless a test says otherwise."""

    def __init__(self, **answers: Answer) -> None:
        said: dict[str, Answer] = {
            "reader": lambda request: request.body["messages"][0]["content"].rpartition(" ")[2],
            "scorer": lambda request: "yes",
            **answers,
        }
        self.models = {"agent": ToyModel(), **{name: ToyModel(answer) for name, answer in said.items()}}

    @property
    def roles(self) -> dict[str, Role]:
        return {
            name: role(model)
            if name == "agent"
            else Role(model, RECORDS[name].name, {"top_p": 0.5, "temperature": 1.0})
            for name, model in self.models.items()
        }

    def asked(self) -> dict[str, int]:
        return {name: len(model.requests) for name, model in self.models.items()}


def names(path: Path) -> list[str]:
    return sorted(file.name for file in path.iterdir())


def records() -> dict[str, RoleRecord]:
    sampling = {"top_p": 0.5, "temperature": 1.0}
    return {
        name: record if name == "agent" else msgspec.structs.replace(record, sampling=sampling)
        for name, record in RECORDS.items()
    }


async def run(path: Path, models: Models, task: JudgedToy | None = None, **more: Any) -> Budget:
    part, budget = planned(task or JudgedToy()), more.pop("budget", Budget())
    session = Session(path, manifest(part, roles=records()))
    session.open()
    try:
        await session.run(
            [part], models.roles, NoWorkers(), concurrency=4, budget=budget, emit=more.get("emit", ignore)
        )
    finally:
        session.close()
    return budget


async def test_every_judge_is_asked_in_its_own_role_at_its_own_settings(tmp_path: Path) -> None:
    models = Models()
    budget = await run(tmp_path, models)
    data = read_run(tmp_path)
    assert models.asked() == {"agent": 4, "reader": 4, "scorer": 8}
    assert [row.value for row in data.rows] == [1.0] * 4
    row = data.rows[0]
    assert (row.cost, row.role_costs) == (2.0, {"agent": 0.5, "reader": 0.5, "scorer": 1.0})
    assert budget.cost == 8.0
    scorer = models.models["scorer"].requests[0].body
    assert (scorer["temperature"], scorer["top_p"], scorer["max_tokens"]) == (0.0, 0.5, 8), (
        "fixed, own, rules"
    )
    assert models.models["reader"].requests[0].body["max_tokens"] == READER.max_tokens
    assert [call.role for call in read_transcript(tmp_path, row).calls] == [
        "agent",
        "reader",
        "scorer",
        "scorer",
    ]
    assert names(tmp_path) == ["manifest.json", "samples.jsonl", "transcripts.zst"], "no reply is left over"


async def test_an_attempt_whose_judge_fails_is_judged_again_and_not_made_again(tmp_path: Path) -> None:
    first = Models(scorer=lambda request: down() if request.meta.turn == 1 else "yes")
    budget = await run(tmp_path, first)
    assert first.asked() == {"agent": 4, "reader": 4, "scorer": 12}, "twice turn 1; nothing else twice"
    rows = read_run(tmp_path).rows
    assert {(row.outcome, row.reason, row.unjudged) for row in rows} == {
        (Outcome.JUDGE_ERROR, "http_500", True)
    }
    assert rows[0].error == "the judge's server is down"
    second = Models()
    after = Budget()
    await run(tmp_path, second, budget=after)
    assert second.asked() == {"agent": 0, "reader": 0, "scorer": 4}
    rows = read_run(tmp_path).rows
    assert [(row.value, row.tries, row.cost) for row in rows] == [(1.0, 3, 2.0)] * 4
    assert (budget.cost, after.cost) == (6.0, 8.0), "each reply is counted once, however many rows hold it"
    transcript = read_transcript(tmp_path, rows[0])
    assert (transcript.outcome, transcript.error, transcript.unjudged) == (None, "", "")
    assert [(c.role, c.turn) for c in transcript.calls] == [
        ("agent", 0),
        ("reader", 0),
        ("scorer", 0),
        ("scorer", 1),
    ]


async def test_an_interrupted_attempt_pays_no_judge_twice(tmp_path: Path) -> None:
    """Cancelled between two verdicts, as by Ctrl-C: like a kill -9 it writes no row."""
    reached = asyncio.Event()

    class Hanging(ToyModel):
        async def complete(self, request: Request):  # type: ignore[no-untyped-def]
            if request.meta.turn == 1:
                reached.set()
                await asyncio.sleep(60)
            return await super().complete(request)

    models = Models()
    models.models["scorer"] = Hanging(lambda request: "yes")
    start = asyncio.create_task(run(tmp_path, models, JudgedToy(1)))
    await reached.wait()
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    (row,) = read_rows(tmp_path)
    assert (row.outcome, row.reason) == (Outcome.JUDGE_ERROR, "not_judged")
    again = Models()
    budget = Budget()
    await run(tmp_path, again, JudgedToy(1), budget=budget)
    assert again.asked() == {"agent": 0, "reader": 0, "scorer": 1}
    (row,) = read_run(tmp_path).rows
    assert (row.value, row.tries, row.cost, row.cached) == (1.0, 1, 2.0, 0)
    assert budget.cost == 2.0


async def test_a_null_is_asked_again_with_the_next_seed_and_counted(tmp_path: Path) -> None:
    models = Models(scorer=lambda request: "well" if request.meta.turn < 1000 else "yes")
    await run(tmp_path, models, JudgedToy(1))
    (row,) = read_run(tmp_path).rows
    assert (row.value, row.metrics["null_verdicts"]) == (1.0, 2.0)
    assert [r.meta.turn for r in models.models["scorer"].requests] == [0, 1000, 1, 1001]
    assert len({r.body["seed"] for r in models.models["scorer"].requests}) == 4


async def test_no_verdict_is_no_score_and_each_start_tries_anew(tmp_path: Path) -> None:
    models = Models(scorer=lambda request: "well, well")
    await run(tmp_path, models, JudgedToy(1))
    assert models.asked() == {"agent": 1, "reader": 1, "scorer": SCORER.tries}
    (row,) = read_run(tmp_path).rows
    assert (row.outcome, row.reason, row.value) == (Outcome.JUDGE_ERROR, NULL_VERDICT, None)
    assert "gave no readable verdict in 3 replies; the last ends 'well, well'" in row.error
    await run(tmp_path, models, JudgedToy(1))
    assert [r.meta.turn for r in models.models["scorer"].requests] == [0, 1000, 2000, 3000, 4000, 5000]
    await run(tmp_path, Models(), JudgedToy(1))
    assert read_run(tmp_path).rows[0].value == 1.0


async def test_an_unusable_reply_is_no_verdict_later_and_stays_paid(tmp_path: Path) -> None:
    """A filtered reply comes with its error: it is kept, and the judge is asked again."""

    def filtered(request: Request) -> ModelError:
        error = ModelError(Outcome.REFUSED, "content_filter", "filtered")
        error.completion = Completion(Message("assistant", "yes"), "content_filter", cost=0.5)
        return error

    await run(tmp_path, Models(scorer=filtered), JudgedToy(1))
    (row,) = read_run(tmp_path).rows
    assert (row.outcome, row.reason, row.cost) == (Outcome.JUDGE_ERROR, "content_filter", 2.0)
    again = Models()
    budget = await run(tmp_path, again, JudgedToy(1))
    assert again.asked() == {"agent": 0, "reader": 0, "scorer": 2}
    (row,) = read_run(tmp_path).rows
    assert (row.value, row.cost, budget.cost) == (1.0, 3.0, 3.0)


async def test_a_judge_that_never_gives_a_verdict_ends_the_run(tmp_path: Path) -> None:
    models = Models(scorer=lambda request: "hm")
    with pytest.raises(EnvironmentUnusableError, match=r"20 different samples in a row failed alike.*scorer"):
        await run(tmp_path, models, JudgedToy(60))
    assert models.asked()["agent"] < 40


async def test_a_bug_of_the_judging_costs_no_answer(tmp_path: Path) -> None:
    class Broken(JudgedToy):
        async def score(self, sample: Any, transcript: Any, ctx: Any) -> Any:
            await super().score(sample, transcript, ctx)
            raise RuntimeError("a bug")

    models = Models()
    await run(tmp_path, models, Broken(1))
    assert read_run(tmp_path).rows[0].outcome is Outcome.HARNESS_ERROR
    await run(tmp_path, models, JudgedToy(1))
    assert models.asked() == {"agent": 1, "reader": 1, "scorer": 2}
    assert read_run(tmp_path).rows[0].value == 1.0


async def test_rescore_reads_what_judges_said_and_asks_none(tmp_path: Path) -> None:
    await run(tmp_path, Models(), JudgedToy(3))

    class Stricter(JudgedToy):
        async def score(self, sample: Any, transcript: Any, ctx: Any) -> Any:
            score = await super().score(sample, transcript, ctx)
            return msgspec.structs.replace(score, value=0.0 if sample.id == "s001" else score.value)

    task: JudgedToy = Stricter(3)
    samples = {s.id: s for s in task.load(DataOptions()).samples}
    pairs = await rescore(read_run(tmp_path), {task.name: (task, samples)}, NoWorkers())
    assert [new.value for _, new in pairs] == [1.0, 0.0, 1.0]

    class Asking(JudgedToy):
        async def score(self, sample: Any, transcript: Any, ctx: Any) -> Any:
            await SCORER.ask(ctx, "something new", str, turn=2)

    task = Asking(3)
    with pytest.raises(EnvironmentUnusableError, match="was not asked in this run"):
        await rescore(read_run(tmp_path), {task.name: (task, samples)}, NoWorkers())


def test_an_answer_taken_from_another_run_is_not_paid_again() -> None:
    taken = AttemptRow(
        task="t",
        sample="s",
        repeat=0,
        outcome=Outcome.JUDGE_ERROR,
        reason=ANSWER_TAKEN,
        cost=5.0,
        unjudged=True,
    )
    judged = msgspec.structs.replace(
        taken, outcome=Outcome.ANSWERED, value=1.0, reason="", cost=7.0, unjudged=False, time="2"
    )
    budget = Budget()
    budget.spend_all([judged, taken])
    assert budget.cost == 2.0


def test_judge_prompts_and_sampling_are_part_of_the_identity() -> None:
    part = planned(JudgedToy())
    old, new = manifest(part, roles=records()), manifest(part, roles=records())
    assert differences(old, new) == []
    new.roles["scorer"] = msgspec.structs.replace(new.roles["scorer"], sampling={"temperature": 0.1})
    rules = msgspec.structs.replace(SCORER.rules, prompt_hash="33")
    protocol = msgspec.structs.replace(part.task.protocol, judges={"reader": READER.rules, "scorer": rules})
    new.tasks = {part.task.name: msgspec.structs.replace(part.record(), protocol=protocol)}
    said = "\n".join(differences(old, new))
    assert "roles.scorer.sampling.temperature: 1.0 -> 0.1" in said
    assert f'judges.scorer.prompt_hash: "{"22" * 32}" -> "33"' in said


class Rating(msgspec.Struct):
    rating: int
    why: str = ""


@pytest.mark.parametrize(
    ("text", "rating"),
    [
        ('{"rating": 4}', 4),
        ('Here:\n```json\n{"rating": 4, "why": "a } in {it"}\n```\nDone.', 4),
        ('{"rating": 1} no, {"rating": 2}', 2),
        ('a set {1, 2} and {"other": {"rating": 3}}', 3),
        ('{"rating": "4"}', None),
        ("[[[[", None),
        ("{" * 3000, None),
        ("", None),
    ],
)
def test_json_verdicts(text: str, rating: int | None) -> None:
    found = structured(Rating)(text)
    assert (found.rating if found else None) == rating


@given(st.text(max_size=200), st.integers(), st.text(max_size=200))
def test_a_json_verdict_is_found_after_any_text(before: str, rating: int, why: str) -> None:
    verdict: Mapping[str, Any] = {"rating": rating % 10**9, "why": why}
    found = structured(Rating)(
        before.replace("{", "").replace("[", "") + msgspec.json.encode(verdict).decode()
    )
    assert found == Rating(**verdict)
