"""Folders and named sets as samples: what is a task, what stays in the denominator, and the digests."""

import json
import os
import re
import shutil
import stat
from pathlib import Path

import msgspec
import pytest
import toy_terminal as toy
from hypothesis import given
from hypothesis import strategies as st

from longcat_eval.errors import EnvironmentUnusableError, UsageError
from longcat_eval.protocols import DataOptions
from longcat_eval.tasks.terminal import loader
from longcat_eval.tasks.terminal.digest import folder_digest
from longcat_eval.tasks.terminal.loader import load_terminal, named_sets

BASE = "debian:12"
OLD = """\
descriptions: [{key: base, description: Do it.}, {key: hard, description: Well.}]
difficulty: hard
"""


def load(folder: Path) -> loader.Loaded:
    return load_terminal(DataOptions(dataset=folder))


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    """A folder with a task of every format, and what is none."""
    folder = tmp_path / "mine"
    toy.terminal_bench(folder / "b-first", BASE, settings="category: games\ntags: [x]\n")
    toy.harbor(folder / "a-second", BASE, config="[environment]\ndocker_image = 'ready:1'\n")
    toy.harbor_steps(folder / "c-steps", BASE)
    toy.terminal_bench(folder / "old", BASE)
    toy.write(folder, {"old/task.yaml": OLD + "test_scripts: []\n", "README.md": "", "notes/x.txt": ""})
    return folder


def test_a_folder_is_exactly_its_tasks(tasks: Path) -> None:
    loaded = load(tasks)
    assert [s.id for s in loaded.dataset.samples] == ["a-second", "b-first", "c-steps", "old", "old.hard"]
    assert loaded.tasks.keys() == {s.id for s in loaded.dataset.samples}
    assert (loaded.missing, loaded.dataset.source) == ((), "mine")
    assert loaded.dataset.drift == "5 tasks of the folder mine instead of terminal-bench-core@0.1.1"
    assert not [task.problems for task in loaded.tasks.values() if task.problems]


def test_samples_say_what_is_asked_and_nothing_of_this_machine(tasks: Path) -> None:
    loaded = load(tasks)
    by_id = {sample.id: sample for sample in loaded.dataset.samples}
    task = loaded.tasks["b-first"]
    assert by_id["b-first"].group == "easy"
    assert by_id["b-first"].fields == {
        "instruction": "Write 42 into answer.txt in the folder you are in.",
        "digest": task.digest,
        "format": "tb1",
        "category": "games",
        "tags": ["x"],
        "steps": 1,
        "agent_seconds": 360.0,
        "test_seconds": 60.0,
        "images": [],
    }
    assert by_id["a-second"].fields["images"] == ["ready:1"]
    assert by_id["a-second"].group == "unknown"
    assert (by_id["c-steps"].fields["steps"], by_id["c-steps"].fields["agent_seconds"]) == (2, 120.0)
    assert str(tasks) not in json.dumps(msgspec.to_builtins(loaded.dataset.samples))


