"""The machine of one attempt: its images built once per task, its containers started, its folders made."""

import asyncio
import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.protocols import Sandbox, SandboxError, Sandboxes
from longcat_eval.runners.sandbox.compose_cli import ComposeProject
from longcat_eval.runners.sandbox.limits import DOCKER_CAPABILITIES, GIB
from longcat_eval.runners.sandbox.service import (
    GroupSandboxes,
    Healthcheck,
    Recipe,
    Service,
    ServiceGroup,
)
from longcat_eval.tasks.terminal.records import TerminalTask

FOLDERS = "/logs/agent /logs/verifier /logs/artifacts /agent-logs"
"""What the originals mount from the host and tasks may write to."""
MAKE_FOLDERS = f"[ -e /tests ] && echo tests; mkdir -p {FOLDERS} && chmod 777 /logs {FOLDERS}"
PREPARE_SECONDS = 60.0
DAEMONS_OPEN_FILES, PIDS = 0, 4_096
SPARE_SECONDS = 3_600.0
"""How much longer than the attempt's own limits a machine may live: builds inside, slow daemons."""
NO_LIMIT_SECONDS = 24 * 3_600.0


@dataclass
class Machine:
    """Containers that belong together; the agent works in `main`. `stand_ins` are bases that were replaced.

    `has_tests`: the image brings a /tests of its own.
    """

    group: ServiceGroup
    images: Mapping[str, str]
    stand_ins: tuple[str, ...]
    has_tests: bool

    @property
    def main(self) -> Sandbox:
        """Where the agent works, and the tests run."""
        return self.group.main

    def service(self, name: str) -> Sandbox:
        """A container by its service's name, the agent's without one; `SandboxError` where none runs."""
        if not name:
            return self.main
        if name not in self.group.others:
            raise SandboxError("container_lost", f"the service {name} has no container that runs")
        return self.group.others[name]

    async def stop(self) -> None:
        """Remove all of it."""
        await self.group.stop()


@dataclass(frozen=True)
class Images:
    """How machines come about: the user's bases for images, and whether Docker Compose starts several."""

    base_map: Mapping[str, str]
    by_compose: bool = False

    async def of(self, sandboxes: GroupSandboxes, task: TerminalTask, services: Sequence[Service]) -> "Ready":
        """Build what is built, side by side; `SandboxError` (`build_failed`, `build_timeout`)."""
        built = await asyncio.gather(*(self._one(sandboxes, task, service) for service in services))
        stand_ins = dict.fromkeys(base for one in built for base in one[1])
        return Ready(tuple(one[0] for one in built), tuple(stand_ins))

    async def _one(
        self, sandboxes: GroupSandboxes, task: TerminalTask, service: Service
    ) -> tuple[Service, tuple[str, ...]]:
        if service.recipe is None:
            return service, ()
        made = await sandboxes.build(
            service.recipe,
            name=f"{task.id}.{service.name}",
            digest=recipe_digest(task, service.recipe),
            seconds=task.build_seconds,
            base_map=self.base_map,
            platform=service.platform,
        )
        return replace(service, image=made.image, recipe=None), made.stand_ins


@dataclass(frozen=True)
class Ready:
    """Services whose images are there, and the bases that stand-ins replaced in them."""

    services: tuple[Service, ...]
    stand_ins: tuple[str, ...]


def recipe_digest(task: TerminalTask, recipe: Recipe) -> str:
    """The name of an image's content: the task's, and which of its folders it is built in.

    The agent's machine and that of separate tests may have one service's name.
    """
    place = os.path.relpath(recipe.context, task.folder)
    return hashlib.sha256(f"{task.digest}\n{place}\n{recipe.dockerfile}".encode()).hexdigest()


def groups_of(sandboxes: Sandboxes) -> GroupSandboxes:
    """Sandboxes that can build images and start several containers; `EnvironmentUnusableError` if not."""
    if not isinstance(sandboxes, GroupSandboxes):
        raise EnvironmentUnusableError("TerminalBench needs a Docker daemon: these sandboxes build no images")
    return sandboxes


