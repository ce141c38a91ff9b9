"""A toy benchmark with tools and a simulated user, who asks for a price that the agent looks up."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from longcat_eval.protocols import AttemptContext, DataOptions
from longcat_eval.records import (
    Aggregate,
    AttemptRow,
    Dataset,
    Message,
    Outcome,
    Sample,
    Score,
    TaskProtocol,
    ToolCall,
    Transcript,
    Wire,
)

STOP = "###STOP###"
GREETING = "Hi! How can I help you today?"
LOOK_UP: Wire = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "The price of an item.\nIn dollars.",
        "parameters": {"type": "object", "properties": {"item": {"type": "string"}}},
    },
}


class ToyDialogue:
    """Sample i asks for the price of item i, which is 10 i; item 0 is not on the list and gives an error."""

    name = "toy-dialogue"
    needs: frozenset[str] = frozenset({"chat", "tools"})
    floors: Mapping[str, float] = {}

    def __init__(self, items: int = 4, repeats: int = 2, **protocol: Any) -> None:
        self.items = items
        values: dict[str, Any] = {
            "name": "toy-dialogue/1",
            "repeats": repeats,
            "metric": f"avg@{repeats}",
            "max_tokens": 64,
            "prompt_hash": "toy",
            "grader": "toy/1",
            "roles": ("agent", "user"),
            "limits": {"max_steps": 20.0},
            "tools": True,
            "role_sampling": {"user": {"temperature": 0.0}},
        }
        self.protocol = TaskProtocol(**(values | protocol))

    def load(self, options: DataOptions) -> Dataset:
        samples = [Sample(f"s{i}", {"n": i}) for i in range(self.items)]
        lazy = {"null": frozenset({"s0"}), "transfer": frozenset({"s0", "s1"})}
        return Dataset(samples, "toy", None, hashlib.sha256(b"dialogue").hexdigest(), passed_by=lazy)

    def reference(self, sample: Sample, repeat: int) -> Mapping[str, Sequence[Message]]:
        n = sample.fields["n"]
        call = ToolCall(f"call-{n}", "look_up", json.dumps({"item": n}))
        agent = [Message("assistant", tool_calls=(call,)), Message("assistant", f"It costs {10 * n}.")]
        return {
            "agent": agent,
            "user": [Message("assistant", f"What costs item {n}?"), Message("assistant", STOP)],
        }

    async def attempt(self, sample: Sample, ctx: AttemptContext) -> Transcript:
        agent: list[Wire] = [{"role": "system", "content": "You sell."}]
        user: list[Wire] = [{"role": "system", "content": "You buy."}, {"role": "user", "content": GREETING}]
        turns = {"agent": 0, "user": 0}
        said = ""
        while STOP not in said and sum(turns.values()) < self.protocol.limits["max_steps"]:
            reply = await ctx.ask(user, role="user", turn=turns["user"])
            turns["user"] += 1
            said = reply.text
            user.append(reply.message.wire())
            if STOP in said:
                break
            agent.append({"role": "user", "content": said})
            reply = await ctx.ask(agent, turn=turns["agent"], tools=[LOOK_UP])
            turns["agent"] += 1
            while reply.message.tool_calls:
                agent.append(reply.message.wire())
                agent += [result(call) for call in reply.message.tool_calls]
                reply = await ctx.ask(agent, turn=turns["agent"], tools=[LOOK_UP])
                turns["agent"] += 1
            agent.append(reply.message.wire())
            user.append({"role": "user", "content": reply.text})
        transcript = ctx.transcript()
        transcript.artifacts |= {"end": "user_stop", "steps": sum(turns.values()), "trajectory": agent + user}
        return transcript

    async def score(self, sample: Sample, transcript: Transcript, ctx: AttemptContext) -> Score:
        told = transcript.last.text if transcript.last else ""
        right = told == f"It costs {10 * sample.fields['n']}."
        return Score(float(right), Outcome.ANSWERED, metrics={"steps": float(transcript.artifacts["steps"])})

    def aggregate(self, rows: Sequence[AttemptRow]) -> Aggregate:
        n = max(len(rows), 1)
        score = sum(r.value or 0.0 for r in rows) / n
        names = dict.fromkeys(name for row in rows for name in row.metrics)
        means = {name: sum(r.metrics.get(name, 0.0) for r in rows) / n for name in names}
        steps = means.pop("steps", 0.0)
        return Aggregate("avg@k", {"avg@k": score, **means}, {"steps": steps, "tool_calls": 1.0})


def result(call: ToolCall) -> Wire:
    """What the shop's list says."""
    item = json.loads(call.arguments)["item"]
    content = str(10 * item) if item else f"Error: no item {item}"
    return {"role": "tool", "content": content, "tool_call_id": call.id}


def toy_dialogue() -> ToyDialogue:
    """For `tasks.table.TASKS`."""
    return ToyDialogue()
