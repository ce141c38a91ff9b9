"""Folders as archives, and in and out of real containers, tmpfs included."""

import io
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longcat_eval.protocols import SandboxError
from longcat_eval.runners.sandbox import trees
from longcat_eval.runners.sandbox.container import DockerSandbox
from longcat_eval.runners.sandbox.memory_files import in_memory
from longcat_eval.runners.sandbox.sandboxes import DockerSandboxes
from longcat_eval.runners.sandbox.service import Service
from longcat_eval.runners.sandbox.trees import excluded, pack_tree, unpack_tree

NAME = st.text("abcé .-_", min_size=1, max_size=5).filter(lambda name: name.strip(". "))
FILES = st.dictionaries(
    st.lists(NAME, min_size=1, max_size=3).map("/".join), st.binary(max_size=40), max_size=6
)


def entries(*members: tarfile.TarInfo) -> bytes:
    """An archive of members without content."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(b"x" * member.size))
    return made.getvalue()


def member(name: str, size: int = 0, **more: object) -> tarfile.TarInfo:
    """One of them."""
    info = tarfile.TarInfo(name)
    info.size = size
    for key, value in more.items():
        setattr(info, key, value)
    return info


@given(FILES, st.integers(1, 700))
def test_what_is_packed_is_unpacked_whatever_the_pieces(files: dict[str, bytes], size: int) -> None:
    with pack_tree(files) as archive:
        whole = archive.read()
    pieces = [whole[start : start + size] for start in range(0, len(whole), size)]
    assert unpack_tree(pieces, 10_000, top=False) == files


def test_a_folder_keeps_modes_and_links_and_loses_its_owner(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "run").write_bytes(b"#!")
    (tmp_path / "bin" / "run").chmod(0o755)
    (tmp_path / "bin").chmod(0o711)
    (tmp_path / "link").symlink_to("bin/run")
    (tmp_path / "empty").mkdir()
    with pack_tree(tmp_path) as archive, tarfile.open(fileobj=archive) as tar:
        found = {one.name: (one.type, one.mode, one.linkname, one.uid, one.uname) for one in tar}
    assert found["bin"][:2] == (tarfile.DIRTYPE, 0o711)
    assert found["bin/run"] == (tarfile.REGTYPE, 0o755, "", 0, "")
    assert found["link"][::2] == (tarfile.SYMTYPE, "bin/run", "")
    assert found["empty"][0] == tarfile.DIRTYPE


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="pipe is neither"):
        pack_tree(tmp_path)
    pack_tree(tmp_path, exclude=["pipe"]).close()


def test_exclusions(tmp_path: Path) -> None:
    for name in ("a/b/c", "a/x.pyc", "__pycache__/y", "keep"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    with (
        pack_tree(tmp_path, ["*.pyc", "__pycache__", "a/b"]) as archive,
        tarfile.open(fileobj=archive) as tar,
    ):
        assert tar.getnames() == ["a", "keep"]
    assert excluded("a/b", ["b"])
    assert not excluded("a/bc", ["b"])


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x", ".."])
def test_an_archive_cannot_leave_its_folder(name: str) -> None:
    with pytest.raises(OSError, match="leaves the folder"):
        unpack_tree([entries(member(name))], 100)


def test_an_archive_has_its_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trees, "MOST_ENTRIES", 9)
    with pytest.raises(OSError, match="more than 9 bytes"):
        unpack_tree([entries(member("d/a", 6), member("d/b", 6))], 9)
    with pytest.raises(OSError, match="or 9 files"):
        unpack_tree([entries(*(member("d/x", type=tarfile.DIRTYPE) for _ in range(11)))], 9)
    with pytest.raises(OSError, match="does not come as an archive"):
        unpack_tree([b"no archive" * 100], 9)


def test_links_are_left_out_but_second_names_are_files() -> None:
    first = member("d/a", 2)
    second = member("d/b", type=tarfile.LNKTYPE, linkname="d/a")
    outside = member("d/c", type=tarfile.LNKTYPE, linkname="d/gone")
    soft = member("d/s", type=tarfile.SYMTYPE, linkname="/etc/passwd")
    assert unpack_tree([entries(member("d", type=tarfile.DIRTYPE), first, second, outside, soft)], 99) == {
        "a": b"xx",
        "b": b"xx",
    }


def test_which_paths_are_in_memory() -> None:
    mounts = ("/root", "/run/lock")
    inside = ("/root", "/root/a", "/root/", "/run/lock/x", "/run", "/dev/shm/x", "/tmp/../root/x")
    assert [path for path in inside if not in_memory(path, mounts)] == []
    assert not any(in_memory(path, mounts) for path in ("/rooted", "/tmp", "/run/x", "/home/root"))
    assert in_memory("/", mounts)
    assert not in_memory("/", ())


@pytest.mark.docker
async def test_folders_come_back_as_they_went(sandbox: DockerSandbox, tmp_path: Path) -> None:
    big = os.urandom(3_000_000)
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "big").write_bytes(big)
    (tmp_path / "run.sh").write_bytes(b"#!/bin/sh\necho ran\n")
    (tmp_path / "run.sh").chmod(0o755)
    (tmp_path / "link").symlink_to("run.sh")
    await sandbox.put_tree("/new/tests", tmp_path, exclude=["*.pyc"])
    await sandbox.put_tree(
        "/new/tests", {"more/x": b"1", "script": tmp_path / "run.sh", "all": tmp_path / "deep"}
    )
    expected = {"deep/er/big": big, "run.sh": b"#!/bin/sh\necho ran\n", "more/x": b"1", "all/er/big": big}
    assert await sandbox.get_tree("/new/tests") == expected | {"script": expected["run.sh"]}
    told = await sandbox.exec(
        "cd /new/tests && ./link && ./script && stat -c '%a %U' . more deep/er", timeout=10
    )
    assert told.output == b"ran\nran\n755 root\n755 root\n755 root\n"
    assert await sandbox.get_tree("/new/tests/deep") == {"er/big": big}


@pytest.mark.docker
async def test_what_is_no_folder(sandbox: DockerSandbox) -> None:
    await sandbox.exec(
        "mkdir /d /empty; echo 1 >/d/f; ln -s /d /link; mkfifo /d/pipe; ln -s /etc /d/etc", timeout=10
    )
    assert await sandbox.get_tree("/link") == {"f": b"1\n"}
    assert await sandbox.get_tree("/empty") == {}
    with pytest.raises(FileNotFoundError):
        await sandbox.get_tree("/nothing")
    with pytest.raises(NotADirectoryError):
        await sandbox.get_tree("/etc/passwd")
    with pytest.raises(NotADirectoryError):
        await sandbox.put_tree("/etc/passwd", {"x": b""})
    with pytest.raises(OSError, match="more than 1 bytes"):
        await sandbox.get_tree("/d", max_bytes=1)
    await sandbox.stop()
    with pytest.raises(SandboxError):
        await sandbox.put_tree("/d", {"x": b""})


@pytest.mark.docker
async def test_files_in_memory(sandboxes: DockerSandboxes, shell_image: str, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "uv").write_bytes(os.urandom(2_000_000))
    (tmp_path / "bin" / "uv").chmod(0o755)
    service = Service(name="client", image=shell_image, idle=True, tmpfs={"/root": "size=30M,mode=755"})
    async with await sandboxes.start_services([service], "client", network=False) as group:
        box = group.main
        mounted = await box.exec(
            "stat -f -c %T /root; stat -c %a /root; df -m --output=size /root", timeout=10
        )
        assert mounted.output.split() == [b"tmpfs", b"755", b"1M-blocks", b"30"]
        await box.put("/root/a/one", b"\0\xff\n", mode=0o750)
        await box.put_tree("/root/.local", tmp_path)
        seen = await box.exec("stat -c '%n %a %U %s' /root/a/one /root/.local/bin/uv", timeout=10)
        assert seen.output == b"/root/a/one 750 root 3\n/root/.local/bin/uv 755 root 2000000\n"
        assert await box.get("/root/a/one") == b"\0\xff\n"
        assert await box.get_tree("/root/a") == {"one": b"\0\xff\n"}
        assert set(await box.get_tree("/root")) == {"a/one", ".local/bin/uv"}
        for path, error in (("/root/none", FileNotFoundError), ("/root/a", OSError)):
            with pytest.raises(error):
                await box.get(path)
        with pytest.raises(NotADirectoryError):
            await box.get_tree("/root/a/one")
        with pytest.raises(OSError, match="more than 10 bytes"):
            await box.get("/root/.local/bin/uv", max_bytes=10)
        with pytest.raises(OSError, match="/root/full: "):
            await box.put("/root/full", bytes(40 << 20))
        await box.put("/dev/shm/x", b"1")
        assert (await box.exec("cat /dev/shm/x; ls /root", timeout=10)).output.startswith(b"1a\n")


@pytest.mark.docker
async def test_a_paused_sandbox_gives_files_and_runs_nothing(sandbox: DockerSandbox) -> None:
    await sandbox.exec(
        "mkdir /d; (while :; do date +%N >>/d/clock; sleep 0.02; done) >/dev/null 2>&1 &", timeout=10
    )
    await sandbox.pause()
    first = await sandbox.get_tree("/d")
    await sandbox.put("/d/more", b"1")
    assert await sandbox.get("/d/more") == b"1"
    with pytest.raises(SandboxError, match="paused"):
        await sandbox.exec("true", timeout=5)
    assert await sandbox.get("/d/clock") == first["clock"]
    await sandbox.unpause()
    assert (await sandbox.exec("cat /d/more", timeout=10)).output == b"1"
    await sandbox.pause()
    await sandbox.stop()
