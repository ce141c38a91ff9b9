"""The parts that need no daemon."""

import asyncio
import os
import shutil
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.runners.sandbox import scripts
from longcat_eval.runners.sandbox.archives import pack
from longcat_eval.runners.sandbox.capture import Capture, Frames
from longcat_eval.runners.sandbox.container import split_tag
from longcat_eval.runners.sandbox.daemon import no_daemon, open_client
from longcat_eval.runners.sandbox.execution import Reports
from longcat_eval.runners.sandbox.hijack import Endpoint, find_endpoint
from longcat_eval.runners.sandbox.host_image import Installed, closure
from longcat_eval.runners.sandbox.limits import Limits, create_options
from longcat_eval.runners.sandbox.owner import OWNER, abandoned, own_labels, started


@given(st.lists(st.binary(max_size=30), max_size=30), st.integers(1, 40))
def test_both_ends_of_an_output(pieces: list[bytes], ends: int) -> None:
    capture = Capture(ends)
    for piece in pieces:
        capture.feed(piece)
    whole = b"".join(pieces)
    assert capture.total == len(whole)
    assert capture.left_out == max(0, len(whole) - 2 * ends)
    if capture.left_out:
        head, _, tail = capture.output().partition(b"\n[longcat-eval: %d bytes" % capture.left_out)
        assert head == whole[:ends]
        assert tail == b" left out here]\n" + whole[-ends:]
    else:
        assert capture.output() == whole


def frame(channel: int, payload: bytes) -> bytes:
    return bytes([channel, 0, 0, 0]) + len(payload).to_bytes(4, "big") + payload


@given(st.lists(st.tuples(st.integers(0, 2), st.binary(max_size=20)), max_size=12), st.integers(1, 50))
def test_frames_cut_anywhere(sent: list[tuple[int, bytes]], size: int) -> None:
    wire = b"".join(frame(channel, payload) for channel, payload in sent)
    frames, got = Frames(), {0: b"", 1: b"", 2: b""}
    for start in range(0, len(wire), size):
        for channel, payload in frames.feed(wire[start : start + size]):
            got[channel] += payload
    assert got == {n: b"".join(p for channel, p in sent if channel == n) for n in range(3)}


def test_reports_of_the_wrapper() -> None:
    reports = Reports()
    for piece in (b"begin 12.5", b"0 3\nen", b"d 137 14.01 4\n"):
        reports.feed(piece)
    assert (reports.begin, reports.end, reports.seconds) == (("12.50", 3), (137, "14.01", 4), 1.51)
    empty = Reports()
    empty.feed(b"OCI runtime exec failed\nbegin\nend x 1 2\n")
    assert (empty.begin, empty.end, empty.seconds) == (None, None, None)


def test_what_an_image_offers() -> None:
    assert scripts.read_probe(b"/bin/bash exact\n") == scripts.Shell("/bin/bash", "exact")
    assert scripts.read_probe(b"/bin/sh old") == scripts.Shell("/bin/sh", "old")
    for nothing in (b"", b"OCI runtime exec failed", b" exact", b"\xff"):
        assert scripts.read_probe(nothing) is None


@pytest.mark.parametrize(
    ("kind", "limit"),
    [
        ("exact", ["timeout", "-k", "5", "2.500"]),
        ("whole", ["timeout", "-k", "5", "3"]),
        ("old", ["timeout", "-t", "3"]),
        ("none", []),
    ],
)
def test_the_limit_of_each_kind_of_timeout(kind: scripts.TimeoutKind, limit: list[str]) -> None:
    argv = scripts.wrapped(scripts.Shell("/bin/sh", kind), ["-c", "x y"], 2.5, "/w")
    assert argv == ["/bin/sh", "-c", 'eval "$LCEVAL_WRAPPER"', "sh", "/w", *limit, "/bin/sh", "-c", "x y"]


SHELLS = [["sh"], ["bash", "--posix"], *([["busybox", "sh"]] if shutil.which("busybox") else [])]


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
@pytest.mark.parametrize("version", [1, 2])
def test_the_wrapper_on_both_kinds_of_cgroup(shell: list[str], version: int, tmp_path: Path) -> None:
    memory = tmp_path / ("memory/memory.oom_control" if version == 1 else "memory.events")
    pids = tmp_path / ("pids" if version == 1 else "")
    for folder in (memory.parent, pids):
        folder.mkdir(exist_ok=True)
    memory.write_text("max 5\noom 2\noom_kill 3\noom_group_kill 0\nunder_oom 0\n")
    (pids / "pids.current").write_text("490\n")

    def run(most: str, *arguments: str) -> tuple[bytes, Reports]:
        (pids / "pids.max").write_text(most)
        text = scripts.WRAPPER.replace("/sys/fs/cgroup", str(tmp_path))
        done = subprocess.run([*shell, "-c", text, "sh", *arguments], capture_output=True, check=False)
        reports = Reports()
        reports.feed(done.stderr)
        return done.stdout, reports

    for most in ("max\n", "512\n"):
        output, reports = run(most, str(tmp_path), "sh", "-c", "pwd; echo err >&2; exit 7")
        assert output.decode() == f"{tmp_path}\nerr\n"
        assert reports.begin is not None
        assert reports.end is not None
        assert (reports.begin[1], reports.end[0], reports.end[2]) == (3, 7, 3)
    output, reports = run("500\n", "", "echo", "runs")
    assert (output, reports.end) == (b"", None), "it began a command with hardly a process id left"
    output, reports = run("max\n", "/not/there", "echo", "runs")
    assert b"/not/there" in output
    assert reports.end is not None
    assert reports.end[0] == 1


