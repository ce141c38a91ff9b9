"""Numbers of a run, from rows of many repositories; what a report shows of them."""

from fake_context import row

from longcat_eval.records import Outcome, Sample, Score
from longcat_eval.tasks.aggregation import aggregate_episodes
from longcat_eval.tasks.swe.data import LITE
from longcat_eval.tasks.swe.protocol import SMALL
from longcat_eval.tasks.swe.scoring import MEANS, made_score
from longcat_eval.tasks.swe.task import SweTask

AGENT = {"agent": {"steps": 10, "end": "submitted"}, "rebased": "", "seconds": 2.0}


def scored(name: str, reason: str, repeat: int = 0, **artifacts: object) -> object:
    sample = Sample(f"{name}-{reason}", {}, name)
    value = float(reason == "resolved")
    return row(sample, made_score(value, Outcome.ANSWERED, reason, {**AGENT, **artifacts}), repeat)


def test_rates_groups_and_means() -> None:
    rows = [
        scored("a/a", "resolved"),
        scored("a/a", "unresolved", rebased="1" * 40),
        scored("b/b", "empty_patch", agent={"steps": 40, "end": "steps"}),
        scored("b/b", "apply_failed"),
    ]
    found = aggregate_episodes(rows, "acc", MEANS)
    assert found.headline == "acc"
    assert found.metrics == {
        "acc": 0.25,
        "a/a": 0.5,
        "b/b": 0.0,
        "resolved": 0.25,
        "empty_patch": 0.25,
        "apply_failed": 0.25,
        "rebased": 0.25,
        "submitted": 0.75,
    }
    assert found.means == {"test_seconds": 2.0, "steps": 17.5}


def test_repeats_count_by_instance() -> None:
    sample = Sample("a", {}, "a/a")
    rows = [
        row(sample, Score(1.0, Outcome.ANSWERED, "resolved")),
        row(sample, Score(0.0, Outcome.AGENT_BUDGET, "unresolved"), 1),
        row(Sample("b", {}, "a/a"), Score(0.0, Outcome.ANSWERED, "unresolved")),
        row(Sample("b", {}, "a/a"), Score(None, Outcome.SANDBOX_ERROR, "image_missing"), 1),
    ]
    assert aggregate_episodes(rows, "acc", MEANS).metrics == {"acc": 0.25}
    assert aggregate_episodes(rows[3:], "acc", MEANS).metrics == {}


def test_each_profile_is_a_protocol_of_its_own() -> None:
    task = SweTask(LITE, SMALL)
    seen = {}
    for agent in task.agents:
        task.use_agent(agent)
        protocol = task.protocol
        seen[agent] = (protocol.name, protocol.limits["max_steps"], protocol.tools, "tools" in task.needs)
        assert protocol.limits["grade_seconds"] == 1_800
        assert protocol.limits["memory_gib"] == 4
    assert seen == {
        "bash": ("swe-bench/bash/1", 250, True, True),
        "bash-text": ("swe-bench/bash-text/1", 250, False, False),
        "edit": ("swe-bench/edit/1", 100, True, True),
    }
    hashes = []
    for agent in task.agents:
        task.use_agent(agent)
        hashes.append(task.protocol.prompt_hash)
    assert len(set(hashes)) == 3
