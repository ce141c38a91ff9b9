"""The three domains on the real data: gold scores 100, doing nothing scores the floors, nothing is shared."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from tau2_domains import Loaded, load, one_dialogue, run_scripted

from longcat_eval.records import Message, Outcome, Sample, ToolCall
from longcat_eval.tasks.tau2.domain import Domain
from longcat_eval.tasks.tau2.gold import gold_scripts, idle_scripts
from longcat_eval.tasks.tau2.protocol import trial_seed
from longcat_eval.tasks.tau2.source import Tau2Source
from longcat_eval.tasks.tau2.tables import Table, canonical, dumped
from longcat_eval.tasks.tau2.task import Tau2Task

COUNTS = {"airline": 50, "retail": 114, "telecom": 114}
FLOORS = {"airline": (38.0, 38.0), "retail": (6.14, 6.14), "telecom": (0.0, 17.54)}
IDLE = {
    "airline": "0 1 4 5 6 10 13 26 28 31 34 36 41 43 45 46 47 48 49",
    "retail": "10 12 25 50 57 65 105",
    "telecom": "",
}
GOLD_ERRORS = "2 3 4 12 13 21 35 37 38 39 46 47 54 55 64 67 68 105"


@pytest.fixture(params=COUNTS)
def loaded(request: pytest.FixtureRequest, tau2_source: Tau2Source) -> Loaded:
    return load(tau2_source, request.param)


def test_counts_and_splits(loaded: Loaded) -> None:
    splits = {
        "airline": {"base": 50, "train": 30, "test": 20},
        "retail": {"base": 114, "train": 74, "test": 40},
        "telecom": {"base": 114, "train": 74, "test": 40, "small": 20, "full": 2285},
    }
    name = loaded.task.domain_name
    assert len(loaded.samples) == COUNTS[name]
    assert {split: len(ids) for split, ids in loaded.task.domain.splits.items()} == splits[name]


async def test_the_oracle_scores_100(loaded: Loaded) -> None:
    scores = await run_scripted(loaded.task, loaded.samples, lambda sample: gold_scripts(sample.fields))
    assert [sample for sample, score in scores.items() if score.value != 1.0] == []
    assert {score.outcome for score in scores.values()} == {Outcome.ANSWERED}


async def test_doing_nothing_scores_the_floor(loaded: Loaded) -> None:
    name = loaded.task.domain_name
    scores = await run_scripted(loaded.task, loaded.samples, lambda sample: idle_scripts())
    assert " ".join(s for s, score in scores.items() if score.value) == IDLE[name]
    assert loaded.passed_by["null"] == set(IDLE[name].split())


def transferring(sample: Sample) -> Mapping[str, list[Message]]:
    """An agent that hands over at once."""
    call = ToolCall("c", "transfer_to_human_agents", '{"summary": "x"}')
    return {
        "agent": [
            Message("assistant", tool_calls=(call,)),
            Message("assistant", "You are being transferred."),
        ],
        "user": [Message("assistant", "Hello."), Message("assistant", "###TRANSFER###")],
    }


async def test_always_transferring_scores_its_floor(loaded: Loaded) -> None:
    name = loaded.task.domain_name
    scores = await run_scripted(loaded.task, loaded.samples, transferring)
    passed = {sample for sample, score in scores.items() if score.value}
    assert passed == loaded.passed_by["transfer"]
    for floor, ids in zip(FLOORS[name], (loaded.passed_by["null"], passed), strict=True):
        assert round(100 * len(ids) / COUNTS[name], 2) == floor


async def test_the_known_gold_actions_fail_and_no_others(tau2_source: Tau2Source) -> None:
    retail = load(tau2_source, "retail")
    failing = []
    for sample in retail.samples:
        world = retail.task.domain.environment(sample.fields)
        actions = sample.fields["evaluation_criteria"]["actions"]
        if any(world.call("agent", a["name"], a["arguments"]).error for a in actions):
            failing.append(sample.id)
    assert " ".join(failing) == GOLD_ERRORS


async def test_simulations_leave_the_shared_databases_as_parsed(loaded: Loaded) -> None:
    """Every entry that simulations share is the same after all gold runs as a fresh one."""
    await run_scripted(loaded.task, loaded.samples, lambda sample: gold_scripts(sample.fields))
    for database in loaded.task.domain._databases:
        if database is not None:
            for shared in database._tables.values():
                assert all(
                    canonical(dumped(shared.seen(key))) == canonical(dumped(shared.fresh(key)))
                    for key in shared.rows
                )
            assert database.changes(database.view()) == {}


def test_the_databases_are_the_packages_own(loaded: Loaded, tau2_source: Tau2Source) -> None:
    """Through our tables every entry reads as in the database the package itself loads."""
    from importlib import import_module

    official = import_module(f"tau2.domains.{loaded.task.domain_name}.environment").get_environment()
    world = loaded.task.domain._make()
    for theirs, ours in ((official.tools, world.tools), (official.user_tools, world.user_tools)):
        for name in type(theirs.db).model_fields if theirs is not None else ():
            table = getattr(ours.db, name)
            entries = dict(table.items()) if isinstance(table, Table) else table
            whole = dumped(theirs.db)[name]
            assert canonical(whole) == canonical(
                type(theirs.db)
                .model_construct(**{name: entries})
                .model_dump(include={name}, warnings=False)[name]
            )


def test_the_calculator_that_cannot_hang_is_the_one_in_use(tau2_source: Tau2Source) -> None:
    for name in ("airline", "retail"):
        loaded = load(tau2_source, name)
        world = loaded.task.domain.environment(loaded.samples[0].fields)
        assert world.call("agent", "calculate", {"expression": "9**9**9"}) == (
            "Error: Number too large",
            True,
        )
        assert world.call("agent", "calculate", {"expression": "2 * 3.5"}) == ("7.0", False)
        assert "unexpected keyword" in world.call("agent", "calculate", {"expr": "1"}).content


def test_a_new_bill_with_a_random_id_is_graded(tau2_source: Tau2Source) -> None:
    """The official evaluator raises: it replays the calls, and the bill gets another id."""
    telecom = load(tau2_source, "telecom")
    world = telecom.task.domain.environment(telecom.samples[0].fields)
    refuel = {"customer_id": "C1002", "line_id": "L1006", "gb_amount": 1.0}
    trajectory = []
    for name, arguments in (("refuel_data", refuel), ("get_customer_by_id", {"customer_id": "C1002"})):
        result = world.call("agent", name, arguments)
        trajectory.append(
            {"from": "agent", "content": "", "calls": [{"id": "c", "name": name, "arguments": arguments}]}
        )
    assert "bill_ids" in result.content
    verdict = telecom.task.grader.judge(telecom.samples[0].fields, world, trajectory)
    assert not verdict.db
    assert any(name.startswith("agent.bills") for name in verdict.differing)


def test_an_assertion_about_what_is_not_there_does_not_hold(tau2_source: Tau2Source) -> None:
    """The official evaluator raises here too."""
    mock = Domain(tau2_source, "mock")
    raw = next(t for t in mock.tasks if t["id"] == "update_task_with_history_and_env_assertions")
    world = mock.environment({**raw, "initial_state": None})
    from tau2.data_model.tasks import EnvAssertion

    assertion = EnvAssertion(
        env_type="assistant",
        func_name="assert_task_status",
        arguments={"task_id": "none", "expected_status": "x"},
    )
    assert not world.holds(assertion)


def test_trial_seeds_are_the_official_draw() -> None:
    official = [626729, 373753, 361454, 1567, 514337, 363271, 554706, 863145]
    assert [trial_seed(0, repeat) for repeat in range(8)] == official
    assert trial_seed(1, 0) != trial_seed(0, 0)


def test_tool_names_that_collide_with_python_are_tool_errors(tau2_source: Tau2Source) -> None:
    loaded = load(tau2_source, "airline")
    world = loaded.task.domain.environment(loaded.samples[0].fields)
    for name, arguments in (
        ("self", {}),
        ("get_user_details", {"tool_name": "x"}),
        ("__init__", {}),
        ("", {}),
    ):
        assert world.call("agent", name, arguments).error
    assert world.call("user", "get_user_details", {"user_id": "x"}) == (
        "Error: User tools not available",
        True,
    )


@pytest.mark.slow
async def test_every_telecom_task_is_solved_by_its_gold_actions(tau2_source: Tau2Source) -> None:
    loaded = load(tau2_source, "telecom", split="full")
    assert len(loaded.samples) == 2285
    scores = await run_scripted(loaded.task, loaded.samples, lambda sample: gold_scripts(sample.fields))
    assert [s for s, score in scores.items() if score.value != 1.0] == []
    scores = await run_scripted(loaded.task, loaded.samples, lambda sample: idle_scripts())
    assert loaded.passed_by == {"null": {s for s, score in scores.items() if score.value}} == {"null": set()}


def test_what_this_version_cannot_judge_is_refused(tau2_source: Tau2Source) -> None:
    from longcat_eval.errors import EnvironmentUnusableError

    task: Tau2Task = load(tau2_source, "airline").task
    raw: list[dict[str, Any]] = [
        {**task.domain.tasks[0], "evaluation_criteria": {"reward_basis": ["DB", "NL_ASSERTION"]}}
    ]
    check: Callable[[Any], None] = task._refuse_unjudged
    with pytest.raises(EnvironmentUnusableError, match=r"NL_ASSERTION, which tau2-v0\.2 does not have"):
        check(raw)


def test_a_value_of_a_wrong_type_in_the_database_is_passed_over_in_silence(tau2_source: Tau2Source) -> None:
    """Tools let floats into whole-number fields; pydantic would warn on the user's terminal."""
    airline = load(tau2_source, "airline")
    world = airline.task.domain.environment(airline.samples[0].fields)
    world.environment.tools.db.reservations["EHGLP3"].total_baggages = 1.5
    result = world.call("agent", "get_reservation_details", {"reservation_id": "EHGLP3"})
    assert ('"total_baggages": 1.5' in result.content, result.error) == (True, False)


async def test_a_verdict_of_another_grader_is_made_anew(loaded: Loaded) -> None:
    task = loaded.task
    sample = next(s for s in loaded.samples if s.id not in loaded.passed_by["transfer"])
    transcript, ctx = await one_dialogue(task, sample, gold_scripts(sample.fields))
    live = await task.score(sample, transcript, ctx)
    verdict = transcript.artifacts["verdict"]
    transcript.artifacts |= {
        "grader": "tau2-live-state/0",
        "verdict": {**verdict, "reward": 0.0, "db": False},
    }
    assert await task.score(sample, transcript, ctx) == live
    transcript.artifacts["trajectory"] = transcript.artifacts["trajectory"][:2]
    assert (await task.score(sample, transcript, ctx)).value == 0.0
