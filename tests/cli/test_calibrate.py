"""`doctor --calibrate`: the scores that gold and nothing must have, what is lacking, and going on."""

import json
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from cli_fixtures import Cli
from toy import ToyTask
from toy_dialogue import ToyDialogue

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.protocols import AttemptContext, DataOptions, ModelError, Scaffolded
from longcat_eval.records import Dataset, Message, Outcome, Sample, Transcript
from longcat_eval.runners.store import read_run
from longcat_eval.tasks import table


class Sums(ToyTask):
    """Ten sums, and nothing else is scored by saying nothing."""

    name = "sums"
    floors: Mapping[str, float] = {"null": 0.0}


class Easy(Sums):
    """Says that doing nothing passes one of ten, which it does not."""

    name = "easy"
    floors: Mapping[str, float] = {"null": 0.1}


class Faulty(Sums):
    """The gold of s003 is wrong, and the data say so."""

    name = "faulty"

    def load(self, options: DataOptions) -> Dataset:
        whole = super().load(options)
        return Dataset(whole.samples, "toy", None, whole.sha256, gold_fails=frozenset({"s003"}))

    def reference(self, sample: Sample, repeat: int) -> Mapping[str, Sequence[Message]]:
        return {"agent": [Message("assistant", "7")]} if sample.id == "s003" else super().reference(sample, 0)


class Unnoticed(Faulty):
    """The same, but nobody has noticed."""

    name = "unnoticed"

    def load(self, options: DataOptions) -> Dataset:
        return ToyTask.load(self, options)


class Free(ToyTask):
    """No gold, and no floor."""

    name = "free"

    def reference(self, sample: Sample, repeat: int) -> Mapping[str, Sequence[Message]]:
        return {}


class Absent(Sums):
    """Its data are not here."""

    name = "absent"

    def load(self, options: DataOptions) -> Dataset:
        raise EnvironmentUnusableError("absent cannot be fetched: give --data-dir")


class Scored(Sums):
    """Wants what no script can do."""

    name = "scored"
    needs = frozenset({"images"})


class Losing(Sums):
    """Loses an attempt."""

    name = "losing"

    async def attempt(self, sample: Sample, ctx: AttemptContext) -> Transcript:
        if sample.id == "s004":
            raise ModelError(Outcome.ENDPOINT_ERROR, "http_503", "the server is gone")
        return await super().attempt(sample, ctx)


class Stopped(Sums):
    """Ctrl-C comes at its fifth attempt, once."""

    name = "stopped"
    pressed = False

    async def attempt(self, sample: Sample, ctx: AttemptContext) -> Transcript:
        if sample.id == "s005" and not Stopped.pressed:
            Stopped.pressed = True
            os.kill(os.getpid(), signal.SIGINT)
        return await super().attempt(sample, ctx)


class Talk(ToyDialogue):
    """A dialogue in which doing nothing passes the item that costs nothing."""

    name = "talk"

    def load(self, options: DataOptions) -> Dataset:
        whole = super().load(options)
        return Dataset(whole.samples, "toy", None, whole.sha256, passed_by={"null": frozenset({"s0"})})

    def idle(self, sample: Sample, repeat: int) -> Mapping[str, Sequence[Message]]:
        asked = Message("assistant", "What costs item 0?"), Message("assistant", "###STOP###")
        return {"agent": [Message("assistant", "It costs 0.")], "user": asked}


TOYS: tuple[type, ...] = (Sums, Easy, Faulty, Unnoticed, Free, Absent, Scored, Losing, Stopped, Talk)


