"""Our verdicts are those of tau2's own evaluator, on 200 perturbed trajectories (`make oracles`: 1,946)."""

import pickle
import random
import sys
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest
from tau2_domains import load
from tau2_perturb import Perturbed, as_tau2, perturbed, play

from longcat_eval.tasks.tau2.grading import Verdict
from longcat_eval.tasks.tau2.source import Tau2Source

TRAJECTORIES = {"airline": 12, "retail": 38, "telecom": 150}
"""Few where the official evaluator takes a second of CPU for each."""
GREETING = {"from": "agent", "content": "Hi! How can I help you today?"}
Judge = Callable[[Any, list[Any]], dict[str, Any]]


@pytest.fixture
def evaluators(tau2_source: Tau2Source, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The official evaluators without a judge; they import pandas for a table that nobody asks for."""
    load(tau2_source, "airline")
    if "pandas" not in sys.modules:
        stand_in = ModuleType("pandas")
        stand_in.DataFrame = object  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "pandas", stand_in)
    from tau2.evaluator.evaluator_action import ActionEvaluator
    from tau2.evaluator.evaluator_communicate import CommunicateEvaluator
    from tau2.evaluator.evaluator_env import EnvironmentEvaluator

    return [EnvironmentEvaluator, ActionEvaluator, CommunicateEvaluator]


def official(name: str, evaluators: list[Any]) -> Judge:
    """Judge as `evaluate_simulation` does, on environments of the package's own making."""
    from tau2.data_model.message import AssistantMessage, ToolMessage, UserMessage

    module = import_module(f"tau2.domains.{name}.environment")
    first = module.get_environment()
    kits = {"db": first.tools, "user_db": first.user_tools}
    frozen = {key: pickle.dumps(kit.db) for key, kit in kits.items() if kit is not None}
    kinds = {"assistant": AssistantMessage, "user": UserMessage, "tool": ToolMessage}

    def environment(solo_mode: bool = False) -> Any:
        return module.get_environment(**{key: pickle.loads(db) for key, db in frozen.items()})

    def judge(task: Any, messages: list[Any]) -> dict[str, Any]:
        trajectory = [kinds[message["role"]](**message) for message in messages]
        env, action, communicate = evaluators
        found = env.calculate_reward(environment, task, trajectory)
        parts = {basis.value: value for basis, value in (found.reward_breakdown or {}).items()}
        parts["ACTION"] = action.calculate_reward(task, trajectory).reward
        parts["COMMUNICATE"] = communicate.calculate_reward(task, trajectory).reward
        return {**parts, "db_match": found.db_check.db_match}

    return judge


@pytest.mark.parametrize("name", TRAJECTORIES)
def test_every_verdict_is_the_official_one(name: str, tau2_source: Tau2Source, evaluators: list[Any]) -> None:
    task, samples, _ = load(tau2_source, name)
    domain, grader, judge = task.domain, task.grader, official(name, evaluators)
    raw = {sample.id: sample.fields for sample in samples}
    made = perturbed([*raw.values()], domain.agent_tools, domain.user_tools, 7)
    rewards: Counter[float] = Counter()
    for trajectory in random.Random(11).sample(made, TRAJECTORIES[name]):
        world = domain.environment(raw[trajectory.task])
        happened = [GREETING, *play(trajectory, world)]
        ours = grader.judge(raw[trajectory.task], world, happened)
        theirs = judge(domain.task(raw[trajectory.task]), as_tau2(happened))
        check(trajectory, ours, theirs)
        rewards[ours.reward] += 1
    assert min(rewards[0.0], rewards[1.0]) > 0, "a set that is all right or all wrong tells nothing"


def check(trajectory: Perturbed, ours: Verdict, theirs: dict[str, Any]) -> None:
    assert ours.db == theirs["db_match"], trajectory
    for basis in ours.basis:
        assert float(ours.holds(basis)) == theirs[basis], (basis, trajectory)
