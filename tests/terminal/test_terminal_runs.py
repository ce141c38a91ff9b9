"""Whole runs of terminal tasks of our own: command line, containers, agents with and without a model."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import toy_terminal as toy
from cli_fixtures import Cli
from docker_fixtures import connect

from longcat_eval.records import Transcript
from longcat_eval.runners.store import read_run, read_transcript

pytestmark = pytest.mark.docker
TASK = ("run", "--task", "terminal-bench", "--plain")
ORACLE, NULL = ("--model", "scripted/oracle"), ("--model", "scripted/null")


def rows(path: Path) -> dict[str, dict[str, Any]]:
    lines = (path / "samples.jsonl").read_text(encoding="utf-8").splitlines()
    return {row["sample"]: row for row in map(json.loads, lines)}


def transcript(path: Path, sample: str) -> Transcript:
    row = next(row for row in read_run(path).rows if row.sample == sample)
    return read_transcript(path, row)


def ends(path: Path) -> dict[str, tuple[str, str, float]]:
    return {name: (r["outcome"], r.get("reason", ""), r["value"]) for name, r in rows(path).items()}


def test_every_format_passes_by_its_solution_and_not_by_nothing(
    cli: Cli, tmp_path: Path, terminal_image: str
) -> None:
    tasks = tmp_path / "tasks"
    toy.terminal_bench(tasks / "script", terminal_image)
    typed = "- command: echo 42 >answer.txt\n  block: true\n"
    toy.terminal_bench(tasks / "typed", terminal_image, solution_yaml=typed)
    shell = "run_tests_in_same_shell: true\n"
    toy.terminal_bench(tasks / "same-shell", terminal_image, settings=shell)
    toy.harbor(tasks / "reward", terminal_image)
    toy.harbor_steps(tasks / "steps", terminal_image)
    ran = cli(*TASK, *ORACLE, "--dataset", tasks, "-o", "r")
    assert ran.code == 0, ran.err + ran.out
    assert "100.00‡ (5/5)" in ran.out
    assert "the oracle has not been tried here" in ran.out
    assert set(ends(tmp_path / "r").values()) == {("answered", "resolved", 1.0)}
    ran = cli(*TASK, *NULL, "--dataset", tasks, "-o", "n")
    assert ran.code == 0, ran.err
    assert set(ends(tmp_path / "n").values()) == {("answered", "unresolved", 0.0)}
    ran = cli("rescore", "r", "--dataset", tasks)
    assert "5 attempts judged again, 0 verdicts changed" in ran.out, ran.err


def test_the_agents_end_is_the_clocks_and_nothing_of_it_goes_on(
    cli: Cli, tmp_path: Path, terminal_image: str
) -> None:
    """Its foreground is dead when the tests look, its background lives, and the verdict is still made."""
    look = 'grep -la "[m]ark-%s" /proc/[0-9]*/cmdline 2>/dev/null | wc -l'
    tests = toy.CHECK + f"echo fore $({look % 'fore'}); echo back $({look % 'back'})\n"
    tests += "echo typed $(ls /app/typed-on 2>/dev/null | wc -l)\n"
    typed = ("echo 42 >answer.txt", "bash -c 'exec -a mark-back sleep 600' &")
    last = "bash -c 'exec -a mark-fore sleep 600'; touch typed-on"
    keys = "".join(f"- command: {json.dumps(line)}\n  block: true\n" for line in (*typed, last))
    toy.terminal_bench(
        tmp_path / "tasks" / "slow",
        terminal_image,
        solution_yaml=keys,
        tests=tests,
        settings="max_agent_timeout_sec: 2\n",
    )
    ran = cli(*TASK, *ORACLE, "--dataset", tmp_path / "tasks", "-o", "r")
    assert ran.code == 0, ran.err
    row = rows(tmp_path / "r")["slow"]
    assert (row["outcome"], row["reason"], row["value"]) == ("agent_budget", "resolved", 1.0)
    found = transcript(tmp_path / "r", "slow").artifacts
    assert 2.0 <= found["agents"][0]["seconds"] < 8.0
    assert found["agents"][0]["end"] == "wall_clock"
    (tested,) = found["tested"]
    assert "fore 0" in tested["log"], tested["log"]
    assert "back 1" in tested["log"], tested["log"]
    assert "typed 0" in tested["log"], tested["log"]


@pytest.mark.parametrize(
    ("tests", "reason", "value"),
    [
        ("true", "reward_missing", 0.0),
        (": >/logs/verifier/reward.txt", "reward_empty", 0.0),
        ("echo nan >/logs/verifier/reward.txt", "reward_unreadable", 0.0),
        ("echo 1 >/logs/verifier/reward.txt", "resolved", 1.0),
        ("echo 0.5 >/logs/verifier/reward.json", "unresolved", 0.5),
        ("""echo '{"a": 1, "b": 1}' >/logs/verifier/reward.json""", "resolved", 1.0),
        ("echo 1 >/logs/verifier/reward.txt; echo '{}' >/logs/verifier/reward.json", "reward_empty", 0.0),
        ("mkdir /logs/verifier/reward.txt", "reward_unreadable", 0.0),
        ("sleep 60", "tests_timed_out", 0.0),
        (
            "echo 0 >/logs/verifier/reward.txt; (while :; do echo 1 >/logs/verifier/late; sleep 0.01; "
            "[ -e /logs/verifier/.done ] && echo 1 >/logs/verifier/reward.txt; done) & "
            "(sleep 0.3; touch /logs/verifier/.done) &",
            "unresolved",
            0.0,
        ),
    ],
)
def test_rewards_at_the_edges(
    cli: Cli, tmp_path: Path, terminal_image: str, tests: str, reason: str, value: float
) -> None:
    config = "[verifier]\ntimeout_sec = 3\n"
    toy.harbor(tmp_path / "tasks" / "edge", terminal_image, config=config, tests=f"#!/bin/bash\n{tests}\n")
    ran = cli(*TASK, *NULL, "--dataset", tmp_path / "tasks", "-o", "r")
    assert ran.code == 0, ran.err
    assert ends(tmp_path / "r")["edge"] == ("answered", reason, value)


def test_a_step_below_its_least_reward_ends_the_task(cli: Cli, tmp_path: Path, terminal_image: str) -> None:
    for strategy in ("mean", "final"):
        toy.harbor_steps(
            tmp_path / "tasks" / strategy, terminal_image, strategy=strategy, least="min_reward = 1.0"
        )
    ran = cli(*TASK, *NULL, "--dataset", tmp_path / "tasks", "-o", "r")
    assert ran.code == 0, ran.err
    for strategy in ("mean", "final"):
        assert len(transcript(tmp_path / "r", strategy).artifacts["tested"]) == 1


def test_tests_of_their_own_machine_see_what_was_declared_and_nothing_else(
    cli: Cli, tmp_path: Path, terminal_image: str
) -> None:
    config = """\
        artifacts = ["/app/answer.txt"]
        [verifier]
        environment_mode = "separate"
        """
    tests = toy.REWARD + "[ -e /app/secret ] && echo 0 >/logs/verifier/reward.txt\n"
    more = {
        "tests/Dockerfile": toy.dockerfile(terminal_image, "COPY test.sh /tests/test.sh", "RUN rm -rf /app/*")
    }
    toy.harbor(
        tmp_path / "tasks" / "apart",
        terminal_image,
        config=config,
        tests=tests,
        more=more,
        solution=toy.SOLVE + "touch /app/secret\n",
    )
    ran = cli(*TASK, *ORACLE, "--dataset", tmp_path / "tasks", "-o", "r")
    assert ran.code == 0, ran.err
    assert ends(tmp_path / "r")["apart"] == ("answered", "resolved", 1.0), transcript(tmp_path / "r", "apart")


def test_what_cannot_run_here_is_named_and_stays_in_the_denominator(
    cli: Cli, tmp_path: Path, terminal_image: str
) -> None:
    toy.terminal_bench(tmp_path / "tasks" / "good", terminal_image)
    strange = toy.COMPOSE + "    wishes: [a pony]\n"
    toy.terminal_bench(tmp_path / "tasks" / "strange", terminal_image, compose=strange)
    toy.terminal_bench(tmp_path / "tasks" / "broken", terminal_image, lines=("RUN false",))
    ran = cli(*TASK, *ORACLE, "--dataset", tmp_path / "tasks", "-o", "r")
    assert ran.code == 3, ran.err
    found = rows(tmp_path / "r")
    assert (found["strange"]["outcome"], found["strange"]["reason"]) == ("sandbox_error", "task_unsupported")
    assert "wishes" in found["strange"]["error"]
    assert (found["broken"]["outcome"], found["broken"]["reason"]) == ("sandbox_error", "build_failed")
    assert found["good"]["value"] == 1.0
    assert "incomplete" in ran.out


def test_the_doctor_tries_the_tasks_and_the_report_says_so(
    cli: Cli, tmp_path: Path, terminal_image: str
) -> None:
    tasks = tmp_path / "tasks"
    toy.terminal_bench(tasks / "good", terminal_image)
    toy.terminal_bench(tasks / "wrong", terminal_image, solution="true\n")
    toy.terminal_bench(tasks / "free", terminal_image, tests=f"{toy.SUMMARY}\necho PASSED a::b\n")
    ran = cli("doctor", "--task", "terminal-bench", "--dataset", tasks, *NULL)
    assert "ok    good: oracle passes, doing nothing does not" in ran.out, ran.out + ran.err
    assert "warn  wrong: its solution scores 0 (unresolved, submitted)" in ran.out
    assert "warn  free: doing nothing passes" in ran.out
    assert "oracle passes 1/3 here" in ran.out
    assert ran.code == 0
    ran = cli(*TASK, *NULL, "--dataset", tasks, "-o", "r")
    assert "oracle passes 1/3 here" in ran.out
    toy.terminal_bench(tasks / "good", terminal_image, solution="true\n")
    ran = cli("doctor", "--task", "terminal-bench", "--dataset", tasks, *NULL, "--sample-id", "good")
    assert ran.code == 5
    assert "oracle passes 0/1 here" in ran.out


def test_bad_words_are_refused_before_anything_starts(cli: Cli, tmp_path: Path, terminal_image: str) -> None:
    toy.terminal_bench(tmp_path / "tasks" / "good", terminal_image)
    for words, said in (
        (("--agent", "terminus-3", *NULL), "did you mean 'terminus-2'"),
        (("--agent", "oracle", *NULL), "--agent oracle asks no model: give --model scripted/oracle"),
        (("--agent", "bash", "--prompt-source", "installed", *NULL), "other prompts than ours"),
        (("--base-image-map", "ubuntu", *NULL), "FROM=TO"),
        (("--dataset", "absent", *NULL), "absent"),
    ):
        given = () if "--dataset" in words else ("--dataset", "tasks")
        ran = cli(*TASK, *given, *words, "-o", "r")
        assert ran.code in (2, 5), ran.out
        assert said in ran.err, ran.err
    assert not (tmp_path / "r").exists()


def containers(sample: str) -> int:
    with connect() as client:
        label = f"lceval.name=terminal-bench/{sample}#0"
        return len(client.api.containers(all=True, filters={"label": [label]}))


def test_kill_nine_leaves_nothing_and_what_is_finished_is_not_made_again(
    cli: Cli, tmp_path: Path, terminal_image: str
) -> None:
    tasks, path = tmp_path / "tasks", tmp_path / "r"
    toy.terminal_bench(tasks / "a-quick", terminal_image)
    toy.terminal_bench(tasks / "b-slow", terminal_image, solution=toy.SOLVE + "sleep 12\n")
    command = [*TASK, *ORACLE, "--dataset", str(tasks), "-o", str(path)]
    process = subprocess.Popen(
        [sys.executable, "-m", "longcat_eval", *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if (path / "samples.jsonl").exists() and rows(path) and containers("b-slow"):
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert list(rows(path)) == ["a-quick"]
    ran = cli(*command)
    assert ran.code == 0, ran.err
    assert "100.00‡ (2/2)" in ran.out
    lines = (path / "samples.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["sample"] for line in lines] == ["a-quick", "b-slow"]
    assert containers("b-slow") == 0


def test_eight_attempts_at_once_do_not_meet(cli: Cli, tmp_path: Path, terminal_image: str) -> None:
    """Single-service tasks take no network of their own: the address pool is not touched."""
    toy.terminal_bench(tmp_path / "tasks" / "good", terminal_image)
    with connect() as client:
        before = {network["Id"] for network in client.api.networks()}
    ran = cli(*TASK, *ORACLE, "--dataset", tmp_path / "tasks", "-k", "8", "-c", "8", "-o", "r")
    assert ran.code == 0, ran.err
    assert "100.00‡§ (8/8)" in ran.out
    with connect() as client:
        assert {network["Id"] for network in client.api.networks()} == before
    assert "pass^1..8: 100.00" in " ".join(ran.out.split())


def test_the_log_of_the_tests_can_be_read_whole(cli: Cli, tmp_path: Path, terminal_image: str) -> None:
    toy.terminal_bench(tmp_path / "tasks" / "good", terminal_image)
    assert cli(*TASK, *NULL, "--dataset", tmp_path / "tasks", "-o", "r").code == 0
    ran = cli("show", "r", "--artifact", "tested")
    assert "tested[0].log" in ran.out
    assert "FAILED /tests/test_outputs.py::test_answer - AssertionError: no" in ran.out
    ran = cli("show", "r", "--artifact", "agent")
    assert (ran.code, "did you mean 'agents'" in ran.err) == (2, True), ran.err
