"""The peers, asked the same questions by their own runners, come to the same score (`make oracles`)."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from cli_fixtures import serving

from longcat_eval.reports.rows import result_rows
from longcat_eval.runners.store import read_run

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
QUESTIONS = 300


def reply_by_question(body: dict[str, object]) -> str:
    """A letter that depends on the question alone, so that every tool is told the same."""
    messages = body["messages"]
    assert isinstance(messages, list)
    said = messages[-1]["content"]
    text = said if isinstance(said, str) else said[0]["text"]
    return f"Let us see.\n\nAnswer: {'ABCD'[hashlib.sha256(text.encode()).digest()[0] % 4]}"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> tuple[ModuleType, ModuleType]:
    """The benchmarks' own modules: how the peers are started, and the common questions."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import peers
    import workload

    return peers, workload


@pytest.mark.oracle
@pytest.mark.parametrize("number", [0, 1], ids=["lm-eval", "inspect-ai"])
def test_a_peer_comes_to_the_same_accuracy(
    bench: tuple[ModuleType, ModuleType], tmp_path: Path, number: int
) -> None:
    peers, workload = bench
    peer = peers.PEERS[number]
    assert peer.ready, "run `python benchmarks/peers.py --make-environments` first"
    data = workload.find_data(tmp_path)
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    questions = workload.write_questions(data, QUESTIONS, tmp_path, env)
    with serving(reply_by_question, models=(peers.MODEL,)) as server:
        ours = [
            *(sys.executable, "-m", "longcat_eval", "run", "--task", "mmlu", "--limit", str(QUESTIONS)),
            *("--data-dir", str(data.folder), *data.flags, "--model", peers.MODEL, "--plain"),
            *("--base-url", server.base_url, "-o", str(tmp_path / "ours")),
        ]
        subprocess.run(ours, env=env, check=True, capture_output=True)
        job = peers.Job(server.base_url, questions, tmp_path / "peer", 32, None)
        job.out.mkdir()
        argv = peer.command(job)
        done = subprocess.run(
            [str(peer.bin / argv[0]), *argv[1:]],
            env={**env, **peer.variables(job)},
            cwd=job.out,
            capture_output=True,
            text=True,
            check=True,
        )
    (row,) = result_rows(read_run(tmp_path / "ours"))
    assert row.value is not None
    assert 10 < row.value < 40
    theirs = peer.accuracy(done.stdout + done.stderr, job.out)
    assert theirs == pytest.approx(row.value / 100, abs=0.0006), "inspect-ai prints three decimals"