def bounds(limits: Mapping[str, float], seconds: float) -> dict[str, Any]:
    """What a machine may use, as `start_services` takes it: Docker's own defaults, within memory and disk.

    Tasks install packages, run servers as other users and trace processes: the originals run them on plain
    containers.
    """
    return {
        "memory_bytes": int(limits["memory_gib"] * GIB),
        "disk_bytes": int(limits["disk_gib"] * GIB),
        "cpus": float("inf"),
        "pids": PIDS,
        "open_files": DAEMONS_OPEN_FILES,
        "file_bytes": int(limits["disk_gib"] * GIB),
        "capabilities": DOCKER_CAPABILITIES,
        "no_new_privileges": False,
        "seconds": (seconds or NO_LIMIT_SECONDS) + SPARE_SECONDS,
    }


async def start_machine(
    sandboxes: GroupSandboxes,
    task: TerminalTask,
    ready: Ready,
    main: str,
    *,
    no_network: bool,
    limits: Mapping[str, Any],
    name: str,
    kind: str = "agent",
    by_compose: bool = False,
) -> Machine:
    """Start the containers and make the folders of the protocol; raises `SandboxError`.

    `by_compose`: several, or what we cannot start, are started by Docker Compose.
    """
    start = partial(sandboxes.start_services, ready.services, main)
    if by_compose and task.compose is not None and (len(ready.services) > 1 or task.compose.problems):
        start = partial(_start_composed, sandboxes, task, ready)
    group = await start(network=not no_network, kind=kind, name=name, **limits)
    try:
        made = await group.main.exec(MAKE_FOLDERS, timeout=PREPARE_SECONDS, user="root")
        if made.exit_code:
            said = made.output.decode("utf-8", "replace").strip()[-300:]
            raise SandboxError("image_unusable", f"the folders of the protocol cannot be made: {said}")
    except BaseException:
        await group.stop()
        raise
    images = {service.name: service.image for service in ready.services}
    return Machine(group, images, ready.stand_ins, made.output.strip() == b"tests")


async def _start_composed(
    sandboxes: GroupSandboxes, task: TerminalTask, ready: Ready, **how: Any
) -> ServiceGroup:
    """The task's own compose file, as Docker Compose understands it, with images that are there already."""
    compose = task.compose
    assert compose is not None  # asked before
    with TemporaryDirectory(prefix="lceval-compose-") as scratch:
        file = Path(scratch) / "compose.json"
        file.write_text(json.dumps(compose.document), encoding="utf-8")
        project = ComposeProject(
            file=file,
            folder=compose.folder,
            main=task.agent_service,
            variables=compose.variables,
            images={service.name: service.image for service in ready.services if service.image},
            seconds=task.build_seconds,
        )
        return await sandboxes.start_composed(project, **how)


async def wait_until_passing(
    sandbox: Sandbox, check: Healthcheck, *, user: str = "", workdir: str = ""
) -> str:
    """Run a task's own health check until it passes; return why it does not, empty if it does.

    The rules are harbor's (`environments/base.py` 0.24.0): failures within `start_period` do not count, of
    the others `retries` in a row end it.
    """
    began, failures = time.monotonic(), 0
    words = list(check.test)
    command = " ".join(words[1:] if words[:1] in (["CMD-SHELL"], ["CMD"]) else words)
    while True:
        done = await sandbox.exec(command, timeout=check.timeout, user=user or None, cwd=workdir or None)
        if done.exit_code == 0:
            return ""
        starting = time.monotonic() - began < check.start_period
        failures += not starting
        if failures >= check.retries:
            return done.output.decode("utf-8", "replace").strip()[-300:] or f"exit code {done.exit_code}"
        await asyncio.sleep(check.start_interval if starting else check.interval)
