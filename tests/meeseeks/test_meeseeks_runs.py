"""Meeseeks through the command: every rule with scripted judges, unreadable judges, kill -9 while judging."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from cli_fixtures import Cli, serving
from loopback import Body
from made_up_meeseeks import CASES, checkout, items, rule_item, schema_item, write

from longcat_eval.records import Outcome
from longcat_eval.runners.store import read_run, read_transcript
from longcat_eval.tasks.meeseeks.judging import Found, mean_score, read_parts, read_program, read_yes_no

Line = dict[str, Any]
GOOD = next(case for case in CASES if case.rule.startswith("repeat_each"))


def script(path: Path, lines: Iterable[Line]) -> str:
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    return f"scripted/{path}"


def command(root: Path, out: Path, *more: str) -> list[str]:
    return [
        *("run", "--task", "meeseeks-zh", "--data-dir", str(root), "--allow-data-drift", "--plain"),
        *("-o", str(out), *more),
    ]


def test_gold_replies_meet_every_rule_and_silence_none(cli: Cli, tmp_path: Path) -> None:
    root = write(tmp_path / "data")
    for model, value in (("oracle", 1.0), ("null", 0.0)):
        ran = cli(*command(root, tmp_path / model, "--model", f"scripted/{model}"))
        assert (ran.code, ran.err) == (0, "")
        rows = read_run(tmp_path / model).rows
        assert {row.value for row in rows} == {value}
        assert len(rows) == len(items())
    assert {row.outcome for row in rows} == {Outcome.NO_ANSWER}
    assert {row.calls for row in rows} == {1}, "no judge is asked about silence"


def test_bad_parts_fail_their_rule_and_what_depends_on_it(cli: Cli, tmp_path: Path) -> None:
    root = write(tmp_path / "data")
    agent = script(tmp_path / "agent.jsonl", [{"content": "一段文字"}])
    cut = [
        {"sample": f"7.1/{i:03}", "role": "extractor", "turn": 0, "content": json.dumps(case.bad)}
        for i, case in enumerate(CASES)
    ]
    judges = script(tmp_path / "judges.jsonl", [*cut, {"role": "scorer", "content": "理由。\n判断：是"}])
    out = tmp_path / "run"
    ran = cli(*command(root, out, "--model", agent, "--judge-model", judges))
    assert ran.code == 0, ran.err
    rows = read_run(out).rows
    assert {row.value for row in rows} == {0.0}
    for row in rows:
        verdicts = read_transcript(out, row).artifacts["verdicts"]
        if row.group == "SCHEMA":
            assert not any(verdict["passed"] for verdict in verdicts)
            assert row.calls == 1, "neither judge is asked"
            continue
        assert row.extracted == "not met: 1, 2"
        assert [(v["by"], v["passed"]) for v in verdicts] == [
            ("scorer", True),
            ("rule", False),
            ("dependency", False),
        ]
        # Tags: none 1, 词频 0, 关键词 0, 主题约束 0.
        assert row.metrics["score"] == pytest.approx(0.25)
        assert row.calls == 3
    again = cli("rescore", out, "--data-dir", root)
    assert again.out.startswith(f"{len(rows)} attempts judged again, 0 verdicts changed"), again.err


def test_a_scorer_who_says_no_ends_it_without_the_extractor(cli: Cli, tmp_path: Path) -> None:
    root = write(tmp_path / "data", [rule_item(GOOD)])
    agent = script(tmp_path / "agent.jsonl", [{"content": "一段文字"}])
    judges = script(tmp_path / "judges.jsonl", [{"role": "scorer", "content": "判断:否"}])
    assert cli(*command(root, tmp_path / "r", "--model", agent, "--judge-model", judges)).code == 0
    (row,) = read_run(tmp_path / "r").rows
    assert (row.value, row.extracted, row.calls, row.metrics["score"]) == (0.0, "not met: 0, 1, 2", 2, 0.0)


def test_unreadable_judges_are_asked_again_and_counted(cli: Cli, tmp_path: Path) -> None:
    root = write(tmp_path / "data", [rule_item(GOOD)])
    agent = script(tmp_path / "agent.jsonl", [{"content": "一段文字"}])
    judges = script(
        tmp_path / "judges.jsonl",
        [
            {"role": "scorer", "turn": 0, "content": "大概吧"},
            {"role": "scorer", "turn": 1000, "content": "判断：是"},
            {"role": "scorer", "turn": 2, "content": "判断：是"},
            {"role": "extractor", "content": "没有"},
        ],
    )
    ran = cli(*command(root, tmp_path / "r", "--model", agent, "--judge-model", judges))
    assert ran.code == 0, ran.err
    (row,) = read_run(tmp_path / "r").rows
    assert (row.value, row.extracted) == (0.0, "not met: 1, 2")
    assert row.metrics["null_verdicts"] == 4.0, "one of the scorer's, three of the extractor's"
    assert row.calls == 1 + 2 + 3


def test_programs_of_the_extractor_run_where_the_official_prompts_are(cli: Cli, tmp_path: Path) -> None:
    case = next(case for case in CASES if case.rule.startswith("each_length"))
    root = write(tmp_path / "data", [rule_item(case), rule_item(case)])
    checkout(root / "meeseeks")
    agent = script(tmp_path / "agent.jsonl", [{"content": "春天来\n花开了"}])
    program = "def extract_info_list(model_response):\n    return model_response.split('\\n')"
    hostile = "import os\ndef extract_info_list(model_response):\n    return [os.getcwd()]"
    judges = script(
        tmp_path / "judges.jsonl",
        [
            {"sample": "7.1/000", "role": "extractor", "content": program},
            {"sample": "7.1/001", "role": "extractor", "content": hostile},
            {"role": "scorer", "content": "判断：是"},
        ],
    )
    ran = cli(*command(root, tmp_path / "r", "--model", agent, "--judge-model", judges))
    assert ran.code == 0, ran.err
    rows = {row.sample: row for row in read_run(tmp_path / "r").rows}
    assert [rows[f"7.1/00{i}"].value for i in (0, 1)] == [1.0, 0.0]
    assert rows["7.1/001"].metrics["null_verdicts"] == 1.0
    asked = [c for c in read_transcript(tmp_path / "r", rows["7.1/000"]).calls if c.role == "extractor"]
    assert asked[0].request["messages"] == [{"role": "user", "content": "PM 春天来花开了|每一句话 \\d"}]
    assert (asked[0].request["temperature"], asked[0].request["max_tokens"]) == (0.0, 8096)


def test_without_judges_nothing_starts_and_their_names_are_said(cli: Cli, tmp_path: Path) -> None:
    root = write(tmp_path / "data")
    ran = cli(*command(root, tmp_path / "r", "--model", "m", "--base-url", "http://127.0.0.1:9/v1"))
    assert ran.code == 5
    assert ran.err.count("\n") == 1
    assert "Qwen2.5-Coder-32B-Instruct" in ran.err
    assert not (tmp_path / "r").exists()


def test_a_failing_judge_is_no_verdict_and_resume_asks_it_alone(cli: Cli, tmp_path: Path) -> None:
    root = write(tmp_path / "data", [rule_item(GOOD)])
    agent = script(tmp_path / "agent.jsonl", [{"content": "一段文字"}])
    broken = script(tmp_path / "broken.jsonl", [{"role": "scorer", "turn": 0, "content": "判断：是"}])
    out = tmp_path / "r"
    assert cli(*command(root, out, "--model", agent, "--judge-model", broken)).code == 3
    (row,) = read_run(out).rows
    assert (row.value, row.outcome) == (None, Outcome.JUDGE_ERROR)
    (tmp_path / "broken.jsonl").write_text(
        json.dumps({"role": "extractor", "content": json.dumps(GOOD.good)})
        + "\n"
        + json.dumps({"role": "scorer", "turn": 2, "content": "判断：是"})
    )
    (tmp_path / "agent.jsonl").write_text(json.dumps({"sample": "nobody", "content": "x"}))
    ran = cli(*command(root, out, "--model", agent, "--judge-model", broken))
    assert ran.code == 0, ran.out + ran.err
    assert [row.value for row in read_run(out).rows] == [1.0]


def test_kill_nine_while_judging_pays_nothing_twice(cli: Cli, tmp_path: Path) -> None:
    rows = [rule_item(case) for case in CASES[:12]] + [schema_item()]
    root, out = write(tmp_path / "data", rows), tmp_path / "r"

    def judge(body: Body) -> str:
        prompt = body["messages"][0]["content"]
        return "判断：是" if "判断：" in prompt else '["春天来"]'

    with serving(lambda body: "春天来") as agent, serving(judge, latency=0.1) as judges:
        more = ("--model", "m", "--base-url", agent.base_url, "-c", "2")
        more += ("--judge-model", "m", "--judge-base-url", judges.base_url)
        arguments = command(root, out, *more)
        process = subprocess.Popen(
            [sys.executable, "-m", "longcat_eval", *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=os.environ,
            start_new_session=True,
        )
        deadline = time.monotonic() + 60
        while len(judges.requests) < 12 and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        _, err = process.communicate()
        assert len(judges.requests) >= 12, err
        before = len(judges.requests)
        ran = cli(*arguments)
        assert ran.code == 0, ran.err
        asked = Counter(r.raw for r in agent.requests if r.method == "POST")
        judged = Counter(r.raw for r in judges.requests if r.method == "POST")
    found = read_run(out).rows
    assert len(found) == len(rows)
    assert all(row.value is not None for row in found)
    # What was under way when it was killed, two requests to each of three roles, may be asked once more;
    # nothing finished is.
    assert sum(asked.values()) <= len(rows) + 2
    assert sum(times - 1 for times in judged.values()) <= 2 * 2
    assert len(judged) > before / 2


def test_an_estimate_counts_what_the_judges_may_be_asked(cli: Cli, tmp_path: Path) -> None:
    root = write(tmp_path / "data", [rule_item(GOOD) | {"ref_answer": None}, schema_item()])
    more = ("--model", "m", "--base-url", "http://127.0.0.1:9/v1", "--judge-model", "j")
    more += ("--judge-base-url", "http://127.0.0.1:9/v1", "--dry-run")
    ran = cli(*command(root, tmp_path / "r", *more))
    assert ran.code == 0, ran.err
    counted = {}
    for line in ran.out.splitlines():
        words = line.split()
        for role in ("agent", "extractor", "scorer"):
            if role in words[:2]:
                counted.setdefault(role, words[words.index(role) + 1 :])
    assert counted["agent"][:2] == ["2", "2"]
    assert (counted["extractor"][0], counted["scorer"][0]) == ("1", "2")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("分析：✅ 好。\n判断：是", True),
        ("分析：❌ 不好。\n判断：否", False),
        ("判断: 是", True),
        ("判断：否。再想想，判断：是", False),
        ("是", None),
        ("判断：是/否".replace("是/否", ""), None),
    ],
)
def test_the_scorers_verdict(text: str, said: bool | None) -> None:
    assert read_yes_no(text) is said


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('["一", "二"]', ["一", "二"]),
        ('```json\n["一"]\n```', ["一"]),
        ("['一', '二']", ["一", "二"]),
        ('["一", "二"', ["一", "二"]),
        ('评测对象：["一"]', ["一"]),
        ("[]", []),
        ("ALL", ["全文"]),
        ('"ALL"', ["全文"]),
        ('["ALL"]', ["全文"]),
        ("ALL\n", ["全文"]),
        ("没有", None),
        ("", None),
        ('{"a": 1}', None),
        ("[1, 2]", None),
        ('[["一"]]', None),
    ],
)
def test_the_extractors_list(text: str, parts: list[str] | None) -> None:
    assert read_parts(text, "全文") == parts


def test_the_extractors_program() -> None:
    assert read_program("def extract_info_list(model_response): ...") is not None
    assert read_program("好的") is None


def test_the_score_is_a_mean_over_abilities_of_means() -> None:
    found = [Found(0, True, "rule", "", ["a", "b"]), Found(1, False, "rule", "", ["a"])]
    assert mean_score(found) == pytest.approx((0.5 + 1.0) / 2)
    assert mean_score([]) == 0.0
