"""The fields of a task.toml, with harbor's defaults (`harbor/models/task/config.py` 0.24.0, Apache-2.0).

Schemas 1.0 to 1.4; keys that are not here are passed over, as there.
"""

import re
import tomllib
import unicodedata
from pathlib import PurePosixPath
from typing import Any, Literal

import msgspec

User = str | int | None
NetworkMode = Literal["public", "no-network", "allowlist"]
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([GMK])\s*", re.IGNORECASE)
_NO_NAME = re.compile(r"[/\\\x00-\x1f\x7f]")
_MIB = {"G": 1024.0, "M": 1.0, "K": 1 / 1024}


class Fields(msgspec.Struct, frozen=True, kw_only=True):
    """A table of the file."""


class Health(Fields, frozen=True, kw_only=True):
    """A command that passes where the machine is ready; times in seconds."""

    command: str
    interval_sec: float = 5.0
    timeout_sec: float = 30.0
    start_period_sec: float = 0.0
    start_interval_sec: float = 5.0
    retries: int = 3


class Environment(Fields, frozen=True, kw_only=True):
    """A machine: where its image comes from and what it may use."""

    build_timeout_sec: float = 600.0
    docker_image: str | None = None
    os: str = "linux"
    cpus: float | None = None
    memory_mb: float | None = None
    storage_mb: float | None = None
    memory: str | None = None
    storage: str | None = None
    gpus: int | None = None
    tpu: Any = None
    mcp_servers: list[Any] = []
    env: dict[str, str] = {}
    skills_dir: str | None = None
    healthcheck: Health | None = None
    workdir: str | None = None
    network_mode: NetworkMode | None = None
    allowed_hosts: list[str] | None = None
    allow_internet: bool | None = None

    def __post_init__(self) -> None:
        if self.memory is not None and self.memory_mb not in (None, mebibytes(self.memory)):
            raise ValueError(f"memory = {self.memory} and memory_mb = {self.memory_mb:g} differ")

    @property
    def mode(self) -> NetworkMode:
        """The network, with the key that schema 1.0 had for it."""
        if self.network_mode is None and self.allowed_hosts is None and self.allow_internet is not None:
            return "public" if self.allow_internet else "no-network"
        return self.network_mode or ("allowlist" if self.allowed_hosts else "public")

    @property
    def memory_bytes(self) -> int | None:
        """Memory, with the key that schema 1.0 had for it."""
        mib = self.memory_mb if self.memory is None else mebibytes(self.memory)
        return None if mib is None else int(mib * (1 << 20))


class Agent(Fields, frozen=True, kw_only=True):
    """The agent's time in seconds (None: no limit), user and network."""

    timeout_sec: float | None = None
    user: User = None
    network_mode: NetworkMode | None = None
    allowed_hosts: list[str] | None = None


class Hook(Fields, frozen=True, kw_only=True):
    """A command run in a service when the agent is done."""

    command: str
    service: str = "main"
    timeout_sec: float = 60.0
    user: User = None


class Verifier(Fields, frozen=True, kw_only=True):
    """How a step is judged; None inherits, but a step that says no limit has 600 s, whatever the task's."""

    timeout_sec: float = 600.0
    env: dict[str, str] = {}
    user: User = None
    environment_mode: Literal["shared", "separate"] | None = None
    environment: Environment | None = None
    collect: list[Hook] = []
    network_mode: NetworkMode | None = None
    allowed_hosts: list[str] | None = None

    def __post_init__(self) -> None:
        if self.environment_mode == "shared" and self.environment is not None:
            raise ValueError("environment_mode = shared has no environment of its own")

    @property
    def mode(self) -> Literal["shared", "separate"] | None:
        """Where the tests run, None where this table does not say."""
        return self.environment_mode or ("separate" if self.environment is not None else None)


class Kept(Fields, frozen=True, kw_only=True):
    """An artifact."""

    source: str
    destination: str | None = None
    exclude: list[str] = []
    service: str | None = None

    def __post_init__(self) -> None:
        if ".." in PurePosixPath(self.source).parts:
            raise ValueError(f"an artifact's source has no ..: {self.source}")


class StepFields(Fields, frozen=True, kw_only=True):
    """One of several steps."""

    name: str
    agent: Agent = Agent()
    verifier: Verifier = Verifier()
    min_reward: float | dict[str, float] | None = None
    healthcheck: Health | None = None
    artifacts: list[str | Kept] = []

    def __post_init__(self) -> None:
        if _NO_NAME.search(self.name) or not self.name.strip(". "):
            raise ValueError(f"{self.name!r} is not the name of a folder in steps/")


class Solution(Fields, frozen=True, kw_only=True):
    """What the solution's script gets."""

    env: dict[str, str] = {}


class Config(Fields, frozen=True, kw_only=True):
    """A whole task.toml."""

    schema_version: str | None = None
    version: str | None = None
    task: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    agent: Agent = Agent()
    verifier: Verifier = Verifier()
    environment: Environment = Environment()
    solution: Solution = Solution()
    artifacts: list[str | Kept] = []
    steps: list[StepFields] = []
    multi_step_reward_strategy: Literal["mean", "final"] | None = None

    def __post_init__(self) -> None:
        names = [unicodedata.normalize("NFC", step.name).casefold() for step in self.steps]
        if len(set(names)) < len(names):
            raise ValueError(f"two steps have the same name: {', '.join(step.name for step in self.steps)}")


def read_config(text: str) -> Config:
    """Read a task.toml; `ValueError` says what in it is wrong."""
    return msgspec.convert(tomllib.loads(text), Config, strict=False)


def mebibytes(size: str) -> int:
    """`2G` or `512M` of schema 1.0, in whole MiB; `ValueError`."""
    found = _SIZE.fullmatch(size)
    if found is None:
        raise ValueError(f"{size!r} is no size like 2G or 512M")
    return int(float(found[1]) * _MIB[found[2].upper()])
