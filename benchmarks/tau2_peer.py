"""tau2's own runner and evaluator, untouched; to be started by the Python of .venv-peers/tau2.

python tau2_peer.py run --domain airline --base-url URL --out FILE      simulations by `run_tasks`
python tau2_peer.py judge FILE.jsonl                       a verdict a line by `evaluate_simulation`
python tau2_peer.py facts --domain airline                 tool schemas and system prompts as JSON

Trajectories are JSON lines: domain, task (id), reason (of the end), messages (tau2's, tool results included).
"""

import argparse
import json
import os
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else litellm asks the network for prices at import

from loguru import logger
from tau2.agent.llm_agent import LLMAgent
from tau2.data_model.simulation import SimulationRun
from tau2.data_model.tasks import Task
from tau2.evaluator.evaluator import EvaluationType, evaluate_simulation
from tau2.registry import registry
from tau2.run import get_tasks, run_tasks
from tau2.user.user_simulator import UserSimulator

EPOCH = datetime(2025, 1, 1)


def run(options: argparse.Namespace) -> None:
    """Run the base split, or some tasks of it; print the number of simulations and their mean reward."""
    results = run_tasks(
        domain=options.domain,
        tasks=get_tasks(options.domain, "base", options.task, options.limit),
        agent="llm_agent",
        user="user_simulator",
        llm_agent="openai/agent",
        llm_args_agent={"temperature": 0.0, "api_base": options.base_url},
        llm_user="openai/user",
        llm_args_user={"temperature": 0.0, "api_base": options.base_url},
        num_trials=options.trials,
        max_steps=200,
        save_to=options.out,
        console_display=False,
        max_concurrency=options.concurrency,
        log_level="ERROR",
    )
    rewards = [simulation.reward_info.reward for simulation in results.simulations]
    print(json.dumps({"simulations": len(rewards), "mean_reward": sum(rewards) / len(rewards)}))


def judge(options: argparse.Namespace) -> None:
    """Print a verdict for every trajectory; what the evaluator raises is the verdict `raised`."""
    tasks: dict[str, dict[str, Task]] = {}
    with options.file.open(encoding="utf-8") as lines:
        for line in lines:
            trajectory = json.loads(line)
            domain = trajectory["domain"]
            if domain not in tasks:
                tasks[domain] = {task.id: task for task in get_tasks(domain, "base")}
            print(json.dumps(verdict(trajectory, tasks[domain][trajectory["task"]])), flush=True)


def verdict(trajectory: dict[str, Any], task: Task) -> dict[str, Any]:
    """The reward, its part of each basis, whether the databases match, and the single checks' numbers."""
    for number, message in enumerate(trajectory["messages"]):
        message["timestamp"] = (EPOCH + timedelta(seconds=number)).isoformat()
    simulation = SimulationRun(
        id=task.id,
        task_id=task.id,
        start_time=EPOCH.isoformat(),
        end_time=EPOCH.isoformat(),
        duration=0.0,
        termination_reason=trajectory["reason"],
        messages=trajectory["messages"],
    )
    try:
        info = evaluate_simulation(simulation, task, EvaluationType.ALL, False, trajectory["domain"])
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the verdict
        return {"raised": f"{type(error).__name__}: {error}"}
    return {
        "reward": info.reward,
        "breakdown": {basis.value: value for basis, value in (info.reward_breakdown or {}).items()},
        "db_match": info.db_check.db_match if info.db_check else None,
        "actions_done": sum(check.action_match for check in info.action_checks or []),
        "assertions_failed": sum(not check.met for check in info.env_assertions or []),
        "info_missing": sum(not check.met for check in info.communicate_checks or []),
    }


def facts(options: argparse.Namespace) -> None:
    """Print what the official agent and user are given: `openai_schema` of the tools, system prompts."""
    environment = registry.get_env_constructor(options.domain)()
    try:
        user_tools = environment.get_user_tools()
    except ValueError:  # what `run_task` takes for "no tools"
        user_tools = None
    agent = LLMAgent(environment.get_tools(), environment.get_policy())
    prompts = {
        task.id: UserSimulator(tools=user_tools, instructions=str(task.user_scenario)).system_prompt
        for task in get_tasks(options.domain, "base")
    }
    told = {
        "agent_tools": [tool.openai_schema for tool in environment.get_tools()],
        "user_tools": [tool.openai_schema for tool in user_tools or []],
        "agent_prompt": agent.system_prompt,
        "user_prompts": prompts,
    }
    print(json.dumps(told))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="tau2's own runner and evaluator.")
    commands = parser.add_subparsers(required=True)
    runner = commands.add_parser("run")
    runner.add_argument("--domain", required=True)
    runner.add_argument("--base-url", required=True)
    runner.add_argument("--out", type=Path, required=True, help="its result file; must not exist")
    runner.add_argument("--task", action="append", help="this task only (repeatable)")
    runner.add_argument("--limit", type=int, help="the first tasks only")
    runner.add_argument("--trials", type=int, default=1)
    runner.add_argument("--concurrency", type=int, default=1)
    runner.set_defaults(command=run)
    judging = commands.add_parser("judge")
    judging.add_argument("file", type=Path)
    judging.set_defaults(command=judge)
    knowing = commands.add_parser("facts")
    knowing.add_argument("--domain", required=True)
    knowing.set_defaults(command=facts)
    return parser.parse_args()


def main() -> None:
    options = arguments()
    logger.remove()
    logger.add(sys.stderr, level="ERROR")
    options.command(options)


if __name__ == "__main__":
    main()
