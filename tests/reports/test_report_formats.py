"""Every format of one table; the card's own table comes out as the card prints it."""

import csv
import io
import json
from collections.abc import Callable

import pytest
from rich.console import Console

from longcat_eval.errors import UsageError
from longcat_eval.records import AttemptRow
from longcat_eval.reports.render import render, to_text
from longcat_eval.reports.render_table import table_renderable, wrap
from longcat_eval.reports.table import build_table
from longcat_eval.runners.manifest import TaskRecord
from longcat_eval.runners.store import RunData

MakeBinary = Callable[..., tuple[TaskRecord, list[AttemptRow]]]
MakeRun = Callable[..., RunData]
COLUMNS = ["kimi", "qwen3-next", "gemini", "longcat"]

CARD = """\
| Benchmark (metric) | Kimi-Linear-48B-A3B | Qwen3-Next-80B-A3B-Instruct | Gemini 2.5 Flash-Lite |\
 LongCat-Flash-Lite |
|---|---|---|---|---|
| Architecture | MoE | MoE | - | MoE + NE |
| # Total Params | 48B | 80B | - | 68.5B |
| # Activated Params | 3B | 3B | - | 2.9B~4.5B |
| **Agentic Tool Use** | | | | |
| Tau2-Airline (avg@8) | 44.00 | 45.5* | 35.00 | 58.00 |
| Tau2-Retail (avg@8) | 18.86 | 57.3* | 37.50 | 73.10 |
| Tau2-Telecom (avg@8) | 15.68 | 13.2* | 21.93 | 72.80 |
| **Agentic Coding** | | | | |
| SWE-Bench (acc) | 32.80 | 37.60 | 41.3* | 54.40 |
| TerminalBench (acc) | 20.00 | 15.19 | 20.00 | 33.75 |
| SWE-Bench Multilingual | 37.20 | 31.30 | - | 38.10 |
| PRDBench | - | 15.36 | - | 39.63 |
| **General Domains** | | | | |
| GPQA-Diamond (avg@16) | 69.89 | 74.33 | 70.20* | 66.78 |
| MMLU (acc) | 79.91 | 89.28 | 84.68 | 85.52 |
| MMLU-Pro (acc) | 67.22 | 82.93 | 78.95 | 78.29 |
| CEval (acc) | 78.48 | 90.91 | 75.16 | 86.55 |
| CMMLU (acc) | 76.26 | 86.50 | 72.06 | 82.48 |
| **Mathematical Reasoning** | | | | |
| MATH500 (acc) | 94.20 | 98.00 | 95.20 | 96.80 |
| AIME24 (avg@32) | 70.52 | 81.35 | 63.33 | 72.19 |
| AIME25 (avg@32) | 59.58 | 68.44 | 50.1* | 63.23 |
"""


@pytest.fixture
def runs(
    make_run: MakeRun,
    make_binary: MakeBinary,
    make_record: Callable[..., TaskRecord],
    make_rows: Callable[..., list[AttemptRow]],
) -> list[RunData]:
    lossy = make_rows("terminal-bench", [[1.0]] * 27 + [[0.0]] * 52 + [[None]])
    tasks = {
        "mmlu": make_binary("mmlu", 12_009, 14_042),
        "math500": make_binary("math500", 14, 20, items=500),
        "aime24": make_binary("aime24", 693, 30, 32),
        "terminal-bench": (make_record(80), lossy),
        "toy": make_binary("toy", 26, 40),
    }
    first = make_run(tasks, model="longcat-flash-lite", not_run={"tau2-retail": "fetch tau2"})
    second = make_run(tasks, model="an-uncommonly-long-name/of-some-checkpoint_step-12000", path="runs/other")
    return [first, second]


def test_the_cards_own_table() -> None:
    markdown = render(build_table([], COLUMNS), [], "md")
    assert markdown.startswith(CARD + "\n- ")
    assert "| " not in markdown.removeprefix(CARD)


def test_our_column_beside_the_card(runs: list[RunData]) -> None:
    lines = render(build_table(runs[:1], ["longcat"]), runs[:1], "md").splitlines()
    assert "| MATH500 (acc) | 96.80 | 70.00† (14/20) [48.1, 85.5] |" in lines
    assert (
        "| TerminalBench (acc) | 33.75 | 34.18 (27/79) [24.7, 45.2] incomplete 98.75 %, 33.75–35.00 |"
        in lines
    )
    assert "| Tau2-Retail (avg@8) | 73.10 | not run |" in lines
    assert lines[-1].startswith("- ")


def test_pipes_in_names_do_not_break_the_table(make_run: MakeRun, make_binary: MakeBinary) -> None:
    run = make_run({"toy": make_binary("toy", 1, 2)}, model="a|b\nc")
    assert render(build_table([run]), [run], "md").splitlines()[0] == "| Benchmark (metric) | a\\|b c |"


