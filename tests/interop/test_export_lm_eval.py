"""Results and samples as lm-eval writes them, read with lm-eval's own functions."""

import json
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest
from exporting import Export

from longcat_eval.reports.rows import result_rows
from longcat_eval.runners.store import read_run

lm_eval_utils = pytest.importorskip("lm_eval.utils")


def read(folder: Path) -> tuple[dict[str, Any], dict[str, list[dict[str, Any]]]]:
    """The results, and the samples by task, found by lm-eval's own rules for file names."""
    names = [f"/{path.relative_to(folder)}" for path in folder.rglob("*") if path.is_file()]
    (results,) = lm_eval_utils.get_results_filenames(names)
    found = {}
    for name in lm_eval_utils.get_sample_results_filenames(names):
        file = name.rpartition("/")[2]
        lines = (folder / name[1:]).read_text(encoding="utf-8").splitlines()
        found[lm_eval_utils.get_file_task_name(file)] = [json.loads(line) for line in lines]
        assert lm_eval_utils.get_file_datetime(file) in results
    return json.loads((folder / results[1:]).read_text(encoding="utf-8")), found


def test_scores_errors_and_counts_are_the_same(export: Export, tmp_path: Path) -> None:
    results, samples = read(export("lm-eval", "--model-id", "toy/model:x"))
    assert (tmp_path / "out" / "toy__model__x").is_dir()
    for row in result_rows(read_run(tmp_path / "run")):
        assert row.value is not None
        told, lines = results["results"][row.task], samples[row.task]
        assert told[f"{row.metric},none"] == pytest.approx(row.value / 100)
        values = [line[row.metric] for line in lines]
        assert told[f"{row.metric},none"] == pytest.approx(fmean(values)), "lm-eval's mean of its lines"
        stderr = stdev(values) / len(values) ** 0.5
        assert told[f"{row.metric}_stderr,none"] == pytest.approx(stderr), "lm-eval's mean_stderr"
        assert results["n-samples"][row.task] == {"original": row.items, "effective": len(lines)}
        assert results["configs"][row.task]["repeats"] == row.k
        assert sum(len(line["resps"][0]) for line in lines) == row.valid
        assert sum(len(line["outcomes"]) for line in lines) <= row.attempts


def test_its_own_table_prints_the_scores(export: Export) -> None:
    results, _ = read(export("lm-eval"))
    table = lm_eval_utils.make_table(results)
    (line,) = [line for line in table.splitlines() if line.startswith("|mmlu")]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[:6] == ["mmlu", "mmlu/1", "none", "", "acc", "↑"]
    assert (float(cells[6]), cells[7], float(cells[8])) == (0.5, "±", 0.2236)
    (line,) = [line for line in table.splitlines() if "avg@4" in line]
    assert [float(line.split("|")[i]) for i in (7, 9)] == [0.4, 0.2449]


def test_the_hashes_are_lm_evals(export: Export) -> None:
    results, samples = read(export("lm-eval"))
    for task, lines in samples.items():
        for line in lines:
            asked = line["arguments"]["gen_args_0"]["arg_0"]
            assert line["prompt_hash"] == lm_eval_utils.hash_string(asked)
            assert line["target_hash"] == lm_eval_utils.hash_string(line["target"])
            assert json.loads(asked)[-1]["role"] == "user"
        hashes = (line["doc_hash"] + line["prompt_hash"] + line["target_hash"] for line in lines)
        assert results["task_hashes"][task] == lm_eval_utils.hash_string("".join(hashes))


def test_it_does_not_say_that_lm_eval_made_it(export: Export) -> None:
    results, _ = read(export("lm-eval"))
    assert results["lm_eval_version"] is None
    assert results["model_source"] == "longcat-eval"


def test_without_texts(export: Export) -> None:
    folder = export("lm-eval", "--no-texts")
    _, samples = read(folder)
    assert samples["mmlu"][0]["resps"] == [[""]]
    assert not any("reply to" in path.read_text(encoding="utf-8") for path in folder.rglob("*.json*"))
