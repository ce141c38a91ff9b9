"""Files in and out of a real container, and its file system as an image."""

import asyncio
import os

import pytest
from docker_fixtures import processes

from longcat_eval.protocols import SandboxError
from longcat_eval.runners.sandbox.container import DockerSandbox
from longcat_eval.runners.sandbox.daemon import connect
from longcat_eval.runners.sandbox.sandboxes import DockerSandboxes

pytestmark = pytest.mark.docker


async def test_files_come_back_as_they_went(sandbox: DockerSandbox) -> None:
    content = os.urandom(3_000_000) + b"\r\n\xff\0 no newline at the end"
    await sandbox.put("/new/folder/a file", content, mode=0o755)
    assert await sandbox.get("/new/folder/a file") == content
    told = await sandbox.exec("stat -c '%a %U %s' '/new/folder/a file'; stat -c %a /tmp", timeout=10)
    assert told.output == b"755 root %d\n1777\n" % len(content)
    await sandbox.put("/new/folder/a file", b"")
    assert await sandbox.get("/new/folder/a file") == b""
    await sandbox.put("/top", b"x")
    assert await sandbox.get("/top") == b"x"


async def test_links_are_followed_inside(sandbox: DockerSandbox) -> None:
    text = "mkdir -p /d && echo inside >/d/file && ln -s ../d/file /d/link && ln -s /etc/hostname /d/host"
    await sandbox.exec(text, timeout=10)
    assert await sandbox.get("/d/link") == b"inside\n"
    assert (await sandbox.get("/d/host")).strip() == sandbox.id[:12].encode()


async def test_what_cannot_be_read(sandbox: DockerSandbox) -> None:
    with pytest.raises(FileNotFoundError):
        await sandbox.get("/nothing/here")
    text = "truncate -s 7G /big; mkfifo /pipe; ln -s /loop /loop; ln -s /gone /dangling"
    await sandbox.exec(text, timeout=10)
    for path in ("/etc", "/pipe", "/big"):
        with pytest.raises(OSError, match=path):
            await sandbox.get(path)
    for path in ("/loop", "/dangling"):
        with pytest.raises(OSError):  # noqa: PT011 - daemons differ on what a link to nothing is
            await sandbox.get(path)
    with pytest.raises(OSError, match="more than 3"):
        await sandbox.get("/etc/passwd", max_bytes=3)


async def test_many_files_at_once(sandbox: DockerSandbox) -> None:
    await asyncio.gather(*(sandbox.put(f"/many/{n}", b"%d" % n) for n in range(6)))
    assert await asyncio.gather(*(sandbox.get(f"/many/{n}") for n in range(6))) == [
        b"%d" % n for n in range(6)
    ]


async def test_a_snapshot_goes_when_the_run_ends(docker_daemon: None, shell_image: str) -> None:
    run = DockerSandboxes(agents=2)
    try:
        first = await run.start(shell_image)
        await first.put("/work/state", b"frozen")
        frozen = await first.snapshot()
        again = await run.start(frozen)
        assert await again.get("/work/state") == b"frozen"
        assert again.image_id == frozen
    finally:
        await run.close()
    with connect() as client:
        assert not [image for image in client.api.images() if image["Id"] == frozen]


async def test_a_tagged_snapshot_is_the_users(sandboxes: DockerSandboxes, shell_image: str) -> None:
    tag = f"longcat-eval-test/kept:{sandboxes.run}"
    first = await sandboxes.start(shell_image)
    try:
        frozen = await first.snapshot(tag)
        await sandboxes.close()
        with connect() as client:
            image = client.images.get(tag)
            assert image.id == frozen
            assert not any(image.labels.values()), "a container that its user runs would be reaped"
            assert image.attrs["Config"]["Cmd"] == ["bash"]
            assert not image.attrs["Config"]["Entrypoint"]
    finally:
        with connect() as client:
            client.api.remove_image(tag)


async def test_an_image_with_an_entrypoint_and_a_user(sandboxes: DockerSandboxes, shell_image: str) -> None:
    tag = f"longcat-eval-test/entrypoint:{sandboxes.run}"
    changes = ['ENTRYPOINT ["false"]', "USER nobody", "WORKDIR /opt", "ENV LANG=xx KEPT=yes"]
    with connect() as client:
        container = client.api.create_container(shell_image, ["true"])["Id"]
        client.api.commit(container, *tag.split(":"), changes=changes)
        client.api.remove_container(container)
    try:
        first = await sandboxes.start(tag)
        done = await first.exec("id -un; pwd; echo $LANG $KEPT", timeout=10)
        assert done.output == b"nobody\n/opt\nC.UTF-8 yes\n"
        assert (await first.exec("setsid sleep 300 & sleep 300", timeout=1)).timed_out
        assert await processes(first, "sleep") == 0
        frozen = await first.snapshot()
        with connect() as client:
            assert client.images.get(frozen).attrs["Config"]["Entrypoint"] == ["false"]
    finally:
        await sandboxes.close()
        with connect() as client:
            client.api.remove_image(tag)


async def test_a_stopped_sandbox_says_so(sandbox: DockerSandbox) -> None:
    await sandbox.stop()
    await sandbox.stop()
    for call in (sandbox.exec("true", timeout=5), sandbox.get("/etc/passwd"), sandbox.put("/x", b"")):
        with pytest.raises(SandboxError) as caught:
            await call
        assert caught.value.reason == "container_lost"
