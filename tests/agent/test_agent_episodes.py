"""Whole episodes in a real git repository, by scripted models over the wire and in each profile."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from agent_play import bash, calls, context, fenced, play
from asking import endpoint
from local_sandbox import LocalSandbox
from loopback import FakeEndpoint

from longcat_eval.runners.agent.episode import episode_record
from longcat_eval.runners.agent.limits import AgentLimits
from longcat_eval.runners.agent.loop import run_agent
from longcat_eval.runners.agent.profile import PROFILES
from longcat_eval.runners.agent.prompts import SUBMIT_COMMAND

WRONG = "def mean(values):\n    return sum(values) / (len(values) + 1)\n"
RIGHT = "def mean(values):\n    return sum(values) / len(values)\n"
CHECK = "from calc import mean\nassert mean([1, 2, 3]) == 2, mean([1, 2, 3])\nprint('ok')\n"
RUN_CHECK = f"{sys.executable} -B check.py"


class Repository:
    """A project with a wrong mean, at its base commit."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "project"
        self.root.mkdir()
        (self.root / "calc.py").write_text(WRONG)
        (self.root / "check.py").write_text(CHECK)
        (self.root / "logo.bin").write_bytes(bytes(range(256)))
        self.git("init", "-q", "-b", "main")
        self.git("add", "-A")
        self.git("-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-q", "-m", "base")
        self.sandbox = LocalSandbox(folder)

    def git(self, *arguments: str) -> bytes:
        env = {"PATH": os.environ["PATH"], "HOME": str(self.root.parent)}
        return subprocess.run(
            ["git", *arguments], cwd=self.root, env=env, check=True, capture_output=True
        ).stdout

    @property
    def diff(self) -> bytes:
        """What changed since the base commit, new files too."""
        self.git("add", "-A")
        return self.git("diff", "--cached", "--binary", "HEAD")

    @property
    def mended(self) -> bool:
        return (self.root / "calc.py").read_text() == RIGHT


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


TWENTY_TWO = [
    "pwd && ls -la",
    "git log --oneline | head -n 5",
    "cat calc.py",
    "cat check.py",
    RUN_CHECK,
    "grep -rn 'mean' --include='*.py' .",
    "cd / && pwd",
    "pwd",
    "export X=1; echo $X",
    'echo "[$X]"',
    "cat > try.py <<'EOF'\nfrom calc import mean\nprint(mean([4, 4]))\nEOF",
    f"{sys.executable} -B try.py",
    "sed -n '1,2p' calc.py | cat -A",
    "git status --short",
    "seq 1 100000",
    "printf '\\377\\000end'",
    "exit 3",
    "sed -i 's| / (len(values) + 1)| / len(values)|' calc.py && git diff --stat",
    RUN_CHECK,
    "printf '\\000\\001' > icon.bin",
    "rm try.py && git status --short",
    SUBMIT_COMMAND,
]


async def test_twenty_two_turns_over_the_wire(repository: Repository) -> None:
    """An endpoint, a tool-calling model, a repository: the patch is the repository's diff, byte by byte."""

    def reply(body: dict[str, Any]) -> dict[str, Any]:
        turn = sum(message["role"] == "assistant" for message in body["messages"])
        function = {"name": "bash", "arguments": f'{{"command": {json.dumps(TWENTY_TWO[turn])}}}'}
        call = {"id": f"call-{turn}", "type": "function", "index": 0, "function": function}
        return {
            "role": "assistant",
            "content": None,
            "reasoning_content": f"thought {turn}",
            "tool_calls": [call],
        }

    async with FakeEndpoint(reply) as server:
        model = endpoint(server.base_url)
        ctx = context(model)  # type: ignore[arg-type]
        profile = PROFILES["bash"](str(repository.root))
        first = profile.instance("The mean is wrong.", str(repository.root))
        episode = await run_agent(ctx, repository.sandbox, profile, first, AgentLimits(command_seconds=30))
        await model.close()
        last = server.bodies[-1]["messages"]
    assert (episode.end, episode.steps, episode.format_errors) == ("submitted", 22, 0)
    assert repository.mended
    assert episode.submission == repository.diff
    assert b"GIT binary patch" in (episode.submission or b"")
    assert [m["reasoning_content"] for m in last if m["role"] == "assistant"] == [
        f"thought {i}" for i in range(21)
    ]
    seen = [m["content"] for m in last if m["role"] == "tool"]
    root = str(repository.root)
    assert seen[4].startswith("exit code 1\n")
    assert (seen[6], seen[7]) == ("exit code 0\n/", f"exit code 0\n{root}")
    assert (seen[8], seen[9]) == ("exit code 0\n1", "exit code 0\n[]")
    assert (seen[15], seen[16]) == ("exit code 0\n\ufffd\ufffdend", "exit code 3\n(no output)")
    assert "characters left out" in seen[14]
    assert [c["exit_code"] for c in episode.commands] == [0] * 4 + [1] + [0] * 11 + [3] + [0] * 5
    assert all(c["seconds"] >= c["command_seconds"] for c in episode.commands)
    assert len(ctx.transcript().calls) == 22
    assert [len(call.request["messages"]) for call in ctx.transcript().calls] == [2] * 22, (
        "each shares the last"
    )


