"""A task in harbor's format, the format of Terminal-Bench 2: its folder as a `TerminalTask`.

Folders and precedences are harbor's (`models/task/`, `trial/`, `environments/docker/` 0.24.0, Apache-2.0).
"""

import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import structs

from longcat_eval.errors import EnvironmentUnusableError, did_you_mean
from longcat_eval.runners.sandbox.service import Healthcheck, Service
from longcat_eval.tasks.terminal.digest import folder_digest
from longcat_eval.tasks.terminal.harbor_config import (
    Config,
    Environment,
    Health,
    Kept,
    StepFields,
    User,
    read_config,
)
from longcat_eval.tasks.terminal.harbor_machine import (
    COMPOSE,
    DOCKERFILE,
    MAIN,
    TESTS,
    Made,
    from_host,
    read_machine,
)
from longcat_eval.tasks.terminal.records import Artifact, Collect, Oracle, Step, TerminalTask, Verifier

CONFIG = "task.toml"
TEST_SCRIPT, SOLVE_SCRIPT = "test.sh", "solve.sh"
_CANARY = re.compile(r"^(<!--.*canary.*-->|#.*canary.*)$", re.IGNORECASE)


def read_harbor(folder: Path) -> TerminalTask:
    """Return the task of a folder; `EnvironmentUnusableError` for a configuration that cannot be read."""
    try:
        config = read_config((folder / CONFIG).read_text(encoding="utf-8"))
        return _Reader(folder, config).task()
    except (OSError, ValueError) as error:
        raise EnvironmentUnusableError(f"cannot read {folder.name}/{CONFIG}: {error}") from None


