"""Whole runs of VitaBench: scripted roles, a judge that fails, kill -9, keys, bad input."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from cli_fixtures import Cli, serving
from loopback import FakeEndpoint
from vita_play import STAND_IN

from longcat_eval.records import Wire
from longcat_eval.runners.store import read_run, read_transcript

TASK = ("run", "--task", "vitabench-delivery", "--plain")
HERE = ("--vita-src", STAND_IN, "--allow-data-drift")
GARBAGE = "It went well."
SERVED = ("agent-m", "user-m", "judge-m")


class Players:
    """All three roles on one server, without memory; the judge says what it is told to."""

    def __init__(self, judge: str) -> None:
        self.judge = judge
        self.asked: Counter[str] = Counter()

    def __call__(self, body: Wire) -> str | Wire:
        self.asked[body["model"]] += 1
        messages = body["messages"]
        if body["model"] == "judge-m":
            return self.judge
        if body["model"] == "user-m":
            return "hello"
        return "Bye. ###STOP###" if messages[-1]["role"] == "tool" else self.look()

    def look(self) -> Wire:
        function = {"name": "stores", "arguments": "{}"}
        return {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c", "type": "function", "function": function}],
        }


def verdict(met: bool) -> str:
    return json.dumps([{"rubric_idx": f"rubric_{i}", "meetExpectation": met} for i in range(2)])


def roles(server: FakeEndpoint) -> list[str]:
    """The flags that put the three roles on a server."""
    flags = ["--model", "agent-m", "--base-url", server.base_url]
    for role in ("user", "judge"):
        flags += [f"--{role}-model", f"{role}-m", f"--{role}-base-url", server.base_url]
    return flags


def scripted_judge(folder: Path, content: str) -> str:
    """A judge that always says this."""
    file = folder / f"judge-{len(content)}.jsonl"
    file.write_text(json.dumps({"role": "judge", "content": content}) + "\n")
    return f"scripted/{file}"


def outcomes(path: Path) -> Counter[tuple[str, str]]:
    return Counter((row.outcome.value, row.reason) for row in read_run(path).rows)


# --- scripted


def test_the_oracle_passes_and_who_does_nothing_fails(cli: Cli) -> None:
    ran = cli(*TASK, *HERE, "--model", "scripted/oracle", "--limit", 4, "-o", "oracle")
    assert ran.code == 0, ran.err
    for words in (
        "100.00",
        "(16/16)",
        "vitabench-2025-11-chinese",
        "rubrics 100.00",
        "judge scripted/oracle",
    ):
        assert words in ran.out
    ran = cli(*TASK, *HERE, "--model", "scripted/null", "--limit", 4, "-o", "null")
    assert ran.code == 0, ran.err
    assert "0.00" in ran.out
    assert "(0/16)" in ran.out


def test_every_task_of_the_table_loads_and_runs(cli: Cli) -> None:
    names = [
        f"vitabench{domain}{end}" for domain in ("", "-delivery", "-instore", "-ota") for end in ("", "-en")
    ]
    flags = [flag for name in names for flag in ("--task", name)]
    ran = cli("run", *flags, *HERE, "--model", "scripted/oracle", "-k", 1, "--limit", 2, "--plain", "-o", "r")
    assert ran.code == 0, ran.err
    manifest = read_run(Path("r")).manifest
    assert [manifest.tasks[name].protocol.name for name in names] == [
        f"vitabench-2025-11-{language}" for _ in range(4) for language in ("chinese", "english")
    ]
    assert len({manifest.tasks[name].protocol.prompt_hash for name in names}) == 8
    for name in names:
        assert f"the {manifest.tasks[name].protocol.name.rpartition('-')[2]} tasks" in str(
            manifest.tasks[name].protocol.notes
        )


@pytest.mark.parametrize(("met", "score"), [(True, "100.00"), (False, "0.00")])
def test_a_judge_that_says_all_or_none(cli: Cli, tmp_path: Path, met: bool, score: str) -> None:
    judge = scripted_judge(tmp_path, verdict(met))
    ran = cli(
        *TASK, *HERE, "--model", "scripted/oracle", "--judge-model", judge, "-k", 1, "--limit", 3, "-o", "r"
    )
    assert ran.code == 0, ran.err
    assert f"{score}" in ran.out


# --- a judge that fails


def test_a_garbage_judge_is_a_judge_error_and_no_dialogue_is_held_again(cli: Cli, tmp_path: Path) -> None:
    players, path = Players(GARBAGE), tmp_path / "r"
    with serving(reply=players, models=SERVED) as server:
        arguments = (*TASK, *HERE, *roles(server), "-k", 2, "--limit", 3, "-o", path)
        ran = cli(*arguments)
        assert ran.code == 3, ran.err
        assert outcomes(path) == {("judge_error", "null_verdict"): 6}
        assert players.asked["agent-m"] == 12, "each dialogue was held once"
        assert players.asked["judge-m"] == 6 * 3
        players.judge = verdict(True)
        ran = cli(*arguments)
        assert ran.code == 0, ran.err
        assert outcomes(path) == {("answered", "agent_stop"): 6}
        assert (players.asked["agent-m"], players.asked["user-m"]) == (12, 6)
    assert "(6/6)" in ran.out


def test_verdicts_can_be_read_again_without_a_model(cli: Cli, tmp_path: Path) -> None:
    judge = scripted_judge(tmp_path, verdict(True))
    ran = cli(
        *TASK, *HERE, "--model", "scripted/oracle", "--judge-model", judge, "-k", 1, "--limit", 3, "-o", "r"
    )
    assert ran.code == 0, ran.err
    ran = cli("rescore", "r", "--vita-src", STAND_IN)
    assert ran.code == 0, ran.err
    assert "3 attempts judged again, 0 verdicts changed" in ran.out


def test_kill_nine_loses_nothing_that_was_finished(cli: Cli, tmp_path: Path) -> None:
    players, path = Players(verdict(True)), tmp_path / "r"
    with serving(reply=players, models=SERVED, latency=0.03) as server:
        arguments = [*TASK, *HERE, *roles(server), "-k", 2, "-o", path, "-c", 4]
        command = [sys.executable, "-m", "longcat_eval", *map(str, arguments)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=os.environ)
        rows, deadline = path / "samples.jsonl", time.monotonic() + 30
        while time.monotonic() < deadline and process.poll() is None:
            if rows.exists() and rows.read_bytes().count(b"\n") >= 60:
                break
            time.sleep(0.01)
        process.kill()
        process.communicate()
        before = {(row.sample, row.repeat): row for row in read_run(path).rows}
        done = [key for key, row in before.items() if row.outcome.valid]
        assert 10 < len(done) < 100
        asked = players.asked.copy()
        ran = cli(*arguments)
        assert ran.code == 0, ran.err
    after = {(row.sample, row.repeat): row for row in read_run(path).rows}
    assert len(after) == 100
    assert all(after[key] == before[key] for key in done), "what was finished stays"
    whole = [key for key, row in before.items() if not row.outcome.valid]
    again = players.asked - asked
    assert again["agent-m"] == 2 * (100 - len(before)), "nor is a dialogue held again that was whole"
    assert again["judge-m"] == 100 - len(before) + len(whole)
    assert "(100/100)" in ran.out


# --- keys


def test_keys_are_sent_in_headers_and_stand_in_no_body_and_no_file(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The official client puts its whole configuration, the Authorization header too, into every body."""
    keys = {role: f"sk-of-the-{role}" for role in ("agent", "user", "judge")}
    for role, key in keys.items():
        monkeypatch.setenv(f"{role.upper()}_KEY", key)
    with serving(reply=Players(verdict(True)), models=SERVED) as server:
        flags = [
            "--api-key-env",
            "AGENT_KEY",
            "--user-api-key-env",
            "USER_KEY",
            "--judge-api-key-env",
            "JUDGE_KEY",
        ]
        ran = cli(*TASK, *HERE, *roles(server), *flags, "-k", 1, "--limit", 2, "-o", tmp_path / "r")
        assert ran.code == 0, ran.err
        posts = [request for request in server.requests if request.method == "POST"]
    assert len(posts) == 2 * (1 + 2 + 1)
    for request in posts:
        role = request.body["model"].removesuffix("-m")
        assert request.headers["authorization"] == f"Bearer {keys[role]}"
        assert b"sk-of-the" not in request.raw
        assert b"authorization" not in request.raw.lower()
    run = read_run(tmp_path / "r")
    kept = [read_transcript(run.path, row) for row in run.rows]
    assert "sk-of-the" not in repr(kept) + (tmp_path / "r" / "manifest.json").read_text()


