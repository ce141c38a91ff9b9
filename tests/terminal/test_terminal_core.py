"""The released tasks of core, both generations: all are read, all eighty are the known files."""

import os
from pathlib import Path

import pytest

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.protocols import DataOptions
from longcat_eval.tasks.terminal.loader import load_terminal, named_sets, read_folder
from longcat_eval.tasks.terminal.scan import scan
from longcat_eval.tasks.terminal.source import fetch_core


@pytest.fixture
def releases(real_cache: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Both folders of tasks in the user's own cache; without an index tests skip, and fail in CI."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(real_cache))
    try:
        return fetch_core()
    except EnvironmentUnusableError as error:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(error))
        raise


@pytest.mark.usefixtures("releases")
def test_all_eighty_are_the_known_files() -> None:
    loaded = load_terminal(DataOptions())
    assert (loaded.dataset.drift, loaded.missing, len(loaded.dataset.samples)) == ("", (), 80)
    assert {name: task.digest for name, task in loaded.tasks.items()} == named_sets()[loaded.dataset.source]
    assert sorted(name for name, task in loaded.tasks.items() if task.format == "tb0") == [
        "blind-maze-explorer-algorithm.easy",
        "blind-maze-explorer-algorithm.hard",
        "crack-7z-hash.easy",
        "crack-7z-hash.hard",
        "eval-mteb.hard",
        "incompatible-python-fasttext.base_with_hint",
        "pytorch-model-cli.easy",
        "pytorch-model-cli.hard",
        "raman-fitting.easy",
        "sanitize-git-repo.hard",
    ]
    groups = [sample.group for sample in loaded.dataset.samples]
    assert {group: groups.count(group) for group in set(groups)} == {"easy": 13, "medium": 44, "hard": 23}


def test_the_older_generation_is_read_without_a_problem(releases: list[Path]) -> None:
    tasks = read_folder(releases[1])
    assert (len({task.folder for task in tasks}), len(tasks)) == (82, 92)
    found = {task.id: scan(task) for task in tasks}
    assert not {name: one.problems for name, one in found.items() if one.problems}
    assert {task.format for task in tasks} == {"tb0"}
    assert all(path.is_file() for task in tasks for path in task.steps[0].verifier.files.values())
    assert all(task.steps[0].oracle for task in tasks)
