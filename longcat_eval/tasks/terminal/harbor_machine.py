"""The machine of a harbor task as services: an environment's table, and the definition in a folder.

What is merged in which order is harbor's (`environments/docker/docker.py` 0.24.0, Apache-2.0): resources, its
own `main` (built, or the ready image), the task's compose file, the environment variables.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from longcat_eval.runners.sandbox.service import Recipe, Service, Volume
from longcat_eval.tasks.terminal.compose import compose_services, load_document
from longcat_eval.tasks.terminal.compose_variables import ComposeError
from longcat_eval.tasks.terminal.harbor_config import Environment
from longcat_eval.tasks.terminal.records import Compose

COMPOSE, DOCKERFILE = "docker-compose.yaml", "Dockerfile"
MAIN = "main"
"""The service where the agent, or the tests, work."""
TESTS = "/tests"
IDLE = ("sh", "-c", "sleep infinity")
_HOST_VARIABLE = re.compile(r"\$\{([^}:]+)(?::-(.*))?\}")


class Made(NamedTuple):
    """Services, `main` among them, and the compose file they came from, if from one."""

    services: tuple[Service, ...]
    compose: Compose | None = None


def read_machine(
    environment: Environment, folder: Path, where: str, task: str, problems: list[str], *, loose: bool = True
) -> Made:
    """The services of a table, which `where` names, with the definition in `folder`.

    What cannot be had goes to `problems`, but what a compose file wants and cannot have, which is in `Made`.
    `loose`: files beside a ready image, with neither Dockerfile nor compose file, go into its working folder.
    """
    problems += _unsupported(environment, where)
    env = from_host(environment.env, f"{where}.env", problems)
    if (folder / COMPOSE).is_file():
        return _composed(environment, folder, env, task, problems)
    ready = environment.docker_image
    if not ready and not (folder / DOCKERFILE).is_file():
        problems.append(f"{where}: neither docker_image nor {folder.name}/{DOCKERFILE} or {COMPOSE}")
    upload: tuple[Volume, ...] = ()
    if loose and ready and not (folder / DOCKERFILE).is_file() and folder.is_dir() and any(folder.iterdir()):
        if environment.workdir:
            upload = (Volume(target=environment.workdir, source=folder),)
        else:
            problems.append(f"{where}.workdir: where the files of {folder.name}/ go has to be said here")
    main = Service(
        name=MAIN,
        image=ready or "",
        recipe=None if ready else Recipe(context=folder),
        command=IDLE,
        idle=True,
        environment=env,
        workdir=environment.workdir or "",
        volumes=upload,
        memory_bytes=environment.memory_bytes,
        cpus=environment.cpus,
    )
    return Made((main,))


def from_host(env: Mapping[str, str], where: str, problems: list[str]) -> dict[str, str]:
    """Values with `${NAME}` or `${NAME:-default}` taken from this process's environment.

    One without value and default is left out, and a problem.
    """
    found = {}
    for name, text in env.items():
        asked = _HOST_VARIABLE.fullmatch(text)
        value = text if asked is None else os.environ.get(asked[1], asked[2])
        if value is not None:
            found[name] = value
        elif asked is not None:
            problems.append(f"{where}: {name} wants the environment variable {asked[1]}, which is not set")
    return found


def _composed(
    environment: Environment, folder: Path, env: Mapping[str, str], task: str, problems: list[str]
) -> Made:
    try:
        document = load_document((folder / COMPOSE).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ComposeError) as error:
        problems.append(f"{folder.name}/{COMPOSE}: {error}")
        return Made((Service(name=MAIN, recipe=Recipe(context=folder), command=IDLE, idle=True),))
    services = dict(document["services"])
    own = services.pop(MAIN, None)
    main = _main(own if isinstance(own, Mapping) else {}, environment, folder, env)
    variables = _variables(environment, env, task)
    merged = {**document, "services": {MAIN: main, **services}}
    found = compose_services(merged, {**os.environ, **variables}, folder)
    return Made(found.services, Compose(folder, found.document, variables, found.problems))


def _main(
    own: Mapping[str, Any], environment: Environment, folder: Path, env: Mapping[str, str]
) -> dict[str, Any]:
    """A compose file's `main`, which may be absent, merged with what task.toml says of it."""
    merged: dict[str, Any] = {"command": list(IDLE)}
    if environment.memory_bytes:
        merged["mem_limit"] = str(environment.memory_bytes)
    if environment.cpus:
        merged["cpus"] = f"{environment.cpus:g}"
    if environment.docker_image:
        merged["image"] = _literal(environment.docker_image)
        own = {key: value for key, value in own.items() if key != "build"}
    elif "image" not in own or "build" in own or (folder / DOCKERFILE).is_file():
        build = own.get("build") or {}
        given = build if isinstance(build, Mapping) else {"context": build}
        own = {**own, "build": {"context": ".", **given}}
    merged |= own
    if environment.workdir:
        merged["working_dir"] = _literal(environment.workdir)
    ours = {name: _literal(value) for name, value in env.items()}
    merged["environment"] = {**_assignments(own.get("environment")), **ours}
    return merged


def _assignments(given: Any) -> dict[str, Any]:
    """Both forms of a compose file's environment as a mapping; None is a name alone."""
    if isinstance(given, Mapping):
        return dict(given)
    pairs = (str(entry).partition("=") for entry in given or ())
    return {name: value if equals else None for name, equals, value in pairs}


def _literal(text: str) -> str:
    """As a compose file has to write it."""
    return text.replace("$", "$$")


def _variables(environment: Environment, env: Mapping[str, str], task: str) -> dict[str, str]:
    """What compose files are written with (`compose_env.py`): the task's own, then harbor's.

    Before both comes this process's environment.
    """
    harbors = {
        "CONTEXT_DIR": ".",
        "MAIN_IMAGE_NAME": f"hb__{task}",
        "TEST_DIR": TESTS,
        "CPUS": f"{environment.cpus or 1:g}",
        "MEMORY": f"{(environment.memory_bytes or 0) >> 20}M",
        "PREBUILT_IMAGE_NAME": environment.docker_image or "",
    }
    return {**env, **harbors}


def _unsupported(environment: Environment, where: str) -> list[str]:
    asked = {
        f"os = {environment.os}": environment.os.lower() != "linux",
        "gpus": bool(environment.gpus),
        "tpu": environment.tpu is not None,
        "mcp_servers": bool(environment.mcp_servers),
        "skills_dir": bool(environment.skills_dir),
        "network_mode = allowlist": environment.mode == "allowlist",
    }
    return [f"{where}.{name} is not supported" for name, wanted in asked.items() if wanted]
