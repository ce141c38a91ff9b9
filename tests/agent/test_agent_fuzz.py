"""Nothing that a model writes ends an episode by anything but one of its ends."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from agent_play import ScriptedAgent, context, play
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from local_sandbox import LocalSandbox

from longcat_eval.model_backend.failures import RequestError
from longcat_eval.model_backend.replies import read_completion
from longcat_eval.records import Completion
from longcat_eval.runners.agent.episode import ENDS, episode_record
from longcat_eval.runners.agent.profile import PROFILES

WORDS = [
    "view",
    "create",
    "str_replace",
    "insert",
    "a",
    "a/b",
    "/etc",
    "..",
    "-",
    "-1",
    "1e400",
    "\0",
    "\ud800",
]
TEXTS = st.sampled_from(WORDS) | st.text(max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=4,
)
NAMES = ["command", "path", "view_range", "file_text", "old_str", "new_str", "insert_line", "pattern", "glob"]
ARGUMENTS = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=5).map(json.dumps) | st.text(max_size=30)
CALLS = st.fixed_dictionaries(
    {
        "id": st.none() | st.text(max_size=5),
        "function": st.fixed_dictionaries(
            {
                "name": st.sampled_from(["editor", "search", "finish", "bash", ""]),
                "arguments": ARGUMENTS | VALUES,
            }
        ),
    }
)
CONTENT = st.none() | st.text() | st.sampled_from(["```bash\nls\n```", "```bash\n", "```bash\n\0\n```"])
MESSAGES = st.fixed_dictionaries(
    {"role": st.just("assistant"), "content": CONTENT, "tool_calls": st.lists(CALLS)}
)
FINISHES = st.sampled_from(["stop", "length", "tool_calls", "content_filter", ""])


class NoShell(LocalSandbox):
    """Runs our own scripts and none of the model's."""

    async def exec(self, command: str, **how: Any) -> Any:
        ours = any(name.startswith("LCEVAL_") for name in how.get("env", {}))
        return await super().exec(command if ours else "printf '\\377\\0 ok'", **how)


@pytest.mark.parametrize("profile", sorted(PROFILES))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(replies=st.lists(st.tuples(MESSAGES, FINISHES), min_size=1, max_size=6))
async def test_any_replies(profile: str, tmp_path: Path, replies: list[tuple[dict[str, Any], str]]) -> None:
    lines = [line for message, finish in replies if (line := as_received(message, finish))]
    if not lines:
        return
    work = tmp_path / "work"
    work.mkdir(exist_ok=True)
    agent = ScriptedAgent(lines)
    episode, _, _ = await play(
        ctx=context(agent),
        profile=profile,
        sandbox=NoShell(tmp_path),
        workdir=str(work),
        limits={"steps": 8},
    )
    assert episode.end in ENDS
    assert episode.steps == len(agent.requests) <= 8
    for request in agent.requests:
        assert_sendable(msgspec.json.decode(msgspec.json.encode(request.body))["messages"])
    msgspec.json.encode(episode_record(episode))


def as_received(message: dict[str, Any], finish: str) -> Completion | None:
    """The reply as an endpoint would read it off the wire; None where it is refused there."""
    body = json.dumps({"choices": [{"message": message, "finish_reason": finish}]})
    try:
        return read_completion(body.encode())
    except (RequestError, msgspec.DecodeError, ValueError):
        return None


def is_object(arguments: Any) -> bool:
    """As JSON text, or as itself where the server had sent it so."""
    return isinstance(json.loads(arguments) if isinstance(arguments, str) else arguments, dict)


def assert_sendable(history: list[dict[str, Any]]) -> None:
    """As servers check it: every message says something, every call has its result right after it."""
    waiting: list[str] = []
    for message in history:
        if message["role"] == "tool":
            assert message["tool_call_id"] == waiting.pop(0)
            continue
        assert not waiting
        if message["role"] == "assistant":
            made = message.get("tool_calls") or []
            waiting = [call["id"] for call in made]
            assert made or (message["content"] or "").strip()
            assert all(is_object(call["function"]["arguments"]) for call in made)
        else:
            assert message["content"].strip()
    assert not waiting
