"""`longcat-eval run` from flags to table, on scripted models and a fake endpoint."""

import json
import resource
import subprocess
from pathlib import Path

import pytest
from cli_fixtures import Cli, serving
from loopback import FakeEndpoint

from longcat_eval.runners.store import read_run

SMOKE = ("run", "--suite", "smoke", "--plain")


def rows(path: Path) -> list[tuple[object, ...]]:
    return [(r.key, r.outcome, r.value, r.extracted) for r in read_run(path).rows]


def test_the_oracle_scores_everything_and_null_nothing(cli: Cli) -> None:
    oracle = cli(*SMOKE, "--model", "scripted/oracle", "-o", "oracle")
    assert oracle.code == 0, oracle.err
    assert "100.00" in oracle.out
    null = cli(*SMOKE, "--model", "scripted/null", "-o", "null")
    assert null.code == 0, null.err
    assert {r.outcome for r in read_run(Path("null")).rows} == {"no_answer"}
    assert "hold no answer" in null.out


def test_the_first_line_says_what_answers(cli: Cli, endpoint: FakeEndpoint) -> None:
    ran = cli(*SMOKE, "--model", "some-model", "--base-url", endpoint.base_url, "--limit", "2", "-o", "r")
    first = ran.out.splitlines()[0]
    assert "some-model" in first
    assert endpoint.base_url in first


def test_every_recommended_setting_is_on_the_wire(cli: Cli, endpoint: FakeEndpoint) -> None:
    ran = cli(
        *SMOKE, "--model", "longcat-flash-lite", "--base-url", endpoint.base_url, "--limit", "3", "-o", "r"
    )
    assert ran.code == 0, ran.err
    for body in endpoint.bodies:
        sampling = {k: body[k] for k in ("temperature", "top_p", "top_k", "repetition_penalty")}
        assert sampling == {"temperature": 0.7, "top_p": 0.95, "top_k": 4, "repetition_penalty": 1.06}
        assert body["max_tokens"] == 1024
    manifest = json.loads(Path("r/manifest.json").read_text())
    assert manifest["first_requests"]["smoke/agent"] in endpoint.bodies
    assert "preset" in manifest["roles"]["agent"]["origins"]["sampling.top_k"]


