"""`doctor --calibrate` where attempts need containers: a few samples, of those that can start."""

import json
from pathlib import Path

import pytest
import toy_terminal as toy
from cli_fixtures import Cli

from longcat_eval.protocols import DataOptions, Scaffolded, Stocked
from longcat_eval.records import Sample
from longcat_eval.tasks.swe.images import built_image
from longcat_eval.tasks.table import TASKS, load_task
from longcat_eval.tasks.terminal.task import TerminalBench


@pytest.mark.docker
def test_two_real_samples_by_default(cli: Cli, tmp_path: Path, terminal_image: str) -> None:
    tasks = tmp_path / "tasks"
    for name in ("a", "b", "c"):
        toy.terminal_bench(tasks / name, terminal_image)
    toy.terminal_bench(tasks / "d-wrong", terminal_image, solution="echo 41 >answer.txt\n")
    command = ("doctor", "--calibrate", "--task", "terminal-bench", "--dataset", tasks, "--plain")
    ran = cli(*command, "-o", "two")
    assert ran.code == 0, ran.out + ran.err
    assert (
        "ok          terminal-bench: oracle 100.00 as it must be, null 0.00 as it must be; 2 samples"
        in ran.out
    )
    ran = cli(*command, "--sample-id", "d-wrong", "-o", "wrong")
    assert ran.code == 5
    [found] = json.loads((tmp_path / "wrong" / "calibration.json").read_text())["benchmarks"]
    assert (found["status"], found["checks"]["oracle"]["unlike"]) == ("differs", ["d-wrong"])


def test_no_daemon_is_said(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    toy.terminal_bench(tmp_path / "tasks" / "a", "any")
    ran = cli("doctor", "--calibrate", "--task", "terminal-bench", "--dataset", tmp_path / "tasks")
    assert ran.code == 5
    assert "missing     terminal-bench: " in ran.out
    assert "none.sock" in ran.out


@pytest.mark.parametrize("name", [name for name in TASKS if isinstance(load_task(name), Scaffolded)])
def test_what_needs_containers_says_what_a_sample_lacks(name: str) -> None:
    assert isinstance(load_task(name), Stocked)


def test_an_instance_needs_one_of_its_images() -> None:
    task, sample = load_task("swe-bench-lite"), Sample("pallets__flask-5063", {"image": "official/flask:1"})
    assert isinstance(task, Stocked)
    assert "images pull official/flask:1" in task.lacks(sample, lambda name: False)
    for here in ("official/flask:1", built_image(sample.id)):
        assert task.lacks(sample, here.__eq__) == ""


def test_a_terminal_task_needs_its_body(tmp_path: Path) -> None:
    toy.terminal_bench(tmp_path / "tasks" / "a", "any")
    task = TerminalBench()
    [sample] = task.load(DataOptions(dataset=tmp_path / "tasks")).samples
    assert task.lacks(sample, lambda name: False) == ""
    assert "fetch terminal-bench" in task.lacks(Sample("absent", {}), lambda name: True)
