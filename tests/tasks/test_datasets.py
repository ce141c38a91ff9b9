"""Loading and checking: local layouts, counts, hashes, drift, and what a user reads when data is wrong."""

import csv
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from made_up_sets import aime_rows, ceval_rows, to_csv, to_gz, to_jsonl, to_parquet, to_zip

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.protocols import DataOptions
from longcat_eval.tasks import aime, ceval, math500, mmlu, mmlu_pro
from longcat_eval.tasks.datasets import DatasetSpec, load_dataset, subject_of
from longcat_eval.tasks.known_data import known_data
from longcat_eval.tasks.table import load_task


def refusal(spec: DatasetSpec, folder: Path) -> str:
    with pytest.raises(EnvironmentUnusableError) as caught:
        load_dataset(spec, DataOptions(folder))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.data
@pytest.mark.parametrize(
    ("spec", "source", "first", "group", "seconds"),
    [
        (mmlu.DATA, "mmlu/mmlu.zip = hendrycks/test", "abstract_algebra/0000", "abstract_algebra", 0.35),
        (mmlu_pro.DATA, "mmlu_pro/mmlu_pro_test.jsonl.gz = questions of", "70", "business", 0.5),
        (math500.DATA, "math500/test.jsonl = test.jsonl of", "test/precalculus/807.json", "Precalculus", 0.5),
    ],
    ids=lambda value: value.name if isinstance(value, DatasetSpec) else "",
)
def test_the_real_sets_are_the_known_ones(
    spec: DatasetSpec, source: str, first: str, group: str, seconds: float, data_dir: Path
) -> None:
    known_data()
    started = time.process_time()
    dataset = load_dataset(spec, DataOptions(data_dir))
    spent = time.process_time() - started
    assert len(dataset.samples) == spec.items
    assert dataset.sha256 == known_data()[spec.name][0].sha256
    assert (dataset.revision, dataset.drift) == (None, "")
    assert dataset.source.startswith(source)
    assert (dataset.samples[0].id, dataset.samples[0].group) == (first, group)
    # Twice the target of a quiet machine, because tests run side by side.
    assert spent < 2 * seconds


@pytest.mark.data
def test_the_local_root_may_come_from_the_environment(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LONGCAT_EVAL_DATA", str(data_dir))
    assert len(load_dataset(math500.DATA, DataOptions()).samples) == 500


@pytest.fixture
def math_folder(data_dir: Path, tmp_path: Path) -> Path:
    (tmp_path / "math500").mkdir()
    shutil.copyfile(data_dir / "math500" / "test.jsonl", tmp_path / "math500" / "test.jsonl")
    return tmp_path


def change(folder: Path, edit: Callable[[str], str]) -> None:
    file = folder / "math500" / "test.jsonl"
    file.write_text(edit(file.read_text(encoding="utf-8")), encoding="utf-8")


@pytest.mark.data
def test_a_lost_item_is_refused_or_marked(math_folder: Path) -> None:
    change(math_folder, lambda text: "".join(text.splitlines(keepends=True)[:-1]))
    text = refusal(math500.DATA, math_folder)
    assert text.startswith(
        "math500 from math500/test.jsonl is not the known data: 499 items, expected 500; sha256 "
    )
    assert text.endswith("--allow-data-drift runs it all the same and marks every report")
    drifted = load_dataset(math500.DATA, DataOptions(math_folder, allow_drift=True))
    assert len(drifted.samples) == 499
    assert drifted.drift.startswith("499 items, expected 500; sha256")


@pytest.mark.data
def test_one_changed_character_is_refused_or_marked(math_folder: Path) -> None:
    change(math_folder, lambda text: text.replace("rectangular coordinates", "rectangular coordinate", 1))
    assert "expected ac64da22d8b8" in refusal(math500.DATA, math_folder)
    drifted = load_dataset(math500.DATA, DataOptions(math_folder, allow_drift=True))
    assert drifted.drift == f"sha256 {drifted.sha256[:12]}, expected ac64da22d8b8"


@pytest.mark.data
def test_another_order_and_format_is_the_same_data(math_folder: Path) -> None:
    import msgspec

    file = math_folder / "math500" / "test.jsonl"
    rows = msgspec.json.Decoder().decode_lines(file.read_bytes())
    (math_folder / "math500" / "test.parquet").write_bytes(to_parquet(rows[::-1]))
    file.unlink()
    dataset = load_dataset(math500.DATA, DataOptions(math_folder))
    assert dataset.sha256 == known_data()["math500"][0].sha256


@pytest.mark.data
def test_items_with_one_id_are_refused(math_folder: Path) -> None:
    change(math_folder, lambda text: text + text.splitlines(keepends=True)[0])
    assert "two items of math500 have the same id" in refusal(math500.DATA, math_folder)


CEVAL = ceval_rows(sorted(ceval.SUBJECTS))

CEVAL_LAYOUTS = {
    "official zip": lambda: {
        "ceval-exam.zip": to_zip(
            {f"val/{s}_val.csv": to_csv(rows) for s, rows in CEVAL.items()}
            | {f"dev/{s}_dev.csv": to_csv(rows[:5]) for s, rows in CEVAL.items()}
        )
    },
    "csv in folders": lambda: {f"formal/val/{s}_val.csv": to_csv(rows) for s, rows in CEVAL.items()},
    "hub parquet": lambda: {f"{s}/val-00000-of-00001.parquet": to_parquet(rows) for s, rows in CEVAL.items()},
    "jsonl per subject": lambda: {f"{s}.jsonl": to_jsonl(rows) for s, rows in CEVAL.items()},
    "gzipped csv": lambda: {f"val/{s}.csv.gz": to_gz(to_csv(rows)) for s, rows in CEVAL.items()},
    "one file": lambda: {
        "ceval.jsonl": to_jsonl([{"subject": s} | row for s, rows in CEVAL.items() for row in rows])
    },
}


def write(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def test_every_layout_of_a_set_gives_the_same_samples(tmp_path: Path) -> None:
    hashes = {}
    for layout, files in CEVAL_LAYOUTS.items():
        write(tmp_path / layout / "ceval", files())
        dataset = load_dataset(ceval.DATA, DataOptions(tmp_path / layout))
        assert len({s.group for s in dataset.samples}) == 52
        assert str(tmp_path) not in dataset.source
        hashes[layout] = dataset.sha256
    assert len(set(hashes.values())) == 1, hashes


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"notes.txt": b"x"}, "holds no data of ceval: expected"),
        ({"val/alchemy_val.csv": to_csv(CEVAL["law"])}, "ceval has no subject 'alchemy'"),
        ({"val/law_val.csv": b"question,A,B,C\nq,1,2,3\n"}, "there is no column 'D'"),
        (
            {"val/law_val.csv": b"question,A,B,C,D,answer\nSEEN,1,2,3,4,E\n"},
            "row 1: the answer is not one letter",
        ),
        ({"val/law_val.csv": b"question,A,B,C,D\nSEEN,1,2\n"}, "not every row has the 5 columns"),
        ({"val/law_val.csv": to_csv(CEVAL["law"])}, "items, expected 1346"),
    ],
)
def test_wrong_data_is_one_line_without_a_question(
    files: dict[str, bytes], problem: str, tmp_path: Path
) -> None:
    write(tmp_path / "ceval", files)
    text = refusal(ceval.DATA, tmp_path)
    assert problem in text
    assert "SEEN" not in text


