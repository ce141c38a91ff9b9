"""Ours and the official harness of SWE-bench: the same scripts, readings of logs, and verdicts on patches."""

import json
import os
import random
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import toy_repair
from cli_fixtures import Cli, cli
from docker_fixtures import docker_daemon, sandboxes
from swe_fixtures import flask_rows, real_cache, real_swebench, swebench, toy, workers
from toy_repair import Toy

from longcat_eval.protocols import DataOptions
from longcat_eval.records import Sample
from longcat_eval.runners.store import read_run
from longcat_eval.runners.workers import WorkerPool
from longcat_eval.tasks.swe.data import LITE, MULTILINGUAL, VERIFIED, load_rows, official_row
from longcat_eval.tasks.swe.grader import ADAPTER
from longcat_eval.tasks.swe.images import built_image
from longcat_eval.tasks.swe.package import Swebench

__all__ = [
    "cli",
    "docker_daemon",
    "flask_rows",
    "real_cache",
    "real_swebench",
    "sandboxes",
    "swebench",
    "toy",
    "workers",
]
BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
SEED = 20260818
Row = dict[str, Any]
pytestmark = pytest.mark.oracle
FUZZY = toy_repair.GOLD.replace(" def mean(values):", " def  mean(values):")
PATCHES = {
    "gold": (toy_repair.GOLD, "resolved"),
    "no-op": (toy_repair.NO_OP, "unresolved"),
    "spoof": (toy_repair.SPOOF, "unresolved"),
    "garbage": (toy_repair.GARBAGE, "error"),
    "empty": ("", "empty_patch"),
    "fuzzy": (FUZZY, "resolved"),
    "bare": (toy_repair.GOLD.partition("\n")[2], "resolved"),
    "both": (toy_repair.GOLD + toy_repair.SPOOF, "resolved"),
}
OURS = {"apply_failed": "error"}
"""What the official runner calls an error that is the patch's doing."""


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The benchmarks' own module of environments."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import peers

    assert peers.SWEBENCH.ready, "run `python benchmarks/peers.py --make-environments` first"
    return peers


def made_up_log(sample: Sample, chance: random.Random) -> str:
    """A log in which tests of the row pass, fail, or are not there, in words that some parsers know."""
    lines, form = [], chance.choice(("{word} {name}", "{name} {word}", "{name} ... {ok}"))
    weights = chance.choice(((1, 0, 0, 0), (20, 1, 1, 1)))
    for name in (*sample.fields["FAIL_TO_PASS"], *sample.fields["PASS_TO_PASS"]):
        word = chance.choices(("PASSED", "FAILED", "SKIPPED", ""), weights)[0]
        ok = "ok" if word == "PASSED" else word
        lines += [form.format(word=word, name=name, ok=ok)] if word else []
    marks = [": '>>>>> Start Test Output'", *lines, ": '>>>>> End Test Output'"]
    code = f">>>>> Test Exit Code: {int(chance.random() < 0.3)}"
    odd = chance.choice(
        ("Killed", "no tests ran", "ModuleNotFoundError", "\u2028 \x1b[31mred\x1b[0m \ufffd", "")
    )
    return "\n".join([*marks, code, odd][chance.random() < 0.05 :])


@pytest.fixture
def made_up(data_dir: Path) -> list[tuple[Row, str]]:
    """All 1,100 rows, a log for each."""
    chance, sets = random.Random(SEED), (VERIFIED, MULTILINGUAL, LITE)
    samples = [sample for spec in sets for sample in load_rows(spec, DataOptions(data_dir)).samples]
    return [(official_row(sample), made_up_log(sample, chance)) for sample in samples]


@pytest.fixture
def theirs(peers: ModuleType, made_up: list[tuple[Row, str]], tmp_path: Path) -> list[Row]:
    """What the whole package makes of them."""
    file = tmp_path / "lines.jsonl"
    lines = [json.dumps({"row": row, "log": log}) for row, log in made_up]
    file.write_text("\n".join(lines), encoding="utf-8")
    command = [peers.SWEBENCH.bin / "python", BENCHMARKS / "swebench_peer.py", file]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.data
async def test_scripts_and_readings_of_all_rows_are_those_of_the_whole_package(
    made_up: list[tuple[Row, str]], theirs: list[Row], swebench: Swebench, workers: WorkerPool
) -> None:
    """We import ten modules of 1,566; what these make of a row must not depend on the rest."""
    assert len(theirs) == len(made_up) == 1_100
    folder, resolved, ran = str(swebench.folder), 0, 0
    for (row, log), expected in zip(made_up, theirs, strict=True):
        assert await workers.call(f"{ADAPTER}:eval_script", folder, row) == expected["script"]
        read = await workers.call(f"{ADAPTER}:read_log", folder, row, log)
        assert read == as_ours(expected["report"]), row["instance_id"]
        resolved, ran = resolved + read["resolved"], ran + read["ran"]
    assert 100 < ran < 1_000, "all or nothing would tell nothing"
    assert 20 < resolved < 500