def test_uptime_in_ticks() -> None:
    assert scripts.centiseconds("3049.07") == "304907"
    assert scripts.centiseconds("0.5") == "50"
    assert scripts.centiseconds("sh: not found") == ""


def test_names_of_images() -> None:
    assert split_tag("host:5000/a/b:1") == ("host:5000/a/b", "1")
    assert split_tag("host:5000/a/b") == ("host:5000/a/b", "latest")
    assert split_tag("a") == ("a", "latest")
    assert split_tag("") == (None, None)


def test_limits_as_options() -> None:
    options = create_options("sha256:x", Limits(cpus=8, seconds=61.9), {"a": "b"}, {}, network=True, cpus=2)
    host = options["host_config"]
    assert host["NanoCpus"] == 2_000_000_000, "Docker refuses more CPUs than there are"
    assert host["NetworkMode"] == "bridge"
    assert (options["entrypoint"], options["command"]) == ([], ["sleep", "61"])
    assert not {"Binds", "Mounts", "Devices", "Privileged", "PidMode", "IpcMode"} & set(host)


def test_an_owner_is_one_process(tmp_path: Path) -> None:
    now = time.time()
    mine = own_labels("r", "agent", "n", now + 60)
    assert abandoned(mine, now) == ""
    assert abandoned(mine, now + 61) == "deadline passed"
    assert started(os.getpid()) == mine[OWNER].split("|")[2]
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    space = mine[OWNER].split("|")[0]
    theirs = mine | {OWNER: f"{space}|{child.pid}|{started(child.pid)}"}
    assert abandoned(theirs, now) == ""
    child.communicate(b"\n")
    assert abandoned(theirs, now) == "owner is gone"
    assert abandoned({}, now) == ""
    assert abandoned({OWNER: "someone else's label"}, now) == ""


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("", ("http+unix", "", 2375, "/var/run/docker.sock")),
        ("unix:///run/user/1000/docker.sock", ("http+unix", "", 2375, "/run/user/1000/docker.sock")),
        ("tcp://10.0.0.5:2376", ("http", "10.0.0.5", 2376, "")),
        ("ssh://me@far:2222", ("ssh", "me@far", 2222, "")),
    ],
)
def test_where_the_daemon_is(
    host: str, expected: tuple[object, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    monkeypatch.delenv("DOCKER_TLS_VERIFY", raising=False)
    assert find_endpoint()[:4] == expected


def test_tls_as_docker_sets_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-keyout", str(key), "-out", str(certificate), "-subj", "/CN=localhost", "-days", "2"),
        ],
        check=True,
        capture_output=True,
    )
    (tmp_path / "ca.pem").write_bytes(certificate.read_bytes())
    monkeypatch.setenv("DOCKER_HOST", "tcp://localhost:2376")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))
    endpoint = find_endpoint()
    assert endpoint.scheme == "https"
    assert endpoint.tls is not None
    assert endpoint.tls.verify_mode == ssl.CERT_REQUIRED


async def test_a_daemon_over_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ssh = tmp_path / "ssh"
    ssh.write_text('#!/bin/sh\necho "$@" >&1\nexec cat\n')
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    connection = await Endpoint("ssh", "me@far", 2222, "", None).connect()
    assert await connection.reader.readline() == b"-p 2222 -- me@far docker system dial-stdio\n"
    connection.writer.write(b"bytes")
    assert await connection.reader.readexactly(5) == b"bytes"
    await connection.close()


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (PermissionError(13, "Permission denied"), "join the group docker"),
        (FileNotFoundError(2, "No such file or directory"), "start it"),
        (RuntimeError("Install paramiko package to enable ssh:// support"), "docker[ssh]"),
    ],
)
def test_a_daemon_that_does_not_answer_comes_with_a_remedy(error: Exception, remedy: str) -> None:
    assert remedy in no_daemon(error)


@pytest.mark.parametrize("host", ["unix:///no/such.sock", "tcp://127.0.0.1:9", "nonsense://x"])
def test_no_daemon(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    with pytest.raises(EnvironmentUnusableError, match=host):
        open_client()


def test_packages_and_what_they_depend_on() -> None:
    installed = {
        "git": Installed("1:2", [["libc6"], ["perl", "perl-lite"], ["pager"]]),
        "libc6": Installed("2.36", []),
        "perl-lite": Installed("5", [["libc6"]]),
        "pager": Installed("", [["less"]]),
        "less": Installed("590", [["git"]]),
        "other": Installed("1", []),
    }
    found = closure(["git"], installed)
    assert found == {"git": "1:2", "libc6": "2.36", "perl-lite": "5", "less": "590"}
    with pytest.raises(EnvironmentUnusableError, match="apt-get install patch"):
        closure(["git", "patch"], installed)


def test_a_file_too_large_to_put() -> None:
    class Huge(bytes):
        def __len__(self) -> int:
            return 1 << 40

    with pytest.raises(ValueError, match="more than a sandbox takes"):
        pack("x", Huge(), 0o644)


def test_a_forked_child_removes_nothing(tmp_path: Path) -> None:
    script = (
        "import os, sys\n"
        "from longcat_eval.runners.sandbox.last_resort import LastResort\n"
        "LastResort(lambda: open(sys.argv[1], 'a').write('gone\\n')).arm()\n"
        "if os.fork() == 0: sys.exit(0)\n"
        "os.wait()\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "log")], check=True)
    assert (tmp_path / "log").read_text() == "gone\n"


async def test_a_connection_closes_twice() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        connection = await Endpoint("http", "127.0.0.1", port, "", None).connect()
        await connection.close()
        await connection.close()
