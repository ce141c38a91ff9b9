"""Attempts as rows of a parquet file."""

import json
from pathlib import Path

import pyarrow.parquet
import pytest
from cli_fixtures import Cli
from exporting import Export

from longcat_eval.runners.store import read_run


def test_every_attempt_is_a_row_with_its_fields(export: Export, tmp_path: Path) -> None:
    table = pyarrow.parquet.read_table(export("parquet", output="out.parquet"))
    rows = read_run(tmp_path / "run").rows
    found = {(r["task"], r["sample"], r["repeat"]): r for r in table.to_pylist()}
    assert len(found) == table.num_rows == len(rows)
    for row in rows:
        told = found[row.task, row.sample, row.repeat]
        for name in ("value", "outcome", "reason", "extracted", "rule", "seconds", "cost", "time", "group"):
            assert told[name] == getattr(row, name), name
        assert told["valid"] == (row.value is not None)
        assert dict(told["metrics"]) == row.metrics
    assert "file" not in table.column_names


def test_scores_can_be_made_from_it(export: Export) -> None:
    table = pyarrow.parquet.read_table(export("parquet", output="out.parquet")).to_pylist()
    about = pyarrow.parquet.read_schema(export("parquet", output="out.parquet")).metadata
    tasks = json.loads(about[b"longcat-eval"])["tasks"]
    questions: dict[str, list[float]] = {}
    for row in table:
        if row["task"] == "aime24" and row["valid"]:
            questions.setdefault(row["sample"], []).append(row["value"])
    score = sum(sum(values) / len(values) for values in questions.values()) / len(questions)
    assert tasks["aime24"]["value"] == pytest.approx(score)
    assert tasks["aime24"]["protocol"]["repeats"] == 4


def test_another_ending_is_refused(cli: Cli, export: Export) -> None:
    export("lm-eval")
    ran = cli("export", "run", "-f", "parquet", "-o", "out")
    assert ran.code == 2
    assert "out should end in .parquet" in ran.err
