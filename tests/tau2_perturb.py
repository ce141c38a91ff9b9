"""Perturbed gold trajectories of τ²-Bench: what an agent may do wrong, drawn with a seed, seven ways a task.

The evaluators of tau2 and of ours must judge every one of them alike. Beside the seven ways each trajectory
draws how its calls are packed into messages, what the agent says at the end, and how it ended.
"""

import random
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

Wire = dict[str, Any]

KINDS = ("as is", "dropped", "doubled", "swapped", "foreign", "reads", "floats")
ENDS = ("user_stop",) * 18 + ("agent_stop", "max_steps", "too_many_errors")
READING = ("get_", "find_", "search_", "list_", "check_", "can_", "run_", "calculate")
"""How the names of tools that only look begin."""

VALUES = {
    "expression": ("2 + 2", "1/3", "(9.99 - 3) * 12", "10 / 0", "3 +", "7 // 2 - 1e3", "0.1 + 0.2", "()"),
    "origin": ("JFK", "LAX", "nowhere"),
    "destination": ("SEA", "ORD", "PHX"),
    "phone_number": ("555-123-2002", "555-123-1002", "555"),
    "id": ("C1001", "L1002", "B1004", "P1001", "D1003", "X1"),
    "customer_id": ("C1001", "C1002", "C1003", "none"),
    "line_id": ("L1002", "L1006", "none"),
    "app_name": ("messaging", "browser", "none"),
    "limit": (1, 12),
}
"""Arguments to look with, by parameter: some that the databases hold and some that they do not."""


class Call(NamedTuple):
    """A tool call by a side: 'assistant' or 'user', as the gold actions call them."""

    requestor: str
    name: str
    arguments: dict[str, Any]


class Move(NamedTuple):
    """One message with calls, all of one side; `text` goes with them."""

    calls: tuple[Call, ...]
    text: str | None


class Perturbed(NamedTuple):
    """A trajectory to be played: the moves, then the agent's texts, then `reason`."""

    task: str
    kind: str
    moves: tuple[Move, ...]
    texts: tuple[str, ...]
    reason: str


def perturbed(
    tasks: Sequence[Wire], agent_tools: Sequence[Wire], user_tools: Sequence[Wire], seed: int
) -> list[Perturbed]:
    """Seven trajectories a task, in the order of the raw tasks; the tools are OpenAI schemas."""
    draw = random.Random(seed)
    gold = {task["id"]: gold_calls(task) for task in tasks}
    looks = [*reads("assistant", agent_tools), *reads("user", user_tools)]
    looks += [call for calls in gold.values() for call in calls if call.name.startswith(READING)]
    made = []
    for task in tasks:
        others = [call for name, calls in gold.items() if name != task["id"] for call in calls]
        facts = task["evaluation_criteria"].get("communicate_info") or []
        for kind in KINDS:
            calls = perturb(kind, deepcopy(gold[task["id"]]), others, looks, draw)
            reason = "user_stop" if kind == "as is" else draw.choice(ENDS)
            said = [fact for fact in facts if kind == "as is" or draw.random() < 0.9]
            moves, texts = pack(calls, said, draw)
            made.append(Perturbed(task["id"], kind, moves, texts, reason))
    return made


def gold_calls(task: Wire) -> list[Call]:
    """The gold actions of a raw task."""
    actions = task["evaluation_criteria"].get("actions") or []
    return [Call(a.get("requestor") or "assistant", a["name"], a["arguments"]) for a in actions]


def perturb(
    kind: str, calls: list[Call], others: list[Call], looks: list[Call], draw: random.Random
) -> list[Call]:
    """The gold calls with one kind of fault; unchanged where there is nothing to change."""
    if kind == "dropped" and calls:
        calls.pop(draw.randrange(len(calls)))
    elif kind == "doubled" and calls:
        at = draw.randrange(len(calls))
        calls.insert(draw.randint(at, len(calls)), calls[at])
    elif kind == "swapped" and len(calls) > 1:
        first, second = draw.sample(range(len(calls)), 2)
        calls[first], calls[second] = calls[second], calls[first]
    elif kind == "foreign":
        for _ in range(draw.randint(1, 3)):
            calls.insert(draw.randint(0, len(calls)), deepcopy(draw.choice(others)))
    elif kind == "reads":
        for _ in range(draw.randint(1, 5)):
            calls.insert(draw.randint(0, len(calls)), spoiled(draw.choice(looks), draw))
    elif kind == "floats":
        calls = [call._replace(arguments=retyped(call.arguments, draw)) for call in calls]
    return calls


