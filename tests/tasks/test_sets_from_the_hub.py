"""The five sets that are not here, end to end from a hub on loopback, in their exact schemas and counts."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_context import oracle_score
from fake_hub import TOKEN, FakeHub, fake_hub
from made_up_sets import aime_rows, ceval_rows, cmmlu_rows, gpqa_rows, to_csv, to_jsonl, to_parquet, to_zip

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.protocols import DataOptions
from longcat_eval.records import Dataset
from longcat_eval.tasks import aime, ceval, cmmlu, gpqa
from longcat_eval.tasks.pins import read_pins
from longcat_eval.tasks.table import load_task

CEVAL, CMMLU = ceval_rows(sorted(ceval.SUBJECTS)), cmmlu_rows(sorted(cmmlu.SUBJECTS))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    with fake_hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


async def all_right(name: str) -> tuple[Any, Dataset]:
    """Load a task from the hub and score its own reference replies in the first and last repeat."""
    task = load_task(name)
    dataset = task.load(DataOptions())
    for sample in dataset.samples:
        for repeat in {0, task.protocol.repeats - 1}:
            assert (await oracle_score(task, sample, repeat)).value == 1.0, sample.id
    return task, dataset


def files_that_hold(text: bytes, folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file() and text in path.read_bytes()}


@pytest.mark.parametrize("layout", ["parquet", "zip"])
async def test_ceval(layout: str, hub: FakeHub) -> None:
    files = {f"{s}/val-00000-of-00001.parquet": to_parquet(rows) for s, rows in CEVAL.items()}
    others = {f"{s}/test-00000-of-00001.parquet": b"never fetched" for s in CEVAL}
    if layout == "zip":
        files = {"ceval-exam.zip": to_zip({f"val/{s}_val.csv": to_csv(rows) for s, rows in CEVAL.items()})}
        others = {"ceval-exam.py": b"never run"}
    sha = hub.add("ceval/ceval-exam", files | others | {"README.md": b""})
    _, dataset = await all_right("ceval")
    assert (len(dataset.samples), len({s.group for s in dataset.samples})) == (1_346, 52)
    assert (dataset.source, dataset.revision, dataset.drift) == ("hub ceval/ceval-exam", sha, "")
    assert not any("test-" in path or path.endswith(".py") for _, path, _ in hub.seen)
    assert read_pins()["ceval"].sha256 == dataset.sha256


async def test_cmmlu(hub: FakeHub) -> None:
    members = {f"test/{s}.csv": to_csv(rows) for s, rows in CMMLU.items()}
    members |= {f"dev/{s}.csv": to_csv(rows[:5]) for s, rows in CMMLU.items()}
    hub.add("haonan-li/cmmlu", {"cmmlu_v1_0_1.zip": to_zip(members), "cmmlu.py": b""})
    _, dataset = await all_right("cmmlu")
    assert (len(dataset.samples), len({s.group for s in dataset.samples})) == (11_582, 67)
    first = dataset.samples[0]
    assert (first.id, first.group) == ("agronomy/0000", "agronomy")


def test_cmmlu_as_csv_files_is_the_same_data(hub: FakeHub, tmp_path: Path) -> None:
    hub.add("haonan-li/cmmlu", {f"data/test/{s}.csv": to_csv(rows) for s, rows in CMMLU.items()})
    from_hub = load_task("cmmlu").load(DataOptions())
    (tmp_path / "cmmlu").mkdir()
    members = {f"test/{s}.csv": to_csv(rows) for s, rows in CMMLU.items()}
    (tmp_path / "cmmlu" / "cmmlu_v1_0_1.zip").write_bytes(to_zip(members))
    assert load_task("cmmlu").load(DataOptions(tmp_path)).sha256 == from_hub.sha256


async def test_gpqa_needs_a_token_and_spreads_no_question(
    hub: FakeHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    cache, elsewhere = tmp_path / "hf", tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("HF_HOME", str(cache))
    monkeypatch.setenv("TMPDIR", str(elsewhere))
    monkeypatch.setattr("tempfile.tempdir", None)
    files = {"gpqa_diamond.csv": to_csv(gpqa_rows()), "gpqa_main.csv": b"", "dataset.zip": b""}
    hub.add("Idavidrein/gpqa", files, revision=gpqa.DATA.revision, gated=True)
    with pytest.raises(EnvironmentUnusableError, match=r"accept its terms at .*HF_TOKEN.*--data-dir"):
        load_task("gpqa-diamond").load(DataOptions())
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    task, dataset = await all_right("gpqa-diamond")
    assert len(dataset.samples) == 198
    assert {s.group for s in dataset.samples} == {"Physics", "Chemistry", "Biology"}
    assert dataset.samples[3].id == "rec00000000000003"
    assert task.protocol.metric == "avg@16"
    places = files_that_hold(b"UNSPREADABLE", tmp_path)
    assert places
    assert all(place.is_relative_to(cache) for place in places)
    assert "UNSPREADABLE" not in caplog.text


def test_gpqa_of_a_local_folder_with_its_other_files(tmp_path: Path) -> None:
    (tmp_path / "gpqa").mkdir()
    (tmp_path / "gpqa" / "gpqa_diamond.csv").write_bytes(to_csv(gpqa_rows()))
    (tmp_path / "gpqa" / "gpqa_extended.csv").write_bytes(to_csv(gpqa_rows() * 2))
    assert len(load_task("gpqa-diamond").load(DataOptions(tmp_path)).samples) == 198


async def test_aime24_of_maxwell_jia(hub: FakeHub) -> None:
    rows = aime_rows("Problem", "Answer", {"ID": "2024-I-1", "Solution": "..."}, "number")
    table = to_parquet([{column: row[column] for column in row if column != "id"} for row in rows])
    hub.add("Maxwell-Jia/AIME_2024", {"aime_2024_problems.parquet": table}, revision=aime.AIME24.revision)
    task, dataset = await all_right("aime24")
    assert (len(dataset.samples), task.protocol.metric) == (30, "avg@32")


def test_aime24_of_huggingfaceh4_in_a_local_folder(tmp_path: Path) -> None:
    rows = aime_rows("problem", "answer", {"solution": "...", "url": "...", "year": "2024"}, "zeros")
    (tmp_path / "aime24" / "data").mkdir(parents=True)
    (tmp_path / "aime24" / "data" / "train-00000-of-00001.parquet").write_bytes(to_parquet(rows))
    dataset = load_task("aime24").load(DataOptions(tmp_path))
    assert dataset.samples[5].fields["answer"] == "25"


async def test_aime25_of_math_ai(hub: FakeHub) -> None:
    hub.add(
        "math-ai/aime25",
        {"test.jsonl": to_jsonl(aime_rows("problem", "answer", {}, "text"))},
        revision=aime.AIME25.revision,
    )
    _, dataset = await all_right("aime25")
    assert len(dataset.samples) == 30


def test_a_second_load_needs_no_hub_and_compares_the_noted_hash(hub: FakeHub) -> None:
    files = {"test.jsonl": to_jsonl(aime_rows("problem", "answer", {}, "text"))}
    hub.add("math-ai/aime25", files, revision=aime.AIME25.revision)
    first = load_task("aime25").load(DataOptions())
    hub.seen.clear()
    assert load_task("aime25").load(DataOptions()).sha256 == first.sha256
    assert hub.seen == []
    cached = next(Path(os.environ["XDG_CACHE_HOME"]).rglob("snapshots/*/test.jsonl")).resolve()
    cached.write_bytes(cached.read_bytes().replace(b"What is 3 ", b"What was 3 "))
    with pytest.raises(EnvironmentUnusableError, match=rf"expected {first.sha256[:12]}.*--allow-data-drift"):
        load_task("aime25").load(DataOptions())
    drifted = load_task("aime25").load(DataOptions(allow_drift=True))
    assert drifted.drift.endswith(f"expected {first.sha256[:12]}")
    assert read_pins()["aime25"].sha256 == first.sha256


def test_a_main_with_another_count_is_refused_and_not_noted(hub: FakeHub) -> None:
    short = {f"{s}/val-00000-of-00001.parquet": to_parquet(rows[:-1]) for s, rows in CEVAL.items()}
    hub.add("ceval/ceval-exam", short)
    with pytest.raises(EnvironmentUnusableError, match="1294 items, expected 1346"):
        load_task("ceval").load(DataOptions())
    assert read_pins() == {}
