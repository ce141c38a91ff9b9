"""Ours and terminal-bench's own reader, on the hundred released tasks and on hundreds made at random."""

import random
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import toy_terminal as toy
import yaml
from peer_process import told_by
from swe_fixtures import real_cache

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.tasks.terminal.read_tb import read_tb
from longcat_eval.tasks.terminal.records import TerminalTask
from longcat_eval.tasks.terminal.source import core_folder

__all__ = ["real_cache"]
BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
SEED = 20260818
FOLDERS = 400

pytestmark = pytest.mark.oracle


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The benchmarks' own module of environments."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import peers

    assert peers.TERMINAL_BENCH.ready, "run `python benchmarks/peers.py --make-environments` first"
    return peers


def official(peers: ModuleType, folders: list[Path]) -> list[dict[str, Any]]:
    """What the original reads from each folder."""
    script, asked = BENCHMARKS / "terminal_bench_tasks_peer.py", [str(folder) for folder in folders]
    return told_by(peers.TERMINAL_BENCH.bin / "python", script, lines=[asked])


def as_told(task: TerminalTask) -> dict[str, Any]:
    """Our task in the words of the peer."""
    (step,) = task.steps
    oracle = step.oracle
    keys = oracle.keys if oracle else ()
    return {
        "id": task.id,
        "instruction": step.instruction,
        "difficulty": task.difficulty,
        "category": task.category,
        "tags": list(task.tags),
        "pytest": step.verifier.kind == "pytest",
        "agent_seconds": step.agent_seconds,
        "test_seconds": step.verifier.seconds,
        "same_shell": step.verifier.same_shell,
        "script": oracle.script if oracle else "",
        "keys": [[k.command, k.min_seconds, k.max_seconds, k.block, k.enter] for k in keys],
    }


def a_task(dice: random.Random, folder: Path) -> Path:
    """A folder that is a task, or nearly."""
    fields = {
        "category": dice.choice(["games", "x y"]),
        "tags": dice.choice([[], ["a", "b"]]),
        "parser_name": dice.choice(["pytest", "pytest", "swebench"]),
        "max_agent_timeout_sec": dice.choice([1, 900, 12.5, 1e4, "soon"]),
        "max_test_timeout_sec": dice.choice([1, 30.25]),
        "run_tests_in_same_shell": dice.choice([True, False]),
        "disable_asciinema": True,
        "estimated_duration_sec": 3,
        "unknown_key": {"a": 1},
    }
    config = {name: value for name, value in fields.items() if dice.random() < 0.5}
    instruction = dice.choice(["Do it.", "\n Two\nlines \n", "ünï ✓", "a: b # c"])
    config |= {"instruction": instruction, "difficulty": dice.choice(["easy", "medium", "hard", "unknown"])}
    options = {
        "min_timeout_sec": dice.choice([0.5, 3]),
        "max_timeout_sec": dice.choice([10, 2.5]),
        "block": dice.choice([True, False]),
        "append_enter": dice.choice([True, False]),
    }
    typed = [
        {"command": command, **{name: value for name, value in options.items() if dice.random() < 0.5}}
        for command in dice.sample(["ls", "vim a\n", ":wq", "C-c", "echo 'ü'"], dice.randrange(1, 4))
    ]
    toy.terminal_bench(folder, "debian:12", solution_yaml=yaml.safe_dump(typed, allow_unicode=True))
    text = yaml.safe_dump(config, allow_unicode=dice.choice([True, False]))
    files = {"task.yaml": f"# canary\n{text}"}
    if dice.random() < 0.3:
        files["solution.sh"] = toy.SOLVE
    if dice.random() < 0.1:
        (folder / "solution.yaml").unlink()
    return toy.write(folder, files)


def test_the_same_is_read_from_folders_made_at_random(peers: ModuleType, tmp_path: Path) -> None:
    dice = random.Random(SEED)
    folders = [a_task(dice, tmp_path / f"t{number}") for number in range(FOLDERS)]
    refused = 0
    for folder, said in zip(folders, official(peers, folders), strict=True):
        about = (folder / "task.yaml").read_text(encoding="utf-8")
        try:
            (task,) = read_tb(folder)
        except EnvironmentUnusableError:
            assert "error" in said, about
            continue
        if "error" in said or not said["pytest"]:
            refused += 1
            assert task.problems, f"{said}\n{about}"
            continue
        assert not task.problems, about
        assert as_told(task) == said, about
    assert FOLDERS / 40 < refused < FOLDERS / 2


def test_the_same_is_read_from_the_released_tasks(
    peers: ModuleType, real_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(real_cache))
    folders = sorted(path for path in core_folder().iterdir() if path.is_dir())
    assert len(folders) == 100
    for folder, said in zip(folders, official(peers, folders), strict=True):
        (task,) = read_tb(folder)
        assert as_told(task) == said