async def test_an_editing_agent(repository: Repository) -> None:
    edit = {
        "command": "str_replace",
        "path": "calc.py",
        "old_str": "(len(values) + 1)",
        "new_str": "len(values)",
    }
    new = {"command": "create", "path": "docs/mean.md", "file_text": "# mean\n"}
    episode, agent, _ = await play(
        calls(("search", {"pattern": "def mean"}), ("editor", {"command": "view", "path": "calc.py"})),
        calls(("editor", edit), ("editor", new)),
        bash(RUN_CHECK),
        calls(("finish", {})),
        profile="edit",
        sandbox=repository.sandbox,
        workdir=str(repository.root),
    )
    assert (episode.end, episode.steps, episode.submission) == ("submitted", 4, b"")
    assert agent.history()[3]["content"] == "calc.py:1:def mean(values):"
    assert agent.history()[-1]["content"] == "exit code 0\nok"
    assert repository.mended
    assert b"+# mean" in repository.diff
    assert [c["tool"] for c in episode.commands] == ["search", "editor", "editor", "editor", "bash", "finish"]


async def test_an_agent_without_tool_calls(repository: Repository) -> None:
    mend = "cat > calc.py <<'EOF'\n" + RIGHT + "EOF"
    episode, agent, _ = await play(
        fenced(mend),
        "Now I check it.",
        fenced(RUN_CHECK),
        fenced(SUBMIT_COMMAND),
        profile="bash-text",
        sandbox=repository.sandbox,
        workdir=str(repository.root),
    )
    assert (episode.end, episode.steps, episode.format_errors) == ("submitted", 4, 1)
    assert repository.mended
    assert episode.submission == repository.diff
    assert agent.history()[-1] == {"role": "user", "content": "exit code 0\nok"}


async def test_without_a_submission_the_tree_holds_the_work(repository: Repository) -> None:
    mend = "sed -i 's| / (len(values) + 1)| / len(values)|' calc.py"
    episode, _, _ = await play(
        bash(mend), bash("ls"), sandbox=repository.sandbox, workdir=str(repository.root), limits={"steps": 3}
    )
    assert (episode.end, episode.submission) == ("steps", None)
    assert repository.mended
    assert repository.diff


async def test_a_command_that_hangs_costs_its_time_and_no_more(repository: Repository) -> None:
    episode, agent, _ = await play(
        bash("echo before; sleep 60"),
        bash(SUBMIT_COMMAND),
        sandbox=repository.sandbox,
        workdir=str(repository.root),
        limits={"command_seconds": 0.5},
    )
    assert episode.end == "submitted"
    assert episode.seconds < 20
    seen = agent.history()[3]["content"]
    late = "The command ran longer than 0.5 s and was stopped, with everything it had started."
    assert seen == f"exit code 124\n{late}\nbefore"


async def test_a_command_of_a_megabyte(repository: Repository) -> None:
    text = "x" * (1 << 20)
    episode, _, _ = await play(
        bash(f"cat > big <<'EOF'\n{text}\nEOF"),
        bash(SUBMIT_COMMAND),
        sandbox=repository.sandbox,
        workdir=str(repository.root),
    )
    assert (repository.root / "big").read_text() == text + "\n"
    assert episode.submission == repository.diff
    assert len(episode_record(episode)["commands"][0]["input"]) == 1000
