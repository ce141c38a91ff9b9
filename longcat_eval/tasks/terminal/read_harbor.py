"""A task in harbor's format, the format of Terminal-Bench 2: its folder as a `TerminalTask`.

Folders and precedences are harbor's (`models/task/`, `trial/`, `environments/docker/` 0.24.0, Apache-2.0).
"""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.runners.sandbox.service import Healthcheck, Recipe, Service
from longcat_eval.tasks.terminal.compose import compose_services, load_document
from longcat_eval.tasks.terminal.compose_variables import ComposeError
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
from longcat_eval.tasks.terminal.harbor_config import Verifier as VerifierFields
from longcat_eval.tasks.terminal.records import (
    Artifact,
    Collect,
    Compose,
    Oracle,
    Step,
    TerminalTask,
    Verifier,
)

CONFIG, COMPOSE = "task.toml", "docker-compose.yaml"
MAIN = "main"
TEST_SECONDS = 600.0
TESTS, TEST_SCRIPT, SOLVE_SCRIPT = "/tests", "test.sh", "solve.sh"
IDLE = ("sh", "-c", "sleep infinity")
_CANARY = re.compile(r"^(<!--.*canary.*-->|#.*canary.*)$", re.IGNORECASE)
_HOST_VARIABLE = re.compile(r"\$\{([^}:]+)(?::-(.*))?\}")


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
        self.compose: Compose | None = None

    def task(self) -> TerminalTask:
        config, environment = self.config, self.config.environment
        services = self._machine(environment, self.folder / "environment", "environment")
        self._networks()
        steps = [self._step(step) for step in config.steps] or [self._only_step()]
        metadata = config.metadata
        return TerminalTask(
            id=self.folder.name,
            folder=self.folder,
            format="harbor",
            digest=folder_digest(self.folder),
            services=services,
            agent_service=MAIN,
            steps=tuple(steps),
            build_seconds=environment.build_timeout_sec,
            user=_user(config.agent.user),
            workdir=environment.workdir or "",
            no_network=environment.mode == "no-network",
            healthcheck=_health(environment.healthcheck),
            artifacts=_artifacts(config.artifacts),
            final_only=config.multi_step_reward_strategy == "final",
            difficulty=str(metadata.get("difficulty", "unknown")),
            category=str(metadata.get("category", "")),
            tags=tuple(str(tag) for tag in metadata.get("tags") or ()),
            compose=self.compose,
            problems=tuple(dict.fromkeys(self.problems)),
        )

    def _only_step(self) -> Step:
        verifier = self._verifier(None, [self.folder / "tests"])
        return self._made(None, self.folder, verifier)

    def _step(self, step: StepFields) -> Step:
        folder = self.folder / "steps" / step.name
        if not folder.is_dir():
            self.problems.append(f"steps: there is no folder steps/{step.name}")
        verifier = self._verifier(step, [self.folder / "tests", folder / "tests"])
        return self._made(step, folder, verifier)

    def _made(self, step: StepFields | None, folder: Path, verifier: Verifier) -> Step:
        own = step.agent if step else self.config.agent
        seconds = self.config.agent.timeout_sec if own.timeout_sec is None else own.timeout_sec
        workdir = folder / "workdir"
        return Step(
            name=step.name if step else "",
            instruction=self._instruction(folder / "instruction.md"),
            agent_seconds=seconds or 0.0,
            verifier=verifier,
            oracle=self._oracle(folder / "solution"),
            workdir_folder=workdir if step and workdir.is_dir() else None,
            min_reward=step.min_reward if step else None,
            healthcheck=_health(step.healthcheck) if step else None,
            artifacts=_artifacts(step.artifacts) if step else (),
            agent_user=_user(step.agent.user) if step else "",
        )

    def _instruction(self, path: Path) -> str:
        """The text without the canary lines at its head, which an agent is not shown."""
        if not path.is_file():
            self.problems.append(f"there is no {path.relative_to(self.folder)}")
            return ""
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        start = 0
        while start < len(lines) and _CANARY.match(lines[start].strip()):
            start += 1
        while start and start < len(lines) and not lines[start].strip():
            start += 1
        return "".join(lines[start:])

    def _oracle(self, folder: Path) -> Oracle | None:
        if not (folder / SOLVE_SCRIPT).is_file():
            return None
        env = self._from_host(self.config.solution.env, "solution.env")
        return Oracle(folder=folder, script=SOLVE_SCRIPT, env=env)

    def _verifier(self, step: StepFields | None, folders: list[Path]) -> Verifier:
        """What judges a step: its own table before the task's."""
        task, own = self.config.verifier, step.verifier if step else self.config.verifier
        seconds = next((s for s in (own.timeout_sec, task.timeout_sec) if s is not None), TEST_SECONDS)
        there = [folder for folder in folders if folder.is_dir()]
        separate = (own.mode or task.mode or "shared") == "separate"
        services, bundled = self._tests_machine(step, folders) if separate else ((), False)
        if not bundled and not any((folder / TEST_SCRIPT).is_file() for folder in there):
            self.problems.append(f"there is no {TEST_SCRIPT} in {' or '.join(f.name for f in folders)}")
        definition = own.environment or task.environment or self.config.environment
        return Verifier(
            kind="reward",
            script=f"{TESTS}/{TEST_SCRIPT}",
            seconds=seconds,
            folders=() if bundled else tuple(there),
            env=self._from_host({**task.env, **own.env}, "verifier.env"),
            user=_user(own.user if own.user is not None else task.user),
            services=services,
            main=MAIN if separate else "",
            collect=tuple(
                Collect(
                    command=hook.command,
                    service="" if hook.service == MAIN else hook.service,
                    seconds=hook.timeout_sec,
                    user=_user(hook.user),
                )
                for hook in (own.collect or task.collect)
            ),
            no_network=(own.network_mode or definition.mode) == "no-network" if separate else None,
        )

    def _tests_machine(
        self, step: StepFields | None, folders: list[Path]
    ) -> tuple[tuple[Service, ...], bool]:
        """The machine of separate tests, and whether its image brings them (`verifier_mode.py`)."""
        task = self.config.verifier
        tables: list[tuple[VerifierFields, Path]] = [(step.verifier, folders[-1])] if step else []
        for table, folder in [*tables, (task, folders[0])]:
            config = table.environment or task.environment or self.config.environment
            if table.environment is not None and table.environment.docker_image:
                return self._machine(table.environment, folder, "verifier.environment"), True
            if any((folder / name).is_file() for name in ("Dockerfile", COMPOSE)):
                built = _without_image(config)
                return self._machine(built, folder, "verifier.environment"), True
        return self._machine(self.config.environment, self.folder / "environment", "environment"), False

    def _machine(self, environment: Environment, folder: Path, where: str) -> tuple[Service, ...]:
        """The services of an environment; `main` is where the agent or the tests work."""
        self._unsupported(environment, where)
        main = self._main(environment, folder)
        compose = self._compose(folder)
        if compose is None:
            if not environment.docker_image and not (folder / "Dockerfile").is_file():
                self.problems.append(f"{where}: neither docker_image nor {folder.name}/Dockerfile")
            return (main,)
        try:
            document = load_document(compose.read_text(encoding="utf-8"))
        except (OSError, ComposeError) as error:
            self.problems.append(f"{folder.name}/{COMPOSE}: {error}")
            return (main,)
        variables = self._variables(environment)
        merged = {**document, "services": _with_main(document["services"], environment)}
        found = compose_services(merged, variables, folder)
        if where == "environment":
            self.compose = Compose(folder, found.document, variables, found.problems)
        else:
            self.problems += found.problems
        return tuple(_joined(s, main) if s.name == MAIN else s for s in found.services)

    def _main(self, environment: Environment, folder: Path) -> Service:
        return Service(
            name=MAIN,
            image=environment.docker_image or "",
            recipe=None if environment.docker_image else Recipe(context=folder),
            command=IDLE,
            idle=True,
            environment=self._from_host(environment.env, "environment.env"),
            workdir=environment.workdir or "",
            memory_bytes=environment.memory_bytes,
            cpus=environment.cpus,
        )

    def _variables(self, environment: Environment) -> dict[str, str]:
        """What compose files of tasks are written with."""
        values = {
            "CONTEXT_DIR": ".",
            "MAIN_IMAGE_NAME": f"hb__{self.folder.name}",
            "TEST_DIR": TESTS,
            "CPUS": str(environment.cpus or 1),
            "MEMORY": f"{(environment.memory_bytes or 0) >> 20}M",
            "PREBUILT_IMAGE_NAME": environment.docker_image or "",
        }
        return {**values, **self._from_host(environment.env, "environment.env")}

    def _unsupported(self, environment: Environment, where: str) -> None:
        asked = {
            "os": environment.os.lower() != "linux",
            "gpus": bool(environment.gpus),
            "tpu": environment.tpu is not None,
            "mcp_servers": bool(environment.mcp_servers),
            "skills_dir": environment.skills_dir is not None,
            "network_mode = allowlist": environment.mode == "allowlist",
        }
        self.problems += [f"{where}.{name} is not supported" for name, wanted in asked.items() if wanted]

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

    def _from_host(self, env: Mapping[str, str], where: str) -> dict[str, str]:
        """Values with `${NAME}` or `${NAME:-default}` taken from this process's environment."""

        def value(text: str) -> str:
            found = _HOST_VARIABLE.fullmatch(text)
            if found is None:
                return text
            if (known := os.environ.get(found[1])) is not None:
                return known
            if found[2] is None:
                self.problems.append(f"{where} wants the environment variable {found[1]}")
            return found[2] or ""

        return {name: value(text) for name, text in env.items()}

    @staticmethod
    def _compose(folder: Path) -> Path | None:
        return folder / COMPOSE if (folder / COMPOSE).is_file() else None


def _with_main(services: Mapping[str, Any], environment: Environment) -> dict[str, Any]:
    """The services of a compose file, with what harbor's own files say of `main` below the task's."""
    own = dict(services.get(MAIN) or {})
    if environment.docker_image:
        own = {"image": environment.docker_image, **{k: v for k, v in own.items() if k != "build"}}
    elif "build" not in own and "image" not in own:
        own["build"] = {"context": "."}
    own.setdefault("command", list(IDLE))
    return {MAIN: own, **{name: service for name, service in services.items() if name != MAIN}}


def _joined(service: Service, main: Service) -> Service:
    """The compose file's `main` with what task.toml says of it."""
    return replace(
        service,
        environment={**main.environment, **service.environment},
        workdir=main.workdir or service.workdir,
        memory_bytes=service.memory_bytes or main.memory_bytes,
        cpus=service.cpus or main.cpus,
    )


def _without_image(environment: Environment) -> Environment:
    from msgspec import structs

    return structs.replace(environment, docker_image=None)


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
