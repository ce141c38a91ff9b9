"""Tasks of terminal-bench 1.x and of the generation before it, from their folders.

Fields and defaults are those of `terminal_bench/handlers/trial_handler.py` 0.2.18, the variables and how a
trial's containers are named those of `terminal_bench/terminal/docker_compose_manager.py` (Apache-2.0).
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.tasks.terminal.compose import Composed, read_compose
from longcat_eval.tasks.terminal.digest import folder_digest
from longcat_eval.tasks.terminal.records import Compose, Keys, Oracle, Step, TerminalTask, Verifier

CONFIG, COMPOSE = "task.yaml", "docker-compose.yaml"
AGENT_SECONDS, TEST_SECONDS, MOST_SECONDS = 360.0, 60.0, 1e9
BASE = "base"
"""The key of the description that names no variant."""
SAME_SHELL, SCRIPT = "run_tests_in_same_shell", "run-tests.sh"
OLD_SCRIPTS = ("setup-uv-pytest.sh", "run-uv-pytest.sh")
CLIENT = "lceval-client"
"""Stands for the agent's container while the compose file is read: its service is told by it."""


def read_tb(folder: Path) -> list[TerminalTask]:
    """Return the task of a folder, or in the older form one per description, `<folder>.<key>`.

    Raises `EnvironmentUnusableError` for a configuration that cannot be read.
    """
    config = _read_config(folder)
    if "instruction" in config:
        return [_task(folder, folder.name, config, str(config["instruction"]), "")]
    descriptions = config.get("descriptions")
    if not isinstance(descriptions, list) or not descriptions:
        raise EnvironmentUnusableError(f"{folder.name}/{CONFIG} has neither instruction nor descriptions")
    tasks = []
    for entry in descriptions:
        if not isinstance(entry, dict) or not {"key", "description"} <= entry.keys():
            raise EnvironmentUnusableError(f"{folder.name}/{CONFIG}: a description wants key and description")
        key = str(entry["key"])
        name = folder.name if key == BASE else f"{folder.name}.{key}"
        tasks.append(_task(folder, name, config, str(entry["description"]), key))
    return tasks


def _read_config(folder: Path) -> dict[str, Any]:
    import yaml

    try:
        config = yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise EnvironmentUnusableError(f"cannot read {folder.name}/{CONFIG}: {error}") from None
    if not isinstance(config, dict):
        raise EnvironmentUnusableError(f"{folder.name}/{CONFIG} holds no fields")
    return config


def _task(folder: Path, name: str, config: Mapping[str, Any], instruction: str, key: str) -> TerminalTask:
    problems = list[str]()
    shared = _shared_files(folder, config, problems) if key else {}
    compose, run_tests = shared.get(COMPOSE, folder / COMPOSE), shared.get(SCRIPT, folder / SCRIPT)
    place = folder if compose.parent.name == "defaults" else compose.parent
    composed = read_compose(compose, {**os.environ, **variables(name)}, place)
    agent = _agent_service(composed)
    if (parser := config.get("parser_name", "pytest")) != "pytest":
        problems.append(f"parser_name: {parser} is not supported, only pytest")
    if composed.services and not agent:
        problems.append(f"{COMPOSE}: no service has the agent's container_name")
    if not run_tests.is_file():
        problems.append(f"there is no {SCRIPT}")
    absent = (path for name, path in shared.items() if name != COMPOSE and not path.is_file())
    problems += [f"there is no {path.parent.name}/{path.name} beside the tasks" for path in absent]
    tests = folder / "tests"
    scripts = {file: path for file, path in shared.items() if file not in (COMPOSE, SCRIPT)}
    verifier = Verifier(
        kind="pytest",
        script=f"/tests/{SCRIPT}",
        seconds=_number(config, "max_test_timeout_sec", TEST_SECONDS, problems),
        folders=(tests,) if tests.is_dir() else (),
        files={**scripts, SCRIPT: run_tests},
        same_shell=_flag(config, SAME_SHELL, problems),
    )
    step = Step(
        instruction=instruction,
        agent_seconds=_number(config, "max_agent_timeout_sec", AGENT_SECONDS, problems),
        verifier=verifier,
        oracle=_oracle(folder, problems),
    )
    return TerminalTask(
        id=name,
        folder=folder,
        format="tb0" if key else "tb1",
        digest=_digest(folder, key, place, shared),
        services=composed.services,
        agent_service=agent,
        steps=(step,),
        difficulty=str(config.get("difficulty", "unknown")),
        category=str(config.get("category", "software_engineering")),
        tags=_texts(config, "tags", (), problems),
        compose=Compose(place, composed.document, variables(name), composed.problems),
        problems=tuple(problems),
    )


