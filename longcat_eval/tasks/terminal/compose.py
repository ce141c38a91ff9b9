"""A compose file as services: what it says is understood, ignored on purpose, or named as a problem.

Compose Specification (compose-spec.io), the subset that terminal tasks use; no key is passed over in silence.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from longcat_eval.runners.sandbox.service import Service, Volume
from longcat_eval.tasks.terminal.compose_file import ComposeFile
from longcat_eval.tasks.terminal.compose_variables import ComposeError, Variables

_LOGS = re.compile(r"\$\{?(T_BENCH_TASK_(AGENT_)?LOGS_PATH|HOST_\w*(LOGS|ARTIFACTS)_PATH)\b")
"""Host folders for logs, which terminal-bench and harbor mount: ours come out as archives."""


@dataclass(frozen=True)
class Composed:
    """Services in the file's order, and what of the file cannot be had, each naming service and key.

    `containers` are the fixed container names by service: terminal-bench marks the agent's by it. `document`
    is the file without them and without mounts of log folders, variables not yet put in.
    """

    services: tuple[Service, ...] = ()
    problems: tuple[str, ...] = ()
    containers: Mapping[str, str] = field(default_factory=dict)
    document: Mapping[str, Any] = field(default_factory=dict)


def read_compose(path: Path, variables: Mapping[str, str], folder: Path) -> Composed:
    """Read a compose file; relative paths start from `folder`, which none may leave.

    A file that is no compose file at all gives a problem and no service.
    """
    try:
        document = load_document(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ComposeError) as error:
        return Composed(problems=(f"{path.name}: {error}",))
    return compose_services(document, variables, folder)


def load_document(text: str) -> dict[str, Any]:
    """The YAML as a mapping whose numbers and dates stay text, as written; raises `ComposeError`."""
    import yaml

    class Loader(yaml.SafeLoader):
        """YAML 1.2's true, false and null alone are not text."""

    Loader.yaml_implicit_resolvers = {}
    Loader.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile(r"<<\Z"), ["<"])
    Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"(~|null|)\Z"), ["~", "n", ""])
    Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"(true|false)\Z"), ["t", "f"])
    try:
        document = yaml.load(text, Loader)
    except (yaml.YAMLError, RecursionError) as error:
        raise ComposeError(f"no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(document, dict) or not isinstance(document.get("services"), dict):
        raise ComposeError("it holds no services")
    return document


def compose_services(document: Mapping[str, Any], variables: Mapping[str, str], folder: Path) -> Composed:
    """The same for a document that was read, and perhaps merged, already."""
    problems: list[str] = []
    known = Variables(variables)
    document = _without_log_mounts(document)
    tree = known.everywhere(document, problems.append)
    file = ComposeFile(tree, folder, known, problems)
    read = [file.service(name, given) for name, given in tree["services"].items()]
    found = _with_shared_recipes([service for service in read if service is not None], tree)
    problems += [f"the variable {name} has no value" for name in sorted(known.missing)]
    problems += _wrong_dependencies(found)
    containers = {
        name: str(given["container_name"])
        for name, given in tree["services"].items()
        if isinstance(given, Mapping) and given.get("container_name")
    }
    services = tuple(_with_shared_folders(found))
    return Composed(services, tuple(dict.fromkeys(problems)), containers, _without_names(document))


def _without_names(document: Mapping[str, Any]) -> dict[str, Any]:
    """Fixed names of containers would let no two attempts live at once."""
    services = {
        name: {key: value for key, value in given.items() if key != "container_name"}
        for name, given in document["services"].items()
        if isinstance(given, Mapping)
    }
    return {**document, "services": services}


def _without_log_mounts(document: Mapping[str, Any]) -> dict[str, Any]:
    """Seen before variables have values: afterwards they are host folders like any other."""

    def of_logs(entry: Any) -> bool:
        source = entry.get("source", "") if isinstance(entry, Mapping) else entry
        return bool(_LOGS.match(str(source)))

    services = {}
    for name, given in document["services"].items():
        if isinstance(given, Mapping) and isinstance(given.get("volumes"), list):
            given = {**given, "volumes": [entry for entry in given["volumes"] if not of_logs(entry)]}
        services[name] = given
    return {**document, "services": services}


def _with_shared_recipes(services: list[Service], tree: Mapping[str, Any]) -> list[Service]:
    """An image that one service builds and names is built for the others that name it, too."""
    built = {
        str(tree["services"][service.name].get("image")): service.recipe
        for service in services
        if service.recipe is not None and tree["services"][service.name].get("image")
    }
    return [
        replace(service, image="", recipe=built[service.image]) if service.image in built else service
        for service in services
    ]


def _with_shared_folders(services: list[Service]) -> list[Service]:
    """A folder of the task that several services mount is a volume of theirs, filled from it once."""
    users: dict[Path, set[str]] = {}
    for service in services:
        for volume in service.volumes:
            if volume.source is not None and volume.source.is_dir():
                users.setdefault(volume.source, set()).add(service.name)
    shared = [source for source, names in users.items() if len(names) > 1]

    def named(volume: Volume) -> Volume:
        if volume.source not in shared:
            return volume
        return replace(volume, name=f"shared-{shared.index(volume.source)}")

    return [replace(service, volumes=tuple(map(named, service.volumes))) for service in services]


def _wrong_dependencies(services: list[Service]) -> list[str]:
    from graphlib import CycleError, TopologicalSorter

    names = {service.name for service in services}
    problems = [
        f"service {service.name}: depends_on: there is no service {other}"
        for service in services
        for other in service.depends_on
        if other not in names
    ]
    try:
        TopologicalSorter({service.name: set(service.depends_on) for service in services}).prepare()
    except CycleError as error:
        problems.append(f"depends_on goes round in a circle: {' -> '.join(error.args[1])}")
    return problems
