"""Several containers as one machine on a real daemon: reach, order, health, and nothing left."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from docker_fixtures import left

from longcat_eval.protocols import SandboxError
from longcat_eval.runners.sandbox.daemon import connect
from longcat_eval.runners.sandbox.limits import DOCKER_CAPABILITIES, GIB, Limits
from longcat_eval.runners.sandbox.networks import create_network
from longcat_eval.runners.sandbox.sandboxes import DockerSandboxes
from longcat_eval.runners.sandbox.service import Healthcheck, Service, Volume
from longcat_eval.runners.sandbox.service_options import check_order, service_options

pytestmark = pytest.mark.docker

SERVE = "echo serving; sleep 1; echo ok >/ready; while :; do sleep 1; done"
READY = Healthcheck(test=("CMD-SHELL", "cat /ready || { echo not ready; exit 1; }"), interval=60, retries=2)
SICK = Healthcheck(test=("CMD-SHELL", "echo it is sick; exit 1"), interval=0.2, timeout=2, retries=2)


def client(image: str, **more: Any) -> Service:
    """Where an agent would work."""
    return Service(name="client", image=image, idle=True, command=("sleep", "infinity"), **more)


def server(image: str, **more: Any) -> Service:
    """A service that becomes ready after a second."""
    return Service(name="server", image=image, command=("sh", "-c", SERVE), **more)


@pytest.fixture
def tidy(sandboxes: DockerSandboxes) -> Iterator[None]:
    """Whatever happened, nothing of the run stays when its groups have been stopped."""
    yield
    assert left(sandboxes.run) == []


async def test_two_services_reach_each_other(
    sandboxes: DockerSandboxes, shell_image: str, tidy: None
) -> None:
    names = {"front": ("www",), "back": ()}
    agent = client(
        shell_image,
        depends_on={"server": "healthy"},
        networks={"front": ()},
        hostname="desk",
        extra_hosts=("home.local:127.0.0.1",),
        environment={"A": "b"},
        workdir="/opt",
        volumes=(Volume(target="/data", name="shared"), Volume(target="/own")),
    )
    shop = server(
        shell_image,
        healthcheck=READY,
        networks=names,
        internal=("back",),
        volumes=(Volume(target="/data", name="shared", read_only=True),),
    )
    began = time.monotonic()
    group = await sandboxes.start_services([agent, shop], "client", network=True, name="two")
    assert time.monotonic() - began < 40, "it waited for the daemon's first check"
    same = "getent hosts server www | awk '{print $1}' | sort -u | wc -l"
    told = await group.main.exec(f"{same}; getent hosts home.local; hostname; echo $A; pwd", timeout=20)
    assert told.output.split() == [b"1", b"127.0.0.1", b"home.local", b"desk", b"b", b"/opt"]
    other = group.others["server"]
    await group.main.put("/data/note", b"hello")
    assert await other.get("/data/note") == b"hello"
    refused = await other.exec("cat /ready; ls -d /sys/class/net/eth* | wc -l; touch /data/x", timeout=20)
    assert refused.output.startswith(b"ok\n2\n")
    assert b"Read-only" in refused.output
    assert len(left(sandboxes.run)) == 5
    await asyncio.gather(group.stop(), group.stop())
    assert left(sandboxes.run) == []
    with pytest.raises(SandboxError):
        await other.exec("true", timeout=5)


async def test_a_closed_group_reaches_itself_alone(
    sandboxes: DockerSandboxes, shell_image: str, tidy: None
) -> None:
    lonely = Service(name="lonely", image=shell_image, idle=True, no_network=True)
    services = [client(shell_image), server(shell_image), lonely]
    async with await sandboxes.start_services(services, "client", network=False) as group:
        found = await group.main.exec(
            "getent hosts server >/dev/null && echo there; getent hosts pypi.org", timeout=30
        )
        assert (found.output, found.exit_code) == (b"there\n", 2)
        assert (await group.others["lonely"].exec("ls /sys/class/net", timeout=9)).output == b"lo\n"
        with connect() as one:
            about = one.api.inspect_container(group.main.id)
            (name,) = about["NetworkSettings"]["Networks"]
            assert one.api.inspect_network(name)["Internal"]


@pytest.mark.parametrize(
    ("network", "more", "mode"),
    [
        (True, {}, "bridge"),
        (False, {}, "none"),
        (True, {"no_network": True}, "none"),
        (True, {"networks": {"app": ()}}, "bridge"),
        (True, {"networks": {"app": ()}, "internal": ("app",)}, "none"),
    ],
)
async def test_one_service_takes_no_network(
    network: bool, more: dict[str, Any], mode: str, sandboxes: DockerSandboxes, shell_image: str, tidy: None
) -> None:
    async with await sandboxes.start_services(
        [client(shell_image, **more)], "client", network=network
    ) as group:
        with connect() as one:
            assert one.api.inspect_container(group.main.id)["HostConfig"]["NetworkMode"] == mode
        assert len(left(sandboxes.run)) == 1


async def test_limits_and_what_a_service_asks_for(
    sandboxes: DockerSandboxes, shell_image: str, tidy: None
) -> None:
    agent = client(
        shell_image,
        memory_bytes=64 * GIB,
        cpus=0.25,
        shm_bytes=GIB // 8,
        cap_add=("SYS_PTRACE",),
        user="nobody",
        platform="linux/amd64",
        tty=True,
    )
    bounds: dict[str, Any] = {
        "memory_bytes": GIB,
        "capabilities": DOCKER_CAPABILITIES,
        "no_new_privileges": False,
    }
    async with await sandboxes.start_services(
        [agent], "client", network=False, seconds=900, **bounds
    ) as group:
        with connect() as one:
            about = one.api.inspect_container(group.main.id)
        host, config = about["HostConfig"], about["Config"]
        assert (host["Memory"], host["NanoCpus"], host["ShmSize"]) == (GIB, 250_000_000, GIB // 8)
        assert host["CapAdd"] == [*DOCKER_CAPABILITIES, "SYS_PTRACE"]
        assert (host["CapDrop"], host["Init"], host["SecurityOpt"]) == (["ALL"], True, None)
        assert (config["User"], config["Cmd"], config["Tty"]) == ("nobody", ["sleep", "900"], True)
        assert (
            await group.main.exec("id -un; env | cut -d= -f1 | grep -c ^TZ", timeout=9)
        ).output == b"nobody\n0\n"


async def test_what_a_service_mounts_of_the_task_is_copied(
    sandboxes: DockerSandboxes, shell_image: str, tmp_path: Path, tidy: None
) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "a").write_bytes(b"1")
    (tmp_path / "one.conf").write_bytes(b"2")
    shared = Volume(target="/s", name="shared-0", source=tmp_path / "conf")
    mounts = (
        Volume(target="/srv/deep/conf", source=tmp_path / "conf"),
        Volume(target="/etc/one.conf", source=tmp_path / "one.conf"),
        Volume(target="/nothing", source=tmp_path / "none"),
    )
    reader = Service(
        name="reader",
        image=shell_image,
        command=("sh", "-c", "cat /srv/deep/conf/a /etc/one.conf /s/a >/seen; sleep 100"),
        volumes=(*mounts, shared),
    )
    agent = client(shell_image, volumes=(shared,), depends_on={"reader": "started"})
    async with await sandboxes.start_services([agent, reader], "client", network=False) as group:
        found = await group.others["reader"].exec(
            "until [ -s /seen ]; do sleep 0.1; done; cat /seen; ls -A /nothing", timeout=20
        )
        assert found.output == b"121"
        await group.main.put("/s/b", b"3")
        assert await group.others["reader"].get_tree("/s") == {"a": b"1", "b": b"3"}
    assert (tmp_path / "conf" / "b").exists() is False


@pytest.mark.parametrize(
    ("broken", "condition", "reason", "told"),
    [
        (
            {"healthcheck": SICK},
            "healthy",
            "service_unhealthy",
            "server is not healthy: it is sick; its log ends: serving",
        ),
        (
            {"command": ("sh", "-c", "echo no luck; exit 3"), "healthcheck": READY},
            "healthy",
            "service_unhealthy",
            "server ended with exit code 3; its log ends: no luck",
        ),
        ({}, "healthy", "service_unhealthy", "server has no health check, and another waits for it"),
        (
            {"command": ("sh", "-c", "exit 4")},
            "completed",
            "service_unhealthy",
            "server ended with exit code 4",
        ),
        ({"user": "nobody-there"}, "started", "daemon_error", "unable to find user"),
        (
            {"image": "longcat-eval-test/none:1"},
            "started",
            "image_missing",
            "no image longcat-eval-test/none:1",
        ),
    ],
)
async def test_a_service_that_does_not_come_up(
    broken: dict[str, Any], condition: Any, reason: str, told: str, shell_image: str, docker_daemon: None
) -> None:
    few = DockerSandboxes(agents=1)
    try:
        shop = replace(server(shell_image), **broken)
        agent = client(
            shell_image, depends_on={"server": condition}, volumes=(Volume(target="/v", name="v"),)
        )
        with pytest.raises(SandboxError) as caught:
            await few.start_services([agent, shop], "client", network=True)
        assert caught.value.reason == reason
        assert told in str(caught.value)
        assert left(few.run) == []
        async with asyncio.timeout(20), await few.start(shell_image):
            pass
    finally:
        await few.close()


async def test_a_service_that_prepares_and_ends(
    sandboxes: DockerSandboxes, shell_image: str, tidy: None
) -> None:
    volume = Volume(target="/v", name="v")
    job = Service(
        name="job", image=shell_image, command=("sh", "-c", "sleep 0.5; echo done >/v/f"), volumes=(volume,)
    )
    agent = client(shell_image, depends_on={"job": "completed"}, volumes=(volume,))
    async with await sandboxes.start_services([agent, job], "client", network=False) as group:
        assert await group.main.get("/v/f") == b"done\n"
        with pytest.raises(SandboxError, match="the service ended with exit code 0"):
            await group.others["job"].exec("true", timeout=5)


async def test_a_cancelled_start_of_a_group_leaves_nothing(shell_image: str, docker_daemon: None) -> None:
    few = DockerSandboxes(agents=1)
    try:
        services = [
            client(shell_image, depends_on={"server": "healthy"}),
            server(shell_image, healthcheck=SICK),
        ]
        for pause in (0.05, 0.4, 0.9):
            starting = asyncio.create_task(few.start_services(services, "client", network=True))
            await asyncio.sleep(pause)
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
        async with (
            asyncio.timeout(60),
            await few.start_services([client(shell_image)], "client", network=True),
        ):
            assert len(left(few.run)) == 1
    finally:
        await few.close()
    assert left(few.run) == []


async def test_groups_side_by_side_take_one_slot_each(shell_image: str, docker_daemon: None) -> None:
    many = DockerSandboxes(agents=8)
    try:
        services = [client(shell_image), server(shell_image)]
        groups = await asyncio.gather(
            *(many.start_services(services, "client", network=True, name=f"g{n}") for n in range(8))
        )
        for number, group in enumerate(groups):
            await group.others["server"].put("/who", b"%d" % number)
        ninth = asyncio.create_task(many.start_services([client(shell_image)], "client", network=False))
        found = await asyncio.gather(*(group.others["server"].get("/who") for group in groups))
        assert found == [b"%d" % number for number in range(8)]
        assert len(left(many.run)) == 24
        assert not ninth.done()
        await groups[0].stop()
        async with asyncio.timeout(60):
            await (await ninth).stop()
        await asyncio.gather(*(group.stop() for group in groups))
        assert left(many.run) == []
    finally:
        await many.close()


HARNESS = """
import asyncio, sys
from longcat_eval.runners.sandbox.sandboxes import DockerSandboxes
from longcat_eval.runners.sandbox.service import Service, Volume

