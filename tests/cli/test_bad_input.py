"""Bad input is one clear line and the right exit code, before the first request."""

from pathlib import Path

import pytest
from cli_fixtures import Cli
from loopback import FakeEndpoint
from made_up_sets import aime_rows, to_jsonl

SMOKE = ["run", "--suite", "smoke"]
NULL = [*SMOKE, "--model", "scripted/null"]

CASES = [
    (["run"], 2, "say what to run"),
    (["run", "--suite", "smoke", "--task", "smoke"], 2, "say what to run"),
    (["run", "--task", "mmlu-por"], 2, "did you mean 'mmlu-pro'?"),
    (["run", "--suite", "genral"], 2, "did you mean 'general'?"),
    ([*SMOKE, "--model", "longcat-flash-light"], 2, "did you mean 'longcat-flash-lite'?"),
    ([*SMOKE, "--model", "longcat-flash-lite"], 2, "--base-url"),
    ([*SMOKE, "--model", "m", "--base-url", "host:8000/v1"], 2, "http"),
    ([*SMOKE, "--model", "m", "--base-url", "http://127.0.0.1:9/v1"], 5, "127.0.0.1:9"),
    ([*NULL, "--max-cost", "5"], 2, "price"),
    ([*NULL, "--set", "limits.max_steps=5"], 2, "no task of this run has it"),
    ([*SMOKE, "--model", "scripted/nobody"], 2, "no scripted model 'nobody'"),
    ([*SMOKE, "--model", "scripted/no.jsonl"], 2, "no.jsonl"),
    ([*SMOKE, "--model", "local:/x"], 5, "/x does not exist"),
    ([*SMOKE, "--model", "gpt-4.1"], 5, "OPENAI_API_KEY"),
    (["run", "--task", "math500", "--model", "scripted/null", "--data-dir", "nowhere"], 5, "nowhere"),
    ([*NULL, "--shard", "3/2"], 2, "3/2"),
    ([*NULL, "--limit", "0"], 2, "at least 1"),
    ([*NULL, "--sample-id", "x"], 2, "no sample 'x'"),
    ([*NULL, "--concurrency", "lots"], 2, "lots"),
    ([*NULL, "--max-time", "soon"], 2, "soon"),
    ([*NULL, "--set", "samplng.top_k=4"], 2, "sampling"),
    ([*NULL, "--set", "sampling"], 2, "path=value"),
    ([*NULL, "--compare", "kimmi"], 2, "did you mean 'kimi'?"),
    ([*NULL, "--tool-parser", "xml"], 2, "tool_parser"),
    ([*SMOKE, "--model", "m", "--base-url", "http://x/v1", "--api-key-env", "NOPE"], 5, "NOPE"),
    (["run", "--config", "missing.yaml"], 2, "missing.yaml"),
    (["report", "nowhere"], 2, "not a run directory"),
    (["report"], 2, "no run under runs"),
    (["report", "--compare", "kimi", "-f", "pdf"], 2, "pdf"),
    (["tasks", "show", "mmul"], 2, "did you mean 'mmlu'?"),
    (["models", "show", "kimi"], 2, "kimi-linear"),
    (["merge", "out", "nowhere"], 2, "nowhere"),
    (["rescore", "nowhere"], 2, "nowhere"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "code", "said"), CASES, ids=lambda v: " ".join(v) if isinstance(v, list) else ""
)
def test_one_line_and_the_right_exit_code(cli: Cli, arguments: list[str], code: int, said: str) -> None:
    ran = cli(*arguments)
    lines = ran.err.strip().splitlines()
    assert ran.code == code, ran
    assert said in ran.err
    assert lines[-1].startswith("longcat-eval: ") or code == 2
    assert "Traceback" not in ran.err
    assert len(lines) == 1, ran.err
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("suit: smoke\n", "did you mean 'suite'?"),
        ("suite: smoke\napi_key: sk-123456789\n", "keys never go into files"),
        ("suite: smoke\nlimit: many\n", "limit"),
        ("- suite\n", "name: value"),
        ("suite: [\n", "not YAML"),
    ],
)
def test_a_bad_file_of_settings(cli: Cli, content: str, said: str) -> None:
    Path("run.yaml").write_text(content)
    ran = cli("run", "--config", "run.yaml")
    assert ran.code == 2
    assert said in ran.err
    assert "sk-123456789" not in ran.err


def test_a_suite_names_what_cannot_run_here_and_runs_the_rest(cli: Cli) -> None:
    Path("data").mkdir()
    ran = cli("run", "--suite", "card", "--model", "scripted/null", "--data-dir", "data", "--plain")
    assert ran.code == 5
    for name in ("tau2-airline", "swe-bench-verified", "terminal-bench", "prdbench"):
        assert f"not run: {name}" in ran.out
    assert "not run: mmlu:" in ran.out
    assert "give --data-dir" in ran.out


def test_members_of_a_suite_that_cannot_run_here_need_no_models_of_their_roles(cli: Cli) -> None:
    Path("data/aime24").mkdir(parents=True)
    Path("data/aime24/aime_2024.jsonl").write_bytes(to_jsonl(aime_rows("Problem", "Answer", {}, "zeros")))
    words = ("--model", "longcat-flash-lite", "--base-url", "http://127.0.0.1:9/v1", "--dry-run")
    ran = cli("run", "--suite", "card", *words, "--data-dir", "data", "--allow-data-drift")
    assert ran.code == 0, ran.err
    assert "not run: tau2-airline" in ran.out
    assert "not run: prdbench" in ran.out
    assert "aime24" in ran.out
    alone = cli("run", "--task", "prdbench", *words)
    assert alone.code == 5
    assert "prdbench needs a judge model; give --judge-model" in alone.err


def test_a_model_that_is_not_served_is_refused_before_the_first_request(
    cli: Cli, endpoint: FakeEndpoint
) -> None:
    ran = cli(*SMOKE, "--model", "some-modle", "--base-url", endpoint.base_url, "-o", "r")
    assert ran.code == 5
    assert "did you mean 'some-model'?" in ran.err
    assert "--served-model-name" in ran.err
    assert not endpoint.bodies
