"""The index has every attempt; transcripts are embedded whole, evenly, and never beyond the cap."""

import base64
import json
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from made_up_runs import HOSTILE, MakeRun

from longcat_eval.reports.html import attempts
from longcat_eval.reports.html.attempts import embed, index, packed_json, shown
from longcat_eval.runners.store import RunData, read_run


def unpack(text: str) -> Any:
    return json.loads(zlib.decompress(base64.b64decode(text)))


def noisy(task: str, question: int, repeat: int) -> str:
    """A reply that hardly compresses."""
    import random

    return random.Random(f"{task} {question} {repeat}").randbytes(600).hex()


def embedded_of(runs: list[RunData], cap: int) -> Counter[str]:
    """How many transcripts of each task are in, after a look at every one."""
    found = embed(runs, cap)
    rows = [(run, row) for run in runs for row in run.rows]
    pages = [unpack(chunk) for chunk in found.chunks]
    counts: Counter[str] = Counter()
    for (run, row), chunk, place in zip(rows, found.chunk, found.place, strict=True):
        if chunk >= 0:
            assert pages[chunk][place] == unpack(packed_json(shown(run.path, row, attempts.TEXT_CAP)))
            counts[row.task] += 1
    assert sum(map(len, found.chunks)) <= cap
    assert found.kept == counts.total() == sum(map(len, pages))
    return counts


def test_everything_is_in_where_there_is_room(make_run: MakeRun) -> None:
    runs = [read_run(make_run({"a": (5, 2), "b": (3, 1)}, name)) for name in ("one", "two")]
    assert embedded_of(runs, 1_000_000) == {"a": 20, "b": 6}


@pytest.mark.parametrize("cap", [0, 1, 500, 2_000, 10_000, 30_000, 60_000])
def test_the_cap_holds(make_run: MakeRun, cap: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "CHUNK", 8_000)
    counts = embedded_of([read_run(make_run({"a": (40, 1), "b": (4, 1)}, said=noisy))], cap)
    assert counts.total() == 0 if cap < 1_000 else counts.total() > 0


def test_a_large_benchmark_does_not_crowd_out_a_small_one(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "CHUNK", 8_000)
    counts = embedded_of([read_run(make_run({"large": (80, 1), "small": (4, 1)}, said=noisy))], 40_000)
    assert counts["small"] == 4
    assert 0 < counts["large"] < 80


def test_what_is_taken_is_spread_over_the_questions(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "CHUNK", 4_000)
    run = read_run(make_run({"toy": (80, 1)}, said=noisy))
    taken = [i for i, chunk in enumerate(embed([run], 30_000).chunk) if chunk >= 0]
    assert 8 <= len(taken) < 60
    quarters = Counter(i // 20 for i in taken)
    assert set(quarters) == {0, 1, 2, 3}
    assert max(quarters.values()) - min(quarters.values()) <= 3


def test_the_index_counts_every_attempt_of_every_run(make_run: MakeRun) -> None:
    runs = [read_run(make_run({"a": (3, 2)}, name, word=word)) for name, word in (("x", ""), ("y", HOSTILE))]
    data = unpack(packed_json(index(runs, ["X", "Y"])))
    columns, lists = data["columns"], data["lists"]
    assert [run["label"] for run in data["runs"]] == ["X", "Y"]
    assert columns["run"] == [0] * 6 + [1] * 6
    for position, row in enumerate([row for run in runs for row in run.rows]):
        assert columns["sample"][position] == row.sample
        assert columns["value"][position] == row.value
        for name in ("task", "outcome", "reason", "group"):
            assert lists[name][columns[name][position]] == getattr(row, name)
    assert max(len(text or "") for text in columns["extracted"]) <= attempts.SHORT


def test_an_attempt_has_its_calls_tools_and_artifacts(make_run: MakeRun) -> None:
    log = "line\n" * 10
    path = make_run({"toy": (2, 1)}, artifacts={"patch": "diff --git a b\n+x\n", "log": log, "steps": 3})
    right, lost = (shown(path, row) for row in read_run(path).rows)
    kinds = [kind for kind, _, _ in right["blocks"] if kind not in ("setup", "end")]
    assert kinds == ["prompt", "prompt", "reply", "call", "failed_result", "reasoning", "reply"]
    assert right["artifacts"] == [["patch", "diff --git a b\n+x\n"], ["log", log]]
    assert right["kept"].startswith("steps 3")
    assert ("score", "1") in right["facts"]
    assert lost["error"] == "busy "
    assert ("outcome", "endpoint_error (http_503)") in lost["facts"]


def test_long_texts_lose_their_middle_in_the_file_alone(make_run: MakeRun) -> None:
    path = make_run({"toy": (1, 1)}, artifacts={"log": "begin\n" + "x" * 5_000 + "\nend"})
    (row,) = read_run(path).rows
    assert len(shown(path, row)["artifacts"][0][1]) == 5_010
    cut = shown(path, row, 1_000)["artifacts"][0][1]
    assert cut.startswith("begin\n")
    assert cut.endswith("\nend")
    assert "[… 4,010 characters are not in this page …]" in cut


def test_a_broken_frame_spoils_one_attempt(make_run: MakeRun) -> None:
    path = make_run({"toy": (3, 1)})
    rows = read_run(path).rows
    with (path / "transcripts.zst").open("r+b") as file:
        file.seek(rows[0].offset)
        file.write(b"\0" * rows[0].length)
    first, *others = (shown(path, row) for row in rows)
    assert "cannot be read" in first["error"]
    assert first["facts"]
    assert all(page["blocks"] for page in others)
    embed([read_run(path)], 100_000)


def test_a_missing_file_is_told(make_run: MakeRun) -> None:
    path: Path = make_run({"toy": (1, 1)})
    (path / "transcripts.zst").unlink()
    assert "cannot be read" in shown(path, read_run(path).rows[0])["error"]
