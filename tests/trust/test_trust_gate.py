"""`gate`: verdicts, exit codes, and the formats that CI reads."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from cli_fixtures import Cli

from longcat_eval.reports.gate import Gate, Verdict, judge
from longcat_eval.reports.policy import Policy, Rule, Tier
from longcat_eval.reports.sides import read_side

WriteRun = Callable[..., Path]
RIGHT, WRONG = [1.0], [0.0]


def policy(margin: float = 2.0, tier: Tier = Tier.BLOCK, **tasks: Rule) -> Policy:
    return Policy(
        "test", 0.05, 0.8, 99.0, Rule(margin, tier), {k.replace("_", "-"): r for k, r in tasks.items()}
    )


def judged(base: Path, cand: Path, rules: Policy) -> Gate:
    return judge(read_side(str(base)), read_side(str(cand)), rules)


def verdict(gate: Gate, task: str = "math500") -> Verdict:
    return next(each.verdict for each in gate.judged if each.task == task)


def mixture(right: int, n: int, k: int = 1) -> list[list[float]]:
    """Questions right in all repeats, then questions wrong in all."""
    return [[1.0] * k] * right + [[0.0] * k] * (n - right)


def test_the_four_verdicts(write_run: WriteRun) -> None:
    base = write_run("base", {"math500": mixture(450, 500)})
    worse = write_run("worse", {"math500": mixture(420, 500)})
    slightly = write_run("slightly", {"math500": mixture(445, 500)})
    lossy = write_run("lossy", {"math500": [*mixture(450, 500)[:485], *([[None]] * 15)]})
    assert verdict(judged(base, worse, policy(2))) is Verdict.REGRESSED
    assert verdict(judged(base, base, policy(2))) is Verdict.PASS
    assert verdict(judged(base, slightly, policy(1.5))) is Verdict.INCONCLUSIVE
    assert verdict(judged(base, lossy, policy(2))) is Verdict.BROKEN
    assert verdict(judged(lossy, base, policy(2))) is Verdict.BROKEN


def test_a_significant_drop_within_the_margin_is_no_regression(write_run: WriteRun) -> None:
    base, cand = (write_run(n, {"math500": mixture(r, 500)}) for n, r in (("a", 450), ("b", 442)))
    (within,) = judged(base, cand, policy(5)).judged
    assert (within.verdict, within.look_at) == (Verdict.PASS, True)
    assert within.p_adjusted == pytest.approx(1 / 256)
    assert verdict(judged(base, cand, policy(1))) is Verdict.REGRESSED


def test_holm_counts_what_blocks_and_nothing_else(write_run: WriteRun) -> None:
    """Five lost of five: p = 1/32, enough alone, too little beside a second benchmark that blocks."""
    alike = {"mmlu": [[float(i % 2)] for i in range(60)]}
    base = write_run("base", {"math500": mixture(60, 60), **alike})
    cand = write_run("cand", {"math500": mixture(55, 60), **alike})
    both = judged(base, cand, policy(0))
    one = judged(base, cand, policy(0, mmlu=Rule(0.0, Tier.WARN)))
    assert (verdict(both), both.blocking, both.judged[0].p_adjusted) == (Verdict.INCONCLUSIVE, 2, 1 / 16)
    assert (verdict(one), one.blocking, one.judged[0].p_adjusted) == (Verdict.REGRESSED, 1, 1 / 32)
    assert verdict(judged(base, cand, policy(0, mmlu=Rule(0.0, Tier.IGNORE)))) is Verdict.REGRESSED


@pytest.mark.parametrize(
    ("cand", "tier", "strict", "code"),
    [
        (420, Tier.BLOCK, False, 1),
        (420, Tier.WARN, False, 0),
        (450, Tier.BLOCK, True, 0),
        (447, Tier.BLOCK, False, 0),
        (447, Tier.BLOCK, True, 4),
        (447, Tier.WARN, True, 0),
    ],
)
def test_exit_codes(write_run: WriteRun, cli: Cli, cand: int, tier: str, strict: bool, code: int) -> None:
    a, b = (write_run(n, {"math500": mixture(r, 500)}) for n, r in (("a", 450), ("b", cand)))
    Path("p.yaml").write_text(f"default: {{margin: 1, tier: {tier}}}\n")
    ran = cli("gate", a, b, "--policy", "p.yaml", *(["--strict"] if strict else []))
    assert ran.code == code, ran.out
    assert f"(exit {code})" in ran.out


def test_three_percent_of_lost_attempts_exit_3(write_run: WriteRun, cli: Cli) -> None:
    whole = [[1.0, 0.0] * 16] * 30
    lossy = [[*repeats[:-1], None] for repeats in whole]
    a, b = write_run("a", {"aime24": whole}), write_run("b", {"aime24": lossy})
    ran = cli("gate", a, b)
    assert ran.code == 3
    assert "aime24: broken: candidate: coverage 96.87 % is under 99 %" in ran.out
    assert cli("gate", a, a).code == 0


def test_a_benchmark_that_vanished_is_broken_and_a_new_one_is_told(write_run: WriteRun, cli: Cli) -> None:
    a = write_run("a", {"math500": mixture(9, 9), "mmlu": mixture(9, 9)})
    b = write_run("b", {"math500": mixture(9, 9), "aime24": mixture(9, 9)}, not_run={"mmlu": "fetch mmlu"})
    ran = cli("gate", a, b)
    assert ran.code == 3
    assert "mmlu: broken: not in the candidate (not run: fetch mmlu)" in ran.out
    assert "only in the candidate: aime24" in ran.out


def test_mixed_protocols_and_bad_policies_are_refused(write_run: WriteRun, cli: Cli) -> None:
    a, b = (
        write_run("a", {"math500": mixture(9, 9)}),
        write_run("b", {"math500": mixture(9, 9)}, grader="g/2"),
    )
    ran = cli("gate", a, b)
    assert (ran.code, ran.out) == (2, "")
    assert "graders" in ran.err
    Path("p.yaml").write_text("margin: 3\n")
    assert cli("gate", a, a, "--policy", "p.yaml").code == 2
    assert cli("gate", a, a, "--format", "xml").code == 2


def test_the_card_against_itself_has_no_regression(cli: Cli) -> None:
    ran = cli("gate", "card:longcat-flash-lite", "card:longcat-flash-lite", "-f", "json")
    rows = json.loads(ran.out)["rows"]
    assert ran.code == 0
    assert len(rows) == 16
    assert not [row for row in rows if row["verdict"] in ("regressed", "broken")]
    assert not any(row["paired"] for row in rows)
    sizes = {row["task"]: row["detectable"] for row in rows}
    assert 6 < sizes["aime24"] < 8
    assert sizes["prdbench"] > sizes["terminal-bench"], "50 tasks tell less than 80"


def test_a_run_is_judged_against_the_card(write_run: WriteRun, cli: Cli) -> None:
    rng = random.Random(3)
    fair = [[float(rng.random() < 0.72) for _ in range(32)] for _ in range(30)]
    poor = [[float(rng.random() < 0.40) for _ in range(32)] for _ in range(30)]
    same, worse = write_run("same", {"aime24": fair}), write_run("worse", {"aime24": poor})
    assert cli("gate", "card:longcat-flash-lite", same).code == 0
    ran = cli("gate", "card:longcat-flash-lite", worse)
    assert ran.code == 1
    assert "aime24 (unpaired)" in ran.out
    assert "only in the baseline: tau2-airline" in ran.out


def test_every_verdict_tells_what_it_could_have_seen(write_run: WriteRun, cli: Cli) -> None:
    rng = random.Random(4)
    runs = [
        write_run(
            name, {"aime24": [[float(rng.random() < (i % 3) / 2) for _ in range(8)] for i in range(30)]}
        )
        for name in "ab"
    ]
    (row,) = json.loads(cli("gate", *runs, "-f", "json").out)["rows"]
    assert row["detectable"] > max(row["margin"], 2.4 * row["se"])
    assert row["variance"]["base"] == pytest.approx(1 / 12, abs=0.03)
    assert f"{row['detectable']:.1f}" in cli("gate", *runs).out
    few = write_run("few", {"aime24": [[1.0, 0.0]] * 4})
    (row,) = json.loads(cli("gate", few, few, "-f", "json").out)["rows"]
    assert (row["detectable"], row["verdict"]) == (None, "inconclusive")


def test_json_is_one_line_and_equal_bytes(write_run: WriteRun, cli: Cli) -> None:
    a, b = (write_run(n, {"math500": mixture(r, 500)}) for n, r in (("a", 450), ("b", 420)))
    out = cli("gate", a, b, "-f", "json").out
    assert out.count("\n") == 1
    assert out == cli("gate", a, b, "-f", "json").out
    report = json.loads(out)
    assert (report["gate"], report["exit"]) == ("failed", 1)
    assert report["rows"][0]["difference"] == pytest.approx(-6.0)


def test_junit_tells_failures_from_errors_and_skips(write_run: WriteRun, cli: Cli) -> None:
    names = ("math500", "mmlu", "aime24", "ceval")
    a = write_run("a", {name: mixture(450, 500) for name in names}, model="m\x00<&>")
    b = write_run(
        "b",
        {
            "math500": mixture(400, 500),
            "mmlu": [*mixture(450, 500)[:480], *([[None]] * 20)],
            "aime24": mixture(450, 500),
            "ceval": mixture(440, 500),
        },
    )
    Path("p.yaml").write_text("default: {margin: 2, tier: block}\n")
    ran = cli("gate", a, b, "--policy", "p.yaml", "--junit", "out.xml")
    assert ran.code == 1
    suite = ElementTree.parse("out.xml").getroot()[0]
    assert {k: suite.get(k) for k in ("tests", "failures", "errors", "skipped")} == {
        "tests": "4",
        "failures": "1",
        "errors": "1",
        "skipped": "1",
    }
    kinds = {
        case.get("name"): [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
        for case in suite
    }
    assert kinds == {"math500": ["failure"], "mmlu": ["error"], "aime24": [], "ceval": ["skipped"]}
    cli("gate", a, b, "--policy", "p.yaml", "-f", "junit", "-o", "strict.xml", "--strict")
    assert ElementTree.parse("strict.xml").getroot()[0].get("failures") == "2"


def test_github_gets_a_summary_and_annotations(
    write_run: WriteRun, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = write_run("a", {"math500": mixture(450, 500)}, model="<script>|*m*")
    b = write_run("b", {"math500": mixture(400, 500)})
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    assert cli("gate", a, b, "--github").code == 2
    Path("summary.md").write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    ran = cli("gate", a, b, "--github", "-f", "json")
    assert ran.code == 1
    assert "::error title=longcat-eval gate::math500: regressed (block): 90.00 -> 80.00" in ran.out
    text = Path("summary.md").read_text()
    assert text.startswith("before\n### ❌ gate failed (exit 1): 1 regressed")
    assert "\\<script\\>\\|\\*m\\*" in text
    assert "| math500 | block | 90.00 | 80.00 | -10.00 |" in text
    assert cli("gate", a, b, "-f", "github").out in text
