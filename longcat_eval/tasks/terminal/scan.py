"""What a look at a task's files tells before anything is built: what it stands on and what it reaches for."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from longcat_eval.protocols import SandboxError
from longcat_eval.runners.sandbox.build_context import read_dockerfile
from longcat_eval.runners.sandbox.dockerfile import external_images, parse
from longcat_eval.runners.sandbox.dockerfile_lowering import lower
from longcat_eval.runners.sandbox.service import Service
from longcat_eval.tasks.terminal.records import TerminalTask

_URL = re.compile(r"\b(?:https?|git|ftp|ssh)://[^\s\"'`<>()\\]+")
_HOST = re.compile(r"[a-z0-9.-]+")
_COMMENT = re.compile(r"^\s*#.*$", re.MULTILINE)
LOCAL = re.compile(r"^(localhost|127\.|0\.0\.0\.0|\[?::1|[a-z0-9_-]+$)")
"""Hosts of the machine itself, and services, whose names have no dot."""
READ_BYTES = 1 << 20


@dataclass(frozen=True)
class Scanned:
    """Base images, hosts named in Dockerfiles, tests and solution, what is special, what cannot be done."""

    bases: tuple[str, ...]
    hosts: tuple[str, ...]
    features: tuple[str, ...]
    problems: tuple[str, ...]

    def facts(self) -> dict[str, Sequence[str]]:
        """By what they are, for a line of print."""
        return {"on": self.bases, "reaches": self.hosts, "has": self.features}


def scan(task: TerminalTask) -> Scanned:
    """Look at a task's files; nothing runs."""
    services = [*task.services, *(s for step in task.steps for s in step.verifier.services)]
    bases, features = list[str](), list[str]()
    problems = [*task.problems, *(task.compose.problems if task.compose else ())]
    texts: list[str] = []
    for service in services:
        if service.recipe is None:
            bases.append(service.image)
            continue
        try:
            text = read_dockerfile(service.recipe.context, service.recipe.dockerfile)
        except SandboxError as error:
            problems.append(str(error))
            continue
        texts.append(text)
        file = parse(text)
        bases += external_images(file, dict(service.recipe.args))
        if "<<" in text and lower(text).text != text:
            features.append("lowered Dockerfile")
    features += _features(task, services)
    for step in task.steps:
        scripts = [*step.verifier.files.values(), *_scripts(step.verifier.folders)]
        if step.oracle is not None:
            scripts += _scripts([step.oracle.folder] if step.oracle.folder else [])
            texts += [keys.command for keys in step.oracle.keys]
        texts += [_text(path) for path in dict.fromkeys(scripts)]
    return Scanned(
        tuple(dict.fromkeys(bases)),
        tuple(sorted({*hosts(texts)})),
        tuple(dict.fromkeys(features)),
        tuple(problems),
    )


def hosts(texts: Sequence[str]) -> Iterator[str]:
    """The hosts of the addresses in scripts, without comments, patterns and those of the machine itself."""
    for text in texts:
        for address in _URL.findall(_COMMENT.sub("", text)):
            try:
                host = urlsplit(address).hostname or ""
            except ValueError:
                continue
            if _HOST.fullmatch(host) and not LOCAL.match(host):
                yield host


def _features(task: TerminalTask, services: Sequence[Service]) -> Iterator[str]:
    if len(task.services) > 1:
        yield f"{len(task.services)} containers"
    if len(task.steps) > 1:
        yield f"{len(task.steps)} steps"
    if any(step.verifier.separate for step in task.steps):
        yield "separate tests"
    if any(step.verifier.same_shell for step in task.steps):
        yield "tests in the agent's shell"
    if any(service.tmpfs for service in services):
        yield "tmpfs"
    if any(service.healthcheck for service in services):
        yield "health check"
    if task.no_network:
        yield "no network"
    if any(step.oracle is None for step in task.steps):
        yield "no solution"


def _scripts(folders: Sequence[Path]) -> list[Path]:
    return [path for folder in folders for path in sorted(folder.glob("*.sh"))]


def _text(path: Path) -> str:
    if not path.is_file() or path.stat().st_size > READ_BYTES:
        return ""
    return path.read_text(encoding="utf-8", errors="replace")
