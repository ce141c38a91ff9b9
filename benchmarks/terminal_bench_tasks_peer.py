"""What terminal-bench reads from task folders, in its own environment: a list of folders in, a line each out.

usage: python terminal_bench_tasks_peer.py < folders.json
"""

import json
import sys
from pathlib import Path
from typing import Any

from terminal_bench.handlers.trial_handler import TrialHandler
from terminal_bench.terminal.models import TerminalCommand


def read(folder: Path) -> dict[str, Any]:
    handler = TrialHandler(trial_name="peer", input_path=folder)
    task, paths = handler.task, handler.task_paths
    try:
        solution = paths.solution_path
    except FileNotFoundError:
        solution = None
    keys = TerminalCommand.from_yaml_list(solution) if solution and solution.suffix == ".yaml" else []
    return {
        "id": handler.task_id,
        "instruction": handler.instruction,
        "difficulty": task.difficulty.value,
        "category": task.category,
        "tags": task.tags,
        "pytest": task.parser_name.value == "pytest",
        "agent_seconds": task.max_agent_timeout_sec,
        "test_seconds": task.max_test_timeout_sec,
        "same_shell": task.run_tests_in_same_shell,
        "script": solution.name if solution and solution.suffix == ".sh" else "",
        "keys": [[k.command, k.min_timeout_sec, k.max_timeout_sec, k.block, k.append_enter] for k in keys],
    }


def main() -> None:
    for folder in json.load(sys.stdin):
        try:
            said = read(Path(folder))
        except ValueError as error:
            said = {"error": str(error)[:500]}
        print("\n" + json.dumps(said))


if __name__ == "__main__":
    main()