def test_one_tasks_own_folder_will_do(tasks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [s.id for s in load(tasks / "a-second").dataset.samples] == ["a-second"]
    assert [s.id for s in load(tasks / "old").dataset.samples] == ["old", "old.hard"]
    monkeypatch.chdir(tasks / "b-first")
    loaded = load(Path())
    assert ([s.id for s in loaded.dataset.samples], loaded.dataset.source) == (["b-first"], "b-first")


@pytest.mark.parametrize("place", ["tasks", "dataset/tasks"])
def test_a_checkouts_tasks_are_found(place: str, tmp_path: Path) -> None:
    toy.terminal_bench(tmp_path / "checkout" / place / "one", BASE)
    toy.write(tmp_path / "checkout", {"README.md": "", "tasks/notes.md": ""})
    assert [s.id for s in load(tmp_path / "checkout").dataset.samples] == ["one"]


def test_the_order_and_the_place_of_files_change_no_hash(tasks: Path, tmp_path: Path) -> None:
    shutil.copytree(tasks, tmp_path / "again" / "mine")
    one, two = load(tasks), load(tmp_path / "again" / "mine")
    assert one.dataset.sha256 == two.dataset.sha256
    toy.write(tasks, {"b-first/tests/test_outputs.py": "assert False\n"})
    assert load(tasks).dataset.sha256 != one.dataset.sha256


def test_a_folder_without_tasks_says_what_was_expected(tmp_path: Path) -> None:
    (tmp_path / "empty" / "sub").mkdir(parents=True)
    with pytest.raises(UsageError, match=r"holds no terminal task: expected .*task\.yaml or task\.toml"):
        load(tmp_path / "empty")
    with pytest.raises(UsageError, match=r"did you mean 'terminal-bench-core@0\.1\.1'"):
        load(Path("terminal-bench-core@0.1.2"))
    with pytest.raises(UsageError, match="no folder"):
        load(tmp_path / "empty" / "nothing")


def test_one_that_cannot_be_read_stays_in_the_denominator(tasks: Path, tmp_path: Path) -> None:
    toy.write(tasks, {"broken/task.toml": "x", "worse/task.yaml": "{"})
    loaded = load(tasks)
    assert len(loaded.dataset.samples) == 7
    assert "broken/task.toml" in loaded.tasks["broken"].problems[0]
    assert "worse/task.yaml" in loaded.tasks["worse"].problems[0]
    assert (loaded.tasks["broken"].format, loaded.tasks["worse"].format) == ("harbor", "tb1")
    with pytest.raises(EnvironmentUnusableError, match=r"broken/task\.toml"):
        load(tasks / "broken")
    toy.write(tmp_path / "all", {"broken/task.toml": "x", "worse/task.yaml": "{"})
    with pytest.raises(EnvironmentUnusableError, match=r"broken/task\.toml"):
        load(tmp_path / "all")


def test_two_tasks_of_one_id_are_refused(tasks: Path) -> None:
    toy.harbor(tasks / "old.hard", BASE)
    with pytest.raises(EnvironmentUnusableError, match=r"two tasks have the id old\.hard"):
        load(tasks)


def test_without_any_body_the_remedy_is_said(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentUnusableError, match="longcat-eval fetch terminal-bench"):
        load_terminal(DataOptions())
    with pytest.raises(EnvironmentUnusableError, match="none of the 80 tasks of terminal-bench-core"):
        load_terminal(DataOptions(data_dir=tmp_path))


@pytest.mark.parametrize("place", ["", "tasks"])
@pytest.mark.parametrize("by_variable", [True, False])
def test_the_named_set_is_its_ids_whatever_is_here(
    place: str, by_variable: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "terminal-bench" / place
    toy.terminal_bench(folder / "hello-world", BASE)
    toy.terminal_bench(folder / "not-of-the-set", BASE)
    toy.write(folder, {"oom/task.yaml": "{", "eval-mteb/task.yaml": OLD + "test_scripts: []\n"})
    if by_variable:
        monkeypatch.setenv("LONGCAT_EVAL_DATA", str(tmp_path))
    given = DataOptions(dataset=Path(loader.CORE), data_dir=None if by_variable else tmp_path)
    loaded = load_terminal(given)
    assert [s.id for s in loaded.dataset.samples] == sorted(named_sets()[loader.CORE])
    assert loaded.tasks.keys() == {"hello-world", "oom", "eval-mteb", "eval-mteb.hard"}
    assert len(loaded.missing) == 76
    assert "oom/task.yaml" in loaded.tasks["oom"].problems[0]
    assert loaded.dataset.drift == (
        "76 of 80 tasks have no body here; "
        "not the released files: eval-mteb, eval-mteb.hard, hello-world, oom"
    )
    absent = next(s for s in loaded.dataset.samples if s.id == "fix-git")
    assert (absent.fields, absent.group) == ({"instruction": "", "digest": ""}, "unknown")


def test_the_list_of_core() -> None:
    (ids,) = named_sets().values()
    assert len(ids) == 80
    assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in ids.values())
    assert len(set(ids.values())) == 80
    assert sum("." in name for name in ids) == 10


def test_a_digest_is_of_paths_contents_and_what_can_be_run(tmp_path: Path) -> None:
    folder = toy.write(tmp_path / "t", {"a/x": "1", "b": "2"})
    (folder / "to-a").symlink_to("a", target_is_directory=True)
    first = folder_digest(folder)
    assert first != folder_digest(folder, "hard")
    for name in ("__pycache__/x.pyc", ".git/HEAD", ".DS_Store"):
        toy.write(folder, {name: "x"})
    (folder / "empty").mkdir()
    (folder / "b").touch()
    (folder / "b").chmod(0o600)
    assert folder_digest(folder) == first
    (folder / "b").chmod(0o755)
    runs = folder_digest(folder)
    assert runs != first
    (folder / "b").chmod(0o644)
    (folder / "to-a").unlink()
    (folder / "to-a").symlink_to("b")
    assert folder_digest(folder) not in (first, runs)


def test_a_pipe_among_the_files_stops_nothing(tmp_path: Path) -> None:
    folder = toy.terminal_bench(tmp_path / "t", BASE)
    os.mkfifo(folder / "pipe")
    assert stat.S_ISFIFO((folder / "pipe").lstat().st_mode)
    assert folder_digest(folder)


@given(
    files=st.dictionaries(
        st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map("/".join),
        st.binary(max_size=3),
        max_size=4,
    )
)
def test_different_folders_differ(files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> None:
    """No two sets of files hash alike; two of the same do."""
    folder = tmp_path_factory.mktemp("digest")
    made: dict[str, bytes] = {}
    for name, content in files.items():
        path = folder / name
        if any((folder / parent).is_file() for parent in Path(name).parents) or path.is_dir():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        made[name] = content
    digest = folder_digest(folder)
    assert DIGESTS.setdefault(digest, made) == made


DIGESTS: dict[str, dict[str, bytes]] = {}
