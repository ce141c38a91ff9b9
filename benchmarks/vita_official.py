"""VitaBench's own runner and judge with scripted models: what they are asked, and the rewards.

Its code is untouched. Unless the play says `keep_places`, the addresses of the dialogues before are forgotten
before each: the runner keeps them for its thread, so that a dialogue depends on which ones came before it.

PYTHONPATH=CHECKOUT/src python vita_official.py PLAY.json OUT.json

PLAY has `domain`, `language`, `tasks` (their file) and `scripts`: by task the messages of agent, user and
judge in turn, as on the wire. OUT has by task the requests (role, messages, tools), reward, share of rubrics
and how it ended, and the CPU seconds of all dialogues together.
"""

import contextlib
import json
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from loguru import logger

with contextlib.redirect_stdout(None):
    from vita import run
    from vita.agent import llm_agent
    from vita.data_model.message import AssistantMessage, ToolCall
    from vita.data_model.tasks import Location, Task
    from vita.evaluator import evaluator_traj
    from vita.user import user_simulator
    from vita.utils.llm_utils import format_messages


class Script:
    """Stands for `generate`: answers in turn, and keeps what was asked; `keep` off is for measurements."""

    def __init__(self, lines: dict[str, list[dict[str, Any]]], keep: bool = True) -> None:
        self.lines, self.keep = lines, keep
        self.requests: list[dict[str, Any]] = []
        self.turns: Counter[str] = Counter()

    def __call__(self, model: str, messages: Any, tools: Any = None, **_: Any) -> AssistantMessage:
        wire = format_messages(messages)
        schemas = [tool.openai_schema for tool in tools] if tools else None
        if self.keep:
            self.requests.append({"role": model, "messages": wire, "tools": schemas})
        said = self.lines[model][self.turns[model]]
        self.turns[model] += 1
        calls = [
            ToolCall(
                id=call["id"],
                name=call["function"]["name"],
                arguments=json.loads(call["function"]["arguments"]),
            )
            for call in said.get("tool_calls") or ()
        ]
        return AssistantMessage(
            role="assistant", content=said.get("content"), tool_calls=calls or None, cost=0.0
        )


def play(task: Any, domain: str, language: str, script: Script) -> dict[str, Any]:
    """One dialogue and its verdict."""
    for module in (llm_agent, user_simulator, evaluator_traj):
        module.generate = script
    simulation = run._run_task_internal(
        domain=domain,
        task=task,
        agent="llm_agent",
        user="user_simulator",
        llm_agent="agent",
        llm_args_agent={},
        llm_user="user",
        llm_args_user={},
        max_steps=300,
        evaluation_type="trajectory",
        llm_evaluator="judge",
        llm_args_evaluator={},
        language=language,
    )
    verdict = simulation.reward_info
    breakdown = verdict.reward_breakdown or {}
    return {
        "requests": script.requests,
        "end": simulation.termination_reason,
        "reward": verdict.reward,
        "rubrics": next(iter(breakdown.values()), 0.0),
    }


def main() -> None:
    """Play what the file says."""
    logger.remove()
    asked = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    keep = not asked.get("measure")
    rows = json.loads(Path(asked["tasks"]).read_text(encoding="utf-8"))
    tasks = {row["id"]: Task.model_validate(row) for row in rows}
    started = time.process_time()
    played = {}
    nowhere = Path(os.devnull).open("w")  # noqa: SIM115 - the judge prints, and failing tools print tracebacks
    with nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        for name, lines in asked["scripts"].items():
            if not asked.get("keep_places"):
                Location.clear_thread_data()
            played[name] = play(tasks[name], asked["domain"], asked["language"], Script(lines, keep))
    seconds = time.process_time() - started
    Path(sys.argv[2]).write_text(json.dumps({"played": played, "seconds": seconds}), encoding="utf-8")


if __name__ == "__main__":
    main()
