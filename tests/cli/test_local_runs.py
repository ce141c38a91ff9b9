"""Local models from the command line: a run, its record, doctor, and the server as a process."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cli_fixtures import Cli

SMALL = ("--set", "sampling.max_tokens=12", "--set", "local.threads=1", "--set", "local.gpus=none", "--plain")
SMOKE = ("run", "--task", "smoke", "--model", "local:tiny")


def test_a_run_ends_in_a_table_that_says_what_it_is_worth(cli: Cli, tmp_path: Path) -> None:
    ran = cli(*SMOKE, "--limit", 6, "-o", tmp_path / "r", *SMALL)
    assert ran.code == 0, ran.err
    assert "computed in this process" in ran.out.splitlines()[0]
    shown = " ".join(ran.out.split())
    assert "random weights (seed 0): every score of them is chance" in shown
    assert "weights random (seed 0), every score is chance, dtype float32" in shown
    role = json.loads((tmp_path / "r" / "manifest.json").read_text())["roles"]["agent"]
    assert role["kind"] == "local"
    assert (role["computed"]["dtype"], role["computed"]["quantisation"]) == ("float32", "none")
    assert "layers 0-1 on cpu" in role["placement"]
    assert role["sampling"] == {"temperature": 0.7, "top_p": 0.95, "top_k": 4, "repetition_penalty": 1.06}
    other = cli(*SMOKE, "--limit", 6, "-o", tmp_path / "r", *SMALL, "--set", "local.seed=9")
    assert other.code == 2
    assert "roles.agent.computed.weights" in other.err
    same = cli(*SMOKE, "--limit", 6, "-o", tmp_path / "r", *SMALL, "--set", "local.batch=2")
    assert same.code == 0


def test_a_run_repeats_whatever_runs_beside(cli: Cli, tmp_path: Path) -> None:
    said = []
    for streams in (1, 6):
        cli(*SMOKE, "--limit", 6, "-o", tmp_path / str(streams), "-c", streams, *SMALL)
        rows = (tmp_path / str(streams) / "samples.jsonl").read_text().splitlines()
        kept = [json.loads(row) for row in rows]
        said.append({row["sample"]: (row["outcome"], row["completion_tokens"]) for row in kept})
    assert said[0] == said[1]


def test_doctor_probes_a_local_model(cli: Cli) -> None:
    ran = cli("doctor", "--task", "smoke", "--model", "local:tiny", "--set", "local.threads=1")
    lines = [line.strip() for line in ran.out.splitlines()]
    assert any(line.startswith("ok    extra [local]") for line in lines)
    assert any(line.startswith("ok    model: longcat-tiny is served") for line in lines)
    for probe in ("placement", "seed", "top_k", "repetition_penalty", "tools"):
        assert any(line.startswith(f"ok    {probe}:") for line in lines), (probe, ran.out)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--model", "tiny"], 2, "--model local:tiny"),
        (["--model", "local:/none"], 5, "/none does not exist"),
        (["--model", "local:tiny", "--quant", "int4"], 2, "one of none, int8"),
        (["--model", "local:tiny", "--host", "0.0.0.0"], 2, "--api-key-env"),
        (["--model", "local:tiny", "--api-key-env", "NO_SUCH_KEY"], 5, "NO_SUCH_KEY"),
    ],
)
def test_serve_refuses(cli: Cli, arguments: list[str], code: int, said: str) -> None:
    ran = cli("serve", *arguments)
    assert ran.code == code
    assert said in ran.err
    assert len(ran.err.splitlines()) == 1


def test_serve_serves_until_a_signal(tmp_path: Path) -> None:
    import openai

    command = [sys.executable, "-m", "longcat_eval", "serve", "--model", "local:tiny", "--port", "0"]
    command += ["--gpus", "none", "--threads", "1", "--api-key-env", "MY_KEY", "--served-model-name", "mine"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"MY_KEY": "k"}, cwd=tmp_path
    )
    assert process.stdout is not None
    try:
        name, _, address = process.stdout.readline().split()
        with openai.OpenAI(base_url=address, api_key="k", max_retries=0) as api:
            done = api.chat.completions.create(
                model=name, messages=[{"role": "user", "content": "x"}], max_tokens=4, seed=1
            )
        assert (name, done.model) == ("mine", "mine")
        assert done.usage is not None
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