# --- bad input


def test_without_a_checkout_the_remedy_is_told(cli: Cli) -> None:
    ran = cli(*TASK, "--model", "scripted/oracle")
    assert ran.code == 5
    for words in ("git clone https://github.com/meituan-longcat/vitabench", "--vita-src"):
        assert words in ran.err


def test_a_folder_that_is_no_checkout_is_named(cli: Cli, tmp_path: Path) -> None:
    ran = cli(*TASK, "--model", "scripted/oracle", "--vita-src", tmp_path)
    assert ran.code == 5
    assert f"{tmp_path} is no checkout of vitabench" in ran.err


def test_an_unknown_version_needs_a_word(cli: Cli) -> None:
    ran = cli(*TASK, "--model", "scripted/oracle", "--vita-src", STAND_IN)
    assert ran.code == 5
    for words in (
        "is not the known version: data/vita/domains/delivery/tasks.json",
        "more",
        "--allow-data-drift",
    ):
        assert words in ran.err
    assert "\n" not in ran.err.strip()


def test_a_judge_is_asked_for(cli: Cli) -> None:
    ran = cli(*TASK, *HERE, "--model", "m", "--base-url", "http://127.0.0.1:9/v1", "--user-model", "u")
    assert ran.code == 5
    assert "needs a judge model; give --judge-model (its authors use claude-3.7-sonnet)" in ran.err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, "two tasks have the same id"),
        ({"instructions": ""}, "has no time, instructions or rubrics"),
        ({"evaluation_criteria": {}}, "has no time, instructions or rubrics"),
        ({"environment": {}}, "a task has no 'time'"),
        ({"message_history": [{"role": "user"}]}, "begins in the midst of a dialogue"),
    ],
)
def test_a_task_that_cannot_be_run_is_named(cli: Cli, tmp_path: Path, change: Any, message: str) -> None:
    root = shutil.copytree(STAND_IN, tmp_path / "mine")
    file = root / "data" / "vita" / "domains" / "delivery" / "tasks.json"
    first = json.loads(file.read_text())[0]
    file.write_text(json.dumps([first, first | change]))
    ran = cli(*TASK, "--vita-src", root, "--allow-data-drift", "--model", "scripted/oracle")
    assert ran.code == 5
    assert message in ran.err


