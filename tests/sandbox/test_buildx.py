"""BuildKit is used where it is there and wanted; a stand-in for the docker command plays it."""

import asyncio
import os
from pathlib import Path
from typing import NamedTuple

import pytest

from longcat_eval.runners.sandbox import build as build_module
from longcat_eval.runners.sandbox import buildx
from longcat_eval.runners.sandbox.build import ImageBuilder
from longcat_eval.runners.sandbox.classic_build import RefusedError


@pytest.fixture
def docker_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `docker` that writes down its words and environment and does what is in its `script`."""
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" >{tmp_path}/words\nenv >{tmp_path}/env\n. {tmp_path}/script\n'
    )
    program.chmod(0o755)
    (tmp_path / "script").write_text("echo done")
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("SECRET_KEY", "x")
    return tmp_path


async def run(folder: Path, said: list[str]) -> None:
    await buildx.buildx_build(
        folder,
        folder / "Dockerfile",
        "a:1",
        said.append,
        args={"A": "1"},
        labels={"l": "v"},
        target="two",
        platform="linux/arm64",
    )


async def test_what_the_command_is_told(docker_command: Path) -> None:
    said: list[str] = []
    await run(docker_command, said)
    words = (docker_command / "words").read_text().splitlines()
    assert words[:3] == ["buildx", "build", "--builder=default"]
    assert set(words[3:-1]) == {
        "--load",
        "--progress=plain",
        "--tag=a:1",
        f"--file={docker_command}/Dockerfile",
        "--build-arg=A=1",
        "--label=l=v",
        "--target=two",
        "--platform=linux/arm64",
    }
    assert words[-1] == str(docker_command)
    assert "".join(said) == "done\n"
    environment = (docker_command / "env").read_text()
    assert "SECRET_KEY" not in environment
    assert "DOCKER_HOST=" in environment


async def test_a_failure_has_the_last_line(docker_command: Path) -> None:
    (docker_command / "script").write_text("echo first; echo 'ERROR: no' >&2; exit 1")
    said: list[str] = []
    with pytest.raises(RefusedError, match=r"^ERROR: no$"):
        await run(docker_command, said)
    assert "".join(said) == "first\nERROR: no\n"


async def test_a_cancelled_build_is_gone(docker_command: Path) -> None:
    (docker_command / "script").write_text(f"echo $$ >{docker_command}/pid; sleep 60; sleep 60")
    building = asyncio.create_task(run(docker_command, []))
    for _ in range(500):
        if pid := text_of(docker_command / "pid"):
            break
        await asyncio.sleep(0.02)
    assert text_of(Path(f"/proc/{pid}/cmdline"))
    building.cancel()
    with pytest.raises(asyncio.CancelledError):
        await building
    assert not text_of(Path(f"/proc/{pid}/cmdline"))


def text_of(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def test_whether_it_is_there(docker_command: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    buildx.has_buildx.cache_clear()
    try:
        assert buildx.has_buildx()
        buildx.has_buildx.cache_clear()
        (docker_command / "script").write_text("exit 1")
        assert not buildx.has_buildx()
        buildx.has_buildx.cache_clear()
        monkeypatch.setenv("PATH", "/nowhere")
        assert not buildx.has_buildx()
    finally:
        buildx.has_buildx.cache_clear()


class FakeDaemon(NamedTuple):
    version: str


PLAIN = "FROM a\nCOPY <<E /x\n1\nE\n"
NEEDS = "FROM a\nRUN --mount=type=secret,id=x y\n"


@pytest.mark.parametrize(
    ("wanted", "version", "there", "text", "method", "lowered"),
    [
        ("auto", "1.41", False, PLAIN, "classic", True),
        ("auto", "1.41", True, PLAIN, "classic", True),
        ("auto", "1.41", True, NEEDS, "buildx", False),
        ("auto", "1.41", False, NEEDS, "classic", False),
        ("auto", "1.47", True, PLAIN, "buildx", False),
        ("auto", "1.47", False, PLAIN, "classic", True),
        ("classic", "1.47", True, PLAIN, "classic", True),
        ("classic", "1.47", True, NEEDS, "classic", False),
        ("buildx", "1.41", True, PLAIN, "buildx", True),
    ],
)
def test_which_builder_is_taken(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    wanted: build_module.Method,
    version: str,
    there: bool,
    text: str,
    method: str,
    lowered: bool,
) -> None:
    monkeypatch.setattr(build_module, "has_buildx", lambda: there)
    builder = ImageBuilder(FakeDaemon(version), wanted)  # type: ignore[arg-type]
    taken, made = builder._lowered(tmp_path, text, {}, {})
    assert (taken, bool(made.files)) == (method, lowered)
    assert bool(made.problems) == (text == NEEDS and taken == "classic")
