"""Scores that are no mean over questions have no standard error of one; others may be no share."""

import json
import zipfile
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from made_up_runs import MakeRun
from msgspec import structs

from longcat_eval.reports.exports.every_eval_ever import export_eee
from longcat_eval.reports.exports.inspect_log import export_inspect
from longcat_eval.reports.exports.lm_eval import export_lm_eval
from longcat_eval.reports.exports.model_card import export_model_index
from longcat_eval.reports.exports.output import Encoder
from longcat_eval.reports.exports.source import Source, source
from longcat_eval.runners.store import read_run

SCHEMA = Path(__file__).parent / "every_eval_ever_0_3_0" / "eval.schema.json"


@pytest.fixture(params=["ratio", "plain", "nothing"])
def found(request: pytest.FixtureRequest, make_run: MakeRun) -> tuple[str, Source]:
    """A ratio of sums, a perplexity, and a benchmark without any verdict."""
    whole = source(read_run(make_run({"mmlu": (6, 1)})))
    (benchmark,) = whole.benchmarks
    row = benchmark.result
    changed = {
        "ratio": structs.replace(row, points=(3.0, 6.0), metric="instructions"),
        "plain": structs.replace(
            row,
            headline="perplexity",
            metric="perplexity",
            means={"perplexity": 12.5},
            value=12.5,
            ci_low=None,
        ),
        "nothing": structs.replace(row, value=None, ci_low=None, ci_high=None, se_questions=None, valid=0),
    }[request.param]
    rows = benchmark.rows
    if request.param == "nothing":
        rows = [structs.replace(each, value=None) for each in rows]
    return request.param, whole._replace(benchmarks=(benchmark._replace(result=changed, rows=rows),))


def test_inspect(found: tuple[str, Source], tmp_path: Path) -> None:
    kind, run = found
    (path,) = export_inspect(run, tmp_path / "logs", Encoder({}))
    with zipfile.ZipFile(path) as archive:
        scores = json.loads(archive.read("header.json"))["results"]["scores"]
    metrics = {name: m["value"] for score in scores for name, m in score["metrics"].items()}
    expected: dict[str, Any] = {"ratio": {"acc": 0.4}, "plain": {"perplexity": 12.5}, "nothing": {}}
    assert metrics == (expected[kind] if kind != "ratio" else {run.benchmarks[0].result.headline: 0.4})


def test_lm_eval(found: tuple[str, Source], tmp_path: Path) -> None:
    kind, run = found
    path, _ = export_lm_eval(run, tmp_path / "out", Encoder({}))
    told = json.loads(path.read_text(encoding="utf-8"))
    scores = {name: v for name, v in told["results"]["mmlu"].items() if "," in name and "macro" not in name}
    assert (
        scores
        == {
            "ratio": {"instructions,none": 0.4, "instructions_stderr,none": "N/A"},
            "plain": {"perplexity,none": 12.5, "perplexity_stderr,none": "N/A"},
            "nothing": {},
        }[kind]
    )
    if kind == "plain":
        assert told["higher_is_better"]["mmlu"]["perplexity"] is False


def test_every_eval_ever(found: tuple[str, Source], tmp_path: Path) -> None:
    kind, run = found
    if kind == "nothing":
        with pytest.raises(Exception, match="has no score to export"):
            export_eee(run, tmp_path, Encoder({}))
        return
    path, _ = export_eee(run, tmp_path, Encoder({}))
    log = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.Draft7Validator(json.loads(SCHEMA.read_text(encoding="utf-8"))).validate(log)
    (result,) = log["evaluation_results"]
    assert result["score_details"]["score"] == (12.5 if kind == "plain" else 0.4)
    assert "standard_error" not in result["score_details"]["uncertainty"]
    assert result["metric_config"]["lower_is_better"] == (kind == "plain")
    assert result["metric_config"]["max_score"] == ("Infinity" if kind == "plain" else 1.0)


def test_model_index(found: tuple[str, Source], tmp_path: Path) -> None:
    kind, run = found
    if kind == "nothing":
        with pytest.raises(Exception, match="no score to put into a card"):
            export_model_index(run, tmp_path / "README.md", Encoder({}))
        return
    (path,) = export_model_index(run, tmp_path / "README.md", Encoder({}))
    (model,) = yaml.safe_load(path.read_text(encoding="utf-8").split("---")[1])["model-index"]
    assert model["results"][0]["metrics"][0]["value"] == (12.5 if kind == "plain" else 40.0)
