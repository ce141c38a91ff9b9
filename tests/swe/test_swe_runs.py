"""Whole runs on the toy instance: the command line, real containers, scripted agents."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import toy_repair
from cli_fixtures import Cli, Ran
from docker_fixtures import connect
from toy_repair import Toy

from longcat_eval.records import Transcript
from longcat_eval.runners.store import read_run, read_transcript
from longcat_eval.tasks.swe.package import Swebench

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("swebench")]
TASK = ("run", "--task", "swe-bench-lite", "--plain")
Say = Callable[..., str]


@pytest.fixture
def say(tmp_path: Path) -> Say:
    """The name of a model that says these lines in turn; a dict of arguments is a call of bash."""

    def write(*turns: str | dict[str, str], sample: str | None = None) -> str:
        path = tmp_path / "replies.jsonl"
        lines: list[dict[str, Any]] = []
        for turn, said in enumerate(turns):
            line: dict[str, Any] = {"turn": turn} | ({"sample": sample} if sample else {})
            if isinstance(said, str):
                lines.append(line | {"content": said})
                continue
            call = {"name": "bash", "arguments": json.dumps(said)}
            tool_calls = [{"id": f"c{turn}", "type": "function", "function": call}]
            lines.append(line | {"message": {"role": "assistant", "content": None, "tool_calls": tool_calls}})
        with path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)
        return f"scripted/{path}"

    return write


def bash(command: str) -> dict[str, str]:
    return {"command": command}


def transcripts(path: Path) -> dict[str, Transcript]:
    run = read_run(path)
    return {row.sample: read_transcript(path, row) for row in run.rows}


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (path / "samples.jsonl").read_text(encoding="utf-8").splitlines()]


FIX = bash("sed -i 's/return sum(values)/return sum(values) \\/ len(values)/' calc.py")
SUBMIT = bash("echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT && git add -A && git diff --cached --binary")


def test_the_oracle_resolves_in_every_profile_and_null_does_not(cli: Cli, tmp_path: Path, toy: Toy) -> None:
    data = toy.dataset(tmp_path)
    for agent, source in (("bash", "submission"), ("bash-text", "submission"), ("edit", "work_tree")):
        chosen = ("--agent", agent, "--model", "scripted/oracle", "--dataset", data, "-o", agent)
        ran = cli(*TASK, *chosen)
        assert ran.code == 0, ran.err + ran.out
        assert "100.00" in ran.out
        assert "the 1 rows of toy.json instead of its own" in ran.out
        (row,) = rows(tmp_path / agent)
        assert (row["outcome"], row["reason"], row["rule"]) == ("answered", "resolved", source)
        assert (row["metrics"]["fail_to_pass"], row["metrics"]["pass_to_pass"]) == (1.0, 1.0)
    ran = cli(*TASK, "--model", "scripted/null", "--dataset", data, "-o", "null")
    (row,) = rows(tmp_path / "null")
    assert (row["outcome"], row["reason"], row["value"]) == ("no_answer", "empty_patch", 0.0)
    assert ran.code == 0, ran.err


def test_without_a_submission_the_work_tree_is_graded(cli: Cli, tmp_path: Path, toy: Toy, say: Say) -> None:
    model = say(FIX, bash("git log --all --oneline"), *["I think that is all."] * 3)
    ran = cli(*TASK, "--model", model, "--dataset", toy.dataset(tmp_path), "-o", "r")
    assert ran.code == 0, ran.err
    (row,) = rows(tmp_path / "r")
    assert (row["outcome"], row["reason"], row["rule"]) == ("tool_protocol_error", "resolved", "work_tree")
    artifacts = transcripts(tmp_path / "r")[toy_repair.INSTANCE].artifacts
    assert artifacts["submission"] is None
    assert artifacts["patch"] == artifacts["work_tree"]
    assert [state for state, _ in artifacts["states"]] == ["agent_running", "patched", "grading", "graded"]
    assert artifacts["start"] == {"removed": [], "pruned": False, "ahead": 0}
    assert artifacts["network"] is False
    assert artifacts["image_id"].startswith("sha256:")


def test_a_limit_ends_the_agent_and_its_work_counts(cli: Cli, tmp_path: Path, toy: Toy, say: Say) -> None:
    data = toy.dataset(tmp_path)
    limits = ("--set", "limits.max_steps=1")
    ran = cli(*TASK, *limits, "--model", say(FIX, SUBMIT), "--dataset", data, "-o", "r")
    assert ran.code == 0, ran.err
    (row,) = rows(tmp_path / "r")
    assert (row["outcome"], row["reason"], row["metrics"]["steps"]) == ("agent_budget", "resolved", 1.0)


def test_what_is_submitted_counts_and_not_the_tree_and_no_tests_are_taken(
    cli: Cli, tmp_path: Path, toy: Toy, say: Say
) -> None:
    """The right tree, a wrong patch handed in; and tests that the agent rewrote are not its to grade by."""
    wrong = f"cat >/tmp/p <<'E'\n{toy_repair.NO_OP}E\necho COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT; cat /tmp/p"
    data = toy.dataset(tmp_path, toy.row(), {**toy.row(), "instance_id": "toy__calc-2"})
    cheat = bash("printf 'def test_add(): pass\\ndef test_mean(): pass\\n' >test_calc.py")
    say(FIX, bash(wrong), sample="toy__calc-1")
    model = say(cheat, SUBMIT, sample="toy__calc-2")
    assert cli(*TASK, "--model", model, "--dataset", data, "-o", "r").code == 0
    first, second = sorted(rows(tmp_path / "r"), key=lambda row: row["sample"])
    assert (first["reason"], first["rule"]) == ("unresolved", "submission")
    assert (second["reason"], second["value"]) == ("empty_patch", 0.0)
    assert transcripts(tmp_path / "r")["toy__calc-2"].artifacts["left_out"] == ["test_calc.py"]


def test_a_missing_image_does_not_end_the_run(cli: Cli, tmp_path: Path, toy: Toy) -> None:
    absent = {**toy.row(), "instance_id": "toy__calc-2", "image": "127.0.0.1:9/absent:latest"}
    data = toy.dataset(tmp_path, absent, toy.row())
    ran = cli(*TASK, "--model", "scripted/oracle", "--dataset", data, "-o", "r")
    assert ran.code == 3, ran.err
    found = {row["sample"]: (row["outcome"], row["reason"]) for row in rows(tmp_path / "r")}
    assert found == {
        "toy__calc-1": ("answered", "resolved"),
        "toy__calc-2": ("sandbox_error", "image_missing"),
    }
    assert (
        "100.00" not in next(line for line in ran.out.splitlines() if "swe-bench-lite" in line).split("(")[0]
    )
    missing = next(row for row in rows(tmp_path / "r") if row["sample"] == "toy__calc-2")
    assert "`longcat-eval images pull 127.0.0.1:9/absent:latest`" in missing["error"]


def test_predictions_go_out_and_come_in_and_are_graded_once(cli: Cli, tmp_path: Path, toy: Toy) -> None:
    names = [toy_repair.INSTANCE, "toy__calc-2", "toy__calc-3", "toy__calc-4", "toy__calc-5"]
    data = toy.dataset(tmp_path, *({**toy.row(), "instance_id": name} for name in names))
    patches = [toy_repair.GOLD, toy_repair.NO_OP, toy_repair.SPOOF, toy_repair.GARBAGE]
    made = [
        {"instance_id": name, "model_name_or_path": "them", "model_patch": patch}
        for name, patch in zip(names, [*patches, ""], strict=True)
    ]
    (tmp_path / "preds.json").write_text(json.dumps(made), encoding="utf-8")
    run = (*TASK, "--dataset", data, "--grade-only")
    expected = ["resolved", "unresolved", "unresolved", "apply_failed", "empty_patch"]

    def graded(output: str, predictions: str) -> list[str]:
        ran = cli(*run, predictions, "-o", output)
        assert ran.code == 0, ran.err
        assert "20.00" in ran.out
        assert "swe-bench/predictions/1" in ran.out
        by_name = sorted(rows(tmp_path / output), key=lambda row: row["sample"])
        assert all(row.get("calls", 0) == 0 and row["outcome"] == "answered" for row in by_name)
        return [row["reason"] for row in by_name]

    assert graded("first", "preds.json") == expected
    kept = {name: t.artifacts.get("kept_from") for name, t in transcripts(tmp_path / "first").items()}
    assert not any(kept.values())
    assert cli("export", "first", "-o", "again.jsonl").code == 0
    assert graded("second", "again.jsonl") == expected
    again = {name: t.artifacts.get("kept_from") for name, t in transcripts(tmp_path / "second").items()}
    assert [bool(again[name]) for name in names] == [True, True, True, True, False]
    (tmp_path / "few.json").write_text(json.dumps(made[:1]), encoding="utf-8")
    assert graded("few", "few.json") == ["resolved", *["no_prediction"] * 4]


def test_other_predictions_do_not_go_into_the_same_run(cli: Cli, tmp_path: Path, toy: Toy) -> None:
    data = toy.dataset(tmp_path)
    one = {"instance_id": toy_repair.INSTANCE, "model_patch": ""}
    codes = []
    for patch in ("", "x"):
        (tmp_path / "preds.json").write_text(json.dumps([{**one, "model_patch": patch}]))
        ran = cli(*TASK, "--dataset", data, "--grade-only", "preds.json", "-o", "r")
        codes.append(ran.code)
    assert codes == [0, 2], ran.err
    assert "prompt_hash" in ran.err


def test_logs_are_judged_again_without_a_container(cli: Cli, tmp_path: Path, toy: Toy) -> None:
    data = toy.dataset(tmp_path)
    assert cli(*TASK, "--model", "scripted/oracle", "--dataset", data, "-o", "r").code == 0
    ran = cli("rescore", "r", "--dataset", data)
    assert ran.code == 0, ran.err
    assert "1 attempts judged again, 0 verdicts changed" in ran.out
    assert cli("rescore", "r").code != 0, "without its rows a run cannot be judged"


def test_what_an_export_cannot_do_is_said(cli: Cli, tmp_path: Path, toy: Toy) -> None:
    assert cli(*TASK, "--model", "scripted/null", "--dataset", toy.dataset(tmp_path), "-o", "r").code == 0
    ran = cli("export", "r", "-o", "out.json")
    assert "1 predictions in out.json, 1 of them empty" in ran.out
    for words, said in (
        (("-o", "out.json", "--format", "x"), "no format 'x': swebench"),
        (("-o", "out.json", "--task", "mmlu"), "no SWE-bench task 'mmlu': swe-bench-lite"),
        (("-o", "out.json", "--repeat", "3"), "no attempts of swe-bench-lite in repeat 3"),
        (
            (
                "-o",
                "gone/out.json",
            ),
            "cannot write gone/out.json: No such file",
        ),
    ):
        ran = cli("export", "r", *words)
        assert said in ran.err
        assert ran.code in (2, 5)
    assert cli("run", "--suite", "smoke", "--model", "scripted/null", "--plain", "-o", "s").code == 0
    assert "s has no patches" in cli("export", "s", "-o", "out.json").err


def start(arguments: list[str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "longcat_eval", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
        start_new_session=True,
    )


def containers() -> int:
    with connect() as client:
        return len(client.api.containers(all=True, filters={"label": ["lceval.run"]}))


def test_kill_nine_and_go_on(cli: Cli, tmp_path: Path, toy: Toy, swebench: Swebench) -> None:
    """What is finished is not made again, no equal patch is graded again, and no container stays."""
    slow = {**toy.row(command=f"sleep 8; {toy_repair.COMMAND}"), "instance_id": "toy__calc-3"}
    quick = {**toy.row(), "instance_id": "toy__calc-2"}
    data = toy.dataset(tmp_path, toy.row(), quick, slow)
    path = tmp_path / "r"
    command = [*TASK, "--model", "scripted/oracle", "--dataset", str(data), "-o", str(path)]
    process = start(command)
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and process.poll() is None:
        if (path / "samples.jsonl").exists() and len(rows(path)) == 2 and containers():
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    finished = rows(path)
    assert sorted(row["sample"] for row in finished) == ["toy__calc-1", "toy__calc-2"]
    ran: Ran = cli(*command)
    assert ran.code == 0, ran.err
    assert [row["sample"] for row in rows(path)[2:]] == ["toy__calc-3"]
    assert "100.00" in ran.out
    ran = cli(*command[:-1], tmp_path / "again")
    assert ran.code == 0, ran.err
    kept = {name: t.artifacts["kept_from"] for name, t in transcripts(tmp_path / "again").items()}
    assert all(kept.values()), "three equal patches, none run again"