def as_ours(report: Row) -> Row:
    """An official report in the form of the adapter's."""
    tests = report.get("tests_status", {})
    return {
        "resolved": report["resolved"],
        "ran": report["patch_successfully_applied"],
        "infra": report.get("infra_failure_reason", ""),
        "environment": report["infra_failure"],
        "tests": {
            name: {"passed": tests[name]["success"], "failed": tests[name]["failure"]}
            for name in ("FAIL_TO_PASS", "PASS_TO_PASS")
            if tests
        },
    }


def official(peers: ModuleType, folder: Path, rows: list[Row], preds: list[Row]) -> dict[str, str]:
    """The verdicts of `swebench eval` by instance, from its reports on each.

    Its summary fails where any other container of the machine goes while it is written.
    """
    (folder / "data.json").write_text(json.dumps(rows), encoding="utf-8")
    (folder / "preds.json").write_text(json.dumps(preds), encoding="utf-8")
    words = ["eval", "data.json", "-p", "preds.json", "--run-id", "oracle", "-j", "4"]
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "HF_HUB_OFFLINE": "1"}
    command = [peers.SWEBENCH.bin / "swebench", *words]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert "All instances run." in done.stdout, done.stdout + done.stderr
    return {pred["instance_id"]: kind(folder / "logs/run_evaluation/oracle/m", pred) for pred in preds}


def kind(logs: Path, pred: Row) -> str:
    """What the official summary would count an instance as."""
    name, report = pred["instance_id"], logs / pred["instance_id"] / "report.json"
    if not pred["model_patch"]:
        return "empty_patch"
    if not report.exists():
        return "error"
    return "resolved" if json.loads(report.read_text())[name]["resolved"] else "unresolved"


def ours(cli: Cli, folder: Path) -> dict[str, str]:
    """Our verdicts on the same files, in the official words."""
    words = ("--task", "swe-bench-lite", "--dataset", folder / "data.json", "--plain", "-o", folder / "ours")
    ran = cli("run", *words, "--grade-only", folder / "preds.json")
    assert ran.code == 0, ran.err
    return {row.sample: OURS.get(row.reason, row.reason) for row in read_run(folder / "ours").rows}


@pytest.mark.docker
def test_verdicts_on_the_toy_are_the_official_ones(
    peers: ModuleType, cli: Cli, tmp_path: Path, toy: Toy, swebench: Swebench
) -> None:
    names = {f"toy__calc-{number}": kind for number, kind in enumerate(PATCHES, 1)}
    rows = [{**toy.row(), "instance_id": name} for name in names]
    preds = [prediction(name, PATCHES[kind][0]) for name, kind in names.items()]
    theirs = official(peers, tmp_path, rows, preds)
    assert theirs == {name: PATCHES[kind][1] for name, kind in names.items()}
    assert ours(cli, tmp_path) == theirs


@pytest.mark.docker
@pytest.mark.data
def test_verdicts_on_real_rows_are_the_official_ones(
    peers: ModuleType, cli: Cli, tmp_path: Path, flask_rows: list[Sample], swebench: Swebench
) -> None:
    """The official runner gets the row as the image built here needs it; the gold patch, and one that does
    nothing."""
    rows, preds = [], []
    for sample in flask_rows:
        row = rebased(sample)
        rows.append(row)
        preds.append(prediction(sample.id, row["patch"] if sample.id.endswith("4992") else toy_repair.SPOOF))
    theirs = official(peers, tmp_path, rows, preds)
    assert theirs == {"pallets__flask-4992": "resolved", "pallets__flask-5063": "unresolved"}
    originals = [official_row(sample) for sample in flask_rows]
    (tmp_path / "data.json").write_text(json.dumps(originals), encoding="utf-8")
    assert ours(cli, tmp_path) == theirs


def prediction(name: str, patch: str) -> Row:
    return {"instance_id": name, "model_name_or_path": "m", "model_patch": patch}


def rebased(sample: Sample) -> Row:
    """The row with the commit and the name of the image that was built here."""
    image = built_image(sample.id)
    look = ["docker", "run", "--rm", "--network", "none", image, "git", "-C", "/testbed", "rev-parse", "HEAD"]
    head = subprocess.run(look, capture_output=True, text=True, check=True).stdout.strip()
    row = official_row(sample)
    script = row["eval_script"].replace(row["base_commit"], head)
    return {**row, "image": image, "base_commit": head, "eval_script": script}
