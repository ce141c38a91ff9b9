"""A Docker daemon and small images for the tests that need them.

Where no daemon answers they are skipped with the reason; in CI one is started (.ci/docker.sh), or they fail.
"""

import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import AsyncIterator
from functools import lru_cache
from pathlib import Path

import pytest
import pytest_asyncio

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.protocols import Sandbox
from longcat_eval.runners.sandbox.container import DockerSandbox
from longcat_eval.runners.sandbox.daemon import connect
from longcat_eval.runners.sandbox.host_image import SHELL_PACKAGES, build_host_image
from longcat_eval.runners.sandbox.networks import find_belongings
from longcat_eval.runners.sandbox.sandboxes import DockerSandboxes

SCRIPT = Path(__file__).resolve().parents[1] / ".ci" / "docker.sh"
BUSYBOX = "longcat-eval-test/busybox:1"


@lru_cache(maxsize=1)
def why_no_docker() -> str:
    """Empty if a daemon answers, after an attempt to start one in CI."""
    if os.environ.get("CI") and not os.environ.get("DOCKER_HOST"):
        subprocess.run([str(SCRIPT)], check=False, timeout=300)
    try:
        with connect():
            return ""
    except EnvironmentUnusableError as error:
        return str(error)


@pytest.fixture(scope="session")
def docker_daemon() -> None:
    """A daemon that answers."""
    if reason := why_no_docker():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)


@pytest.fixture(scope="session")
def shell_image(docker_daemon: None) -> str:
    """bash, coreutils and their like, from this host's own packages."""
    try:
        return build_host_image(SHELL_PACKAGES)
    except EnvironmentUnusableError as error:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(error))
        raise


@pytest.fixture(scope="session")
def busybox_image(docker_daemon: None) -> str:
    """Nothing but the host's static busybox."""
    binary = shutil.which("busybox")
    if binary is None:
        pytest.skip("no busybox on this machine (apt-get install busybox-static)")
    with connect() as client:
        if client.images.list(name=BUSYBOX):
            return BUSYBOX
    root = io.BytesIO()
    with tarfile.open(fileobj=root, mode="w") as tar:
        tar.add(binary, "bin/busybox")
        for name in ("sh", "sleep", "timeout", "cat", "setsid", "ps", "true", "mkdir", "grep", "rm"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    with connect() as client:
        client.api.import_image_from_data(root.getvalue(), *BUSYBOX.split(":"))
    return BUSYBOX


@pytest_asyncio.fixture
async def sandboxes(docker_daemon: None) -> AsyncIterator[DockerSandboxes]:
    """Sandboxes of one test; nothing of them stays."""
    made = DockerSandboxes(agents=8)
    yield made
    await made.close()
    with connect() as client:
        assert not client.api.containers(all=True, filters={"label": [f"lceval.run={made.run}"]})


@pytest_asyncio.fixture
async def sandbox(sandboxes: DockerSandboxes, shell_image: str) -> DockerSandbox:
    """One sandbox with small limits."""
    return await sandboxes.start(shell_image, memory_bytes=256 << 20, pids=64, cpus=1)


def left(run: str) -> list[str]:
    """What exists of a run on the daemon: containers, networks and volumes."""
    with connect() as client:
        found = client.api.containers(all=True, filters={"label": [f"lceval.run={run}"]})
        things = find_belongings(client.api, f"lceval.run={run}")
    return [entry["Names"][0] for entry in found] + [thing.name for thing in things]


async def processes(sandbox: Sandbox, program: str) -> int:
    """How many processes in a sandbox run `program`, less the one that keeps it alive."""
    count = 'n=0; for f in /proc/[0-9]*/comm; do read -r c <$f && [ "$c" = "$1" ] && n=$((n+1)); done'
    found = await sandbox.exec(f"set -- {program}; {count}; echo $n", timeout=20)
    return int(found.output) - (program == "sleep")