@pytest.fixture(autouse=True)
def _only_toys(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test chooses of these."""
    for toy in TOYS:
        monkeypatch.setitem(table.TASKS, toy.name, f"{__name__}:{toy.__name__}")
    yield
    Stopped.pressed = False


def calibration(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "calibration.json").read_text())


def benchmarks(folder: Path) -> dict[str, Any]:
    return {found["task"]: found for found in calibration(folder)["benchmarks"]}


def ask(cli: Cli, *names: str, out: str = "out", more: tuple[object, ...] = ()) -> Any:
    chosen = [word for name in names for word in ("--task", name)]
    return cli("doctor", "--calibrate", *chosen, "-o", out, "--plain", *more)


def test_scores_that_are_as_they_must_be(cli: Cli, tmp_path: Path) -> None:
    ran = ask(cli, "sums", "faulty", "talk")
    assert (ran.code, ran.err) == (0, ""), ran.out
    assert "ok          sums: oracle 100.00 as it must be, null 0.00 as it must be; 10 samples" in ran.out
    assert "faulty: oracle 90.00 as it must be" in ran.out
    assert "talk: oracle 100.00 as it must be, null 25.00 as it must be" in ran.out
    assert "3 ok; out/calibration.json" in ran.out
    found = benchmarks(tmp_path / "out")["talk"]["checks"]["null"]
    assert (found["expected"], found["seen"], found["attempts"], found["status"]) == (25.0, 25.0, 4, "ok")
    oracle = read_run(tmp_path / "out" / "oracle")
    assert set(oracle.manifest.tasks) == {"sums", "faulty", "talk"}
    assert cli("report", "out/oracle").code == 0


def test_scores_that_are_not(cli: Cli, tmp_path: Path) -> None:
    ran = ask(cli, "easy", "unnoticed", "sums")
    assert ran.code == 5
    assert "differs     easy: oracle 100.00 as it must be, null 0.00 (must be 10.00)" in ran.out
    assert "differs     unnoticed: oracle 90.00 (must be 100.00)" in ran.out
    assert "oracle, not as they must be: s003" in ran.out
    assert "1 ok, 2 differs" in ran.out
    found = benchmarks(tmp_path / "out")
    assert found["unnoticed"]["checks"]["oracle"]["unlike"] == ["s003"]
    assert calibration(tmp_path / "out")["exit_code"] == 5


def test_what_nobody_knows_is_said(cli: Cli) -> None:
    ran = ask(cli, "free")
    assert ran.code == 0
    assert "unknown     free: oracle –, null 0.00; 10 samples" in ran.out
    assert "oracle: its data hold no gold replies" in ran.out
    assert "null: the benchmark does not say what doing nothing scores" in ran.out


def test_what_is_not_installed(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ask(cli, "absent", "sums")
    assert asked.code == 5
    assert "missing     absent: absent cannot be fetched: give --data-dir" in asked.out
    assert "ok          sums" in asked.out
    monkeypatch.setattr("longcat_eval.cli.calibrate.TASKS", ["absent", "sums", "scored"])
    every = ask(cli, out="every")
    assert every.code == 0
    assert "1 ok, 2 missing" in every.out
    assert "scored needs images, which scripted/oracle does not offer" in every.out
    monkeypatch.setattr("longcat_eval.cli.calibrate.TASKS", ["absent"])
    assert ask(cli, out="none").code == 5


def test_lost_attempts_are_exit_3(cli: Cli) -> None:
    ran = ask(cli, "losing")
    assert ran.code == 3
    assert "incomplete  losing: oracle 100.00 (must be 100.00)" in ran.out
    assert "oracle, 1 of 10 attempts lost: the server is gone" in ran.out
    assert "to go on: longcat-eval doctor --calibrate --task losing -o out --plain" in ran.out


def test_ctrl_c_and_going_on(cli: Cli, tmp_path: Path) -> None:
    ran = ask(cli, "sums", "stopped", more=("-c", 1))
    assert ran.code == 130
    assert "everything finished is saved; to go on: longcat-eval doctor --calibrate" in ran.out
    assert [found["task"] for found in calibration(tmp_path / "out")["benchmarks"]] == ["sums"]
    before = read_run(tmp_path / "out" / "oracle").rows
    assert 10 < len(before) < 20
    again = ask(cli, "sums", "stopped", more=("-c", 1))
    assert again.code == 0, again.out
    lines = (tmp_path / "out" / "oracle" / "samples.jsonl").read_bytes().splitlines()
    assert len(lines) == 20, "what was finished is not made again"


def test_json_alone_on_stdout(cli: Cli, tmp_path: Path) -> None:
    ran = ask(cli, "sums", more=("--format", "json"))
    assert json.loads(ran.out) == calibration(tmp_path / "out")
    assert "gold replies and none at all" in ran.err
    assert ask(cli, "sums", more=("--format", "yaml")).code == 2
    assert cli("doctor", "--format", "json").err == "longcat-eval: --format json goes with --calibrate\n"


def test_a_subset_has_its_own_floor(cli: Cli, tmp_path: Path) -> None:
    ran = ask(cli, "talk", more=("--sample-id", "s1", "--sample-id", "s2", "--repeats", 3))
    assert ran.code == 0, ran.out
    found = benchmarks(tmp_path / "out")["talk"]["checks"]["null"]
    assert (found["expected"], found["seen"], found["attempts"]) == (0.0, 0.0, 6)
    assert "the samples named of each benchmark, 3 times" in ran.out


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--model", "gpt-4.1"), "--model has no part in --calibrate, which asks no model"),
        (("--set", "sampling.temperature=0"), "--set has no part in --calibrate"),
        (("--suite", "smoke"), "give --suite or --task, not both"),
        (("--task", "talk", "--sample-id", "s1"), "--sample-id goes with exactly one --task"),
    ],
)
def test_what_has_no_part_in_it_is_refused(cli: Cli, more: tuple[str, ...], said: str) -> None:
    ran = ask(cli, "sums", more=more)
    assert ran.code == 2
    assert said in ran.err


@pytest.mark.data
def test_what_is_here_measures_right(
    cli: Cli, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every benchmark of the table but those in containers, on the real data; a new one joins by itself."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    toys = {toy.name for toy in TOYS}
    names = [name for name in table.TASKS if name not in toys]
    names = [name for name in names if not isinstance(table.load_task(name), Scaffolded)]
    monkeypatch.setattr("longcat_eval.cli.calibrate.TASKS", names)
    ran = cli("doctor", "--calibrate", "--data-dir", data_dir, "--limit", 12, "-o", "out", "--plain")
    assert ran.code == 0, ran.out
    found = {name: each["status"] for name, each in benchmarks(tmp_path / "out").items()}
    assert list(found) == names
    right = {name for name, status in found.items() if status == "ok"}
    assert {"smoke", "mmlu", "mmlu-pro", "math500", "arena-hard-v2"} <= right
