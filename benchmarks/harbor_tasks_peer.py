"""What harbor understands of task folders, in its own environment: a list of folders in, a line each out.

usage: python harbor_tasks_peer.py < folders.json
"""

import json
import sys
import warnings
from pathlib import Path
from typing import Any

from harbor.models.task.task import Task
from harbor.models.task.verifier_mode import resolve_verifier_environment_definition
from harbor.models.trial.config import AgentConfig, EnvironmentConfig
from harbor.trial.network_policy import resolve_trial_network_plan


def health(check: Any) -> list[Any] | None:
    if check is None:
        return None
    times = (check.interval_sec, check.timeout_sec, check.start_period_sec, check.start_interval_sec)
    return [check.command, *map(float, times), check.retries]


def machine(config: Any) -> dict[str, Any]:
    return {
        "image": config.docker_image or "",
        "cpus": config.cpus,
        "memory_mb": config.memory_mb,
        "env": dict(config.env),
        "workdir": config.workdir or "",
    }


def artifacts(found: list[Any]) -> list[list[Any]]:
    return [
        [one, "", [], ""]
        if isinstance(one, str)
        else [one.source, one.destination or "", one.exclude, one.service or ""]
        for one in found
    ]


def user(found: str | int | None) -> str:
    return "" if found is None else str(found)


def step_of(task: Task, step: Any) -> dict[str, Any]:
    config, paths = task.config, task.paths
    definition = resolve_verifier_environment_definition(config, paths, step)
    plan = resolve_trial_network_plan(
        config,
        AgentConfig(),
        EnvironmentConfig(),
        step,
        verifier_mode="separate" if definition else "shared",
        env_config=definition.config if definition else None,
    )
    # As harbor/trial/multi_step.py and single_step.py do.
    own = step.verifier if step else config.verifier
    agent = step.agent if step else config.agent
    folders = [paths.tests_dir, *([paths.step_tests_dir(step.name)] if step else [])]
    solution = paths.solution_dir
    if step and paths.step_solution_dir(step.name).exists():
        solution = paths.step_solution_dir(step.name)
    hooks = [*config.verifier.collect, *(step.verifier.collect if step else [])]
    root = paths.task_dir
    return {
        "name": step.name if step else "",
        "instruction": task.step_instruction(step.name) if step else task.instruction,
        "agent_seconds": (agent.timeout_sec if agent.timeout_sec is not None else config.agent.timeout_sec)
        or 0,
        "agent_user": user(agent.user if agent.user is not None else config.agent.user),
        "test_seconds": own.timeout_sec,
        "test_user": user(own.user if own.user is not None else config.verifier.user),
        "test_env": {**config.verifier.env, **own.env},
        "tests": [str(f.relative_to(root)) for f in folders if f.exists()],
        "separate": None
        if definition is None
        else {
            **machine(definition.config),
            "folder": str(definition.directory.relative_to(root)),
            "bundled": definition.bundled_tests,
            "no_network": plan.verifier_phase.network_mode.value == "no-network",
        },
        "min_reward": step.min_reward if step else None,
        "healthcheck": health(step.healthcheck if step else None),
        "artifacts": artifacts(step.artifacts) if step else [],
        "collect": [[h.command, h.service, h.timeout_sec, user(h.user)] for h in hooks],
        "solution": str(solution.relative_to(root)) if (solution / "solve.sh").exists() else None,
    }


def read(folder: Path) -> dict[str, Any]:
    task = Task(folder)
    config = task.config
    return {
        "machine": machine(config.environment),
        "build_seconds": config.environment.build_timeout_sec,
        "network": config.environment.network_mode.value,
        "healthcheck": health(config.environment.healthcheck),
        "artifacts": artifacts(config.artifacts),
        "final_only": config.multi_step_reward_strategy is not None
        and config.multi_step_reward_strategy.value == "final",
        "steps": [step_of(task, step) for step in config.steps or [None]],
    }


def main() -> None:
    warnings.simplefilter("ignore")
    for folder in json.load(sys.stdin):
        try:
            said = read(Path(folder))
        except (OSError, ValueError, RuntimeError) as error:
            said = {"error": str(error)[:500]}
        print(json.dumps(said))


if __name__ == "__main__":
    main()