def _shared_files(folder: Path, config: Mapping[str, Any], problems: list[str]) -> dict[str, Path]:
    """What tasks of the older generation take from the data set around them, by name.

    It has `defaults` for a compose file and run-tests.sh, `scripts` for tests, and `environments` that
    several tasks share (terminal-bench 0.2.0, `handlers/trial_handler.py`).
    """
    base, found = folder.parent.parent, dict[str, Path]()
    wanted = [
        ("test_scripts", "scripts", name) for name in _texts(config, "test_scripts", OLD_SCRIPTS, problems)
    ]
    if environment := config.get("env_name"):
        wanted.append(("env_name", "environments", str(environment)))
    for key, place, name in wanted:
        if Path(name).name != name:
            problems.append(f"{key}: {name!r} is not the name of something in {place}/")
        elif key == "env_name":
            found[COMPOSE] = base / place / name / COMPOSE
        else:
            found[name] = base / place / name
    for name in (COMPOSE, SCRIPT):
        if name not in found and not (folder / name).is_file():
            found[name] = base / "defaults" / name
    return found


def _digest(folder: Path, key: str, place: Path, shared: Mapping[str, Path]) -> str:
    """The hash of the task's own files and of those that it shares."""
    around = [f"{name} {_sha256(path)}" for name, path in sorted(shared.items())]
    if place != folder:
        around.append(folder_digest(place))
    return folder_digest(folder, "\n".join([key, *around]))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "absent"


def variables(name: str) -> dict[str, str]:
    """The variables that compose files of tasks are written with, beside those of this process's environment.

    The prefix for other services' images and containers was called one thing up to 0.2.10 and another since:
    both are set.
    """
    prefix = name.replace(".", "-")
    values = {
        "TASK_DOCKER_CLIENT_CONTAINER_NAME": CLIENT,
        "TASK_DOCKER_CLIENT_IMAGE_NAME": f"tb__{prefix}__client",
        "TASK_DOCKER_NAME_PREFIX": f"tb__{prefix}",
        "TASK_DOCKER_IMAGE_NAME_PREFIX": f"tb__{prefix}",
        "CONTAINER_LOGS_PATH": "/logs",
        "CONTAINER_AGENT_LOGS_PATH": "/agent-logs",
        "TEST_DIR": "/tests",
        "TASK_LOGS_PATH": "/logs",
        "TASK_AGENT_LOGS_PATH": "/agent-logs",
        "TASK_BUILD_CONTEXT_DIR": ".",
    }
    return {f"T_BENCH_{name}": value for name, value in values.items()}


def _agent_service(composed: Composed) -> str:
    found = [service for service, container in composed.containers.items() if container == CLIENT]
    return found[0] if found else ""


def _number(config: Mapping[str, Any], name: str, default: float, problems: list[str]) -> float:
    value = config.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < MOST_SECONDS:
        problems.append(f"{name}: {value!r} is no time in seconds")
        return default
    return float(value)


def _flag(config: Mapping[str, Any], name: str, problems: list[str]) -> bool:
    value = config.get(name, False)
    if not isinstance(value, bool):
        problems.append(f"{name}: {value!r} is neither true nor false")
    return value is True


def _texts(
    config: Mapping[str, Any], name: str, default: tuple[str, ...], problems: list[str]
) -> tuple[str, ...]:
    value = config.get(name, default) or ()
    if not isinstance(value, list | tuple):
        problems.append(f"{name}: {value!r} is no list")
        return default
    return tuple(str(one) for one in value)


def _oracle(folder: Path, problems: list[str]) -> Oracle | None:
    """The script wins over the keys where both are there."""
    if (folder / "solution.sh").is_file():
        return Oracle(folder=folder, script="solution.sh")
    file = folder / "solution.yaml"
    if not file.is_file():
        return None
    import yaml

    try:
        entries = yaml.safe_load(file.read_text(encoding="utf-8"))
        keys = tuple(
            Keys(
                command=str(entry["command"]),
                min_seconds=float(entry.get("min_timeout_sec", 0.0)),
                max_seconds=float(entry.get("max_timeout_sec", 180.0)),
                block=bool(entry.get("block", False)),
                enter=bool(entry.get("append_enter", True)),
            )
            for entry in entries
        )
    except (OSError, ValueError, yaml.YAMLError, TypeError, KeyError, AttributeError) as error:
        problems.append(f"solution.yaml cannot be read: {error}")
        return None
    return Oracle(keys=keys)
