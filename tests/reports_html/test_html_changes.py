"""The page compares its first run with each other one as `diff` does; what changed opens side by side."""

import random
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from headless import BROWSER, browsing
from html_reading import Page
from made_up_runs import HOSTILE, MakeRun

from longcat_eval.reports.diff import diff_sides, flips
from longcat_eval.reports.html import attempts
from longcat_eval.reports.html.changes import LISTED, all_changes
from longcat_eval.reports.html.page import to_html
from longcat_eval.reports.sides import run_side
from longcat_eval.reports.table import build_table
from longcat_eval.runners.store import RunData, read_run


def changed(run: RunData, *questions: int) -> RunData:
    """The run with the verdicts of these questions turned round."""
    from msgspec.structs import replace

    rows = [
        replace(row, value=1.0 - row.value)
        if row.value is not None and int(row.sample[1:4]) in questions
        else row
        for row in run.rows
    ]
    return run._replace(rows=rows)


def test_one_run_has_no_changes(make_run: MakeRun) -> None:
    run = read_run(make_run({"toy": (12, 1)}))
    assert all_changes(build_table([run]), [run]) == []


def test_numbers_and_flips_are_those_of_diff(make_run: MakeRun) -> None:
    base = read_run(make_run({"toy": (12, 2), "gpqa-diamond": (9, 1)}))
    runs = [base, changed(base, 0, 2), changed(base, 3, 4, 5)]
    table = build_table(runs)
    first, second = all_changes(table, runs)
    assert (first.base, second.cand) == (table.columns[0].label, table.columns[2].label)
    for found, cand in ((first, runs[1]), (second, runs[2])):
        tasks = {task.task: task for task in diff_sides(run_side(base), run_side(cand)).tasks}
        by_label = {row.label: row for row in found.rows}
        assert set(by_label) == {"toy", "GPQA-Diamond"}
        expected = flips(tasks["toy"])
        assert [flip.question for flip in by_label["toy"].flips] == [flip.question for flip in expected]
        assert by_label["toy"].broken + by_label["toy"].fixed == len(expected)
        for row in found.rows:
            assert row.low is not None
            assert row.at is not None
            assert row.high is not None
            assert 0 <= row.low <= row.at <= row.high <= 100
    assert {flip.question: flip.kind for flip in first.rows[0].flips} == {"q000": "broken", "q002": "fixed"}
    assert parse_qs(first.rows[0].flips[0].address)["question"] == ["q000"]


def test_runs_without_a_common_benchmark_have_no_changes(make_run: MakeRun) -> None:
    runs = [read_run(make_run({task: (9, 1)}, task)) for task in ("toy", "mmlu")]
    assert all_changes(build_table(runs), runs) == []


def test_a_long_list_ends_and_says_how_many_there_are(make_run: MakeRun) -> None:
    base = read_run(make_run({"toy": (260, 1)}))
    runs = [base, changed(base, *range(260))]
    (found,) = all_changes(build_table(runs), runs)
    assert len(found.rows[0].flips) == LISTED
    assert found.rows[0].broken + found.rows[0].fixed == 259
    text = " ".join(Page(to_html(build_table(runs), runs, 0)).text.split())
    assert "The first 200 are listed; all: longcat-eval diff --flips 259" in text


def test_changed_questions_are_embedded_first(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    def noisy(task: str, question: int, repeat: int) -> str:
        return random.Random(f"{question} {repeat}").randbytes(600).hex()

    monkeypatch.setattr(attempts, "CHUNK", 4_000)
    base = read_run(make_run({"toy": (80, 1)}, said=noisy))
    runs = [base, changed(base, 11, 12, 13)]
    page = Page(to_html(build_table(runs), runs, 0.04))
    columns = page.packed("index")["columns"]
    inside = [sample for sample, chunk in zip(columns["sample"], columns["chunk"], strict=True) if chunk >= 0]
    assert 6 < len(inside) < 160
    assert [inside.count(sample) for sample in ("q011", "q012", "q013")] == [2, 2, 2]
    assert "those that changed between runs first" in page.text


@pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine")
async def test_a_click_shows_both_transcripts_side_by_side(make_run: MakeRun, tmp_path: Path) -> None:
    base = read_run(make_run({"toy": (12, 2)}, word=HOSTILE))
    runs = [base, changed(base, 3)]
    file = tmp_path / "page.html"
    file.write_text(to_html(build_table(runs), runs), encoding="utf-8")
    async with browsing(tmp_path / "profile") as tab:
        await tab.open(file.as_uri())
        await tab.until("document.querySelector('.attempt')")
        await tab.value("document.querySelector('#changes details a').click()")
        await tab.until("document.querySelectorAll('.pair .open dl').length === 2")
        names = await tab.value(
            "[...document.querySelectorAll('.pair .key-text')].map((each) => each.textContent)"
        )
        places = await tab.value(
            "[...document.querySelectorAll('.pair > li')].map((li) => li.getBoundingClientRect().left > 300)"
        )
        assert tab.events == []
    assert [name[:16] for name in names] == ["run 1 · toy/q003", "run 2 · toy/q003"] * 2
    assert places == [False, True, False, True]