@pytest.mark.parametrize(
    ("content", "message"), [(None, "lacks delivery in chinese"), ("{}", "no list of tasks")]
)
def test_absent_or_damaged_tasks_are_named(cli: Cli, tmp_path: Path, content: Any, message: str) -> None:
    root = shutil.copytree(STAND_IN, tmp_path / "mine")
    file = root / "data" / "vita" / "domains" / "delivery" / "tasks.json"
    file.write_text(content) if content else file.unlink()
    ran = cli(*TASK, "--vita-src", root, "--allow-data-drift", "--model", "scripted/oracle")
    assert ran.code == 5
    assert message in ran.err


@pytest.mark.parametrize("name", ["sliding_window_eval_template.yaml", "user_system_prompt.yaml"])
def test_absent_prompts_are_named(cli: Cli, tmp_path: Path, name: str) -> None:
    root = shutil.copytree(STAND_IN, tmp_path / "mine")
    (root / "src" / "vita" / "prompts" / name).write_text("french: x")
    ran = cli(*TASK, "--vita-src", root, "--allow-data-drift", "--model", "scripted/oracle")
    assert ran.code == 5
    assert f"{name} has no chinese text" in ran.err


def test_texts_that_are_elsewhere_are_an_unsupported_version(cli: Cli, tmp_path: Path) -> None:
    root = shutil.copytree(STAND_IN, tmp_path / "mine")
    (root / "src" / "vita" / "evaluator" / "evaluator_traj.py").write_text("x = 1")
    ran = cli(*TASK, "--vita-src", root, "--allow-data-drift", "--model", "scripted/oracle")
    assert ran.code == 5
    assert "this version is not supported" in ran.err