def test_a_flag_beats_the_environment_beats_a_file_beats_the_preset(
    cli: Cli, endpoint: FakeEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("run.yaml").write_text(
        "model: longcat-flash-lite\nsuite: smoke\nlimit: 5\nseed: 1\nsampling: {top_k: 8, top_p: 0.5}\n"
    )
    monkeypatch.setenv("LONGCAT_EVAL_LIMIT", "4")
    monkeypatch.setenv("LONGCAT_EVAL_SEED", "2")
    ran = cli(
        *("run", "--config", "run.yaml", "--base-url", endpoint.base_url, "-o", "r", "--plain"),
        *("--seed", "3", "--set", "sampling.top_p=0.6"),
    )
    assert ran.code == 0, ran.err
    assert len(endpoint.bodies) == 4
    body = endpoint.bodies[0]
    assert (body["top_k"], body["top_p"], body["temperature"]) == (8, 0.6, 0.7)
    assert read_run(Path("r")).manifest.seed == 3
    shown = cli("config", "show", "--config", "run.yaml", "--seed", "3").out
    assert "file run.yaml" in shown
    assert "env LONGCAT_EVAL_LIMIT" in shown


def test_scores_do_not_depend_on_concurrency(cli: Cli, endpoint: FakeEndpoint) -> None:
    for name, concurrency in (("one", 1), ("many", 64)):
        ran = cli(
            *SMOKE, "--model", "m", "--base-url", endpoint.base_url, "-o", name, "-c", concurrency, "-k", 8
        )
        assert ran.code == 0, ran.err
    assert rows(Path("one")) == rows(Path("many"))
    reports = [cli("report", name, "--format", "csv").out for name in ("one", "many")]
    assert reports[0] == reports[1]
    first = endpoint.bodies[0]["messages"]
    assert len({b["seed"] for b in endpoint.bodies if b["messages"] == first}) == 8


def test_faults_cost_nothing_after_a_resume(cli: Cli, endpoint: FakeEndpoint) -> None:
    faults = {
        "429-after-ms": 0.06, "500": 0.06, "503": 0.04, "drop": 0.05, "cut": 0.04, "cut_json": 0.04,
        "html": 0.04, "html-502": 0.04, "empty": 0.04, "no_choices": 0.04, "hang": 0.02,
    }  # fmt: skip
    args = (*SMOKE, "--model", "m", "-c", 32, "--timeout", 1, "--max-tries", 2)
    clean = cli(*args, "--base-url", endpoint.base_url, "-o", "clean")
    assert clean.code == 0, clean.err
    with serving(faults=faults, seed=5) as faulty:
        broken = cli(*args, "--base-url", faulty.base_url, "-o", "broken")
    assert broken.code in (0, 3)
    whole = cli(*args, "--base-url", endpoint.base_url, "-o", "broken")
    assert whole.code == 0, whole.out + whole.err
    assert rows(Path("broken")) == rows(Path("clean"))
    assert cli("report", "broken", "-f", "csv").out == cli("report", "clean", "-f", "csv").out


def test_an_incomplete_run_says_so_with_bounds_and_how_to_go_on(cli: Cli) -> None:
    with serving(faults={"500": 0.5}, seed=1) as faulty:
        ran = cli(*SMOKE, "--model", "m", "--base-url", faulty.base_url, "-o", "r", "-c", 4, "--max-tries", 1)
    assert ran.code == 3
    assert "incomplete" in ran.out
    assert "to go on: longcat-eval run --suite smoke" in ran.out


def test_one_wrong_key_stops_the_run_early(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from loopback import Raw

    def refuse(body: object) -> Raw:
        return Raw(401, b'{"error": {"message": "bad key sk-secret-value-123456"}}')

    monkeypatch.setenv("MY_KEY", "sk-secret-value-123456")
    with serving(refuse) as server:
        ran = cli(
            *SMOKE,
            "--model",
            "m",
            "--base-url",
            server.base_url,
            "-o",
            "r",
            "-c",
            1,
            "--api-key-env",
            "MY_KEY",
        )
        assert len(server.bodies) == 20
        assert server.requests[-1].headers["authorization"] == "Bearer sk-secret-value-123456"
    assert ran.code == 5
    assert "20 different samples in a row failed alike (http 401)" in ran.err
    everything = ran.out + ran.err + "".join(p.read_bytes().decode("latin-1") for p in Path("r").iterdir())
    assert "sk-secret" not in everything


def test_an_unchanged_command_resumes_and_a_changed_one_is_refused(cli: Cli, endpoint: FakeEndpoint) -> None:
    args = (*SMOKE, "--model", "m", "--base-url", endpoint.base_url, "-o", "r")
    cli(*args)
    asked = len(endpoint.bodies)
    again = cli(*args, "-c", 3)
    assert again.code == 0
    assert len(endpoint.bodies) == asked, "nothing finished is asked again"
    changed = cli(*args, "--set", "sampling.temperature=0.1")
    assert changed.code == 2
    assert "roles.agent.sampling.temperature: (none) -> 0.1" in changed.err
    assert len(endpoint.bodies) == asked


def test_budgets_and_limits(cli: Cli, endpoint: FakeEndpoint) -> None:
    args = (*SMOKE, "--model", "m", "--base-url", endpoint.base_url, "-c", 1)
    ran = cli(*args, "-o", "tokens", "--max-total-tokens", 500)
    assert ran.code == 3
    assert "--max-total-tokens 500 is spent" in ran.out
    assert 0 < len(read_run(Path("tokens")).rows) < 20
    ran = cli(*args, "-o", "cost", "--max-cost", "0.001")
    assert ran.code == 2
    assert "price" in ran.err, "a cost cap without a price would never stop anything"
    ran = cli(
        *args, "-o", "cost", "--max-cost", "0.001", "--set", "price.prompt=1", "--set", "price.completion=5"
    )
    assert ran.code == 3
    ran = cli(*args, "-o", "limit", "--limit", 7)
    assert ran.code == 0, "a limit makes a marked subset, not an incomplete run"
    assert "†" in ran.out


def test_a_dry_run_sends_nothing(cli: Cli, endpoint: FakeEndpoint) -> None:
    ran = cli(*SMOKE, "--model", "m", "--base-url", endpoint.base_url, "-o", "r", "--dry-run", "-k", 4)
    assert ran.code == 0, ran.err
    assert "requests" in ran.out
    assert not endpoint.requests
    assert not Path("r").exists()


def test_shards_merge_into_the_whole(cli: Cli, endpoint: FakeEndpoint) -> None:
    args = (*SMOKE, "--model", "m", "--base-url", endpoint.base_url)
    assert cli(*args, "-o", "whole").code == 0
    for i in (1, 2):
        part = cli(*args, "-o", f"part{i}", "--shard", f"{i}/2")
        assert part.code == 0
        assert f"part {i}/2 is complete" in part.out
    assert cli("merge", "merged", "part1", "part2").code == 0
    asked = len(endpoint.bodies)
    assert cli(*args, "-o", "merged").code == 0, "the whole command finds nothing left to do"
    assert len(endpoint.bodies) == asked
    assert rows(Path("merged")) == rows(Path("whole"))
    assert cli("report", "merged", "-f", "csv").out == cli("report", "whole", "-f", "csv").out
    twice = cli("merge", "again", "part1", "part1")
    assert twice.code == 2
    assert "different shards" in twice.err


def test_the_response_cache_answers_the_same_request_once(cli: Cli, endpoint: FakeEndpoint) -> None:
    args = (*SMOKE, "--model", "m", "--base-url", endpoint.base_url, "--cache", "c.sqlite", "-k", 2)
    assert cli(*args, "-o", "a").code == 0
    asked = len(endpoint.bodies)
    assert cli(*args, "-o", "b").code == 0
    assert len(endpoint.bodies) == asked
    assert rows(Path("a")) == rows(Path("b"))
    assert all(r.cached == 1 for r in read_run(Path("b")).rows)
    assert str(asked) in cli("cache", "stats", "c.sqlite").out


def test_rescoring_needs_no_model_and_changes_nothing_unchanged(cli: Cli, endpoint: FakeEndpoint) -> None:
    cli(*SMOKE, "--model", "m", "--base-url", endpoint.base_url, "-o", "r")
    before = Path("r/samples.jsonl").read_bytes()
    ran = cli("rescore", "r")
    assert ran.code == 0, ran.err
    assert "0 verdicts changed" in ran.out
    assert Path("r/samples.jsonl").read_bytes() == before


def test_transcripts_can_be_read(cli: Cli, endpoint: FakeEndpoint) -> None:
    cli(*SMOKE, "--model", "m", "--base-url", endpoint.base_url, "-o", "r", "--limit", 3)
    row = read_run(Path("r")).rows[0]
    shown = cli("show", "r", row.sample).out
    assert "Draw " in shown
    assert f"extracted {row.extracted!r}" in shown
    assert "seed" in shown
    assert cli("show", "r", "no-such-sample").code == 2


def test_the_completion_limit_fits_the_context_the_server_tells(cli: Cli, endpoint: FakeEndpoint) -> None:
    Path("data/math500").mkdir(parents=True)
    problem = {
        "problem": "1+1?",
        "answer": "2",
        "solution": "2",
        "level": 1,
        "subject": "a",
        "unique_id": "a",
    }
    Path("data/math500/test.jsonl").write_text(json.dumps(problem))
    args = ("run", "-t", "math500", "--data-dir", "data", "--allow-data-drift", "--plain")
    ran = cli(*args, "--base-url", endpoint.base_url, "-m", "longcat-flash-lite", "-o", "r")
    assert ran.code == 0, ran.err
    assert "‡" in ran.out, "drifted data are marked"
    assert 8192 - 300 < endpoint.bodies[0]["max_tokens"] < 8192
    assert read_run(Path("r")).manifest.roles["agent"].context_length == 8192


def test_secrets_of_the_command_line_reach_no_file_and_no_output(cli: Cli, endpoint: FakeEndpoint) -> None:
    url = endpoint.base_url + "?key=query-secret-2"
    ran = cli(
        *(*SMOKE, "--model", "m", "--base-url", url, "-o", "r", "--max-total-tokens", "50", "-c", 1),
        *("--header", "X-Api-Key: header-secret-3", "--header=X-Other: header-secret-4"),
    )
    assert ran.code == 3, ran.err
    assert endpoint.requests[-1].headers["x-api-key"] == "header-secret-3"
    seen = ran.out + ran.err + "".join(p.read_bytes().decode("latin-1") for p in Path("r").iterdir())
    for secret in ("query-secret-2", "header-secret-3", "header-secret-4"):
        assert secret not in seen


def test_a_disk_that_fills_up_is_one_line_and_the_run_goes_on_when_there_is_room(
    cli: Cli, endpoint: FakeEndpoint, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()

    def mount(size: str, *more: str) -> bool:
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}{''.join(more)}", "tmpfs", str(disk)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    if not mount("48k"):
        pytest.skip("mounting a small disk needs root")
    try:
        args = (*SMOKE, "--model", "m", "--base-url", endpoint.base_url, "-k", 4, "-o", disk / "r")
        full = cli(*args)
        assert full.code == 5
        assert "No space left on device; finished attempts are kept" in full.err
        kept = len(read_run(disk / "r").rows)
        assert 0 < kept < 160
        before = len(endpoint.bodies)
        mount("8m", ",remount")
        assert cli(*args).code == 0
        assert len(endpoint.bodies) - before == 160 - kept
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.data
def test_tasks_may_join_a_run(cli: Cli, endpoint: FakeEndpoint, data_dir: Path) -> None:
    args = ("--model", "m", "--base-url", endpoint.base_url, "-o", "r", "--plain", "--data-dir", data_dir)
    assert cli("run", "-t", "smoke", *args).code == 0
    assert cli("run", "-t", "math500", "--limit", 5, *args).code == 0
    run = read_run(Path("r"))
    assert set(run.manifest.tasks) == {"smoke", "math500"}
    assert len(run.rows) == 45
    assert cli("run", "-t", "smoke", *args).code == 0
    assert len(endpoint.bodies) == 45
    assert set(read_run(Path("r")).manifest.tasks) == {"smoke", "math500"}


def test_more_connections_than_the_soft_limit_of_open_files(cli: Cli, endpoint: FakeEndpoint) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    endpoint.latency = 0.3
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))
    try:
        ran = cli(*SMOKE, "--model", "m", "--base-url", endpoint.base_url, "-k", 8, "-c", 300, "-o", "r")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert ran.code == 0, ran.err
    assert endpoint.most_in_flight > 128


def test_what_a_model_writes_is_text_and_never_markup(cli: Cli) -> None:
    hostile = "[/bold] [red]x[/red] \\boxed{[/dim]7} \x1b[2J [link=http://x]\nAnswer: B"
    Path("hostile.jsonl").write_text(json.dumps({"content": hostile}))
    assert cli(*SMOKE, "--model", "scripted/hostile.jsonl", "-o", "r").code == 0
    shown = cli("show", "r", "--limit", 40)
    assert shown.code == 0, shown.err
    assert shown.out.count("[red]x[/red] \\boxed{[/dim]7}") == 40
    assert "\x1b[2J" not in shown.out, "no control sequence of the model's reaches the terminal"
