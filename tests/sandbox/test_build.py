"""Images are built once per content, within a time, with what the context says, by the real daemon."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from longcat_eval.protocols import SandboxError
from longcat_eval.runners.sandbox import build as build_module
from longcat_eval.runners.sandbox.build import BuildError, Built, ImageBuilder
from longcat_eval.runners.sandbox.daemon import Daemon, connect
from longcat_eval.runners.sandbox.image_store import daemon_id, read_ledger
from longcat_eval.runners.sandbox.sandboxes import DockerSandboxes
from longcat_eval.runners.sandbox.service import Recipe

pytestmark = pytest.mark.docker
MINE = "build-test"
Shown = Callable[[str, str], Awaitable[str]]

HEREDOCS = """# syntax=docker/dockerfile:1
FROM {base}
ARG NAME=world
ENV GREETING="hello $NAME"
COPY <<EOF /w/plain
$GREETING \\$HOME
EOF
COPY --chmod=700 <<'a' <<-"b" /w/d
$GREETING \\n
a
\tindented
b
RUN <<EOF
set -e
echo "$GREETING" > /w/run
echo $NAME >> /w/run
EOF
RUN cat <<EOF > /w/shell && echo more >> /w/shell
from $NAME
EOF
RUN <<EOF
#!/bin/bash
[[ -n $BASH ]] && echo bash > /w/script
EOF
COPY . /w/context
"""
MADE = """hello you $HOME
$GREETING \\n
indented
hello you
you
from you
more
bash
644
700
Dockerfile
"""


@pytest_asyncio.fixture
async def daemon(docker_daemon: None) -> AsyncIterator[Daemon]:
    opened = await Daemon.open()
    yield opened
    opened.close()


@pytest.fixture
def builder(daemon: Daemon) -> ImageBuilder:
    return ImageBuilder(daemon, "classic")


@pytest.fixture(autouse=True)
def _no_image_stays(docker_daemon: None) -> Iterator[None]:
    yield
    with connect() as client:
        for tag in read_ledger().get(daemon_id(client.api), {}):
            client.api.remove_image(tag, force=True)


def write(folder: Path, **files: str) -> Path:
    """Files of a context; `__` in a name is a slash."""
    for name, content in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return folder


async def build(
    builder: ImageBuilder,
    context: Path,
    digest: str = "1",
    *,
    seconds: float = 60.0,
    base_map: dict[str, str] | None = None,
    **recipe: Any,
) -> Built:
    made = Recipe(context=context, **recipe)
    return await builder.build(made, name=MINE, digest=digest, seconds=seconds, base_map=base_map or {})


@pytest.fixture
def shown(sandboxes: DockerSandboxes) -> Shown:
    """What a command prints in a container of an image."""

    async def run(image: str, command: str) -> str:
        sandbox = await sandboxes.start(image)
        done = await sandbox.exec(command, timeout=30)
        await sandbox.stop()
        return done.output.decode()

    return run


async def test_a_context_comes_over_as_it_is(
    builder: ImageBuilder, shown: Shown, shell_image: str, tmp_path: Path
) -> None:
    text = f"FROM {shell_image}\nWORKDIR /w\nCOPY . .\n"
    write(tmp_path, Dockerfile=text, a__run="#!/bin/sh\n", skip__x="", skip__keep="k")
    (tmp_path / "a/b c").write_text("x")
    (tmp_path / "a/run").chmod(0o751)
    (tmp_path / "link").symlink_to("a/run")
    (tmp_path / "broken").symlink_to("/nowhere")
    (tmp_path / ".dockerignore").write_text("# no\nskip/*\n!skip/keep\n")
    built = await build(builder, tmp_path)
    names = ".dockerignore Dockerfile a a/b@c a/run broken link skip skip/keep"
    found = (await shown(built.image, "find . -mindepth 1 | sort | tr ' ' @")).split()
    assert found == [f"./{name}" for name in names.split()]
    assert (await shown(built.image, "stat -c '%a %u' a/run; readlink link broken")).split() == [
        "751",
        "0",
        "a/run",
        "/nowhere",
    ]
    assert await shown(built.image, "cat Dockerfile") == text


async def test_without_an_ignore_file_none_appears(
    builder: ImageBuilder, shown: Shown, shell_image: str, tmp_path: Path
) -> None:
    write(tmp_path, sub__Dockerfile=f"FROM {shell_image}\nCOPY . /w\n", x="")
    built = await build(builder, tmp_path, dockerfile="sub/Dockerfile")
    assert (await shown(built.image, "ls -A /w")).split() == ["sub", "x"]


async def test_heredocs_come_out_as_buildkit_makes_them(
    builder: ImageBuilder, shown: Shown, shell_image: str, tmp_path: Path
) -> None:
    write(tmp_path, Dockerfile=HEREDOCS.format(base=shell_image))
    built = await build(builder, tmp_path, args={"NAME": "you"})
    command = "cd /w; cat plain d/a d/b run shell script; stat -c %a plain d/a; ls -A context"
    assert await shown(built.image, command) == MADE


async def test_several_sources_arguments_and_target(
    builder: ImageBuilder, shown: Shown, shell_image: str, tmp_path: Path
) -> None:
    text = "ARG BASE\nFROM $BASE AS one\nCOPY a b /d\nCOPY *.x /e\nFROM one AS two\nRUN touch /two\n"
    write(tmp_path, Dockerfile=text, a="", b="")
    (tmp_path / "1.x").touch()
    (tmp_path / "2.x").touch()
    built = await build(builder, tmp_path, args={"BASE": shell_image}, target="one")
    assert (await shown(built.image, "ls /d /e; ls / | grep two || true")).split() == [
        "/d:",
        "a",
        "b",
        "/e:",
        "1.x",
        "2.x",
    ]
    assert built.bases[shell_image].origin == "local"


async def test_the_same_content_is_built_once(
    builder: ImageBuilder, shell_image: str, tmp_path: Path
) -> None:
    write(tmp_path, Dockerfile=f"FROM {shell_image}\nRUN date +%s%N > /when\n")
    made = await asyncio.gather(*(build(builder, tmp_path) for _ in range(4)))
    assert len({built.image for built in made}) == 1
    assert sorted(built.seconds > 0 for built in made) == [False, False, False, True]
    again = await build(builder, tmp_path)
    assert (again.seconds, again.log) == (0, "")
    other = await build(builder, tmp_path, "2")
    assert other.image != again.image
    with connect() as client:
        assert {again.image, other.image} <= set(read_ledger()[daemon_id(client.api)])


async def test_builders_apart_build_once(daemon: Daemon, shell_image: str, tmp_path: Path) -> None:
    write(tmp_path, Dockerfile=f"FROM {shell_image}\nRUN sleep 0.5\n")
    made = await asyncio.gather(*(build(ImageBuilder(daemon, "classic"), tmp_path) for _ in range(2)))
    assert sorted(built.seconds > 0 for built in made) == [False, True]


async def test_two_build_at_once(
    daemon: Daemon, shell_image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = most = 0
    run = build_module._Job.run

    async def counted(job: build_module._Job, log: list[str]) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.2)
        await run(job, log)
        running -= 1

    monkeypatch.setattr(build_module._Job, "run", counted)
    write(tmp_path, Dockerfile=f"FROM {shell_image}\n")
    await asyncio.gather(*(build(ImageBuilder(daemon, "classic"), tmp_path, str(n)) for n in range(5)))
    assert most == 2


async def test_a_failure_has_the_log_and_is_remembered(
    builder: ImageBuilder, shell_image: str, tmp_path: Path
) -> None:
    script = "echo first-$((1))-line; seq 100; echo worse >&2; exit 7"
    write(tmp_path, Dockerfile=f"FROM {shell_image}\nRUN {script}\n")
    with pytest.raises(BuildError) as failed:
        await build(builder, tmp_path)
    assert failed.value.reason == "build_failed"
    assert "non-zero code: 7" in str(failed.value)
    assert "worse" in str(failed.value)
    assert "first-1-line" not in str(failed.value)
    assert "first-1-line\n" in failed.value.log
    assert "\x1b" not in failed.value.log
    with pytest.raises(BuildError) as again:
        await build(builder, tmp_path)
    assert again.value is failed.value


async def test_a_build_ends_at_its_time_with_what_it_started(
    builder: ImageBuilder, shell_image: str, tmp_path: Path
) -> None:
    write(tmp_path, Dockerfile=f"FROM {shell_image}\nRUN echo began; sleep 4321\n")
    began = time.monotonic()
    with pytest.raises(BuildError) as late:
        await build(builder, tmp_path, seconds=3.0)
    assert time.monotonic() - began < 20
    assert late.value.reason == "build_timeout"
    assert "began" in late.value.log
    with connect() as client:
        for _ in range(100):
            listed = [entry["Command"] for entry in client.api.containers(all=True)]
            if not any("sleep 4321" in command for command in listed):
                break
            await asyncio.sleep(0.1)
        assert not any("sleep 4321" in command for command in listed)


async def test_a_network_failure_is_tried_again(
    builder: ImageBuilder, shell_image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_module, "PAUSE_SECONDS", 0.01)
    text = "RUN echo 'E: Temporary failure resolving deb.debian.org'; exit 100"
    write(tmp_path, Dockerfile=f"FROM {shell_image}\n{text}\n")
    with pytest.raises(BuildError) as failed:
        await build(builder, tmp_path)
    assert failed.value.log.count("---> Running in") == build_module.TRIES
    assert "try 3 of 3" in failed.value.log


@pytest.mark.parametrize(
    ("text", "reason", "words"),
    [
        (None, "build_failed", "Dockerfile: No such file"),
        ("FROM scratch\nRUN --mount=type=secret,id=x y\n", "build_failed", "line 2: RUN --mount=type=secret"),
        ("FROM scratch\nWRONG\n", "build_failed", "unknown instruction: WRONG"),
        ("FROM localhost:1/no:1\n", "image_missing", "--base-image-map localhost:1/no:1=IMAGE"),
        ("FROM scratch\nCOPY none /\n", "build_failed", "none"),
    ],
)
async def test_what_cannot_be_built_says_why(
    builder: ImageBuilder, tmp_path: Path, text: str | None, reason: str, words: str
) -> None:
    if text is not None:
        write(tmp_path, Dockerfile=text)
    with pytest.raises(SandboxError) as failed:
        await build(builder, tmp_path)
    assert failed.value.reason == reason
    assert words in str(failed.value)


async def test_a_base_is_mapped(
    builder: ImageBuilder, shown: Shown, shell_image: str, tmp_path: Path
) -> None:
    write(tmp_path, Dockerfile="FROM no.where/x:1\nCOPY --from=no.where/y /etc/passwd /p\n")
    built = await build(builder, tmp_path, base_map={"no.where/*": shell_image})
    assert built.bases["no.where/x:1"].name == shell_image
    assert not built.stand_ins
    assert await shown(built.image, "head -c 4 /p") == "root"


async def test_sandboxes_build_and_start(
    sandboxes: DockerSandboxes, shell_image: str, tmp_path: Path
) -> None:
    write(tmp_path, Dockerfile=f"FROM {shell_image}\nRUN echo here > /f\n")
    recipe, platform = Recipe(context=tmp_path), "linux/amd64"
    built = await sandboxes.build(
        recipe, name="Build_Test", digest="1", seconds=60, base_map={}, platform=platform
    )
    assert built.image.startswith(f"longcat-eval/terminal.{MINE}:")
    sandbox = await sandboxes.start(built.image)
    assert await sandbox.get("/f") == b"here\n"
    await sandbox.stop()
