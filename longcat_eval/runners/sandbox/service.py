"""Several containers that belong together, as plain records: what a compose file says, in our words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from longcat_eval.protocols import Sandbox, Sandboxes

Condition = Literal["started", "healthy", "completed"]


@dataclass(frozen=True, kw_only=True)
class Healthcheck:
    """How Docker finds out whether a service works, `test` as in the API (CMD, CMD-SHELL); in seconds."""

    test: tuple[str, ...]
    interval: float = 30.0
    timeout: float = 30.0
    retries: int = 3
    start_period: float = 0.0
    start_interval: float = 5.0


@dataclass(frozen=True, kw_only=True)
class Volume:
    """A volume mounted at `target`: one of the group by its `name`, or an anonymous one without.

    `source` is a folder or file that is copied into the container instead, or with a `name` into the volume,
    once: no host folder is ever mounted.
    """

    target: str
    name: str = ""
    source: Path | None = None
    read_only: bool = False


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """An image to build: a context folder, its Dockerfile (a path in it), arguments and target stage."""

    context: Path
    dockerfile: str = "Dockerfile"
    args: Mapping[str, str] = field(default_factory=dict)
    target: str = ""


@dataclass(frozen=True, kw_only=True)
class Service:
    """One container of a group. Of `image` and `recipe` one is given; a built one's image is filled in later.

    `command` and `entrypoint` are None where the image's own apply, and `idle` is true where the command does
    nothing but keep the container alive (`sleep infinity`). `networks` are names with aliases; none means the
    group's default network; those in `internal` have no way out. `depends_on` are names with the
    condition waited for.
    """

    name: str
    image: str = ""
    recipe: Recipe | None = None
    command: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    idle: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    workdir: str = ""
    hostname: str = ""
    tmpfs: Mapping[str, str] = field(default_factory=dict)
    volumes: tuple[Volume, ...] = ()
    networks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    internal: tuple[str, ...] = ()
    no_network: bool = False
    extra_hosts: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    depends_on: Mapping[str, Condition] = field(default_factory=dict)
    healthcheck: Healthcheck | None = None
    memory_bytes: int | None = None
    cpus: float | None = None
    shm_bytes: int | None = None
    cap_add: tuple[str, ...] = ()
    privileged: bool = False
    tty: bool = False
    stdin_open: bool = False
    platform: str = ""


class BuiltImage(Protocol):
    """An image that is there; `stand_ins` say which of its bases another image stands in for."""

    @property
    def image(self) -> str:
        """Its name."""
        ...

    @property
    def stand_ins(self) -> tuple[str, ...]:
        """`python:3.13-slim -> python-3.13`, one each."""
        ...


class ServiceGroup(Protocol):
    """Containers that belong together, by the names of their services."""

    @property
    def main(self) -> Sandbox:
        """The one that the group was started for."""
        ...

    @property
    def others(self) -> Mapping[str, Sandbox]:
        """All the rest."""
        ...

    async def stop(self) -> None:
        """Remove them, their network and their volumes."""
        ...


@runtime_checkable
class GroupSandboxes(Sandboxes, Protocol):
    """Sandboxes that build images and start several containers as one machine."""

    async def build(
        self,
        recipe: Recipe,
        *,
        name: str,
        digest: str,
        seconds: float,
        base_map: Mapping[str, str],
        platform: str = "",
    ) -> BuiltImage:
        """Build an image unless its content was built before; `digest` covers the recipe's files.

        Raises `SandboxError`: `build_failed`, `build_timeout`, `image_missing`.
        """
        ...

    async def start_services(
        self,
        services: Sequence[Service],
        main: str,
        *,
        network: bool,
        kind: str,
        name: str,
        **limits: Any,
    ) -> ServiceGroup:
        """Start them in the order that they depend on each other; `limits` are fields of `Limits`.

        Raises `SandboxError`, `service_unhealthy` among its reasons.
        """
        ...

    def discard(self, group: ServiceGroup) -> None:
        """Remove a group, in the background."""
        ...

    async def start_composed(
        self, project: Any, *, network: bool, kind: str, name: str, **limits: Any
    ) -> ServiceGroup:
        """The same for a `compose_cli.ComposeProject`, by Docker Compose's own command line.

        Raises `EnvironmentUnusableError` where that is not there.
        """
        ...
