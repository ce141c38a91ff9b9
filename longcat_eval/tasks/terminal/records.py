"""One task in our words, whichever of the three formats it came in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from longcat_eval.runners.sandbox.service import Healthcheck, Service

Format = Literal["tb0", "tb1", "harbor"]
VerdictKind = Literal["pytest", "reward"]


@dataclass(frozen=True, kw_only=True)
class Keys:
    """One entry of a `solution.yaml`: what the oracle types, and how long it waits for it (seconds)."""

    command: str
    min_seconds: float = 0.0
    max_seconds: float = 180.0
    block: bool = False
    enter: bool = True


@dataclass(frozen=True, kw_only=True)
class Oracle:
    """The reference solution: a script in `folder`, or keys; `env` is set for the script.

    `problem` is why it cannot be run on this machine.
    """

    folder: Path | None = None
    script: str = ""
    keys: tuple[Keys, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """What of a container is kept, or carried into a separate verifier's."""

    source: str
    destination: str = ""
    exclude: tuple[str, ...] = ()
    service: str = ""


@dataclass(frozen=True, kw_only=True)
class Collect:
    """A command run in a service when the agent is done, so that what it knows becomes a file to carry."""

    command: str
    service: str = ""
    seconds: float = 60.0
    user: str = ""


@dataclass(frozen=True, kw_only=True)
class Verifier:
    """How a step is judged: after the agent `script` (a path in the container) runs for at most `seconds`.

    The content of `folders`, in this order, and `files` (by their names there) go to /tests before; none of
    them where a separate environment's image brings its own. `kind` pytest reads the summary that the script
    prints, reward the files that it writes. `same_shell` types the script into the agent's terminal.
    `services` are those of a separate environment, with the tests in `main`; empty where they run in the
    agent's own.
    """

    kind: VerdictKind
    script: str
    seconds: float
    folders: tuple[Path, ...] = ()
    files: Mapping[str, Path] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    same_shell: bool = False
    services: tuple[Service, ...] = ()
    main: str = ""
    collect: tuple[Collect, ...] = ()
    no_network: bool | None = None

    @property
    def separate(self) -> bool:
        """Whether the tests run in an environment of their own."""
        return bool(self.services)


@dataclass(frozen=True, kw_only=True)
class Step:
    """What is asked and how it is judged; `agent_seconds` 0 is no limit. `workdir_folder` is copied in
    before.

    `min_reward` ends a task of several steps where one falls below it: a number, or one by reward's name.
    """

    instruction: str
    agent_seconds: float
    verifier: Verifier
    oracle: Oracle | None
    name: str = ""
    workdir_folder: Path | None = None
    min_reward: float | Mapping[str, float] | None = None
    healthcheck: Healthcheck | None = None
    artifacts: tuple[Artifact, ...] = ()
    agent_user: str = ""


@dataclass(frozen=True)
class Compose:
    """A compose file for Docker Compose itself: its content, the folder of its paths, its variables.

    `problems` are what we cannot do with it natively, each naming the key.
    """

    folder: Path
    document: Mapping[str, Any]
    variables: Mapping[str, str]
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TerminalTask:
    """A task: its machine (`services`, of which the agent works in `agent_service`), and its steps.

    `digest` is sha256 over all its files (path, mode, bytes) and the variant. `final_only`: of several steps
    the last one's reward counts, else their mean. `no_network`: the task asks for a machine without network.
    `problems` are what this version cannot do with it, each naming the key: such a task is never run; nor is
    one with problems of `compose`, but by Docker Compose itself.
    """

    id: str
    folder: Path
    format: Format
    digest: str
    services: tuple[Service, ...]
    agent_service: str
    steps: tuple[Step, ...]
    build_seconds: float = 600.0
    user: str = ""
    workdir: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    no_network: bool = False
    healthcheck: Healthcheck | None = None
    artifacts: tuple[Artifact, ...] = ()
    final_only: bool = False
    difficulty: str = ""
    category: str = ""
    tags: tuple[str, ...] = ()
    compose: Compose | None = None
    problems: tuple[str, ...] = ()