def test_a_data_folder_that_does_not_exist_is_said(tmp_path: Path) -> None:
    assert "there is no data folder" in refusal(mmlu.DATA, tmp_path / "nowhere")


def test_absent_data_without_a_hub_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    text = refusal(mmlu.DATA, tmp_path)
    assert "cais/mmlu is not in the hub cache and HF_HUB_OFFLINE is set" in text
    assert text.endswith(f"or give --data-dir DIR with the data in DIR/mmlu ({tmp_path} has no mmlu/)")


@pytest.mark.parametrize("style", ["zeros", "number", "float", "text"])
@pytest.mark.parametrize("columns", [("problem", "answer"), ("Problem", "Answer")])
def test_every_spelling_of_an_aime_answer_is_the_same_data(
    style: str, columns: tuple[str, str], tmp_path: Path
) -> None:
    rows = aime_rows(*columns, {}, style)
    write(tmp_path / "aime25", {"test.jsonl": to_jsonl(rows)})
    dataset = load_dataset(aime.AIME25, DataOptions(tmp_path))
    assert [s.fields["answer"] for s in dataset.samples] == [str(i * i) for i in range(30)]
    assert dataset.samples[5].id == "0005"


def test_an_aime_answer_that_is_no_integer_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "aime25", {"test.jsonl": to_jsonl([{"problem": "q", "answer": "1000"}])})
    assert "row 1: the answer is not an integer from 0 to 999" in refusal(aime.AIME25, tmp_path)


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("mmlu.zip/data/test/high_school_biology_test.csv", "high_school_biology"),
        ("accountant/val-00000-of-00001.parquet", "accountant"),
        ("law/test.jsonl.gz", "law"),
        ("test/virology.csv", "virology"),
        ("virology-test.csv", "virology"),
    ],
)
def test_the_subject_is_in_the_name(name: str, subject: str) -> None:
    assert subject_of(name) == subject


def test_the_two_halves_of_a_year_may_lie_in_two_files(tmp_path: Path) -> None:
    (tmp_path / "aime25").mkdir()
    for half, first in (("I", 0), ("II", 100)):
        rows = [{"question": f"What is {n}?", "answer": str(n)} for n in range(first, first + 15)]
        (tmp_path / "aime25" / f"aime2025-{half}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    samples = load_task("aime25").load(DataOptions(tmp_path)).samples
    assert {s.id for s in samples} == {f"{half}/{n:04}" for half in ("I", "II") for n in range(15)}


@pytest.mark.data
def test_a_table_without_types_holds_the_same_rows(data_dir: Path, tmp_path: Path) -> None:
    lines = (data_dir / "math500" / "test.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    (tmp_path / "math500").mkdir()
    with (tmp_path / "math500" / "test.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    task = load_task("math500")
    assert task.load(DataOptions(tmp_path)).sha256 == task.load(DataOptions(data_dir)).sha256
