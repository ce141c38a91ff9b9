"""Other tools' results as columns: marked, with provenance, matched where the benchmark is known."""

import copy
import csv
import io
import json
from pathlib import Path

import pytest
from cli_fixtures import Cli
from foreign_files import EEE, INSPECT, LM_EVAL, write_inspect, write_json
from html_reading import Page
from made_up_runs import HOSTILE, MakeRun

from longcat_eval.reports.notes import notes
from longcat_eval.reports.render import FORMATS, render
from longcat_eval.reports.render_md import cell_text
from longcat_eval.reports.table import ELSEWHERE, build_table
from longcat_eval.runners.store import read_run


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """A word of --compare for each tool."""
    write_inspect(tmp_path / "logs" / "a.eval")
    write_json(tmp_path / "lm" / "results_1.json", LM_EVAL)
    write_json(tmp_path / "e.json", EEE)
    return {
        "inspect": f"inspect:{tmp_path / 'logs'}",
        "lm-eval": f"lm-eval:{tmp_path / 'lm'}",
        "eee": f"eee:{tmp_path / 'e.json'}",
    }


def test_known_benchmarks_share_a_row_and_are_marked(files: dict[str, str], make_run: MakeRun) -> None:
    run = read_run(make_run({"mmlu": (6, 1), "mmlu-pro": (4, 1)}))
    table = build_table([run], [",".join(files.values())])
    assert [column.label for column in table.columns] == [
        "lab/some-model (inspect-ai)",
        "lab/some-model (lm-eval)",
        "lab/some-model (lighteval)",
        "toy-model (this run)",
    ]
    rows = {row.label: [cell_text(cell) for cell in row.cells[:3]] for row in table.rows}
    assert rows["MMLU (acc)"] == ["62.50◊†§", "50.00◊†", "-"]
    assert rows["MMLU-Pro (acc)"] == ["-", "-", "66.50◊"]
    assert rows["AIME25 (avg@32)"] == ["-", "10.00◊†§", "-"]
    (elsewhere,) = [group for group in table.groups if group.name == ELSEWHERE]
    assert {row.label: [cell.text for cell in row.cells] for row in elsewhere.rows} == {
        "gsm8k (exact_match)": ["-", "40.00", "-", "-"],
        "wikitext (word_perplexity)": ["-", "12.5", "-", "-"],
        "hard.latency (seconds)": ["-", "-", "0.7", "-"],
    }
    for row in table.rows:
        for cell in row.cells:
            assert ("◊" in cell.marks) == (cell.foreign is not None)


def test_notes_say_whose_when_how_and_what_is_unknown(files: dict[str, str], make_run: MakeRun) -> None:
    run = read_run(make_run({"mmlu": (6, 1)}))
    said = notes(build_table([run], list(files.values())))
    assert any(note.startswith("◊ another tool's result, by a protocol that is not ours") for note in said)
    inspect = next(note for note in said if note.startswith("lab/some-model (inspect-ai) is by"))
    for part in (
        "inspect-ai 0.3.285, 2026-03-04, ",
        "MMLU: inspect_evals/mmlu_0_shot accuracy, 100 questions x 2, 2 without a verdict, SE 4.00",
        "data cais/mmlu",
        "temperature 0.5",
    ):
        assert part in inspect
    reported = next(note for note in said if note.startswith("lab/some-model (lighteval) is by"))
    assert "told by Some Leaderboard; evaluator third party; reported numbers, not a run" in reported
    unknown = next(note for note in said if note.startswith("Unknown for lab/some-model (lm-eval)"))
    assert "prompts and grader beyond their name" in unknown
    assert "sampling (MMLU, gsm8k, wikitext)" in unknown


def test_files_alone_make_a_table(cli: Cli, files: dict[str, str]) -> None:
    ran = cli("report", "--compare", files["inspect"], "-f", "md")
    assert ran.code == 0, ran.err
    assert "| MMLU (acc) | 62.50◊†§ |" in ran.out


