"""From the first start to the last container: slots, budgets, crashes, and that nothing stays behind."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.protocols import SandboxError
from longcat_eval.runners.sandbox.container import DockerSandbox
from longcat_eval.runners.sandbox.daemon import DEFAULT_HOST, connect, docker_host
from longcat_eval.runners.sandbox.limits import GIB, Limits
from longcat_eval.runners.sandbox.owner import DEADLINE, HOST, OWNER, own_labels
from longcat_eval.runners.sandbox.sandboxes import DockerSandboxes

pytestmark = pytest.mark.docker

HARNESS = """
import asyncio, sys
from longcat_eval.runners.sandbox.sandboxes import DockerSandboxes

async def main():
    boxes = DockerSandboxes(agents=4)
    made = [await boxes.start(sys.argv[1], name=f"t{n}") for n in range(int(sys.argv[2]))]
    print(boxes.run, *(box.id for box in made), flush=True)
    if len(sys.argv) > 3:
        return
    await asyncio.sleep(600)

asyncio.run(main())
"""


class Harness:
    """Another process with sandboxes of its own."""

    def __init__(self, image: str, count: int, *more: str) -> None:
        command = [sys.executable, "-c", HARNESS, image, str(count), *more]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.run, *self.ids = self.process.stdout.readline().split()

    def end(self, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal and wait."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(60)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


def alive(ids: list[str]) -> list[str]:
    """Which of these containers exist."""
    with connect() as client:
        there = {entry["Id"] for entry in client.api.containers(all=True)}
    return [one for one in ids if one in there]


async def test_a_killed_harness_is_cleaned_up_after_and_a_living_one_is_not(
    sandboxes: DockerSandboxes, shell_image: str
) -> None:
    dead, living = Harness(shell_image, 3), Harness(shell_image, 1)
    try:
        assert dead.end(signal.SIGKILL) == -signal.SIGKILL
        assert alive(dead.ids + living.ids) == dead.ids + living.ids
        reaped: list[int] = []
        sandboxes._on_reaped = reaped.append
        mine = await sandboxes.start(shell_image)
        assert alive([*dead.ids, *living.ids, mine.id]) == [*living.ids, mine.id]
        assert reaped[0] >= 3
        assert living.end(signal.SIGTERM) == -signal.SIGTERM
        assert alive(living.ids) == []
    finally:
        dead.end()
        living.end()


@pytest.mark.parametrize("how", ["returns", "ctrl-c", "hangup"])
async def test_a_harness_that_ends_takes_its_sandboxes_with_it(shell_image: str, how: str) -> None:
    harness = Harness(shell_image, 1, *(["return"] if how == "returns" else []))
    if how == "returns":
        harness.process.wait(60)
    harness.end(signal.SIGHUP if how == "hangup" else signal.SIGINT)
    assert alive(harness.ids) == []


async def test_twenty_at_once(shell_image: str, docker_daemon: None) -> None:
    many = DockerSandboxes(agents=20)
    started = time.monotonic()
    made = await asyncio.gather(*(many.start(shell_image) for _ in range(20)))
    answers = await asyncio.gather(*(box.exec("echo $HOSTNAME", timeout=30) for box in made))
    assert {a.output.strip().decode() for a in answers} == {box.id[:12] for box in made}
    await many.close()
    assert time.monotonic() - started < 120
    assert alive([box.id for box in made]) == []


async def test_slots_are_waited_for_by_kind(shell_image: str, docker_daemon: None) -> None:
    few = DockerSandboxes(agents=1, graders=1)
    try:
        first = await few.start(shell_image)
        second = asyncio.create_task(few.start(shell_image))
        grader = await few.start(shell_image, kind="grade")
        await asyncio.sleep(0.3)
        assert not second.done()
        await first.stop()
        other = await second
        waiting = asyncio.create_task(few.start(shell_image))
        await asyncio.sleep(0.1)
        waiting.cancel()
        await other.stop()
        async with await few.start(shell_image) as third:
            assert (await third.exec("true", timeout=9)).exit_code == 0
        await grader.stop()
    finally:
        await few.close()


async def test_a_cancelled_start_leaves_nothing_and_frees_its_slot(
    shell_image: str, docker_daemon: None
) -> None:
    few = DockerSandboxes(agents=1)
    try:
        await (await few.start(shell_image)).stop()
        for pause in (0.01, 0.05, 0.15, 0.3):
            starting = asyncio.create_task(few.start(shell_image))
            await asyncio.sleep(pause)
            starting.cancel()
            (started,) = await asyncio.gather(starting, return_exceptions=True)
            if not isinstance(started, BaseException):  # a fast machine: nothing was left to cancel
                await started.stop()
        async with asyncio.timeout(20):
            await (await few.start(shell_image)).stop()
    finally:
        await few.close()
    with connect() as client:
        assert not client.api.containers(all=True, filters={"label": [f"lceval.run={few.run}"]})


async def test_a_missing_image_asks_nobody(sandboxes: DockerSandboxes, shell_image: str) -> None:
    connections: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as registry:
        registry.settimeout(0.5)
        name = f"127.0.0.1:{registry.getsockname()[1]}/sweb.eval.x86_64.none:latest"
        with pytest.raises(SandboxError) as caught:
            await sandboxes.start(name)
        with pytest.raises(TimeoutError):
            connections.append(registry.accept())
    assert not connections
    assert caught.value.reason == "image_missing"
    assert f"longcat-eval images pull {name}" in str(caught.value)
    assert (await sandboxes.start(shell_image)).id


async def test_an_image_without_a_shell(sandboxes: DockerSandboxes) -> None:
    tag = f"longcat-eval-test/empty:{sandboxes.run}"
    with connect() as client:
        client.api.import_image_from_data(b"\0" * 10240, *tag.split(":"))
        try:
            with pytest.raises(SandboxError) as caught:
                await sandboxes.start(tag)
        finally:
            client.api.remove_image(tag)
    assert caught.value.reason == "image_unusable"


async def test_more_disk_than_allowed_ends_it(docker_daemon: None, shell_image: str) -> None:
    run = DockerSandboxes(agents=2, disk_poll=0.2)
    greedy = await run.start(shell_image, disk_bytes=20 << 20)
    modest = await run.start(shell_image, disk_bytes=20 << 20)
    assert (await modest.exec("head -c 10M /dev/zero >/file", timeout=30)).exit_code == 0
    text = "while :; do head -c 5M /dev/zero >>/file; sleep 0.05; done"
    with pytest.raises(SandboxError) as caught:
        await greedy.exec(text, timeout=60)
    assert caught.value.reason == "disk_budget"
    assert "20 are allowed" in str(caught.value)
    with pytest.raises(SandboxError, match="20 are allowed"):
        await greedy.get("/file")
    assert (await modest.exec("echo here", timeout=10)).output == b"here\n"
    await greedy.stop()
    await run.close()


async def test_a_sandbox_does_not_outlive_its_deadline(sandboxes: DockerSandboxes, shell_image: str) -> None:
    brief = await sandboxes.start(shell_image, seconds=2)
    for _ in range(2):
        with pytest.raises(SandboxError) as caught:
            await brief.exec("sleep 60", timeout=120)
        assert caught.value.reason == "deadline"


def labelled(image: str, labels: dict[str, str]) -> str:
    """A container as another process would have made it."""
    with connect() as client:
        return str(client.api.create_container(image, ["true"], labels=labels)["Id"])


async def test_who_is_reaped(sandboxes: DockerSandboxes, shell_image: str) -> None:
    now = time.time()
    mine = own_labels("someone", "agent", "x", now + 3600)
    space, pid, start = mine[OWNER].split("|")
    boot, namespace = space.split("/", 1)
    cases = {
        "living owner": ({}, True),
        "dead owner": ({OWNER: f"{space}|{pid}|1"}, False),
        "no such process": ({OWNER: f"{space}|4194305|{start}"}, False),
        "deadline passed": ({DEADLINE: str(int(now) - 5)}, False),
        "machine restarted": ({OWNER: f"{boot[::-1]}/{namespace}|{pid}|{start}"}, False),
        "other namespace": ({OWNER: f"{boot}/pid:[1]|{pid}|1"}, True),
        "other machine": ({HOST: "other", OWNER: "x/y|1|1"}, True),
        "other machine, long over": ({HOST: "other", DEADLINE: str(int(now) - 7200)}, False),
        "not ours": ({OWNER: ""}, True),
    }
    made = {name: labelled(shell_image, mine | changes) for name, (changes, _) in cases.items()}
    try:
        await sandboxes.start(shell_image)
        stays = {name: bool(alive([made[name]])) for name in cases}
        assert stays == {name: expected for name, (_, expected) in cases.items()}
    finally:
        with connect() as client:
            for one in alive(list(made.values())):
                client.api.remove_container(one, force=True)


async def test_limits_as_the_daemon_holds_them(sandboxes: DockerSandboxes, shell_image: str) -> None:
    made = await sandboxes.start(shell_image, kind="grade", name="flask-5014", env={"PIP_NO_INDEX": "1"})
    with connect() as client:
        about = client.api.inspect_container(made.id)
    host, limits = about["HostConfig"], Limits()
    assert host["Memory"] == host["MemorySwap"] == limits.memory_bytes
    assert host["PidsLimit"] == 512
    assert host["NanoCpus"] == min(2, os.cpu_count() or 1) * 10**9
    assert host["ShmSize"] == GIB // 4
    assert (host["Init"], host["NetworkMode"], host["Privileged"]) == (True, "none", False)
    assert (host["CapDrop"], len(host["CapAdd"])) == (["ALL"], 6)
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["LogConfig"]["Type"] == "none"
    assert host["RestartPolicy"]["Name"] in ("no", "")
    assert not host["Binds"]
    assert not about["Mounts"]
    assert {u["Name"]: u["Hard"] for u in host["Ulimits"]} == {
        "nofile": 4096,
        "fsize": 8 * GIB,
        "core": 0,
    }
    labels = about["Config"]["Labels"]
    assert (labels["lceval.kind"], labels["lceval.name"]) == ("grade", "flask-5014")
    assert labels[OWNER].split("|")[1] == str(os.getpid())
    assert "PIP_NO_INDEX=1" in about["Config"]["Env"]


async def test_a_closed_run_starts_nothing_and_close_is_quiet_before_any(shell_image: str) -> None:
    unused = DockerSandboxes()
    await unused.close()
    await unused.close()
    with pytest.raises(SandboxError):
        await unused.start(shell_image)


async def test_close_under_way(shell_image: str, docker_daemon: None) -> None:
    boxes = DockerSandboxes(agents=4)
    first = await boxes.start(shell_image)
    running = asyncio.create_task(first.exec("sleep 300", timeout=600))
    starting = asyncio.create_task(boxes.start(shell_image))
    await asyncio.sleep(0.2)
    await boxes.close()
    ended = await asyncio.gather(running, starting, return_exceptions=True)
    assert isinstance(ended[0], SandboxError)
    assert isinstance(ended[1], SandboxError | DockerSandbox)
    with connect() as client:
        assert not client.api.containers(all=True, filters={"label": [f"lceval.run={boxes.run}"]})


@pytest.fixture
def relay() -> Iterator[str]:
    """The daemon's socket behind a TCP port, as DOCKER_HOST=tcp://… would have it."""
    if docker_host() != DEFAULT_HOST:
        pytest.skip("DOCKER_HOST is set")
    server = socket.create_server(("127.0.0.1", 0))
    closing: list[socket.socket] = [server]

    def pump(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def serve() -> None:
        while True:
            try:
                client = server.accept()[0]
            except OSError:
                return
            daemon = socket.socket(socket.AF_UNIX)
            daemon.connect("/var/run/docker.sock")
            closing.extend([client, daemon])
            for pair in ((client, daemon), (daemon, client)):
                threading.Thread(target=pump, args=pair, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
    for one in closing:
        one.close()


async def test_a_daemon_over_tcp(
    docker_daemon: None, shell_image: str, relay: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", relay)
    far = DockerSandboxes(agents=2)
    try:
        one = await far.start(shell_image)
        assert (await one.exec("echo far; sleep 9", timeout=1)).output == b"far\n"
        echo = await one.open_stream(["cat"])
        await echo.send(b"over tcp")
        assert await echo.read() == b"over tcp"
        await one.put("/x", b"1")
        assert await one.get("/x") == b"1"
        await one.stop()
    finally:
        await far.close()


async def test_no_daemon_is_one_clear_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(EnvironmentUnusableError) as caught:
        await DockerSandboxes().start("any")
    assert "no Docker daemon answers at unix://" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert json.dumps(str(caught.value))
