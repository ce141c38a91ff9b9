"""Tasks and plans: the official folder by its counts, subsets and others by name, what cannot be read."""

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_project import MENU, PLAN, metric, write_task

from longcat_eval.errors import EnvironmentUnusableError, UsageError
from longcat_eval.protocols import DataOptions
from longcat_eval.tasks.prdbench import data
from longcat_eval.tasks.prdbench.data import blob_name, digest_of, load_tasks, official_tasks
from longcat_eval.tasks.prdbench.plan import Case, read_input, read_plan
from longcat_eval.tasks.prdbench.task import prdbench
from longcat_eval.tasks.prdbench.unpassable import unpassable


def test_the_official_set_is_50_tasks_with_1259_metrics() -> None:
    known = official_tasks()
    assert list(known) == [str(n) for n in range(1, 51)]
    assert sum(task.metrics for task in known.values()) == 1259
    assert all(len(task.digest) == 64 for task in known.values())


@pytest.mark.data
def test_three_real_tasks_are_a_marked_subset(data_dir: Path) -> None:
    task = prdbench()
    loaded = task.load(DataOptions(data_dir=data_dir))
    assert [sample.id for sample in loaded.samples] == ["1", "7", "16"]
    assert [len(sample.fields["plan"]) for sample in loaded.samples] == [20, 30, 13]
    assert "3 of 50 tasks, 63 of 1,259 metrics" in loaded.drift
    assert "not the released files: 1, 7, 16" in loaded.drift, "their tests are not among them"
    assert loaded.remark.startswith("13 of 63 metrics cannot be passed")
    assert all(sample.fields["requirements"].strip() for sample in loaded.samples)


@pytest.mark.data
def test_what_is_typed_for_the_real_tasks(data_dir: Path) -> None:
    folder = data_dir / "prdbench" / "7"
    typed = {m.name[:6]: [read_input(folder, case) for case in m.cases] for m in read_plan(folder)}
    assert typed["2.1.2a"][0].lines == ("9", "a", "$", "6")
    assert any("^C" in case.lines for cases in typed.values() for case in cases)
    assert not any(case.missing for cases in typed.values() for case in cases)


def test_other_tasks_are_named_as_such(tasks: Path) -> None:
    write_task(tasks / "second")
    loaded = load_tasks(DataOptions(dataset=tasks))
    assert loaded.dataset.drift == "2 tasks of the folder tasks instead of the 50 of PRDBench"
    assert loaded.tasks["toy"].reference is not None
    assert not any(name.startswith("reference") for name in loaded.tasks["toy"].files())


def test_a_checkout_has_them_in_a_folder(tasks: Path, tmp_path: Path) -> None:
    (tmp_path / "checkout").mkdir()
    tasks.rename(tmp_path / "checkout" / "PRDBench")
    assert list(load_tasks(DataOptions(dataset=tmp_path / "checkout")).tasks) == ["toy"]


def test_whole_and_known_is_no_drift(tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tasks / "toy"
    known = {"toy": data.Known(len(PLAN), digest_of(folder))}
    monkeypatch.setattr(data, "official_tasks", lambda: known)
    root = tmp_path / "data"
    shutil.copytree(tasks, root / "prdbench")
    (root / "prdbench" / "toy" / "src" / "__pycache__").mkdir()
    (root / "prdbench" / "toy" / "src" / "__pycache__" / "x.pyc").write_bytes(b"\0")
    (root / "prdbench" / "toy" / "reports").mkdir()
    (root / "prdbench" / "toy" / "reports" / "round1.jsonl").write_text("{}")
    assert load_tasks(DataOptions(data_dir=root)).dataset.drift == "", "caches and reports are no files of it"
    (root / "prdbench" / "toy" / "src" / "PRD.md").write_text("other")
    assert load_tasks(DataOptions(data_dir=root)).dataset.drift == "not the released files: toy"
    write_task(root / "prdbench" / "toy", PLAN[:2])
    with pytest.raises(
        EnvironmentUnusableError, match=r"task toy has 2 metrics, expected 5.*--allow-data-drift"
    ):
        load_tasks(DataOptions(data_dir=root))
    allowed = load_tasks(DataOptions(data_dir=root, allow_drift=True)).dataset
    assert allowed.drift.startswith("task toy has 2 metrics, expected 5")


def test_digests_are_gits_names() -> None:
    assert blob_name(b"") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
    assert blob_name(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(
        EnvironmentUnusableError, match=r"clone https://github\.com/AGI-Eval-Official/PRDBench"
    ):
        load_tasks(DataOptions())
    with pytest.raises(EnvironmentUnusableError, match="there is no data folder"):
        load_tasks(DataOptions(data_dir=tmp_path / "no"))
    with pytest.raises(UsageError, match="there is no such folder"):
        load_tasks(DataOptions(dataset=tmp_path / "no"))
    with pytest.raises(UsageError, match="holds no task"):
        load_tasks(DataOptions(dataset=tmp_path))


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ("[{]", "is not JSON"),
        ("{}", "is not a list of metrics"),
        ("[]", "is not a list of metrics"),
        ("[1]", r"metric 1: no object with a name"),
        ('[{"metric": "a", "type": "dance"}]', r"metric 1: type 'dance' is none of shell_interaction"),
        ('[{"metric": "a", "type": "unit_test", "testcases": ["x"]}]', "a test case is no object"),
    ],
)
def test_plans_that_cannot_be_read(tasks: Path, plan: str, said: str) -> None:
    (tasks / "toy" / "evaluation" / "detailed_test_plan.json").write_text(plan)
    with pytest.raises(EnvironmentUnusableError, match=f"task toy: .*{said}"):
        load_tasks(DataOptions(dataset=tasks))


