"""What `run` prints at its end, and which run `report` takes when none is named."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from longcat_eval.errors import UsageError
from longcat_eval.records import AttemptRow
from longcat_eval.reports.latest import latest_run
from longcat_eval.reports.summary import render_run_summary
from longcat_eval.runners.manifest import TaskRecord
from longcat_eval.runners.store import RunData

MakeRecord = Callable[..., TaskRecord]
MakeRows = Callable[..., list[AttemptRow]]
MakeRun = Callable[..., RunData]


def printed(runs: list[RunData], compare: list[str], width: int = 100) -> str:
    file = io.StringIO()
    render_run_summary(Console(file=file, width=width, color_system=None), runs, compare)
    return file.getvalue()


def test_outcomes_warnings_and_usage(make_record: MakeRecord, make_rows: MakeRows, make_run: MakeRun) -> None:
    rows = make_rows("math500", [[1.0]] * 96 + [[""]] * 3 + [[None]])
    text = printed([make_run({"math500": (make_record(100), rows)})], ["kimi"], 140)
    assert "96.97 (96/99)" in text
    assert "outcomes  answered 96, no_answer 3, endpoint_error 1\n" in text
    assert "warning   MATH500: 3 of 99 replies hold no answer (3.0 %)" in text
    assert "9,600 tokens in, 4,800 out · cost unknown (no price set)" in text
    assert "3 min 20 s summed over attempts · 2.0 s each" in text


def test_few_missing_answers_are_no_warning(
    make_record: MakeRecord, make_rows: MakeRows, make_run: MakeRun
) -> None:
    rows = make_rows("toy", [[1.0]] * 98 + [[""]] * 2)
    text = printed([make_run({"toy": (make_record(100), rows)})], [])
    assert "warning" not in text
    assert "$1.00" in text


def test_several_runs_are_named(make_record: MakeRecord, make_rows: MakeRows, make_run: MakeRun) -> None:
    task = {"toy": (make_record(2), make_rows("toy", [[1.0], [0.0]]))}
    text = printed([make_run(task, path="runs/a"), make_run(task, path="runs/b")], [])
    assert "\nruns/a\noutcomes" in text
    assert "\nruns/b\noutcomes" in text


def test_a_run_without_rows(make_record: MakeRecord, make_run: MakeRun) -> None:
    text = printed([make_run({"toy": (make_record(2), [])}, not_run={"ifeval": "install it"})], [])
    assert "outcomes  none" in text
    assert "no score" in text


@pytest.mark.parametrize("width", [40, 60, 80])
def test_summary_lines_fit(
    width: int, make_record: MakeRecord, make_rows: MakeRows, make_run: MakeRun
) -> None:
    rows = make_rows("math500", [[1.0]] * 96 + [[""]] * 4)
    text = printed([make_run({"math500": (make_record(100), rows)})], [], width)
    after = text[text.index("outcomes") :].splitlines()
    assert max(map(len, after)) <= width


def put(folder: Path, *started: str, name: str = "manifest.json") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps({"format": 1, "invocations": [{"started": s} for s in started]}))
    return folder


def test_the_run_that_was_started_last(tmp_path: Path) -> None:
    put(tmp_path / "b", "2026-01-02T10:00:00+00:00")
    put(tmp_path / "a", "2026-01-01T10:00:00+00:00", "2026-01-03T10:00:00+02:00")
    put(tmp_path / "c")
    (tmp_path / "no-run").mkdir()
    assert latest_run(tmp_path) == tmp_path / "a"
    put(tmp_path / "b", "2026-01-03T09:00:00+00:00", name="manifest-2of2.json")
    assert latest_run(tmp_path) == tmp_path / "b"


@pytest.mark.parametrize("root", [".", "absent"])
def test_no_run_is_a_usage_error(tmp_path: Path, root: str) -> None:
    with pytest.raises(UsageError, match="no run under"):
        latest_run(tmp_path / root)


@pytest.mark.parametrize("content", ["{", '{"invocations": [{"started": "yesterday"}]}'])
def test_a_broken_manifest_is_named(tmp_path: Path, content: str) -> None:
    put(tmp_path / "a", "2026-01-01T10:00:00+00:00")
    (tmp_path / "z").mkdir()
    (tmp_path / "z" / "manifest.json").write_text(content)
    with pytest.raises(UsageError, match=r"z/manifest\.json cannot be read"):
        latest_run(tmp_path)
