"""VitaBench on the stand-in checkout: loaded tasks, and dialogues with scripted sides and judge."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from toy import NoWorkers

from longcat_eval.model_backend.role import Role
from longcat_eval.protocols import DataOptions, ModelError
from longcat_eval.records import (
    AttemptKey,
    Completion,
    Message,
    Request,
    Sample,
    ToolCall,
    Transcript,
)
from longcat_eval.runners.context import Context
from longcat_eval.tasks.vita.task import VitaTask

STAND_IN = Path(__file__).with_name("vita_stand_in")
OPTIONS = DataOptions(sources={"vita": STAND_IN}, allow_drift=True)

Said = Message | str | ModelError
Play = Mapping[str, Sequence[Said]] | Callable[[Request], Said]


@cache
def loaded(domain: str = "delivery", language: str = "chinese") -> tuple[VitaTask, list[Sample]]:
    """A task of the stand-in and its samples."""
    task = VitaTask(f"vita-{domain}-{language}", domain, language, requests={})
    return task, task.load(OPTIONS).samples


class Sides:
    """A model that plays all roles: from lists by role, the last line again and again, or as a function says.

    It gives other attempts their turn before it answers.
    """

    name, capabilities = "sides", frozenset({"chat", "tools"})

    def __init__(self, play: Play) -> None:
        self.requests: list[Request] = []
        self.play = play

    async def complete(self, request: Request) -> Completion:
        await asyncio.sleep(0)
        self.requests.append(request)
        if callable(self.play):
            said = self.play(request)
        else:
            lines = self.play[request.meta.role]
            said = lines[min(len(self.of(request.meta.role)), len(lines)) - 1]
        if isinstance(said, ModelError):
            raise said
        return Completion(said if isinstance(said, Message) else Message("assistant", said), "stop")

    async def close(self) -> None:
        pass

    def of(self, role: str) -> list[dict[str, Any]]:
        """The bodies sent to a role."""
        return [request.body for request in self.requests if request.meta.role == role]


def context(task: VitaTask, sample: Sample, sides: Sides, repeat: int = 0) -> Context:
    """An attempt's context in which `sides` play every role."""
    role = Role(sides, "m")
    roles = dict.fromkeys(("agent", "user", "judge"), role)
    key = AttemptKey(task.name, sample.id, repeat)
    return Context(key, roles, task.protocol, 0, NoWorkers(), lambda *_: None)


async def dialogue(task: VitaTask, sample: Sample, play: Play) -> tuple[Transcript, Sides]:
    """One dialogue, not judged."""
    sides = Sides(play)
    return await task.attempt(sample, context(task, sample, sides)), sides


def calling(name: str, text: str | None = None, **arguments: Any) -> Message:
    """A message with one call."""
    return Message("assistant", text, tool_calls=(ToolCall("c", name, json.dumps(arguments)),))


def judging(sample: Sample, met: bool | Sequence[bool]) -> str:
    """A judge's answer about the two rubrics of a stand-in's task."""
    states = [met, met] if isinstance(met, bool) else met
    return json.dumps(
        [
            {"rubric_idx": f"rubric_{i}", "justification": f"seen {i}", "meetExpectation": state}
            for i, state in enumerate(states)
        ]
    )
