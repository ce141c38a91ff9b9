"""A transcript as one conversation: nothing lost, nothing twice, whatever the agent did with its context."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from longcat_eval.records import AttemptKey, Call, Completion, Message, Transcript, Usage
from longcat_eval.reports.exports.conversation import conversation, opening, usage

KEY = AttemptKey("toy", "q")


def said(turns: list[Any]) -> list[tuple[str, str]]:
    return [(turn.role, turn.text) for turn in turns]


def recorded(*calls: tuple[str, list[dict[str, Any]], str]) -> Transcript:
    """A transcript as the runner records it: role, the whole messages sent, the reply."""
    before: dict[str, list[dict[str, Any]]] = {}
    kept = []
    for turn, (role, messages, reply) in enumerate(calls):
        known = before.get(role, [])
        shared = len(known) if known and messages[: len(known)] == known else 0
        before[role] = messages
        completion = Completion(Message("assistant", reply), "stop", Usage(10, 2), 1.0)
        kept.append(Call(role, turn, {"messages": messages[shared:]}, completion, shared))
    return Transcript(KEY, kept)


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


@given(
    st.lists(st.text(max_size=5), min_size=1, max_size=8),
    st.lists(st.text(max_size=5), min_size=8, max_size=8),
)
def test_a_growing_dialogue_is_told_once(asked: list[str], replies: list[str]) -> None:
    """Equal texts at different places are all told."""
    messages: list[dict[str, Any]] = []
    calls, expected = [], []
    for text, reply in zip(asked, replies, strict=False):
        messages = [*messages, user(text)]
        calls.append(("agent", messages, reply))
        messages = [*messages, assistant(reply)]
        expected += [("user", text), ("assistant", reply)]
    found = conversation(recorded(*calls))
    assert said(found) == expected
    assert said(opening(found)) == expected[:1]
    assert [turn.completion is not None for turn in found] == [role == "assistant" for role, _ in expected]


def test_a_rebuilt_context_adds_what_is_new() -> None:
    found = conversation(
        recorded(
            ("agent", [user("task"), user("output 1")], "a"),
            ("agent", [user("task"), user("output 1 elided"), assistant("a"), user("output 2")], "b"),
            ("agent", [user("task"), assistant("b"), user("output 3")], "c"),
        )
    )
    texts = [text for _, text in said(found)]
    assert texts == ["task", "output 1", "a", "output 1 elided", "output 2", "b", "output 3", "c"]


def test_long_runs_that_rebuild_stay_linear() -> None:
    """An agent that elides old output at every step sends everything anew each time."""
    calls = []
    for n in range(60):
        old = [m for i in range(n) for m in (user("elided"), assistant(f"step {i}"))]
        calls.append(("agent", [user("task"), *old, user(f"output {n}")], f"step {n}"))
    assert len(conversation(recorded(*calls))) < 200


def test_other_roles_have_conversations_of_their_own() -> None:
    transcript = recorded(
        ("user", [{"role": "system", "content": "you are a customer"}], "hello"),
        ("agent", [user("hello")], "how may I help?"),
        ("user", [{"role": "system", "content": "you are a customer"}, user("how may I help?")], "stop"),
    )
    assert said(conversation(transcript)) == [("user", "hello"), ("assistant", "how may I help?")]
    assert len(conversation(transcript, "user")) == 4
    assert {role: tokens.total for role, tokens in usage(transcript).items()} == {"user": 24, "agent": 12}


def test_texts_without_a_chat_and_parts() -> None:
    parts = [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": "data:"}}]
    transcript = recorded(("agent", [{"role": "developer", "content": parts}], "x"))
    transcript.calls.append(Call("agent", 1, {"prompt": "2+2="}, Completion(Message("assistant", "4"))))
    assert said(conversation(transcript)) == [
        ("system", "look\n[image_url]"),
        ("assistant", "x"),
        ("user", "2+2="),
        ("assistant", "4"),
    ]
    assert conversation(None) == []