def test_a_plan_in_all_its_ways_of_writing(tmp_path: Path) -> None:
    one = metric("a", "unit_test") | {"testcases": {"test_command": " pytest ", "test_input": None}}
    plan = [one, metric("b", "file_comparison", (None, None), expected_output_files=["x", "y"])]
    folder = write_task(tmp_path / "t", plan)
    path = folder / "evaluation" / "detailed_test_plan.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    first, second = read_plan(folder)
    assert first.cases == (Case("pytest", ""),)
    assert (second.cases, second.expected_files) == ((Case("", ""),), ("x", "y"))


def test_inputs_are_files_or_texts(tasks: Path) -> None:
    folder = tasks / "toy"
    assert read_input(folder, Case(MENU, "evaluation/add.in")).lines == ("1", "milk", "2", "0")
    assert read_input(folder, Case(MENU, "add.in")).lines == ("1", "milk", "2", "0"), "task 33 names them so"
    assert read_input(folder, Case(MENU, "export.in")).lines == ("1", "milk", "3", "0")
    assert read_input(folder, Case(MENU, "9\n0")).lines == ("9", "0")
    assert read_input(folder, Case(MENU, r"9\n0\n")).lines == ("9", "0"), "task 38 writes line ends so"
    assert read_input(folder, Case(MENU, "evaluation/gone.in")).missing == "evaluation/gone.in"
    outside = folder.parent / "secret.in"
    outside.write_text("x")
    assert read_input(folder, Case(MENU, "../secret.in")).missing == "../secret.in"


@given(st.lists(st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"])), min_size=2))
def test_lines_come_back_as_they_were(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    typed = read_input(Path("/nowhere"), Case("x", "\n".join([*lines, ""])))
    assert typed.lines == tuple(lines)


def test_unit_tests_that_nobody_can_pass(tmp_path: Path) -> None:
    plan = [
        metric("gone", "unit_test", ("pytest evaluation/tests/test_gone.py", None)),
        metric("broken", "unit_test", ("cd evaluation && python -m pytest tests/test_broken.py::t", None)),
        metric("good", "unit_test", ("pytest evaluation/tests/test_todo.py", None)),
        metric("own", "unit_test", ("pytest src/tests/test_own.py", None)),
        metric("menu", "shell_interaction", ("python evaluation/gone.py", None)),
    ]
    folder = write_task(tmp_path / "t", plan)
    (folder / "evaluation" / "tests" / "test_broken.py").write_text("def t(:\n")
    found = unpassable(data.read_task(folder))
    assert found == {
        "gone": "evaluation/tests/test_gone.py: missing",
        "broken": "evaluation/tests/test_broken.py: no Python (SyntaxError)",
    }


def test_plans_are_in_the_hash_of_the_data(tasks: Path) -> None:
    before = load_tasks(DataOptions(dataset=tasks)).dataset.sha256
    path = tasks / "toy" / "evaluation" / "detailed_test_plan.json"
    path.write_text(json.dumps([*PLAN, metric("more", "shell_interaction", (MENU, None))]))
    assert load_tasks(DataOptions(dataset=tasks)).dataset.sha256 != before