class _Reader:
    """One task being read; `problems` are what this version cannot do with it."""

    def __init__(self, folder: Path, config: Config) -> None:
        self.folder, self.config = folder, config
        self.problems: list[str] = []

    def task(self) -> TerminalTask:
        config, environment = self.config, self.config.environment
        machine = read_machine(
            environment, self._inside("environment"), "environment", self.folder.name, self.problems
        )
        self._networks()
        steps = [self._step(step) for step in config.steps] or [self._only_step()]
        artifacts = _artifacts(config.artifacts)
        self._known_services(machine, artifacts, steps)
        metadata = config.metadata
        return TerminalTask(
            id=self.folder.name,
            folder=self.folder,
            format="harbor",
            digest=folder_digest(self.folder),
            services=machine.services,
            agent_service=MAIN,
            steps=tuple(steps),
            build_seconds=environment.build_timeout_sec,
            user=_user(config.agent.user),
            workdir=environment.workdir or "",
            no_network=environment.mode == "no-network",
            healthcheck=_health(environment.healthcheck),
            artifacts=artifacts,
            final_only=config.multi_step_reward_strategy == "final",
            difficulty=str(metadata.get("difficulty", "unknown")),
            category=str(metadata.get("category", "")),
            tags=tuple(str(tag) for tag in tags) if isinstance(tags := metadata.get("tags"), list) else (),
            compose=machine.compose,
            problems=tuple(dict.fromkeys(self.problems)),
        )

    def _known_services(self, machine: Made, artifacts: Sequence[Artifact], steps: Sequence[Step]) -> None:
        """What is read from, or run in, a service is of one that the machine has."""
        asked = [("artifacts", each.service) for each in artifacts]
        for step in steps:
            asked += [("artifacts", each.service) for each in step.artifacts]
            asked += [("verifier.collect", hook.service) for hook in step.verifier.collect]
        names = dict.fromkeys([MAIN, *(machine.compose.document["services"] if machine.compose else ())])
        self.problems += [
            f"{where}: there is no service {name!r}{did_you_mean(name, names)}; there are {', '.join(names)}"
            for where, name in asked
            if name and name not in names
        ]

    def _only_step(self) -> Step:
        return self._made(None, self.folder, [self._inside("tests")])

    def _step(self, step: StepFields) -> Step:
        place = f"steps/{step.name}"
        folder = self._inside(place)
        if not folder.is_dir():
            self.problems.append(f"steps: there is no folder {place}")
        return self._made(step, folder, [self._inside("tests"), self._inside(f"{place}/tests")])

    def _made(self, step: StepFields | None, folder: Path, tests: list[Path]) -> Step:
        own = step.agent if step else self.config.agent
        seconds = self.config.agent.timeout_sec if own.timeout_sec is None else own.timeout_sec
        workdir = folder / "workdir"
        return Step(
            name=step.name if step else "",
            instruction=self._instruction(folder / "instruction.md"),
            agent_seconds=self._seconds("agent.timeout_sec", seconds),
            verifier=self._verifier(step, tests),
            oracle=self._oracle(step, folder),
            workdir_folder=workdir if step and workdir.is_dir() else None,
            min_reward=step.min_reward if step else None,
            healthcheck=_health(step.healthcheck) if step else None,
            artifacts=_artifacts(step.artifacts) if step else (),
            agent_user=_user(step.agent.user) if step else "",
        )

    def _inside(self, place: str) -> Path:
        """A folder or file of the task; a problem where it is a link out of it."""
        path = self.folder / place
        if not path.resolve().is_relative_to(self.folder.resolve()):
            self.problems.append(f"{place} leads out of the task's folder")
        return path

    def _seconds(self, name: str, seconds: float | None, least: float = 0.0) -> float:
        """A limit; none at all, and one without end, is 0."""
        if seconds is None or seconds == math.inf:
            return 0.0
        if not least <= seconds:
            self.problems.append(f"{name}: {seconds:g} is no time in seconds")
        return seconds

    def _instruction(self, path: Path) -> str:
        """The text without its first lines that are empty, or a canary, which an agent is not shown."""
        if not path.is_file():
            self.problems.append(f"there is no {path.relative_to(self.folder)}")
            return ""
        lines = path.read_text(encoding="utf-8").split("\n")
        start = 0
        while start < len(lines) and _CANARY.match(lines[start].strip()):
            start += 1
        while start < len(lines) and not lines[start].strip():
            start += 1
        return "\n".join(lines[start:])

    def _oracle(self, step: StepFields | None, folder: Path) -> Oracle | None:
        """A step's own solution before the task's; what it wants of this machine is a matter of its own."""
        places = [folder / "solution"] if step else []
        place = next((own for own in places if own.exists()), self._inside("solution"))
        if not (place / SOLVE_SCRIPT).is_file():
            return None
        problems = list[str]()
        env = from_host(self.config.solution.env, "solution.env", problems)
        return Oracle(folder=place, script=SOLVE_SCRIPT, env=env, problem="; ".join(problems))

    def _verifier(self, step: StepFields | None, folders: list[Path]) -> Verifier:
        """What judges a step: its own table before the task's, but for its limit, which never inherits."""
        task, own = self.config.verifier, step.verifier if step else self.config.verifier
        there = [folder for folder in folders if folder.is_dir()]
        separate = self._tests_machine(step, folders)
        bundled = separate is not None and separate.bundled
        if not bundled and not any((folder / TEST_SCRIPT).is_file() for folder in there):
            places = (f"{folder.relative_to(self.folder)}/{TEST_SCRIPT}" for folder in reversed(folders))
            self.problems.append(f"there is no {' or '.join(places)}")
        hooks = [*task.collect, *(step.verifier.collect if step else [])]
        return Verifier(
            kind="reward",
            script=f"{TESTS}/{TEST_SCRIPT}",
            seconds=self._seconds("verifier.timeout_sec", own.timeout_sec, 1e-9),
            folders=() if bundled else tuple(there),
            env=from_host({**task.env, **own.env}, "verifier.env", self.problems),
            user=_user(own.user if own.user is not None else task.user),
            services=separate.services if separate else (),
            main=MAIN if separate else "",
            collect=tuple(
                Collect(
                    command=hook.command,
                    service="" if hook.service == MAIN else hook.service,
                    seconds=hook.timeout_sec,
                    user=_user(hook.user),
                )
                for hook in hooks
            ),
            no_network=separate.no_network if separate else None,
        )

    def _tests_machine(self, step: StepFields | None, folders: list[Path]) -> "_TestsMachine | None":
        """The machine of separate tests, None where they run in the agent's (`verifier_mode.py`).

        Resources, variables and network are those of the nearest table. The image, which then brings the
        tests, is that of the nearest table that names one or tests folder that defines one; else it is the
        agent's.
        """
        task, own = self.config.verifier, step.verifier if step else self.config.verifier
        if (own.mode or task.mode) != "separate":
            return None
        table = own.environment or task.environment or self.config.environment
        image, place, bundled = self.config.environment.docker_image, self._inside("environment"), False
        nearest = [(own.environment, folders[-1]), *([(task.environment, folders[0])] if step else [])]
        for environment, folder in nearest:
            ready = environment.docker_image if environment else None
            if ready or any((folder / name).is_file() for name in (DOCKERFILE, COMPOSE)):
                image, place, bundled = ready, folder, True
                break
        config: Environment = structs.replace(table, docker_image=image)
        where = "verifier.environment"
        made = read_machine(config, place, where, self.folder.name, self.problems, loose=not bundled)
        self.problems += made.compose.problems if made.compose else ()
        mode = own.network_mode or task.network_mode or table.mode
        return _TestsMachine(made.services, bundled, mode == "no-network")

    def _networks(self) -> None:
        """A network of a phase that differs from its machine's is not part of this version."""
        baseline = self.config.environment.mode
        phases: list[tuple[str, Any]] = [("agent", self.config.agent), ("verifier", self.config.verifier)]
        for step in self.config.steps:
            phases += [
                (f"steps.{step.name}.agent", step.agent),
                (f"steps.{step.name}.verifier", step.verifier),
            ]
        for name, table in phases:
            separate = name.endswith("verifier") and (table.mode or self.config.verifier.mode) == "separate"
            if table.allowed_hosts or table.network_mode == "allowlist":
                self.problems.append(f"{name}.network_mode = allowlist is not supported")
            elif table.network_mode not in (None, baseline) and not separate:
                self.problems.append(f"{name}.network_mode differs from the environment's: not supported")


class _TestsMachine(NamedTuple):
    """A machine for the tests alone; `bundled`: its image brings them."""

    services: tuple[Service, ...]
    bundled: bool
    no_network: bool


def _health(found: Health | None) -> Healthcheck | None:
    if found is None:
        return None
    return Healthcheck(
        test=("CMD-SHELL", found.command),
        interval=found.interval_sec,
        timeout=found.timeout_sec,
        retries=found.retries,
        start_period=found.start_period_sec,
        start_interval=found.start_interval_sec,
    )


def _artifacts(found: Iterable[str | Kept]) -> tuple[Artifact, ...]:
    """As records; the service is empty for the agent's own."""
    kept = [Kept(source=one) if isinstance(one, str) else one for one in found]
    return tuple(
        Artifact(
            source=one.source,
            destination=one.destination or "",
            exclude=tuple(one.exclude),
            service="" if one.service in (None, MAIN) else str(one.service),
        )
        for one in kept
    )


def _user(user: User) -> str:
    return "" if user is None else str(user)
