"""Ours and the two official runners of TerminalBench: the same verdicts, the same readings of logs."""

import os
import random
from pathlib import Path
from types import ModuleType

import pytest
from cli_fixtures import Cli, cli
from docker_fixtures import docker_daemon
from peer_process import told_by

from longcat_eval.runners.store import read_run
from longcat_eval.tasks.terminal.pytest_summary import read_summary

__all__ = ["cli", "docker_daemon"]
BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
TASKS = ("hello-world", "sqlite-db-truncate")
SEED, LOGS = 20261125, 4_000
WORDS = ("PASSED", "FAILED", "ERROR", "SKIPPED", "XFAIL", "XPASS", "passed", "note", "PASSED:", "")
REST = (
    "t.py::test_a",
    "t.py::TestA::test_b - no - really",
    "::",
    "t.py",
    "[1] t.py:3: why",
    " - ",
    "a::b::c d",
    "",
)
LINES = (
    "= short test summary info =",
    "==== SHORT test  summary info ====",
    "short test summary info",
    "--- 1 passed ---",
)
pytestmark = pytest.mark.oracle


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """benchmarks/terminal_peers.py, with both runners installed and the user's own cache."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setenv("XDG_CACHE_HOME", os.environ.get("LONGCAT_REAL_CACHE", str(Path.home() / ".cache")))
    import terminal_peers

    for environment in (terminal_peers.TERMINAL_BENCH, terminal_peers.HARBOR):
        if not environment.ready:
            pytest.skip(f"{environment.name} is not installed: benchmarks/peers.py --make-environments")
    return terminal_peers


@pytest.mark.usefixtures("docker_daemon")
def test_the_runners_agree_on_oracle_and_on_doing_nothing(
    peers: ModuleType, cli: Cli, tmp_path: Path
) -> None:
    tasks = peers.copy_tasks(TASKS, tmp_path / "tasks")
    for agent, model, passes in (("oracle", "scripted/oracle", True), ("nop", "scripted/null", False)):
        verdicts = {
            "terminal-bench": peers.terminal_bench(tasks, tmp_path / f"tb-{agent}", agent=agent),
            "harbor": peers.harbor(tasks, tmp_path / f"hb-{agent}", agent=agent),
        }
        ran = cli(
            "run", "--task", "terminal-bench", "--dataset", tasks, "--model", model, "-c", "1", "-o", agent
        )
        assert ran.code == 0, ran.err
        ours = {row.sample: row.value == 1.0 for row in read_run(tmp_path / agent).rows}
        assert ours == dict.fromkeys(TASKS, passes)
        for name, trials in verdicts.items():
            assert {trial.task: trial.passed for trial in trials} == ours, name


def test_logs_are_read_as_by_terminal_bench(peers: ModuleType) -> None:
    """But for a summary without results, which it lets pass."""
    draw = random.Random(SEED)
    logs = ["\n".join(_line(draw) for _ in range(draw.randint(0, 12))) for _ in range(LOGS)]
    theirs = told_by(peers.TERMINAL_BENCH.bin / "python", BENCHMARKS / "terminal_parser_peer.py", lines=logs)
    assert len(theirs) == LOGS
    for log, found in zip(logs, theirs, strict=True):
        assert read_summary(log) == found, log


def _line(draw: random.Random) -> str:
    if draw.random() < 0.2:
        return draw.choice(LINES)
    return f"{draw.choice(WORDS)}{draw.choice((' ', '  ', ''))}{draw.choice(REST)}"
