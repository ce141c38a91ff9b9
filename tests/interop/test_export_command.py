"""The command: what it refuses, what it hides, and that files are whole or absent."""

import os
from pathlib import Path

import pytest
from cli_fixtures import Cli
from exporting import Export
from made_up_runs import MakeRun

from longcat_eval.reports.exports.output import Encoder

FORMATS = {
    "inspect": "logs",
    "inspect-json": "json-logs",
    "lm-eval": "lm",
    "eee": "eee",
    "model-index": "README.md",
    "parquet": "rows.parquet",
}
KEY = "sk-proj-abcdefghij0123456789"
TOKEN = "hf_abcdefghijklmnopqrstuvwxyz01234567"
OWN = "correct horse battery staple"


def read_all(path: Path) -> bytes:
    """Every byte below a path, zips and parquet unpacked."""
    import zipfile

    import pyarrow.parquet

    if path.is_dir():
        return b"".join(read_all(inner) for inner in sorted(path.iterdir()))
    if path.suffix == ".eval":
        with zipfile.ZipFile(path) as archive:
            return b"".join(archive.read(name) for name in archive.namelist())
    if path.suffix == ".parquet":
        return str(pyarrow.parquet.read_table(path).to_pylist()).encode()
    return path.read_bytes()


@pytest.mark.parametrize("format", FORMATS)
def test_no_credential_leaves(
    cli: Cli, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, format: str
) -> None:
    monkeypatch.setenv("MY_API_KEY", OWN)
    leak = f"{KEY} and {TOKEN}\n{KEY} Bearer {'x' * 30} http://me:pass@host/ {OWN}"
    make_run({"mmlu": (3, 1)}, said=lambda task, i, j: leak, word="", artifacts={"patch": leak})
    ran = cli("export", "run", "-f", format, "-o", FORMATS[format], "--model-id", f"a/{KEY}")
    assert ran.code == 0, ran.err
    found = read_all(tmp_path / FORMATS[format])
    for secret in (KEY, TOKEN, OWN, "x" * 30, "me:pass"):
        assert secret.encode() not in found
    assert b"127.0.0.1" not in found, "the endpoint stays"
    assert b"***" in found
    assert "look like credentials are written as ***" in ran.err


def test_words_that_only_look_a_little_secret_stay() -> None:
    encode = Encoder({"HOME": "/root/somewhere", "API_KEY": "short"})
    for text in (
        "task-0123456789abcdefghij0123",
        "risk-averse-and-long-enough-0",
        "sk-learn-is-a-library-name",
    ):
        assert encode.text(text) == text
    assert encode.text("a short /root/somewhere") == "a short /root/somewhere"
    assert encode.hidden == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-f", "inspekt", "-o", "x"), "no format 'inspekt' (did you mean 'inspect'?): swebench, inspect"),
        (("-f", "lm-eval", "-o", "x", "--repeat", "1"), "--repeat is for swebench"),
        (("-f", "parquet", "-o", "x.parquet", "--no-texts"), "--no-texts is for inspect"),
        (("-f", "inspect", "-o", "x", "--organization", "us"), "--organization is for eee"),
        (("-f", "lm-eval", "-o", "x", "--task", "gsm8k"), "run has no task 'gsm8k': mmlu, aime24"),
        (("-f", "model-index", "-o", "x"), "x should be a model card"),
        (("-f", "lm-eval", "-o", "file"), "cannot write"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    cli: Cli, export: Export, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    export("lm-eval")
    (tmp_path / "file").touch()
    ran = cli("export", "run", *words)
    assert ran.code in (2, 5)
    assert said in ran.err
    assert len(ran.err.strip().splitlines()) == 1


@pytest.mark.parametrize("format", ["inspect", "inspect-json", "lm-eval", "eee"])
def test_a_damaged_transcript_leaves_no_half_file(
    cli: Cli, make_run: MakeRun, tmp_path: Path, format: str
) -> None:
    run = make_run({"mmlu": (6, 1)})
    frames = run / "transcripts.zst"
    os.truncate(frames, frames.stat().st_size // 2)
    ran = cli("export", "run", "-f", format, "-o", "out")
    assert ran.code == 2
    assert "cannot be read" in ran.err
    assert "--no-texts" in ran.err
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert cli("export", "run", "-f", format, "-o", "out", "--no-texts").code == 0


def test_lost_attempts_and_texts_are_noted(cli: Cli, make_run: MakeRun) -> None:
    make_run({"mmlu": (6, 1)})
    ran = cli("export", "run", "-f", "inspect", "-o", "out")
    assert "note: mmlu: 1 of 6 attempts have no verdict; the score is over the others" in ran.err
    assert "use --no-texts" in ran.err
