"""Exports read by the tools they are for, in their own environments (`make oracles`)."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cli_fixtures import Cli, cli, serving
from made_up_runs import runs_in

from longcat_eval.reports.foreign.reading import read_foreign
from longcat_eval.reports.rows import ResultRow, result_rows
from longcat_eval.runners.store import RunData, read_run

__all__ = ["cli"]

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
TASKS = {"mmlu": (40, 1), "aime24": (12, 4), "gpqa-diamond": (9, 2)}
MODEL = "toy-lab/Toy-1"

pytestmark = pytest.mark.oracle


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Where the peers are installed."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import peers

    return peers


@pytest.fixture
def run(tmp_path: Path) -> RunData:
    """A run with tool calls, lost attempts, signs and several repeats."""
    return read_run(runs_in(tmp_path)(TASKS, said=lambda task, i, j: f"Antwort «{i}» </s> 答案 {j}"))


def python(environment: Any, script: str, *words: object, cwd: Path | None = None) -> Any:
    """What a script of ours prints under a peer's Python."""
    assert environment.ready, "run `python benchmarks/peers.py --make-environments` first"
    command = [str(environment.bin / "python"), str(BENCHMARKS / script), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def ours(run: RunData) -> dict[str, ResultRow]:
    return {row.task: row for row in result_rows(run)}


@pytest.mark.parametrize("format", ["inspect", "inspect-json"])
def test_inspect_reads_its_logs(
    peers: ModuleType, cli: Cli, run: RunData, tmp_path: Path, format: str
) -> None:
    assert cli("export", "run", "-f", format, "-o", "logs", "--model-id", MODEL).code == 0
    logs = sorted((tmp_path / "logs").iterdir())
    found = {log["task"]: log for log in python(peers.PEERS[1].environment, "inspect_log_peer.py", *logs)}
    for task, row in ours(run).items():
        log = found[task]
        assert row.value is not None
        assert row.se_questions is not None
        expected = {"accuracy": row.value / 100, "stderr": row.se_questions / 100}
        assert log["scores"] == pytest.approx(expected)
        assert log["computed"] == pytest.approx(expected), "Inspect comes to the same from the samples"
        assert (log["status"], log["epochs"], log["questions"]) == ("success", row.k, row.n)
        assert (log["total"], log["completed"]) == (row.attempts, row.valid)
        assert log["samples"] == log["summaries"] == row.attempts
        assert log["errors"] == ["q001"]
        assert log["keys"] == sorted([r.sample, r.repeat + 1] for r in run.rows if r.task == task)
        assert log["messages"] == ["system", "user", "assistant", "tool", "assistant"]
        assert log["last"].startswith("Antwort «")
        assert log["usage"] == {f"openai-api/{MODEL}": 37 * row.attempts}
        assert log["reductions"] == (row.n if row.k > 1 else 0)


def test_every_eval_ever_validates_its_files(
    peers: ModuleType, cli: Cli, run: RunData, tmp_path: Path
) -> None:
    assert cli("export", "run", "-f", "eee", "-o", "out", "--model-id", MODEL).code == 0
    environment = peers.EVERY_EVAL_EVER
    assert environment.ready, "run `python benchmarks/peers.py --make-environments` first"
    files = [str(f.relative_to(tmp_path / "out")) for f in (tmp_path / "out").rglob("*.json*")]
    command = [
        str(environment.bin / "python"),
        "-m",
        "every_eval_ever",
        "validate",
        "--format",
        "json",
        *files,
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path / "out")
    reports = json.loads(done.stdout)
    assert len(reports) == 2
    assert not [report for report in reports if report["errors"] or report["warnings"]]
    assert done.returncode == 0
    assert {report["line_count"] for report in reports} == {0, sum(row.valid for row in ours(run).values())}


@pytest.mark.parametrize(("format", "source"), [("inspect", "inspect"), ("lm-eval", "lm_eval")])
def test_its_converters_come_to_the_same(
    peers: ModuleType, cli: Cli, run: RunData, tmp_path: Path, format: str, source: str
) -> None:
    assert cli("export", "run", "-f", format, "-o", "out", "--model-id", MODEL).code == 0
    found = python(
        peers.EVERY_EVAL_EVER, "eee_peer.py", "convert", source, tmp_path / "out", tmp_path / "eee"
    )
    told = {log["name"].partition("/")[0]: log for log in found}
    for task, row in ours(run).items():
        assert row.value is not None
        assert row.se_questions is not None
        log = told[task]
        assert log["model"] == MODEL
        assert (log["score"], log["stderr"]) == pytest.approx((row.value / 100, row.se_questions / 100))
        questions = len({r.sample for r in run.rows if r.task == task and r.value is not None})
        assert log["questions"] == questions
        assert log["rows"] == (row.attempts if source == "inspect" else questions)
    columns = {
        result.task: log for log in read_foreign([f"eee:{tmp_path / 'eee'}"]) for result in log.results
    }
    assert set(columns) == set(TASKS), "and what they made is read here"


def test_the_hub_reads_eval_results(peers: ModuleType, cli: Cli, run: RunData, tmp_path: Path) -> None:
    assert cli("export", "run", "-f", "hf", "-o", "repo").code == 0
    files = (tmp_path / "repo" / ".eval_results").iterdir()
    (entry,) = python(peers.EVERY_EVAL_EVER, "eee_peer.py", "hub", *files)
    value = ours(run)["gpqa-diamond"].value
    assert value is not None
    assert (entry["dataset_id"], entry["task_id"]) == ("Idavidrein/gpqa", "diamond")
    assert entry["value"] == pytest.approx(value, abs=0.005)
    assert entry["date"] == "2026-01-01"


def test_a_log_that_inspect_wrote_is_read(peers: ModuleType, cli: Cli, run: RunData, tmp_path: Path) -> None:
    """Inspect writes zstd members; our log, written again by Inspect, is such a one."""
    assert cli("export", "run", "-f", "inspect-json", "-o", "a.json", "--task", "aime24").code == 0
    environment = peers.PEERS[1].environment
    script = (
        "from inspect_ai.log import *; import sys; write_eval_log(read_eval_log(sys.argv[1]), sys.argv[2])"
    )
    command = [str(environment.bin / "python"), "-c", script, "a.json", "b.eval"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    (first,), (second,) = (read_foreign([str(tmp_path / name)]) for name in ("a.json", "b.eval"))
    assert first.results == second.results
    assert first.results[0].value == pytest.approx(ours(run)["aime24"].value)


QUESTIONS = 23


@pytest.mark.parametrize("number", [0, 1], ids=["lm-eval", "inspect-ai"])
def test_what_a_peer_measured_is_read_as_it_printed_it(
    peers: ModuleType, cli: Cli, tmp_path: Path, number: int
) -> None:
    """It asks a server on loopback; its own files become a column with its accuracy, error and count."""
    from workload import Questions

    lines = [
        {"id": i, "prompt": f"Question {i}: A, B, C or D?", "target": "AB"[i % 2]} for i in range(QUESTIONS)
    ]
    path = tmp_path / "questions.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    peer = peers.PEERS[number]
    here = Path(sys.executable).parent  # lm-eval is one of ours too
    folder = peer.bin if peer.ready or number else here
    with serving(lambda body: "I see.\n\nAnswer: B", models=(peers.MODEL,)) as server:
        job = peers.Job(server.base_url, Questions(path, QUESTIONS, 0.0), tmp_path / "peer", 4, None)
        job.out.mkdir()
        argv = peer.command(job)
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "HF_HUB_OFFLINE": "1",
            **peer.variables(job),
        }
        command = [str(folder / argv[0]), *argv[1:]]
        done = subprocess.run(command, env=env, cwd=job.out, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stderr[-2000:]
    printed = peer.accuracy(done.stdout + done.stderr, job.out)
    found = "results" if number == 0 else "logs"
    (log,) = read_foreign([str(job.out / found)])
    assert log.made_by == peer.name
    assert log.model.endswith(peers.MODEL)
    assert log.date
    (result,) = log.results
    right = QUESTIONS // 2
    assert (result.task, result.n, result.lost or 0) == ("", QUESTIONS, 0)
    assert result.value == pytest.approx(100 * right / QUESTIONS)
    assert printed == pytest.approx(right / QUESTIONS, abs=0.0006)
    p = right / QUESTIONS
    assert result.stderr == pytest.approx(100 * (p * (1 - p) / (QUESTIONS - 1)) ** 0.5, rel=1e-6)
    assert result.told["temperature"] == "0.7"