async def main():
    boxes = DockerSandboxes()
    volume = Volume(target="/v", name="v")
    services = [Service(name=n, image=sys.argv[1], idle=True, volumes=(volume,)) for n in ("a", "b")]
    await boxes.start_services(services, "a", network=True)
    print(boxes.run, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


class Harness:
    """Another process with a group of its own."""

    def __init__(self, image: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HARNESS, image], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.run = self.process.stdout.readline().strip()

    def end(self, number: signal.Signals) -> None:
        """Send a signal and wait."""
        self.process.send_signal(number)
        self.process.wait(60)
        assert self.process.stdout is not None
        self.process.stdout.close()


async def test_a_killed_harness_is_cleaned_up_after(sandboxes: DockerSandboxes, shell_image: str) -> None:
    harness = Harness(shell_image)
    harness.end(signal.SIGKILL)
    assert len(left(harness.run)) == 4
    await sandboxes.start(shell_image)
    assert left(harness.run) == []


async def test_a_harness_that_is_told_to_end_takes_its_group_with_it(shell_image: str) -> None:
    harness = Harness(shell_image)
    assert len(left(harness.run)) == 4
    harness.end(signal.SIGTERM)
    assert left(harness.run) == []


async def test_a_daemon_without_addresses_says_what_to_do(
    sandboxes: DockerSandboxes, shell_image: str, monkeypatch: pytest.MonkeyPatch, tidy: None
) -> None:
    from docker.errors import APIError

    def exhausted(*_: Any, **__: Any) -> None:
        raise APIError(
            "500", explanation="could not find an available, non-overlapping IPv4 address pool among"
        )

    monkeypatch.setattr("docker.api.network.NetworkApiMixin.create_network", exhausted)
    with pytest.raises(SandboxError, match="default-address-pools") as caught:
        await sandboxes.start_services([client(shell_image), server(shell_image)], "client", network=True)
    assert caught.value.reason == "network_exhausted"
    assert create_network.__doc__


def test_services_that_make_no_sense() -> None:
    a, b = Service(name="a", depends_on={"b": "started"}), Service(name="b", depends_on={"a": "healthy"})
    for services, main, told in (
        ([a, b], "a", "wait for each other"),
        ([a], "a", "no such"),
        ([b], "x", "must be one"),
    ):
        with pytest.raises(ValueError, match=told):
            check_order(services, main)


def test_options_of_a_service_without_any_wish() -> None:
    options = service_options(
        Service(name="a", command=(), entrypoint=("x",), healthcheck=Healthcheck(test=("NONE",))),
        "id",
        Limits(),
        {},
        network="none",
        cut_off=True,
        volume_name=str,
        cpus=2,
        image_healthcheck=True,
    )
    assert (options["command"], options["entrypoint"]) == ([], ["x"])
    assert options["healthcheck"] == {"test": ["NONE"]}
    assert options["environment"] == {}
    assert options["host_config"]["Dns"] == ["127.0.0.1"]