# --- beside runs


def test_doctor_tells_of_the_checkout(cli: Cli) -> None:
    ran = cli("doctor", "--task", "vitabench-delivery", *HERE, "--model", "scripted/oracle")
    assert ran.code == 0, ran.out
    for words in ("extra [vita]: installed", "vitabench checkout: checkout vita_stand_in", "50 items"):
        assert words in ran.out
    ran = cli("doctor", "--task", "vitabench", "--model", "scripted/oracle")
    assert ran.code == 5
    assert "fail  vitabench checkout" in ran.out


def test_an_estimate_has_all_three_roles(cli: Cli) -> None:
    ran = cli(*TASK, *HERE, "--model", "scripted/oracle", "--dry-run")
    assert ran.code == 0, ran.err
    lines = [
        line.split() for line in ran.out.splitlines() if "vitabench" in line or line.startswith("      ")
    ]
    requests = {word: line for line in lines for word in line if word in ("agent", "user", "judge")}
    assert {"agent", "user", "judge"} <= requests.keys()
    assert "6,000" in ran.out, "50 dialogues, 4 trials, 30 requests of the agent"


def test_fetch_checks_the_checkout(cli: Cli) -> None:
    ran = cli("fetch", "vitabench-delivery", "--vita-src", STAND_IN)
    assert ran.code == 5
    assert "is not the known version" in ran.out


def test_a_member_of_a_suite_without_checkout_is_named(cli: Cli) -> None:
    ran = cli("run", "--suite", "agentic", "--model", "scripted/oracle", "--dry-run", "--plain")
    assert "not run: vitabench: " in ran.out
    assert "--vita-src" in ran.out


# --- real data


@pytest.mark.data
def test_the_hundred_real_delivery_tasks_load(data_dir: Path) -> None:
    from longcat_eval.protocols import DataOptions
    from longcat_eval.tasks.vita.rubrics import rubrics_of
    from longcat_eval.tasks.vita.source import find_source, read_tasks
    from longcat_eval.tasks.vita.task import vitabench_delivery

    options = DataOptions(data_dir, sources={"vita": STAND_IN}, allow_drift=True)
    task = vitabench_delivery()
    data = task.load(options)
    assert len(data.samples) == len({sample.id for sample in data.samples}) == 100
    found = read_tasks(find_source(options), "delivery", "chinese", options)
    assert not found.drift.startswith("data/"), "the tasks are the known ones; the stand-in's code is not"
    assert found.place.startswith("delivery_tasks.json and checkout")
    assert sum(len(rubrics_of(sample.fields)) for sample in data.samples) == 735
    for sample in data.samples:
        assert task.domain.user_prompt(sample.fields).startswith("你是{'")
        scripts = task.reference(sample, 0)
        assert len(scripts["agent"]) > 1
        assert len(scripts["judge"]) >= 1
