"""Arena-Hard by the command line: scores counted by hand, baselines against themselves, kill -9."""

import json
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from arena_hard.conftest import MakeSet, answer, write_lines
from cli_fixtures import Cli, Ran, serving
from loopback import Body

from longcat_eval.records import Outcome
from longcat_eval.runners.store import read_rows, read_run

WORTH = {"A>>B": (3, 3), "A>B": (1, 1), "A=B": (0.5, 1), "B>A": (0, 1), "B>>A": (0, 3)}
LABELS = [*WORTH]


def json_row(cli: Cli, run: Path) -> dict[str, Any]:
    (row,) = json.loads(cli("report", run, "--format", "json").out)["rows"]
    found: dict[str, Any] = row
    return found


def by_hand(verdicts: dict[str, tuple[str, str]]) -> float:
    won = sum(WORTH[f][1] - WORTH[f][0] + WORTH[s][0] for f, s in verdicts.values())
    return 100 * won / sum(WORTH[f][1] + WORTH[s][1] for f, s in verdicts.values())


def judged(
    cli: Cli, tmp_path: Path, task: str, data: Path, uids: list[str], *more: str
) -> tuple[dict[str, tuple[str, str]], Ran]:
    """Run a half with invented answers and a judge that says for each game what a draw says."""
    draw = random.Random(len(uids))
    verdicts = {uid: (draw.choice(LABELS), draw.choice(LABELS)) for uid in uids}
    model = write_lines(
        tmp_path / "model.jsonl", [{"sample": uid, "content": f"# {uid}\n- my answer"} for uid in uids]
    )
    lines = [
        {"sample": uid, "turn": turn, "content": f"Mine is better.\n\nMy final verdict is: [[{label}]]"}
        for uid, labels in verdicts.items()
        for turn, label in enumerate(labels)
    ]
    judge = write_lines(tmp_path / "judge.jsonl", lines)
    files = ("--model", f"scripted/{model}", "--judge-model", f"scripted/{judge}", "--data-dir", data)
    return verdicts, cli("run", "--task", task, "-o", "r", *files, *more)


@pytest.mark.data
def test_the_500_hard_prompts_score_what_is_counted_by_hand(cli: Cli, tmp_path: Path, data_dir: Path) -> None:
    lines = (data_dir / "arena_hard_v2" / "question.jsonl").read_bytes().splitlines()
    questions = [json.loads(line) for line in lines]
    uids = [q["uid"] for q in questions if q["category"] == "hard_prompt"]
    verdicts, ran = judged(cli, tmp_path, "arena-hard-v2", data_dir, uids)
    assert ran.code == 0, ran.err
    row = json_row(cli, tmp_path / "r")
    assert row["value"] == pytest.approx(by_hand(verdicts))
    assert (row["n"], row["valid"], row["drift"]) == (500, 500, "")
    for group in ("coding", "math"):
        part = {q["uid"] for q in questions if q["subcategory"] == group}
        assert row["metrics"][group] == pytest.approx(
            by_hand({u: v for u, v in verdicts.items() if u in part})
        )
    points = {
        uid: (WORTH[f][1] - WORTH[f][0] + WORTH[s][0], WORTH[f][1] + WORTH[s][1])
        for uid, (f, s) in verdicts.items()
    }
    r, whole = row["value"] / 100, sum(c for _, c in points.values())
    se = (500 / 499 * sum((w - r * c) ** 2 for w, c in points.values())) ** 0.5 / whole
    assert row["ci_high"] - row["value"] == pytest.approx(100 * 1.96473 * se, rel=1e-4), "t with 499 degrees"
    official = row["metrics"]["official_high"] - row["metrics"]["official_low"]
    assert 0 < official < (row["ci_high"] - row["ci_low"])
    assert f"judge scripted/{tmp_path / 'judge.jsonl'}" in re.sub(r"\s+", " ", ran.out).replace("- ", "-")


@pytest.mark.data
def test_the_creative_half_needs_its_baseline_and_runs_on_a_synthetic_one(
    cli: Cli, tmp_path: Path, data_dir: Path
) -> None:
    source = data_dir / "arena_hard_v2" / "question.jsonl"
    questions = [json.loads(line) for line in source.read_bytes().splitlines()]
    uids = [q["uid"] for q in questions if q["category"] == "creative_writing"]
    refused = cli(
        "run", "--task", "arena-hard-v2-creative", "--model", "scripted/null", "--data-dir", data_dir
    )
    assert refused.code == 5
    assert "judged against gemini-2.0-flash-001, whose answers are needed" in refused.err
    folder = tmp_path / "data" / "arena_hard_v2"
    rows = [answer(uid, "synthetic-baseline", f"A story about {uid}.") for uid in uids]
    write_lines(folder / "gemini-2.0-flash-001.jsonl", rows)
    (folder / "question.jsonl").write_bytes(source.read_bytes())
    named = judged(cli, tmp_path, "arena-hard-v2-creative", tmp_path / "data", uids)[1]
    assert (named.code, "holds answers of synthetic-baseline, not of the baseline" in named.err) == (5, True)
    verdicts, ran = judged(
        cli, tmp_path, "arena-hard-v2-creative", tmp_path / "data", uids, "--allow-data-drift"
    )
    assert ran.code == 0, ran.err
    row = json_row(cli, tmp_path / "r")
    assert (row["n"], row["value"]) == (250, pytest.approx(by_hand(verdicts)))
    assert row["drift"] == "answers of synthetic-baseline"


