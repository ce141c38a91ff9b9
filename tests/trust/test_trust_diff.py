"""`diff`: differences, flips, unmatched questions, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_fixtures import Cli

from longcat_eval.errors import UsageError
from longcat_eval.reports.diff import diff_sides, flips, verdicts
from longcat_eval.reports.sides import Side, read_side

WriteRun = Callable[..., Path]
RIGHT, WRONG = [1.0], [0.0]


def sides(write_run: WriteRun, base: object, cand: object, **changes: object) -> tuple[Side, Side]:
    return (
        read_side(str(write_run("base", {"math500": base}))),
        read_side(str(write_run("cand", {"math500": cand}, **changes))),
    )


def test_a_real_drop_is_worse_and_its_questions_are_named(write_run: WriteRun) -> None:
    base, cand = sides(write_run, [RIGHT] * 80 + [WRONG] * 20, [WRONG] * 20 + [RIGHT] * 61 + [WRONG] * 19)
    diff = diff_sides(base, cand)
    (task,) = diff.tasks
    changed = flips(task)
    assert [flip.question for flip in changed if not flip.fixed] == [f"q{i:03d}" for i in range(20)]
    assert [flip.question for flip in changed if flip.fixed] == ["q080"]
    assert verdicts(diff.tasks)[0][1] == "worse"
    assert verdicts(diff_sides(cand, base).tasks)[0][1] == "better"
    assert verdicts(diff_sides(base, base).tasks)[0][1] == "undecided"


def test_verdicts_are_corrected_for_the_number_of_benchmarks(write_run: WriteRun) -> None:
    """Seven lost questions of seven differing ones: p = 1/64, too much luck among six benchmarks."""
    alike = [[RIGHT, WRONG][i % 2] for i in range(50)]
    tasks = {f"t{i}": alike for i in range(5)}
    base = read_side(str(write_run("base", {"math500": [RIGHT] * 50, **tasks})))
    cand = read_side(str(write_run("cand", {"math500": [WRONG] * 7 + [RIGHT] * 43, **tasks})))
    diff = diff_sides(base, cand)
    assert verdicts(diff.tasks[:1])[0] == (pytest.approx(1 / 64), "worse")
    assert verdicts(diff.tasks)[0] == (pytest.approx(6 / 64), "undecided")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"grader": "grader/2"}, "graders"),
        ({"prompt_hash": "others"}, "prompts"),
        ({"limits": {"max_steps": 100.0}}, "max_steps (not set, 100)"),
    ],
)
def test_mixed_protocols_are_refused_by_name(
    write_run: WriteRun, cli: Cli, changes: dict[str, object], said: str
) -> None:
    a, b = write_run("a", {"math500": [RIGHT] * 9}), write_run("b", {"math500": [RIGHT] * 9}, **changes)
    ran = cli("diff", a, b)
    assert ran.code == 2
    assert said in ran.err
    ran = cli("diff", a, b, "--allow-mixed")
    assert ran.code == 0
    assert f"mixed: math500: the sides differ in {said}" in " ".join(ran.out.split())


def test_questions_without_a_partner_are_listed_and_left_out(write_run: WriteRun, cli: Cli) -> None:
    a = write_run("a", {"math500": [RIGHT] * 12}, items=20)
    b = write_run("b", {"math500": [RIGHT] * 9 + [[None]]}, items=20, first=3)
    ran = cli("diff", a, b, "-f", "json")
    (row,) = json.loads(ran.out)["rows"]
    assert (row["n"], row["only_base"], row["only_candidate"]) == (9, ["q000", "q001", "q002"], [])
    assert "3 questions have a result in the base alone: q000, q001, q002" in cli("diff", a, b).out


def test_both_transcripts_stand_side_by_side(write_run: WriteRun, cli: Cli) -> None:
    a, b = write_run("a", {"math500": [RIGHT] * 9}), write_run("b", {"math500": [WRONG] * 9})
    out = cli("diff", a, b, "--show", "q004").out
    assert any("a says 1.0" in line and "b says 0.0" in line for line in out.splitlines())
    assert cli("diff", a, b, "--show", "q00").code == 2
    assert "broken  math500/q004  1.00 -> 0.00" in cli("diff", a, b).out


def test_a_summary_with_questions_stands_for_its_run(write_run: WriteRun, cli: Cli) -> None:
    a = write_run("a", {"aime24": [[1.0, 0.0], [1.0, 1.0], [0.0, 0.5]] * 9})
    b = write_run("b", {"aime24": [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]] * 9})
    assert cli("report", a, "-f", "summary", "-o", "a.json").code == 0
    assert cli("report", a, "-f", "json", "-o", "plain.json").code == 0
    whole, kept, plain = (
        json.loads(cli("diff", x, b, "-f", "json").out)["rows"][0] for x in (a, "a.json", "plain.json")
    )
    assert kept == whole
    assert plain["paired"] is False
    assert plain["difference"] == pytest.approx(whole["difference"])
    assert plain["low"] is not None


def test_a_published_column_is_unpaired(write_run: WriteRun, cli: Cli) -> None:
    b = write_run("b", {"aime24": [[1.0] * 16 + [0.0] * 16] * 30, "smoke": [RIGHT] * 9})
    out = cli("diff", "card:longcat-flash-lite", b).out
    assert "72.19" in out
    assert "unpaired: all" in out
    assert "worse" in out
    assert f"only in {b}: smoke" in out


def test_subsets_and_other_repeats_are_told(write_run: WriteRun, cli: Cli) -> None:
    a = write_run("a", {"math500": [RIGHT] * 12}, items=500)
    out = cli("diff", "card:longcat-flash-lite", a).out
    assert "math500: candidate: a subset of the questions; 12 of 500" in out
    b = write_run("b", {"math500": [[1.0, 1.0]] * 12}, items=500)
    assert "math500: base is acc, candidate avg@2" in cli("diff", a, b).out


def test_bad_sides_are_one_line(write_run: WriteRun, cli: Cli, tmp_path: Path) -> None:
    a = write_run("a", {"math500": [RIGHT] * 9})
    (tmp_path / "other.json").write_text("{}")
    for wrong in ("nowhere", "other.json", "card:longcat-flash-lit", tmp_path):
        ran = cli("diff", a, wrong)
        assert ran.code == 2
        assert ran.err.count("\n") == 1
    assert "did you mean" in cli("diff", a, "card:longcat-flash-lit").err
    assert cli("diff", a, a, "--task", "math50").code == 2
    with pytest.raises(UsageError, match="share no benchmark"):
        diff_sides(read_side(str(a)), read_side(str(write_run("c", {"mmlu": [RIGHT] * 9}))))


def test_text_of_models_does_not_steer_the_terminal(write_run: WriteRun, cli: Cli) -> None:
    a = write_run("a", {"math500": [RIGHT] * 9}, model="\x1b[31m[bold]m")
    out = cli("diff", a, a).out
    assert "\x1b" not in out
    assert "[bold]m" in out
