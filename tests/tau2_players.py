"""Agent and user of τ²-Bench played by one loopback server, without memory: task and turn are read off the
request. `hook(side, task, turn, body)` may answer instead, to play a fault."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from loopback import Raw

from longcat_eval.records import Message, Wire
from longcat_eval.tasks.tau2.gold import gold_scripts

AGENT, USER = "agent-m", "user-m"
Answer = str | Wire | Raw | None
Hook = Callable[[str, str, int, Wire], Answer]


class Players:
    """The gold scripts of some tasks, known by the user's prompt; the user's opening names its task."""

    def __init__(self, tasks: Sequence[Wire], prompts: Mapping[str, str], hook: Hook | None = None) -> None:
        self.scripts = {task["id"]: gold_scripts(task) for task in tasks}
        self.by_prompt = dict(prompts)
        self.hook = hook or (lambda *_: None)

    def __call__(self, body: Wire) -> str | Wire | Raw:
        side = "agent" if body["model"] == AGENT else "user"
        messages = body["messages"]
        spoken = sum(message["role"] == "assistant" for message in messages)
        if side == "user":
            prompt = messages[0]["content"]
            task = next(name for known, name in self.by_prompt.items() if prompt.endswith(known))
            turn = spoken
        else:
            first = next(m["content"] for m in messages if m["role"] == "user")
            task, turn = first.partition("<")[2].partition(">")[0], spoken - 1
        answer = self.hook(side, task, turn, body)
        return self.gold(side, task, turn) if answer is None else answer

    def gold(self, side: str, task: str, turn: int) -> Wire:
        """The reply of the script."""
        script = self.scripts[task][side]
        said = script[min(turn, len(script) - 1)]
        opening = f"<{task}> " if side == "user" and turn == 0 else ""
        return wire(said, opening)


def wire(message: Message, opening: str = "") -> Wire:
    """A message as a server gives it."""
    return {**message.wire(), "content": f"{opening}{message.content or ''}" or None}


def call(name: str, arguments: Any, *, content: str | None = None, call_id: str = "c1") -> Wire:
    """An assistant message with one call; `arguments` is text as the model wrote it."""
    function = {"name": name, "arguments": arguments}
    return {
        "role": "assistant",
        "content": content,
        "tool_calls": [{"id": call_id, "type": "function", "function": function}],
    }
