"""Whole runs: a developer from a script in a container, the plan replayed, a judge on loopback."""

import asyncio
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from cli_fixtures import Cli, serving
from loopback import Body
from toy_project import PLAN, SOLUTION, write_task

from longcat_eval.records import Transcript
from longcat_eval.runners.store import read_run, read_transcript

JUDGED = [entry["metric"] for entry in PLAN if entry["type"] != "unit_test"]
TAMPER = (
    "id -un; echo x >evaluation/add.in; mv evaluation elsewhere; touch evaluation/new; "
    "python src/main.py <evaluation/add.in; curl -m 2 http://1.1.1.1"
)


def call(number: int, name: str, **arguments: str) -> dict[str, Any]:
    """A message that uses one tool."""
    function = {"name": name, "arguments": json.dumps(arguments)}
    return {"content": None, "tool_calls": [{"id": f"c{number}", "type": "function", "function": function}]}


def developer(path: Path, files: dict[str, str], *commands: str) -> Path:
    """A script of a developer that writes files, runs commands and hands in; and of a generous judge."""
    edits = [
        call(n, "editor", command="create", path=name, file_text=text)
        for n, (name, text) in enumerate(files.items())
    ]
    said = [*edits, *(call(90 + n, "bash", command=c) for n, c in enumerate(commands)), call(99, "finish")]
    lines: list[dict[str, Any]] = [{"role": "agent", "turn": n, "message": m} for n, m in enumerate(said)]
    lines.append({"role": "judge", "content": '{"score": 2, "explanation": "seen"}'})
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return path


def run(tasks: Path, image: str, *more: object) -> list[str]:
    words = ("run", "--task", "prdbench", "--dataset", tasks, "--plain")
    return [*map(str, words), "--base-image-map", f"longcat-eval/prdbench:*={image}", *map(str, more)]


def transcripts(path: Path) -> dict[str, Transcript]:
    return {row.sample: read_transcript(path, row) for row in read_run(path).rows}


def asked_of(bodies: Sequence[Body]) -> Counter[str]:
    """How often the judge was asked about each metric."""
    found = [re.search(r"# Metric\n(.*)", str(body["messages"][-1]["content"])) for body in bodies]
    return Counter(match[1] for match in found if match)


