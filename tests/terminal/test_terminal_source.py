"""Where the tasks of core come from: two source distributions, by hash, by the user's own pip, once."""

import hashlib
import io
import tarfile
from pathlib import Path

import pytest
import toy_terminal as toy
from cli_fixtures import Cli

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.protocols import DataOptions
from longcat_eval.tasks.terminal import source
from longcat_eval.tasks.terminal.loader import load_terminal
from longcat_eval.tasks.terminal.source import fetch_core, fetched_folders, release_folder

PROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
BACKEND = """\
import os

def prepare_metadata_for_build_wheel(folder, settings=None):
    name = "terminal_bench-%s.dist-info"
    os.mkdir(os.path.join(folder, name))
    with open(os.path.join(folder, name, "METADATA"), "w") as file:
        file.write("Metadata-Version: 2.1\\nName: terminal-bench\\nVersion: %s\\n")
    return name
"""
ABOUT = "Metadata-Version: 2.1\nName: terminal-bench\nVersion: %s\nRequires-Python: >=3.99\n"
OLD = "descriptions: [{key: base, description: Do it.}, {key: hard, description: Well.}]\ndifficulty: hard\n"


def distribution(index: Path, version: str, content: Path) -> str:
    """A source distribution with a folder's content, in the index; its sha256."""
    root, path = f"terminal_bench-{version}", index / f"terminal_bench-{version}.tar.gz"
    own = {
        "pyproject.toml": PROJECT,
        "PKG-INFO": ABOUT % version,
        "backend.py": BACKEND % (version, version),
        "secret/outside.txt": "not a task",
    }
    with tarfile.open(path, "w:gz") as tar:
        for name, text in own.items():
            entry = tarfile.TarInfo(f"{root}/{name}")
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
        tar.add(content, root)
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is pip's only index, with two releases of toy tasks under the real ones' ids."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    new, old = tmp_path / "new", tmp_path / "old"
    toy.terminal_bench(new / "tasks" / "hello-world", "debian:12")
    toy.terminal_bench(new / "tasks" / "eval-mteb", "debian:12")
    toy.terminal_bench(old / "dataset" / "tasks" / "eval-mteb", "debian:12")
    scripts = {f"dataset/scripts/{name}": "true\n" for name in ("setup-uv-pytest.sh", "run-uv-pytest.sh")}
    toy.write(old, {"dataset/tasks/eval-mteb/task.yaml": OLD, **scripts})
    known = [distribution(folder, "0.2.10", new), distribution(folder, "0.2.0", old)]
    releases = [one._replace(sha256=digest) for one, digest in zip(source.RELEASES, known, strict=True)]
    monkeypatch.setattr(source, "RELEASES", tuple(releases))
    return folder


def test_both_releases_are_fetched_once(index: Path) -> None:
    assert fetched_folders() == []
    folders = fetch_core()
    assert folders == fetched_folders()
    assert [path.name for path in sorted(folders[0].iterdir())] == ["eval-mteb", "hello-world"]
    assert (folders[0] / "hello-world" / "solution.sh").stat().st_mode & 0o100
    assert not (folders[0] / "hello-world" / "task.yaml").stat().st_mode & 0o111
    assert {path.name for path in release_folder(source.RELEASES[1]).iterdir()} == {"scripts", "tasks"}
    assert len(list(release_folder(source.RELEASES[0]).parent.iterdir())) == 2, "nothing else is left"
    for path in index.iterdir():
        path.unlink()
    assert fetch_core() == folders, "a second time needs no index"


def test_the_newer_release_goes_first_and_the_older_has_the_variants(index: Path) -> None:
    fetch_core()
    tasks = load_terminal(DataOptions()).tasks
    assert {name: task.format for name, task in tasks.items()} == {
        "hello-world": "tb1",
        "eval-mteb": "tb1",
        "eval-mteb.hard": "tb0",
    }
    assert not [task.problems for task in tasks.values() if task.problems]


def test_the_command_says_what_it_fetched(cli: Cli, index: Path) -> None:
    ran = cli("fetch", "terminal-bench")
    assert (ran.code, ran.err) == (0, "")
    assert "ok    terminal-bench: 80 items from terminal-bench-core@0.1.1, hash " in ran.out


def test_another_file_of_that_name_is_refused(cli: Cli, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "RELEASES", tuple(one._replace(sha256="0" * 64) for one in source.RELEASES))
    ran = cli("fetch", "terminal-bench")
    assert ran.code == 5
    assert "terminal-bench==0.2.10 from your index is not the known file: its sha256 differs" in ran.out
    assert fetched_folders() == []
    assert list(release_folder(source.RELEASES[0]).parent.iterdir()) == []


def test_without_an_index_the_remedy_is_said(cli: Cli, index: Path) -> None:
    for path in index.iterdir():
        path.unlink()
    ran = cli("fetch", "terminal-bench")
    assert ran.code == 5
    assert "pip cannot download terminal-bench==0.2.10" in ran.out
    assert "--dataset" in ran.out


def test_a_cache_that_cannot_be_written_is_said(index: Path) -> None:
    parent = release_folder(source.RELEASES[0]).parent
    parent.parent.mkdir(parents=True)
    parent.write_text("a file", encoding="utf-8")
    with pytest.raises(EnvironmentUnusableError, match="cannot keep tasks in"):
        fetch_core()