def texts(body: Body) -> tuple[str, str]:
    """Both answers as the judge sees them."""
    asked = body["messages"][-1]["content"]
    found = re.findall(r"<\|The Start of Assistant .'s Answer\|>\n(.*?)\n<\|The End", asked, re.DOTALL)
    return found[0], found[1]


@pytest.mark.data
@pytest.mark.parametrize("biased", [False, True], ids=["fair", "prefers A"])
def test_the_baseline_against_itself_is_fifty(cli: Cli, tmp_path: Path, data_dir: Path, biased: bool) -> None:
    def judge(body: Body) -> str:
        one, other = texts(body)
        longer = "A=B" if one == other else "A>B" if len(one) > len(other) else "B>A"
        return f"[[{'A>>B' if biased else longer}]]"

    with serving(judge) as server:
        ran = cli(
            *("run", "--task", "arena-hard-v2", "--model", "scripted/oracle", "--data-dir", data_dir),
            *("--judge-model", "m", "--judge-base-url", server.base_url, "-o", "r", "--limit", "60"),
        )
        assert ran.code == 0, ran.err
        assert len(server.bodies) == 120
    body = server.bodies[0]
    assert body["temperature"] == 0.0
    row = json_row(cli, tmp_path / "r")
    assert (row["value"], row["metrics"]["style_equal"]) == (50.0, pytest.approx(50.0))


def test_no_answer_loses_without_a_judge_and_a_cut_one_is_judged(
    cli: Cli, tmp_path: Path, make_set: MakeSet
) -> None:
    model = write_lines(
        tmp_path / "m.jsonl",
        [
            {"sample": "h000", "content": "  "},
            {"sample": "h001", "content": "<think>never ends"},
            {"sample": "h002", "content": "half an ans", "finish_reason": "length"},
            {"sample": "h003", "content": "no", "finish_reason": "content_filter"},
        ],
    )
    judge = write_lines(tmp_path / "j.jsonl", [{"sample": "h002", "content": "[[A=B]]"}])
    ran = cli(
        *("run", "--task", "arena-hard-v2", "--model", f"scripted/{model}", "-o", "r", "--allow-data-drift"),
        *("--judge-model", f"scripted/{judge}", "--data-dir", make_set(4)),
    )
    assert ran.code == 0, ran.err
    rows = {row.sample: row for row in read_run(tmp_path / "r").rows}
    assert {name: (row.outcome, row.value) for name, row in rows.items()} == {
        "h000": (Outcome.NO_ANSWER, 0.0),
        "h001": (Outcome.NO_ANSWER, 0.0),
        "h002": (Outcome.LENGTH_LIMIT, 0.5),
        "h003": (Outcome.REFUSED, 0.0),
    }
    assert json_row(cli, tmp_path / "r")["value"] == pytest.approx(100 * 1 / 20)


def test_kill_nine_in_the_middle_of_judging_judges_nothing_twice(
    cli: Cli, tmp_path: Path, make_set: MakeSet
) -> None:
    """Only what was under way at the moment of a kill may be asked again."""
    data, at_once, items, kills = make_set(40), 4, 40, 2
    said = {"agent": Counter[str](), "judge": Counter[str]()}

    def reply(body: Body) -> str:
        asked = body["messages"][-1]["content"]
        who = "judge" if "<|User Prompt|>" in asked else "agent"
        said[who][asked] += 1
        return "[[B>A]]" if who == "judge" else f"An answer to: {asked}"

    with serving(reply, latency=0.02) as server:
        command = [
            *("run", "--task", "arena-hard-v2", "--plain", "--allow-data-drift", "--data-dir", str(data)),
            *("--model", "m", "--base-url", server.base_url, "-c", str(at_once), "-o", str(tmp_path / "r")),
            *("--judge-model", "some-model", "--judge-base-url", server.base_url),
        ]
        for number in range(1, kills + 1):
            process = subprocess.Popen(
                [sys.executable, "-m", "longcat_eval", *command],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            deadline = time.monotonic() + 30
            while said["judge"].total() < number * 20 and time.monotonic() < deadline:
                time.sleep(0.005)
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert cli(*command).code == 0
    assert said["agent"].total() <= items + kills * at_once
    assert said["judge"].total() <= 2 * items + kills * at_once
    assert len(said["judge"]) == 2 * items
    rows = read_run(tmp_path / "r").rows
    assert {row.value for row in rows} == {0.5}
    valid = [row for row in read_rows(tmp_path / "r") if row.outcome.valid]
    assert len(valid) == items, "no verdict is given twice"
    asked = sum(row.calls for row in rows)
    assert asked == 3 * items
    assert not [file.name for file in (tmp_path / "r").iterdir() if "sqlite" in file.name]
