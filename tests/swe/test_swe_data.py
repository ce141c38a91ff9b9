"""Rows of SWE-bench: the real sets, both forms of the test lists, and rows that cannot be graded."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import toy_repair
from cli_fixtures import Cli

from longcat_eval.errors import EnvironmentUnusableError, UsageError
from longcat_eval.protocols import DataOptions
from longcat_eval.runners.workers import WorkerPool
from longcat_eval.tasks.datasets import DatasetSpec
from longcat_eval.tasks.swe import data
from longcat_eval.tasks.swe.data import LITE, MULTILINGUAL, VERIFIED, load_rows, to_sample
from longcat_eval.tasks.swe.evaluation import wants_network
from longcat_eval.tasks.swe.grader import Grader
from longcat_eval.tasks.swe.patches import file_patches, touched_files

ROW = toy_repair.row("0" * 40, "toy:1")
FETCHING = {VERIFIED.name: 8, LITE.name: 6, MULTILINGUAL.name: 11}
"""psf/requests; nine rows with submodules of jq, one of composer, one of npm."""

NOTHING_TO_FIX = {"tokio-rs__axum-1730"}
"""The row has no test that must begin to pass: whatever breaks nothing solves it."""


@pytest.mark.data
@pytest.mark.parametrize("spec", [VERIFIED, MULTILINGUAL, LITE], ids=lambda spec: spec.name)
async def test_the_real_sets_are_what_the_grader_expects(
    spec: DatasetSpec, data_dir: Path, grader: Grader, workers: WorkerPool
) -> None:
    dataset = load_rows(spec, DataOptions(data_dir))
    assert len(dataset.samples) == len({sample.id for sample in dataset.samples}) == spec.items
    assert dataset.drift == ""
    assert "SWE-bench/SWE-bench@9fa5614" in dataset.source
    assert await grader.unusable_rows(dataset.samples, workers) == []
    assert sum(map(wants_network, dataset.samples)) == FETCHING[spec.name]
    for sample in dataset.samples:
        assert sample.fields["FAIL_TO_PASS"] or sample.id in NOTHING_TO_FIX
        for name in ("patch", "test_patch"):
            patch = sample.fields[name].encode()
            assert b"".join(part.content for part in file_patches(patch)) == patch
            assert touched_files(patch), sample.id


@pytest.mark.data
async def test_a_real_script_records_the_exit_code_of_its_tests(
    data_dir: Path, grader: Grader, workers: WorkerPool
) -> None:
    rows = {sample.id: sample for sample in load_rows(LITE, DataOptions(data_dir)).samples}
    script = await grader.eval_script(rows["pallets__flask-5063"], workers)
    assert script.startswith("#!/bin/bash\nset -uxo pipefail\n")
    assert re.search(r"pytest -rA tests/test_cli.py\nSWEBENCH_TEST_EXIT_CODE=\$\?\n: '>>>>> End", script)


@pytest.mark.parametrize("tests", [["a", "b[x]"], json.dumps(["a", "b[x]"])])
def test_test_lists_come_as_lists_or_as_their_text(tests: Any) -> None:
    assert to_sample({**ROW, "PASS_TO_PASS": tests}).fields["PASS_TO_PASS"] == ["a", "b[x]"]


@pytest.mark.parametrize("tests", ["a, b", "{}", '{"a": 1}', [1], None, 5])
def test_anything_else_is_no_list_of_tests(tests: Any) -> None:
    with pytest.raises(EnvironmentUnusableError, match="toy__calc-1: FAIL_TO_PASS is no"):
        to_sample({**ROW, "FAIL_TO_PASS": tests})


def test_rows_of_before_swebench_5_are_refused_by_what_they_lack() -> None:
    old = {name: value for name, value in ROW.items() if name not in ("eval_script", "log_parser", "image")}
    with pytest.raises(
        EnvironmentUnusableError,
        match="no column eval_script, log_parser, image; rows from before swebench 5",
    ):
        to_sample(old)
    with pytest.raises(EnvironmentUnusableError, match=r"no column patch$"):
        to_sample({name: value for name, value in ROW.items() if name != "patch"})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"instance_id": ""}, "no instance_id"),
        ({"repo": None}, "repo is no text"),
        ({"image_assets": '{"patch": [{"path": "a.png"}]}'}, "image_assets"),
    ],
)
def test_rows_that_cannot_be_asked(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(EnvironmentUnusableError, match=said):
        to_sample({**ROW, **changes})
    assert to_sample({**ROW, "image_assets": "{}"}).group == "toy/calc"


@pytest.mark.parametrize("form", ["json", "jsonl", "parquet"])
def test_a_file_of_own_rows_is_named_in_every_report(tmp_path: Path, form: str) -> None:
    path, rows = tmp_path / f"mine.{form}", [ROW, {**ROW, "instance_id": "toy__calc-2"}]
    if form == "parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
        import pyarrow

        parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    else:
        lines = [json.dumps(row) for row in rows]
        path.write_text("\n".join(lines) if form == "jsonl" else json.dumps(rows), encoding="utf-8")
    loaded = load_rows(LITE, DataOptions(dataset=path))
    assert [sample.id for sample in loaded.samples] == ["toy__calc-1", "toy__calc-2"]
    assert loaded.drift == f"the 2 rows of mine.{form} instead of its own"
    assert loaded.samples[0].fields["PASS_TO_PASS"] == ["test_calc.py::test_add"]


def test_own_rows_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    with pytest.raises(UsageError, match="there is no such file"):
        load_rows(LITE, DataOptions(dataset=path))
    path.write_text("[]")
    with pytest.raises(EnvironmentUnusableError, match="holds no rows"):
        load_rows(LITE, DataOptions(dataset=path))
    path.write_text(json.dumps([ROW, ROW]))
    with pytest.raises(EnvironmentUnusableError, match="two rows have the instance_id toy__calc-1"):
        load_rows(LITE, DataOptions(dataset=path))


@pytest.mark.parametrize(
    "place", ["SWE-bench_Lite_test.jsonl", "SWE-bench_Lite/test.jsonl", "SWE-bench_Lite/data/test-0.jsonl"]
)
def test_where_the_data_may_lie(tmp_path: Path, place: str) -> None:
    path = tmp_path / "swebench" / place
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(ROW))
    loaded = load_rows(LITE, DataOptions(tmp_path, allow_drift=True))
    assert [sample.id for sample in loaded.samples] == ["toy__calc-1"]
    assert "1 items, expected 300" in loaded.drift
    with pytest.raises(EnvironmentUnusableError, match="swe-bench-verified"):
        load_rows(VERIFIED, DataOptions(tmp_path))


@pytest.mark.parametrize(
    ("script", "wanted"),
    [
        ("git submodule update --init\n", True),
        ("cd /testbed && true\n(npm install) | cat\n", True),
        ("  composer update\n", True),
        ("python -m pip install -e .\ncargo test | cat\n", False),
        ("git apply -v - <<'EOF_1'\n+npm install\ncurl x\nEOF_1\npytest\n", False),
        ("git checkout abc tests/npm install\n", False),
    ],
)
def test_scripts_that_fetch_get_a_network(script: str, wanted: bool) -> None:
    assert wants_network(to_sample({**ROW, "eval_script": script})) is wanted
    assert wants_network(to_sample({**ROW, "eval_script": script, "repo": "psf/requests"}))


def test_the_sets_say_what_is_missing(cli: Cli, tmp_path: Path, real_swebench: Path) -> None:
    ran = cli("run", "--task", "swe-bench-lite", "--model", "scripted/null", "--data-dir", tmp_path)
    assert ran.code == 5
    assert "`longcat-eval fetch swebench` fetches it (143 KB, MIT)" in ran.err


def test_official_rows_have_all_columns_the_grader_takes() -> None:
    row = data.official_row(to_sample(ROW))
    assert {name: row[name] for name in ("instance_id", "FAIL_TO_PASS")} == {
        "instance_id": "toy__calc-1",
        "FAIL_TO_PASS": ["test_calc.py::test_mean"],
    }


@pytest.mark.data
@pytest.mark.usefixtures("swebench")
def test_without_a_daemon_it_is_said_before_any_model_is_asked(
    cli: Cli, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    words = ("--model", "scripted/null", "--data-dir", data_dir, "--plain")
    ran = cli("run", "--task", "swe-bench-lite", *words, "-o", "r")
    assert ran.code == 5
    assert f"no Docker daemon answers at unix://{tmp_path}/no.sock" in ran.err
    assert not (tmp_path / "r").exists()
    ran = cli("run", "--task", "swe-bench-lite", *words, "--dry-run")
    assert ran.code == 0
    assert "15,000 requests" in ran.out
    ran = cli("run", "--suite", "coding", *words)
    assert ran.code == 5
    for name in ("swe-bench-verified", "swe-bench-multilingual"):
        assert f"not run: {name}: no Docker daemon answers" in ran.out