def test_csv_is_long_and_numeric(runs: list[RunData]) -> None:
    table = build_table(runs[:1], ["qwen3-next"])
    lines = list(csv.DictReader(io.StringIO(render(table, runs[:1], "csv"))))
    assert len(lines) == 2 * len(table.rows)
    ours = {line["task"]: line for line in lines if line["source"] == "run 1"}
    assert ours["aime24"] == {
        "task": "aime24",
        "label": "AIME24 (avg@32)",
        "metric": "avg@32",
        "model": "longcat-flash-lite",
        "source": "run 1",
        "value": "72.1875",
        "ci_low": ours["aime24"]["ci_low"],
        "ci_high": ours["aime24"]["ci_high"],
        "ci_method": "clustered t",
        "correct": "693",
        "n": "30",
        "k": "32",
        "attempts": "960",
        "coverage": "1.000000",
        "mark": "",
        "note": "",
    }
    assert float(ours["aime24"]["ci_low"]) < 72.1875 < float(ours["aime24"]["ci_high"])
    assert (ours["math500"]["mark"], ours["math500"]["note"]) == ("†", "20 of 500")
    assert ours["terminal-bench"]["note"] == "incomplete 98.75 %, bounds 33.75–35.00"
    assert ours["tau2-retail"]["note"] == "not run"
    theirs = {line["task"]: line for line in lines if line["model"].startswith("qwen3")}
    assert (theirs["tau2-retail"]["value"], theirs["tau2-retail"]["mark"]) == ("57.3", "*")
    assert theirs["tau2-retail"]["source"].endswith("(2026-01)")


def test_equal_scores_give_equal_csv(runs: list[RunData], make_run: MakeRun) -> None:
    first = runs[0]
    slower = [
        AttemptRow(
            **{**{f: getattr(r, f) for f in r.__struct_fields__}, "seconds": 77.0, "cost": 1.0, "tries": 3}
        )
        for r in reversed(first.rows)
    ]
    moved = first._replace(path=first.path / "elsewhere", rows=slower)
    assert render(build_table([moved], ["kimi"]), [moved], "csv") == render(
        build_table([first], ["kimi"]), [first], "csv"
    )


def test_json_has_rows_runs_and_sources(runs: list[RunData]) -> None:
    report = json.loads(render(build_table(runs, ["gemini"]), runs, "json"))
    row = next(r for r in report["rows"] if r["task"] == "terminal-bench")
    assert {
        k: row[k] for k in ("run", "model", "correct", "n", "k", "valid", "attempts", "coverage", "bounds")
    } == {
        "run": 1,
        "model": "longcat-flash-lite",
        "correct": 27.0,
        "n": 80,
        "k": 1,
        "valid": 79,
        "attempts": 80,
        "coverage": 79 / 80,
        "bounds": [33.75, 35.0],
    }
    assert row["value"] == pytest.approx(100 * 27 / 79)
    assert row["outcomes"] == {"answered": 79, "endpoint_error": 1}
    assert len(row["scores_sha256"]) == 64
    assert report["runs"][0] == {
        "run": 1,
        "path": "runs/r1",
        "model": "longcat-flash-lite",
        "suite": None,
        "seeds": [7],
        "not_run": {"tau2-retail": "fetch tau2"},
    }
    (gemini,) = report["published"]
    aime = next(value for value in gemini["values"] if value["task"] == "aime25")
    assert (aime["text"], aime["value"], aime["mark"], aime["date"]) == ("50.1", 50.1, "*", "2026-01")


def test_an_unknown_format_is_one_line() -> None:
    with pytest.raises(UsageError, match=r"'jsn'.*did you mean 'json'.*table, md, csv, json"):
        render(build_table([], ["kimi"]), [], "jsn")


@pytest.mark.parametrize("width", [45, 60, 80, 100, 140, 250])
@pytest.mark.parametrize("columns", [[], ["kimi"], [*COLUMNS, "longcat-flash-chat"]])
def test_the_terminal_table_fits_and_loses_nothing(
    width: int, columns: list[str], runs: list[RunData]
) -> None:
    for shown in (runs[:1], runs):
        table = build_table(shown, columns)
        text = to_text(table, width)
        assert max(map(len, text.splitlines())) <= width
        assert "…" not in text
        for piece in (
            "34.18",
            "(27/79)",
            "[24.7, 45.2]",
            "incomplete 98.75 %",
            "33.75–35.00",
            "70.00†",
            "not run",
        ):
            assert text.count(piece) >= (1 if piece == "not run" else len(shown)), (piece, width)
        for column in table.columns:
            for word in column.label.replace("-", " ").replace("/", " ").replace("_", " ").split():
                assert word in text


def test_no_colour_means_no_escape_codes(runs: list[RunData]) -> None:
    assert "\x1b" not in to_text(build_table(runs, COLUMNS), 100)


def test_colour_changes_no_character(runs: list[RunData]) -> None:
    table = build_table(runs, COLUMNS)
    console = Console(
        file=io.StringIO(), width=100, record=True, force_terminal=True, color_system="truecolor"
    )
    console.print(table_renderable(table, 100))
    plain = "".join(f"{line.rstrip()}\n" for line in console.export_text().splitlines())
    assert plain == to_text(table, 100)


def test_decimal_points_stand_below_one_another() -> None:
    lines = to_text(build_table([], ["qwen3-next", "gemini"]), 100).splitlines()
    rows = [line for line in lines if line.startswith(("Tau2-Retail", "GPQA-Diamond", "AIME25"))]
    assert [line.split()[-1] for line in rows] == ["37.50", "70.20*", "50.1*"]
    assert len({line.rindex(".") for line in rows}) == 1


@pytest.mark.parametrize(
    ("label", "width", "lines"),
    [
        ("Kimi-Linear-48B-A3B", 28, ["Kimi-Linear-48B-A3B"]),
        ("Kimi-Linear-48B-A3B", 16, ["Kimi-Linear-", "48B-A3B"]),
        ("Gemini 2.5 Flash-Lite", 12, ["Gemini 2.5", "Flash-Lite"]),
        ("indivisible", 4, ["indivisible"]),
    ],
)
def test_headings_break_at_hyphens_into_even_lines(label: str, width: int, lines: list[str]) -> None:
    assert wrap(label, width) == lines
