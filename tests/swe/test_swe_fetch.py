"""What is fetched: the grader's wheel and the files of a build, by hash, by the user's own pip, once."""

import hashlib
import zipfile
from pathlib import Path

import pytest
from cli_fixtures import Cli

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.tasks.swe import package
from longcat_eval.tasks.swe.package import cached_package, fetch_swebench
from longcat_eval.tasks.swe.recipes import Recipe, fetch_files, recipe_of


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is pip's only index."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_the_command_fetches_the_grader_alone(
    cli: Cli, index: Path, real_swebench: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = index / f"swebench-{package.VERSION}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path in sorted(real_swebench.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                archive.write(path, path.relative_to(real_swebench).as_posix())
    ran = cli("fetch", "swebench")
    assert ran.code == 5
    assert f"swebench=={package.VERSION} from your index is not the known file" in ran.out
    monkeypatch.setattr(package, "WHEEL_SHA256", hashlib.sha256(wheel.read_bytes()).hexdigest())
    ran = cli("fetch", "swebench")
    assert (ran.code, ran.err) == (0, "")
    assert f"ok    swebench: the grader, in {cached_package()}" in ran.out
    assert [path.name for path in cached_package().parent.iterdir()] == [cached_package().name]
    wheel.unlink()
    assert fetch_swebench() == cached_package(), "a second time needs no index"


def test_without_an_index_the_remedy_is_said(cli: Cli, index: Path) -> None:
    ran = cli("fetch", "swe-bench-lite")
    assert ran.code == 5
    assert "pip cannot download swebench==5.0.2" in ran.out
    assert "pip install 'swebench>=5.0.2,<6'" in ran.out


def test_files_of_a_build_are_taken_by_hash(index: Path, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentUnusableError, match=r"pip cannot download Flask==2.2.3 and its like"):
        fetch_files(recipe_of("pallets__flask-5063"))
    contents = {"x-1.tar.gz": b"x", "y-2-py3-none-any.whl": b"y"}
    one, two = (hashlib.sha256(content).hexdigest() for content in contents.values())
    recipe = Recipe("t", "3.11", ["a__a-1"], "", {"x==1": [one]}, {"y==2": ["0" * 64, two]}, "made-up")
    folder = cached_package().parents[1] / "swe-builds" / "made-up"
    folder.mkdir(parents=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / "another").write_bytes(b"z")
    assert [path.name for path in fetch_files(recipe)] == list(contents)
    (folder / "x-1.tar.gz").write_bytes(b"changed")
    with pytest.raises(EnvironmentUnusableError, match="pip cannot download x==1"):
        fetch_files(recipe)
