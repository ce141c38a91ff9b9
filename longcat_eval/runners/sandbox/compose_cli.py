"""A compose file run by Docker Compose itself, for what `services` does not do: it needs the v2 plugin.

The file's own word holds then: host folders, privileges and published ports too. Owner, bounds and networks
without a way out are added by a second file; the end is ours, because `down` waits for every process.
"""

import asyncio
import contextlib
import json
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.protocols import SandboxError
from longcat_eval.runners.sandbox.daemon import Daemon
from longcat_eval.runners.sandbox.life import Image, Life, remove_container
from longcat_eval.runners.sandbox.limits import Limits
from longcat_eval.runners.sandbox.networks import find_belongings, remove_belonging
from longcat_eval.runners.sandbox.services import DockerGroup, Host

PROJECT, SERVICE = "com.docker.compose.project", "com.docker.compose.service"
ONE_OFF = "com.docker.compose.oneoff"
LAST_CHARACTERS = 600
REMEDY = (
    "`--compose cli` needs Docker Compose v2 (`docker compose version`): install docker-compose-plugin or "
    "docker-compose-v2, or put the binary into ~/.docker/cli-plugins"
)


@dataclass(frozen=True, kw_only=True)
class ComposeProject:
    """A compose file, the folder that its paths start from, its variables, and the agent's service.

    `images` are those of services that were built before; where all that are built are in it, compose builds
    nothing. `seconds` bound the start, builds included.
    """

    file: Path
    folder: Path
    main: str
    variables: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 600.0


async def check_compose() -> None:
    """Raise `EnvironmentUnusableError`, with the remedy, where there is no Docker Compose v2."""
    try:
        code, _, _ = await _run(["docker", "compose", "version"], os.environ, None, 60.0)
    except (OSError, TimeoutError):
        code = 1
    if code:
        raise EnvironmentUnusableError(REMEDY)


