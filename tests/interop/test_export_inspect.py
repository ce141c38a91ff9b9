"""Inspect logs in the shape that inspect_ai.log reads; `make oracles` reads them with it."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from exporting import Export

from longcat_eval.reports.rows import result_rows
from longcat_eval.runners.store import read_run


def logs(folder: Path) -> dict[str, dict[str, Any]]:
    """Every log of a folder as one object, by its task: zip and JSON alike."""
    found = {}
    for path in sorted(folder.iterdir()):
        if path.suffix == ".json":
            log = json.loads(path.read_text(encoding="utf-8"))
        else:
            with zipfile.ZipFile(path) as archive:
                assert archive.testzip() is None
                log = json.loads(archive.read("header.json"))
                names = [name for name in archive.namelist() if name.startswith("samples/")]
                log["samples"] = [json.loads(archive.read(name)) for name in names]
                log["summaries"] = json.loads(archive.read("summaries.json"))
                if "reductions.json" in archive.namelist():
                    log["reductions"] = json.loads(archive.read("reductions.json"))
                assert names == [f"samples/{s['id']}_epoch_{s['epoch']}.json" for s in log["samples"]]
                start = json.loads(archive.read("_journal/start.json"))
                assert start == {key: log[key] for key in ("version", "eval", "plan")}
        found[log["eval"]["task"]] = log
    return found


@pytest.mark.parametrize("format", ["inspect", "inspect-json"])
def test_a_log_holds_every_attempt_and_the_same_scores(export: Export, tmp_path: Path, format: str) -> None:
    found = logs(export(format))
    run = read_run(tmp_path / "run")
    assert set(found) == {"mmlu", "aime24"}
    for row in result_rows(run):
        log = found[row.task]
        assert row.value is not None
        assert row.se_questions is not None
        assert (log["version"], log["status"]) == (2, "success")
        assert log["eval"]["config"]["epochs"] == row.k
        assert log["results"]["total_samples"] == row.attempts == len(log["samples"])
        assert log["results"]["completed_samples"] == row.valid
        (score,) = log["results"]["scores"]
        assert score["metrics"]["accuracy"]["value"] == pytest.approx(row.value / 100)
        assert score["metrics"]["stderr"]["value"] == pytest.approx(row.se_questions / 100)
        theirs = {(s["id"], s["epoch"] - 1): s for s in log["samples"]}
        for attempt in (each for each in run.rows if each.task == row.task):
            sample = theirs[attempt.sample, attempt.repeat]
            if attempt.value is None:
                assert sample["scores"] is None
                assert sample["error"]["message"] == "endpoint_error: http_503: busy "
            else:
                assert "error" not in sample
                assert sample["scores"]["longcat_eval"]["value"] == attempt.value
                assert sample["scores"]["longcat_eval"]["answer"] == attempt.extracted
    assert len(found["aime24"]["reductions"][0]["samples"]) == 5
    assert "reductions" not in found["mmlu"]


def test_a_conversation_keeps_its_order_tools_and_reasoning(export: Export) -> None:
    sample = logs(export("inspect"))["mmlu"]["samples"][2]
    system, user, first, tool, last = sample["messages"]
    assert sample["input"] == [system, user]
    assert (system["content"], user["content"]) == ("Be brief.", "Asked reply to 2 ")
    call = {"id": "c1", "function": "bash", "type": "function", "arguments": {"command": "ls"}}
    assert first["tool_calls"] == [call]
    assert (tool["tool_call_id"], tool["function"], tool["content"]) == ("c1", "bash", "Error reply to 2 ")
    kinds = [(part["type"], part.get("text") or part.get("reasoning")) for part in last["content"]]
    assert kinds == [("reasoning", "reply to 2 "), ("text", "reply to 2 ")]
    assert sample["output"]["choices"][0]["message"] == last
    assert sample["model_usage"]["openai-api/toy-model"]["total_tokens"] == 9 + 3 + 20 + 5


def test_one_benchmark_goes_into_one_file(export: Export) -> None:
    path = export("inspect", "--task", "aime24", output="only.eval")
    with zipfile.ZipFile(path) as archive:
        assert json.loads(archive.read("header.json"))["eval"]["task"] == "aime24"


def test_several_benchmarks_do_not_go_into_one_file(cli: Any, export: Export) -> None:
    export("inspect")
    ran = cli("export", "run", "-f", "inspect", "-o", "only.eval")
    assert ran.code == 2
    assert "only.eval is one file" in ran.err


def test_equal_runs_give_equal_bytes(export: Export) -> None:
    first, second = export("inspect"), export("inspect", output="again")
    assert [p.name for p in sorted(first.iterdir())] == [p.name for p in sorted(second.iterdir())]
    for path in first.iterdir():
        assert path.read_bytes() == (second / path.name).read_bytes()


def test_without_texts_scores_alone_are_told(export: Export) -> None:
    found = logs(export("inspect", "--no-texts"))["aime24"]
    assert "reply to" not in json.dumps(found)
    assert all(s["messages"] == [] for s in found["samples"])
    assert [s["scores"] is None for s in found["samples"]].count(True) == 1


def test_a_run_that_goes_on_is_no_success(cli: Any, make_run: Any, tmp_path: Path) -> None:
    make_run({"mmlu": (6, 1)})
    path = tmp_path / "run" / "samples.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:4]))
    assert cli("export", "run", "-f", "inspect", "-o", "out").code == 0
    log = logs(tmp_path / "out")["mmlu"]
    assert (log["status"], log["results"]["total_samples"], len(log["samples"])) == ("cancelled", 6, 4)
    ran = cli("report", "--compare", "out", "-f", "md")
    assert "read from an Inspect log; status cancelled" in ran.out
