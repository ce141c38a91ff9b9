"""Compose files run by Docker Compose itself, where it is installed."""

import subprocess
from pathlib import Path

import pytest
from docker_fixtures import left

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.protocols import SandboxError
from longcat_eval.runners.sandbox.compose_cli import ComposeProject, check_compose
from longcat_eval.runners.sandbox.daemon import connect
from longcat_eval.runners.sandbox.sandboxes import DockerSandboxes

pytestmark = pytest.mark.docker

FILE = """
services:
  client:
    build: .
    image: ${IMAGE}
    command: [sh, -c, sleep infinity]
    environment: [WHO=$WHO]
    tmpfs: "/root:size=10M"
    volumes: [data:/data, ./conf:/conf]
    depends_on: {server: {condition: service_healthy}}
  server:
    image: ${IMAGE}
    command: [sh, -c, "echo ok >/ready; sleep infinity"]
    healthcheck: {test: cat /ready, interval: 1s, retries: 20}
    volumes: [data:/data]
volumes: {data: }
"""


@pytest.fixture
def compose() -> None:
    """The plugin, or a skip with the reason."""
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("no Docker Compose v2 on this machine (docker compose version)")


def project(folder: Path, image: str, text: str = FILE) -> ComposeProject:
    """The file in a folder of its own."""
    (folder / "compose.yaml").write_text(text, encoding="utf-8")
    (folder / "conf").mkdir()
    (folder / "conf" / "a").write_bytes(b"1")
    return ComposeProject(
        file=folder / "compose.yaml",
        folder=folder,
        main="client",
        variables={"IMAGE": image, "WHO": "me"},
        images={"client": image},
        seconds=120,
    )


@pytest.mark.usefixtures("compose")
async def test_a_project_comes_and_goes(sandboxes: DockerSandboxes, shell_image: str, tmp_path: Path) -> None:
    group = await sandboxes.start_composed(
        project(tmp_path, shell_image), network=False, pids=200, name="cli"
    )
    told = await group.main.exec(
        "getent hosts server >/dev/null && echo there; echo $WHO; cat /conf/a", timeout=20
    )
    assert told.output == b"there\nme\n1"
    await group.main.put("/root/x", b"in memory")
    assert (await group.main.exec("cat /root/x", timeout=10)).output == b"in memory"
    await group.main.put("/data/x", b"2")
    assert await group.others["server"].get("/data/x") == b"2"
    with connect() as one:
        about = one.api.inspect_container(group.main.id)
        (network,) = about["NetworkSettings"]["Networks"]
        assert one.api.inspect_network(network)["Internal"]
    assert (about["HostConfig"]["PidsLimit"], about["HostConfig"]["Init"]) == (200, True)
    assert about["HostConfig"]["Memory"] == group.main.limits.memory_bytes
    assert len(left(sandboxes.run)) == 4
    await group.stop()
    assert left(sandboxes.run) == []


@pytest.mark.usefixtures("compose")
async def test_a_project_that_does_not_start(
    sandboxes: DockerSandboxes, shell_image: str, tmp_path: Path
) -> None:
    broken = FILE.replace("echo ok >/ready; sleep infinity", "exit 3")
    with pytest.raises(SandboxError, match="docker compose up: ") as caught:
        await sandboxes.start_composed(project(tmp_path, shell_image, broken), network=True)
    assert caught.value.reason == "compose_failed"
    assert left(sandboxes.run) == []


async def test_without_the_plugin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentUnusableError, match="needs Docker Compose v2"):
        await check_compose()