def reads(side: str, tools: Sequence[Wire]) -> list[Call]:
    """Calls of the tools that only look; many of them find nothing."""
    found = []
    for tool in tools:
        name, parameters = tool["function"]["name"], tool["function"]["parameters"]["properties"]
        if name.startswith(READING):
            values = {parameter: VALUES.get(parameter, ("2024-05-20", "none")) for parameter in parameters}
            for number in range(max(map(len, values.values()), default=1)):
                given = {parameter: some[number % len(some)] for parameter, some in values.items()}
                found.append(Call(side, name, given))
    return found


def spoiled(call: Call, draw: random.Random) -> Call:
    """Now and then a call that cannot succeed: an unknown tool, a wrong argument, the wrong side."""
    fate = draw.random()
    if fate < 0.1:
        return call._replace(name=call.name + "_now")
    if fate < 0.2:
        return call._replace(arguments={**call.arguments, "hurry": True})
    if fate < 0.3:
        return call._replace(arguments=dict(list(call.arguments.items())[1:]))
    if fate < 0.35:
        return call._replace(requestor="user" if call.requestor == "assistant" else "assistant")
    return call


def retyped(value: Any, draw: random.Random) -> Any:
    """Whole numbers as floats, floats as whole numbers, and one number in five as text, at any depth."""
    if isinstance(value, dict):
        return {key: retyped(part, draw) for key, part in value.items()}
    if isinstance(value, list):
        return [retyped(part, draw) for part in value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if draw.random() < 0.2:
        return str(value)
    return float(value) if isinstance(value, int) else int(value)


def pack(
    calls: Sequence[Call], facts: Sequence[str], draw: random.Random
) -> tuple[tuple[Move, ...], tuple[str, ...]]:
    """The calls in messages of one or more, and the texts that follow; a fact may go with a call instead."""
    groups: list[list[Call]] = []
    for call in calls:
        joins = groups and groups[-1][0].requestor == call.requestor and draw.random() < 0.2
        if joins:
            groups[-1].append(call)
        else:
            groups.append([call])
    left, moves = list(facts), []
    for group in groups:
        text = None
        if group[0].requestor == "assistant" and draw.random() < 0.15:
            text = face(left.pop(), draw) if left else "One moment."
        moves.append(Move(tuple(group), text))
    told = [face(fact, draw) for fact in left]
    texts = ["; ".join(["Done", *told])] if draw.random() < 0.5 else ["Done.", *told]
    return tuple(moves), tuple(texts)


def face(fact: str, draw: random.Random) -> str:
    """A fact as an agent may write it."""
    faces: tuple[Callable[[str], str], ...] = (str, str.upper, str.lower, "It is ,{}, in all.".format)
    if fact.isdigit():
        faces += (lambda digits: f"${int(digits):,}.00",)
    return draw.choice(faces)(fact)


def play(trajectory: Perturbed, world: Any) -> list[Wire]:
    """What happens: messages and results in the form of `runners/dialogue.py`; `world` is a `World`."""
    happened: list[Wire] = [{"from": "user", "content": "Hello, I need your help."}]
    for number, move in enumerate(trajectory.moves):
        role = "user" if move.calls[0].requestor == "user" else "agent"
        calls = [
            {"id": f"call_{number}_{place}", "name": call.name, "arguments": call.arguments}
            for place, call in enumerate(move.calls)
        ]
        happened.append({"from": role, "content": move.text or "", "calls": calls})
        for call in calls:
            result = world.call(role, call["name"], deepcopy(call["arguments"]))
            happened.append(
                {
                    "from": "env",
                    "to": role,
                    "id": call["id"],
                    "content": result.content,
                    "error": result.error,
                }
            )
        world.sync()
    happened += [{"from": "agent", "content": text} for text in trajectory.texts]
    return [*happened, {"from": "user", "content": "###STOP###"}]


def as_tau2(happened: Sequence[Wire]) -> list[Wire]:
    """The same as tau2's own messages, the agent's greeting first."""
    roles = {"agent": "assistant", "user": "user"}
    messages: list[Wire] = [{"role": "assistant", "content": "Hi! How can I help you today?"}]
    for entry in happened:
        if entry["from"] == "env":
            result = {key: entry[key] for key in ("id", "content", "error")}
            messages.append({"role": "tool", "requestor": roles[entry["to"]], **result})
            continue
        role = roles[entry["from"]]
        message: Wire = {"role": role, "content": entry["content"] or None}
        if "calls" in entry:
            message["tool_calls"] = [{**call, "requestor": role} for call in entry["calls"]]
        messages.append(message)
    return messages
