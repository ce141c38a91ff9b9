"""Ours and the parsers of terminal-bench and harbor, on thousands of replies that are good or nearly."""

import random
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from peer_process import told_by
from terminus_replies import GRAMMARS

from longcat_eval.runners.agent.terminus.answer import Answer
from longcat_eval.runners.agent.terminus.json_answer import NO_OBJECT, read_json
from longcat_eval.runners.agent.terminus.terminus1_answer import read_terminus1
from longcat_eval.runners.agent.terminus.xml_answer import read_xml, salvage_xml

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
PEER = BENCHMARKS / "terminus_peer.py"
REPLIES = 10_000
READERS = {"json": read_json, "xml": read_xml, "terminus-1": read_terminus1}

pytestmark = pytest.mark.oracle


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The benchmarks' own module of environments."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import peers

    for environment in (peers.TERMINAL_BENCH, peers.HARBOR):
        assert environment.ready, "run `python benchmarks/peers.py --make-environments` first"
    return peers


def official(peers: ModuleType, package: str, grammar: str, replies: list[str]) -> list[dict[str, Any]]:
    """What the original says to each reply."""
    environment = peers.HARBOR if package == "harbor" else peers.TERMINAL_BENCH
    return told_by(environment.bin / "python", PEER, package, grammar, lines=[replies])


def as_told(answer: Answer, package: str, grammar: str) -> dict[str, Any]:
    """Our answer in the words of the peer."""
    said: dict[str, Any] = {"complete": answer.complete, "error": bool(answer.error)}
    if grammar == "terminus-1":
        return said | {
            "commands": [[repr(c.keystrokes), repr(c.seconds), c.blocking] for c in answer.commands]
        }
    commands = [[repr(c.keystrokes), repr(c.seconds)] for c in answer.commands]
    return said | {"commands": commands, "warning": bool(answer.warnings)}


def excused(reply: str, theirs: dict[str, Any], answer: Answer, package: str, grammar: str) -> bool:
    """The deliberate differences that are no exceptions, both of a warning that we do not give.

    That there is no object is said once, as the error; terminal-bench warns of an empty command that ends
    in no newline.
    """
    waits = package == "terminal_bench" and bool(re.search(r'"keystrokes":\s*""', reply))
    return (
        grammar == "json"
        and (waits or answer.error == NO_OBJECT)
        and {**theirs, "warning": False} == {**as_told(answer, package, grammar), "warning": False}
    )


@pytest.mark.parametrize(
    ("package", "grammar"),
    [
        ("terminal_bench", "json"),
        ("terminal_bench", "xml"),
        ("terminal_bench", "terminus-1"),
        ("harbor", "json"),
        ("harbor", "xml"),
    ],
)
def test_every_reply_is_read_alike(peers: ModuleType, package: str, grammar: str) -> None:
    rng = random.Random(f"{package} {grammar}")
    replies = [GRAMMARS[grammar](rng) for _ in range(REPLIES)]
    read = official(peers, package, grammar, replies)
    assert len(read) == REPLIES
    raised = 0
    kinds = set()
    for reply, theirs in zip(replies, read, strict=True):
        answer = READERS[grammar](reply)
        salvaged = theirs.pop("salvaged", None)
        if grammar == "xml" and "raised" not in theirs:
            assert (salvage_xml(reply) or None) == salvaged, reply
        if "raised" in theirs:
            raised += 1
            continue
        ours = as_told(answer, package, grammar)
        kinds.add((bool(answer.commands), answer.complete, bool(answer.error), bool(answer.warnings)))
        assert theirs == ours or excused(reply, theirs, answer, package, grammar), reply
    assert raised < REPLIES / 10
    assert len(kinds) >= (4 if grammar == "terminus-1" else 8), "the replies are all of a kind"