@pytest.mark.docker
def test_killed_mid_judging_no_metric_is_judged_twice(
    cli: Cli, light_image: str, tasks: Path, tmp_path: Path
) -> None:
    script, path = developer(tmp_path / "dev.jsonl", dict(SOLUTION), TAMPER), tmp_path / "r"
    answered, stuck = [], threading.Event()

    async def judge(body: Body) -> str:
        if len(answered) == 2 and not stuck.is_set():
            stuck.set()
            await asyncio.sleep(3600)
        answered.append(body)
        return '{"score": 2, "explanation": "it does"}'

    with serving(lambda body: judge(body)) as server:
        arguments = run(
            tasks, light_image, "--model", f"scripted/{script}", "-o", path,
            *("--judge-model", "m", "--judge-base-url", server.base_url),
        )  # fmt: skip
        process = subprocess.Popen(
            [sys.executable, "-m", "longcat_eval", *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ,
        )  # fmt: skip
        deadline = time.monotonic() + 120
        while not stuck.is_set() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert stuck.is_set(), process.communicate()[0] if process.poll() is not None else "no third question"
        process.kill()
        process.communicate()
        ran = cli(*arguments)
        assert ran.code == 0, ran.out + ran.err
    assert asked_of(answered) == Counter(JUDGED), "every metric once, the unit test never"
    [row] = read_run(path).rows
    assert row.value == 1.0
    [attempt] = transcripts(path).values()
    [only] = attempt.artifacts["rounds"]
    assert only["agent"]["end"] == "submitted"
    assert set(only["tree"]["files"]) == set(SOLUTION), "the evaluation folder is the task's own"
    seen = next(
        m["content"]
        for c in attempt.calls
        for m in c.request["messages"]
        if "elsewhere" in str(m.get("content"))
    )
    assert "\ndeveloper\n" in seen
    assert "evaluation/add.in: Permission denied" in seen
    assert "cannot touch 'evaluation/new': Permission denied" in seen
    assert "1. milk" in seen, "its input could be read"
    rescored = cli("rescore", path, "--dataset", tasks)
    assert "1 attempts judged again, 0 verdicts changed" in rescored.out, rescored.err


@pytest.mark.docker
@pytest.mark.data
def test_solutions_score_1_on_a_task_of_ours_and_a_real_one_is_replayed(
    cli: Cli, light_image: str, tasks: Path, data_dir: Path, tmp_path: Path
) -> None:
    real = tasks / "16"
    for file in (data_dir / "prdbench" / "16").rglob("*"):
        if file.is_file():
            target = real / file.relative_to(data_dir / "prdbench" / "16")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    (real / "reference" / "src").mkdir(parents=True)
    (real / "reference" / "src" / "main.py").write_text("import sys\nprint('got', *sys.argv[1:])\n")
    path = tmp_path / "r"
    ran = cli(*run(tasks, light_image, "--model", "scripted/oracle", "-o", path))
    assert ran.code == 0, ran.out + ran.err
    rows = {row.sample: row for row in read_run(path).rows}
    assert rows["toy"].value == 1.0
    runs = transcripts(path)["16"].artifacts["rounds"][0]["runs"]
    assert len(runs) == 13
    outputs = [case["output"] for entry in runs for case in entry["cases"]]
    assert "got --evaluate qwertyuiop\r\n" in outputs
    assert sum(output.startswith("got ") for output in outputs) == 12
    assert rows["16"].metrics["unit_test"] == 0.0, "its test file is not in this copy"
    assert "1 of 18 metrics cannot be passed" in ran.out
    toy = transcripts(path)["toy"].artifacts["rounds"][0]["runs"]
    assert toy[3]["changes"]["files"][0]["path"] == "todo.csv"
    assert "1 passed" in toy[4]["cases"][0]["output"]


def test_an_empty_tree_scores_0_and_asks_nobody(cli: Cli, tasks: Path, docker_daemon: None) -> None:
    ran = cli(*run(tasks, "no/such:image", "--model", "scripted/null", "-o", "r"))
    assert ran.code == 0, ran.out + ran.err
    [row] = read_run(Path("r")).rows
    assert (row.value, row.reason, row.calls) == (0.0, "nothing_made", 0)
    assert read_run(Path("r")).manifest.tasks["prdbench"].floors == {"null": 0.0}


def test_official_tasks_have_no_solution_and_the_image_has_to_be_there(
    cli: Cli, tmp_path: Path, docker_daemon: None
) -> None:
    write_task(tmp_path / "set" / "toy", solution=None)
    ran = cli(*run(tmp_path / "set", "no/such:image", "--model", "scripted/oracle", "-o", "r"))
    assert ran.code == 3
    [row] = read_run(Path("r")).rows
    assert (row.outcome, row.reason) == ("sandbox_error", "no_solution")
    assert "PRDBench publishes none" in row.error
    script = developer(tmp_path / "dev.jsonl", {"src/main.py": ""})
    ran = cli(*run(tmp_path / "set", "no/such:image", "--model", f"scripted/{script}", "-o", "s"))
    [row] = read_run(Path("s")).rows
    assert (ran.code, row.reason) == (3, "image_missing")
    assert "longcat-eval images build --task prdbench" in row.error


def test_flags_that_do_not_fit(cli: Cli, tasks: Path) -> None:
    ran = cli(*run(tasks, "x", "--model", "scripted/null", "--set", "limits.debug_rounds=2"))
    assert ran.code == 2
    assert "one DEBUG round or none" in ran.err
    ran = cli(*run(tasks, "x", "--model", "m", "--base-url", "http://127.0.0.1:9/v1"))
    assert ran.code == 5
    assert "--judge-model" in ran.err
    ran = cli("images", "build", "--task", "prdbench", "--base-image-map", "other=x")
    assert ran.code == 2
    assert "python:3.11-slim-bookworm" in ran.err


def test_doctor_knows_image_and_tasks(cli: Cli, tasks: Path, docker_daemon: None) -> None:
    words = ("doctor", "--task", "prdbench", "--dataset", tasks, "--model", "scripted/null")
    (tasks / "toy" / "evaluation" / "tests" / "test_todo.py").unlink()
    ran = cli(*words, "--base-image-map", "longcat-eval/prdbench:*=no/such:image")
    assert ran.code == 5
    assert "fail  image of prdbench: no image no/such:image on this machine" in ran.out
    assert "longcat-eval images build --task prdbench" in ran.out
    assert "1 of 5 metrics cannot be passed" in ran.out
    assert "1 tasks of the folder tasks instead of the 50" in ran.out


@pytest.mark.slow
@pytest.mark.docker
def test_a_debug_round_sees_the_marks_and_goes_on_from_the_tree(
    cli: Cli, light_image: str, tasks: Path, tmp_path: Path
) -> None:
    broken = dict(SOLUTION) | {"src/todo.py": SOLUTION["src/todo.py"].replace("append", "remove")}
    script = developer(tmp_path / "dev.jsonl", broken)
    turn = len(broken) + 1
    mend = "cat reports/round1.json; touch reports/x; ls src; sed -i s/remove/append/ src/todo.py"
    with script.open("a", encoding="utf-8") as file:
        for n, message in enumerate([call(200, "bash", command=mend), call(201, "finish")], turn):
            file.write("\n" + json.dumps({"role": "agent", "turn": n, "message": message}))
    more = ("--model", f"scripted/{script}", "-o", "r", "--set", "limits.debug_rounds=1")
    ran = cli(*run(tasks, light_image, *more))
    assert ran.code == 0, ran.out + ran.err
    [row] = read_run(Path("r")).rows
    [attempt] = transcripts(Path("r")).values()
    dev, debug = attempt.artifacts["rounds"]
    assert [mark["points"] for mark in dev["marks"]] == [2, 2, 2, 2, 0], (
        "the judge is generous, pytest is not"
    )
    assert (row.metrics["dev"], row.value) == (0.8, 1.0)
    assert (dev["agent"]["steps"], debug["agent"]["steps"]) == (turn, 2)
    assert debug["tree"]["files"]["src/todo.py"] == SOLUTION["src/todo.py"]
    told = [str(m["content"]) for c in attempt.calls for m in c.request["messages"] if m["role"] == "tool"]
    [seen] = [text for text in told if text.startswith("exit code")]
    assert '"score": 0' in seen
    assert "cannot touch 'reports/x': Permission denied" in seen
    assert "README.md" in seen


@pytest.mark.slow
@pytest.mark.docker
@pytest.mark.data
def test_the_three_real_tasks_are_replayed(
    cli: Cli, light_image: str, data_dir: Path, tmp_path: Path
) -> None:
    stub = "while True:\n    print('menu')\n    print('chose', input('choice: '))\n"
    script = developer(tmp_path / "dev.jsonl", {"src/main.py": stub})
    image = f"longcat-eval/prdbench:*={light_image}"
    model = ("--model", f"scripted/{script}", "-o", "r", "--plain", "--base-image-map", image)
    ran = cli("run", "--task", "prdbench", "--data-dir", data_dir, *model)
    assert ran.code == 0, ran.out + ran.err
    found = transcripts(Path("r"))
    assert {name: len(t.artifacts["rounds"][0]["runs"]) for name, t in found.items()} == {
        "1": 20,
        "7": 30,
        "16": 13,
    }
    runs = [entry for t in found.values() for entry in t.artifacts["rounds"][0]["runs"]]
    cases = [case for entry in runs for case in entry.get("cases", ())]
    assert all(case["end"] in ("exited", "interrupted") for case in cases)
    typed = [case for case in cases if case.get("given")]
    assert len(typed) > 30
    assert all("chose" in case["output"] or "KeyboardInterrupt" in case["output"] for case in typed)