def test_every_format_tells_them(files: dict[str, str], make_run: MakeRun) -> None:
    run = read_run(make_run({"mmlu": (6, 1)}))
    table = build_table([run], [*files.values(), "kimi"])
    for format in FORMATS:
        text = render(table, [run], format)
        assert "62.5" in text, format
        assert "inspect-ai 0.3.285" in text, format
    assert r"\textsuperscript{$\diamond$" in render(table, [run], "latex")
    lines = list(csv.DictReader(io.StringIO(render(table, [run], "csv"))))
    line = next(each for each in lines if each["task"] == "mmlu" and "inspect-ai" in each["source"])
    assert (line["value"], line["n"], line["k"], line["metric"]) == ("62.5000", "100", "2", "accuracy")
    assert line["note"].startswith("another tool's: inspect_evals/mmlu_0_shot; ")
    report = json.loads(render(table, [run], "json"))
    assert [column["model"] for column in report["published"]] == ["kimi-linear-48b-a3b"]
    column = report["foreign"][0]
    assert (column["tool"], column["version"], column["date"]) == ("inspect-ai", "0.3.285", "2026-03-04")
    (value,) = column["values"]
    assert (value["task"], value["marks"], value["value"], value["repeats"]) == ("mmlu", "◊†§", 62.5, 2)
    assert "prompts and grader beyond their name" in value["unknown"]


def test_many_unknown_benchmarks_are_counted(tmp_path: Path) -> None:
    made = copy.deepcopy(LM_EVAL)
    made["results"] |= {f"task{i}": {"acc,none": 0.5} for i in range(40)}
    table = build_table([], [str(write_json(tmp_path / "results_1.json", made))])
    (elsewhere,) = [group for group in table.groups if group.name == ELSEWHERE]
    assert len(elsewhere.rows) == 20
    assert "lab/some-model (lm-eval) has 22 further results of benchmarks that are none of ours." in notes(
        table
    )


def test_columns_of_one_name_are_told_apart(tmp_path: Path) -> None:
    paths = [write_inspect(tmp_path / name) for name in ("a.eval", "b.json")]
    table = build_table([], list(map(str, paths)))
    labels = ["lab/some-model (inspect-ai, file 1)", "lab/some-model (inspect-ai, file 2)"]
    assert [column.label for column in table.columns] == labels


def test_hostile_names_stay_text(tmp_path: Path, make_run: MakeRun) -> None:
    made = copy.deepcopy(INSPECT)
    made["eval"]["model"] = HOSTILE
    made["eval"]["task"] = f"x {HOSTILE}"
    run = read_run(make_run({"mmlu": (2, 1)}))
    table = build_table([run], [str(write_inspect(tmp_path / "a.eval", made))])
    page = render(table, [run], "html")
    assert "<img src=x" not in page
    assert "<svg onload" not in page
    assert "onerror" in Page(page).text
    for format in ("table", "md", "csv", "latex"):
        assert "\x1b" not in render(table, [run], format)


def test_a_bad_file_stops_a_run_before_it_starts(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "bad.eval").write_bytes(b"PK\x03\x04 no zip")
    ran = cli("run", "--suite", "smoke", "--model", "scripted/oracle", "--compare", "bad.eval", "-o", "r")
    assert ran.code == 2
    assert "bad.eval: no whole zip" in ran.err
    assert not (tmp_path / "r").exists()


def test_our_own_exports_come_back_with_the_same_numbers(cli: Cli, make_run: MakeRun, tmp_path: Path) -> None:
    make_run({"mmlu": (7, 1), "aime24": (5, 4)})
    for format in ("inspect", "inspect-json", "lm-eval", "eee"):
        assert cli("export", "run", "-f", format, "-o", format).code == 0
    table = build_table([read_run(tmp_path / "run")], ["inspect", "inspect-json", "lm-eval", "eee"])
    assert len(table.columns) == 5
    for row in table.rows:
        *theirs, ours = row.cells
        assert ours.result is not None
        for cell in theirs:
            found = cell.foreign
            assert found is not None
            assert found.value == pytest.approx(ours.result.value)
            assert found.stderr == pytest.approx(ours.result.se_questions)
            assert found.repeats == ours.result.k
            assert "◊" in cell.marks, "even ours: the files do not hold the prompts"


@pytest.mark.parametrize("command", ["diff", "gate"])
def test_they_are_not_judged_against_ours(
    cli: Cli, files: dict[str, str], make_run: MakeRun, command: str
) -> None:
    make_run({"mmlu": (6, 1)})
    ran = cli(command, files["inspect"], "run")
    assert ran.code == 2
    assert "another tool's results are by another protocol" in ran.err
