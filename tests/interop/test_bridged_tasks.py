"""A task taken from lm-eval goes back under its own name, with the metrics of every filter."""

import json
import re
from pathlib import Path
from statistics import fmean, stdev

import pytest
from cli_fixtures import Cli, serving
from foreign_files import LM_EVAL, write_json
from lmeval_tasks import ours, stock
from made_up_runs import MakeRun

from longcat_eval.reports.render_md import cell_text
from longcat_eval.reports.table import build_table
from longcat_eval.runners.store import read_run

__all__ = ["ours", "stock"]

pytest.importorskip("lm_eval")


def reply(body: dict[str, object]) -> str:
    """Right at every other seed by the strict filter, and never by the other."""
    messages, seed = body["messages"], body["seed"]
    assert isinstance(messages, list)
    assert isinstance(seed, int)
    numbers = re.findall(r"\d+", messages[-1]["content"])[-2:]
    return f"The answer is {sum(map(int, numbers)) + seed % 2}. Or 99"


def test_there_and_back(cli: Cli, ours: Path, tmp_path: Path) -> None:
    task = ("--task", "lm-eval:our_sums", "--lm-eval-include", ours, "-k", 3)
    with serving(reply=reply) as server:
        where = ("--base-url", server.base_url, "--model", "m", "--plain", "-o", "r")
        assert cli("run", *task, *where).code == 0
    assert cli("export", "r", "-f", "lm-eval", "-o", "out").code == 0
    (path,) = (tmp_path / "out").rglob("results_*.json")
    told = json.loads(path.read_text(encoding="utf-8"))
    (samples,) = (tmp_path / "out").rglob("samples_our_sums_*.jsonl")
    lines = [json.loads(line) for line in samples.read_text(encoding="utf-8").splitlines()]
    scores = told["results"]["our_sums"]
    for filter in ("strict", "last"):
        values = [line["exact_match"] for line in lines if line["filter"] == filter]
        assert len(values) == told["n-samples"]["our_sums"]["effective"] == 10
        assert scores[f"exact_match,{filter}"] == pytest.approx(fmean(values))
        assert scores[f"exact_match_stderr,{filter}"] == pytest.approx(stdev(values) / 10**0.5)
    assert scores["exact_match,last"] == 0.0
    assert told["configs"]["our_sums"]["repeats"] == 3
    table = build_table([read_run(tmp_path / "r")], ["lm-eval:out"])
    (row,) = [row for row in table.rows if row.task == "lm-eval:our_sums"]
    theirs, ours_too = (cell.text for cell in row.cells)
    assert theirs == ours_too != "0.00"


def test_lm_evals_own_results_stand_beside_it(make_run: MakeRun, tmp_path: Path) -> None:
    run = read_run(make_run({"lm-eval:our_sums": (4, 1)}))
    results = {**LM_EVAL, "groups": {}, "results": {"our_sums": {"exact_match,strict": 0.4}}}
    table = build_table([run], [str(write_json(tmp_path / "results_1.json", results))])
    (row,) = table.rows
    assert row.task == "lm-eval:our_sums"
    assert cell_text(row.cells[0]) == "40.00◊"
    other = {**results, "lm_eval_version": None, "results": {"our_sums_2": {"exact_match,strict": 0.4}}}
    table = build_table([run], [str(write_json(tmp_path / "results_2.json", other))])
    assert [row.task for row in table.rows] == ["lm-eval:our_sums", ""]
