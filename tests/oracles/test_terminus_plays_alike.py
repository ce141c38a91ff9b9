"""Ours with installed prompts and the originals, on one script: every request is the same, byte for byte."""

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from agent_play import ScriptedAgent
from list_shell import ListShell
from peer_process import told_by
from terminus_play import OVERFLOW, TASK, ListTerminal, cut, play1, play2, sized, tags, types, types1

from longcat_eval.runners.agent.terminus.installed_prompts import installed_prompts, installed_prompts1

TESTS = Path(__file__).resolve().parents[1]
BENCHMARKS = TESTS.parent / "benchmarks"
PEER = BENCHMARKS / "terminus_play_peer.py"
LIMIT = 100_000
WRITTEN = {"json": types, "xml": tags}
Reply = tuple[str, str, int]

pytestmark = pytest.mark.oracle
EMPTY_XML = "<response><analysis/><plan/></response>"


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The benchmarks' own module of environments."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import peers

    for environment in (peers.TERMINAL_BENCH, peers.HARBOR):
        assert environment.ready, "run `python benchmarks/peers.py --make-environments` first"
    return peers


class Shell(ListTerminal):
    """The shell that the peer has too."""

    def __init__(self) -> None:
        super().__init__()
        self.shell = ListShell()

    def _type(self, keys: str) -> None:
        self.shell.type(keys)

    async def screen(self) -> str:
        return self.shell.screen()

    async def history(self) -> str:
        return self.shell.history()

    async def alive(self) -> bool:
        return not self.shell.gone

    async def run(self, command: str, timeout: float) -> bool:
        self.shell.type(f"{command}\n")
        return True


def replies(grammar: str, package: str) -> list[Reply]:
    """A script that goes through all that these agents say."""
    w = WRITTEN[grammar]
    turns: list[Reply] = [
        (w("seq 5\n"), "stop", 1_000),
        (w("ls\n", "", "seq 3\n"), "stop", 1_100),
        ("I would look around.", "stop", 1_200),
        ("Well: " + w("pwd", "x\n").replace("duration", "Duration"), "stop", 1_300),
        (w("seq 5000\n"), "stop", 1_400),
        (w("clear\n", "seq 50\n"), "stop", 1_500),
        (f'{{"analysis": "", "commands": [{{"keystrokes": 1}}]}} {EMPTY_XML}', "stop", 1_600),
        (w("a\n", done=True), "stop", 1_700),
        (w("{b} ünï — 日本\n"), "stop", 95_000),
        ("NOTES {x}", "stop", 1_800),
        ("QUESTIONS?", "stop", 1_900),
        ("ANSWERS", "stop", 2_000),
        (w("c\n"), "stop", 2_100),
    ]
    if package == "harbor":
        turns.append(("Let me write a long file, " * 10, "length", 2_200))
    return [
        *turns,
        (w("d\n"), "stop", 50_000),
        (w(done=True), "stop", 2_300),
        (w("f\n", done=True), "stop", 2_400),
    ]


def official(
    peers: ModuleType, package: str, grammar: str, script: list[Reply], in_time: bool = True
) -> list[Any]:
    """The requests of the original."""
    environment = peers.HARBOR if package == "harbor" else peers.TERMINAL_BENCH
    play = {"task": TASK, "replies": script, "limit": LIMIT, "in_time": in_time, "shell": str(TESTS)}
    said = told_by(environment.bin / "python", PEER, package, grammar, lines=[play], seconds=300)
    found: list[Any] = said[-1]["requests"]
    return found


def said(reply: Reply) -> Any:
    """A reply of the script as our scripted agent says it."""
    text, reason, tokens = reply
    if reason == "overflow":
        return OVERFLOW
    return cut(text) if reason == "length" else sized(text, tokens - 10)


def sent(agent: ScriptedAgent) -> list[Any]:
    """Our requests."""
    return [request.body["messages"] for request in agent.requests]


def same(ours: list[Any], theirs: list[Any]) -> None:
    for number, (our, their) in enumerate(zip(ours, theirs, strict=False)):
        assert our == their, f"request {number}"
    assert len(ours) == len(theirs)


@pytest.mark.parametrize("package", ["terminal_bench", "harbor"])
@pytest.mark.parametrize("grammar", ["json", "xml"])
async def test_terminus_2_says_the_same_words(peers: ModuleType, package: str, grammar: str) -> None:
    environment = peers.HARBOR if package == "harbor" else peers.TERMINAL_BENCH
    source = package.replace("_", "-")
    prompts = installed_prompts(grammar, source, where=environment.site_packages)
    script = replies(grammar, package)
    played = await play2(*map(said, script), terminal=Shell(), prompts=prompts, context_limit=LIMIT)
    assert played.episode.end == "submitted"
    same(sent(played.agent), official(peers, package, grammar, script))


@pytest.mark.parametrize("package", ["terminal_bench", "harbor"])
async def test_terminus_2_says_the_same_after_an_overflow(peers: ModuleType, package: str) -> None:
    environment = peers.HARBOR if package == "harbor" else peers.TERMINAL_BENCH
    prompts = installed_prompts("json", package.replace("_", "-"), where=environment.site_packages)
    full = [("NOTES", "stop", 1_800), ("QUESTIONS?", "stop", 1_900), ("ANSWERS", "stop", 2_000)]
    script: list[Reply] = [
        *[(types(f"seq {i}\n"), "stop", 30_000 * i) for i in (1, 2, 3)],
        (types("seq 4\n"), "stop", 97_000),
        ("", "overflow", 0),
        *full,
        (types(done=True), "stop", 2_300),
        (types("f\n", done=True), "stop", 2_400),
    ]
    played = await play2(
        *map(said, script), terminal=Shell(), prompts=prompts, context_limit=LIMIT, free_tokens=0
    )
    assert played.episode.end == "submitted"
    same(sent(played.agent), official(peers, package, "json", script, in_time=False))


async def test_terminus_1_says_the_same_words(peers: ModuleType) -> None:
    prompts = installed_prompts1(where=peers.TERMINAL_BENCH.site_packages)
    script: list[Reply] = [
        (types1("seq 100\n"), "stop", 1),
        ("hm", "stop", 1),
        (types1("ls\n", "C-c", blocking=False), "stop", 1),
        (types1("seq 3\n", done=True), "stop", 1),
    ]
    played = await play1(*map(said, script), terminal=Shell(), prompts=prompts)
    assert played.episode.end == "submitted"
    same(sent(played.agent), official(peers, "terminal_bench", "terminus-1", script))