class ComposeStart:
    """One `up` of a project; whatever goes wrong, `open` leaves nothing behind."""

    def __init__(
        self,
        host: Host,
        daemon: Daemon,
        name: str,
        project: ComposeProject,
        limits: Limits,
        labels: Mapping[str, str],
        *,
        network: bool,
        read_image: Callable[[str, Mapping[str, Any]], Image],
    ) -> None:
        self._host, self._daemon, self._name, self._project = host, daemon, name, project
        self._limits, self._labels, self._network = limits, labels, network
        self._read_image = read_image

    async def open(self, release: Callable[[], None]) -> DockerGroup:
        """Start all; `release` is called once: when the group is gone, or did not come to be.

        Raises `EnvironmentUnusableError` without the plugin and `SandboxError` (`compose_failed`).
        """
        try:
            await check_compose()
            with tempfile.TemporaryDirectory(prefix="lceval-compose-") as scratch:
                await self._up(Path(scratch) / "override.json")
            deadline = time.monotonic() + self._limits.seconds
            sandboxes = {}
            for service, container in (await self._daemon.call(self._containers)).items():
                about = await self._daemon.call(self._daemon.api.inspect_container, container)
                life = await self._life(about, deadline)
                main = service == self._project.main
                sandboxes[service] = await self._host.adopt(life, tmpfs_of(about), shell=main)
            if self._project.main not in sandboxes:
                raise SandboxError("compose_failed", f"there is no service {self._project.main}")
        except BaseException:
            with contextlib.suppress(SandboxError):
                await self._daemon.call(self._remove)
            release()
            raise
        return DockerGroup(sandboxes.pop(self._project.main), sandboxes, self._end(release))

    def _end(self, release: Callable[[], None]) -> Callable[[], Awaitable[None]]:
        async def end() -> None:
            try:
                await self._daemon.call(self._remove)
            finally:
                release()

        return end

    async def _up(self, override: Path) -> None:
        end = time.monotonic() + self._project.seconds
        file = self._project.file
        config = json.loads(await self._compose([file], ["config", "--format", "json"], end))
        await asyncio.to_thread(override.write_text, json.dumps(self._override(config)), "utf-8")
        built = {name for name, service in config["services"].items() if "build" in service}
        build = "--no-build" if built <= set(self._project.images) else "--build"
        await self._compose([file, override], ["up", "--detach", build, "--pull", "never"], end)

    async def _compose(self, files: Sequence[Path], arguments: Sequence[str], end: float) -> bytes:
        project = self._project
        named = [word for file in files for word in ("-f", str(file))]
        named += ["--project-name", self._name, "--project-directory", str(project.folder)]
        command = ["docker", "compose", *named, "--progress", "plain", *arguments]
        env = {**os.environ, **project.variables}
        try:
            code, output, said = await _run(command, env, project.folder, max(0.1, end - time.monotonic()))
        except TimeoutError:
            raise SandboxError("compose_failed", f"it does not start within {project.seconds:g} s") from None
        except OSError as error:
            raise EnvironmentUnusableError(f"{REMEDY} ({error})") from None
        if code:
            told = said.decode("utf-8", "replace").strip()[-LAST_CHARACTERS:]
            raise SandboxError("compose_failed", f"docker compose {arguments[0]}: {told}")
        return output

    def _override(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """What is added to the file: owner, init, bounds where it has none, and closed networks."""
        labels = dict(self._labels)
        named = {"labels": labels}
        services = {
            name: {
                **named,
                "init": True,
                "restart": "no",
                "pids_limit": self._limits.pids,
                **({} if _bounds_memory(service) else {"mem_limit": self._limits.memory_bytes}),
                **({"image": self._project.images[name]} if name in self._project.images else {}),
            }
            for name, service in config["services"].items()
        }
        networks = {
            name: named if self._network else {**named, "internal": True}
            for name, one in (config.get("networks") or {}).items()
            if not (one or {}).get("external")
        }
        volumes = {
            name: named
            for name, one in (config.get("volumes") or {}).items()
            if not (one or {}).get("external")
        }
        return {"services": services, "networks": networks, "volumes": volumes}

    async def _life(self, about: Mapping[str, Any], deadline: float) -> Life:
        image = await self._daemon.call(self._daemon.api.inspect_image, about["Image"])
        known = self._read_image(about["Config"]["Image"], image)
        return Life(self._daemon, about["Id"], known, self._limits, deadline, sleeps=False)

    def _containers(self) -> dict[str, str]:
        """The project's containers by service; of a scaled one the last."""
        filters = {"label": [f"{PROJECT}={self._name}", f"{ONE_OFF}=False"]}
        listed = self._daemon.api.containers(all=True, filters=filters)
        return {entry["Labels"][SERVICE]: entry["Id"] for entry in listed}

    def _remove(self) -> None:
        """Remove all that carries the project's name."""
        label = f"{PROJECT}={self._name}"
        for entry in self._daemon.api.containers(all=True, filters={"label": [label]}):
            remove_container(self._daemon.api, entry["Id"])
        for one in find_belongings(self._daemon.api, label):
            remove_belonging(self._daemon.api, one.what, one.name)


def tmpfs_of(about: Mapping[str, Any]) -> tuple[str, ...]:
    """Where a container, by the daemon's description, has tmpfs mounts."""
    mounts = [mount["Destination"] for mount in about.get("Mounts") or [] if mount.get("Type") == "tmpfs"]
    return (*(about["HostConfig"].get("Tmpfs") or {}), *mounts)


def _bounds_memory(service: Mapping[str, Any]) -> bool:
    limits = ((service.get("deploy") or {}).get("resources") or {}).get("limits") or {}
    return "mem_limit" in service or "memory" in limits


async def _run(
    command: Sequence[str], env: Mapping[str, str], cwd: Path | None, seconds: float
) -> tuple[int, bytes, bytes]:
    """Exit code, stdout and stderr of a program, killed at its time; `TimeoutError`, `OSError`."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env=env,
        cwd=cwd,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(seconds):
            output, said = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, output, said
