"""Tests in an environment of their own: only what a task declares leaves the agent's machine for it.

The order and the paths are those of harbor 0.24.0 (`trial/trial.py`, `trial/artifact_handler.py`).
"""

import fnmatch
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from longcat_eval.protocols import SandboxError
from longcat_eval.records import Wire
from longcat_eval.runners.sandbox.service import GroupSandboxes
from longcat_eval.tasks.terminal.desk import Desk
from longcat_eval.tasks.terminal.machine import Images, Machine, start_machine
from longcat_eval.tasks.terminal.records import Artifact, Collect, Step, TerminalTask
from longcat_eval.tasks.terminal.verifying import run_tests

CONVENTION = "/logs/artifacts"
"""Always carried, declared or not."""
MOST_BYTES = 1 << 30

Carried = Mapping[str, Mapping[str, bytes]]
"""By source path its files, by path within it; a source that is one file has it under the empty path."""


async def collect(machine: Machine, hooks: Iterable[Collect]) -> list[str]:
    """Run the hooks that make files of what services know; return what went wrong, which ends nothing."""
    problems = []
    for hook in hooks:
        try:
            done = await machine.service(hook.service).exec(
                hook.command, timeout=hook.seconds, user=hook.user or None
            )
        except SandboxError as error:
            problems.append(f"{hook.command}: {error}")
            continue
        if done.exit_code:
            problems.append(f"{hook.command}: exit code {done.exit_code}")
    return problems


async def gather(machine: Machine, artifacts: Iterable[Artifact]) -> Carried:
    """Read what is declared, and /logs/artifacts; what is not there is left out, as is what is excluded."""
    carried: dict[str, Mapping[str, bytes]] = {}
    for artifact in [*artifacts, Artifact(source=CONVENTION)]:
        if artifact.source in carried:
            continue
        sandbox = machine.service(artifact.service)
        try:
            files = await sandbox.get_tree(artifact.source, max_bytes=MOST_BYTES)
        except FileNotFoundError:
            continue
        except NotADirectoryError:
            files = {"": await sandbox.get(artifact.source, max_bytes=MOST_BYTES)}
        kept = {path: content for path, content in files.items() if not _excluded(path, artifact.exclude)}
        carried[artifact.source] = kept
    return carried


async def test_separately(
    sandboxes: GroupSandboxes,
    task: TerminalTask,
    step: Step,
    images: Images,
    carried: Carried,
    seconds: float,
    *,
    limits: Mapping[str, Any],
    name: str,
) -> Wire:
    """Start the tests' own machine, put what was carried where it was, and run them; `SandboxError`."""
    verifier = step.verifier
    no_network = task.no_network if verifier.no_network is None else verifier.no_network
    ready = await images.of(sandboxes, task, verifier.services)
    machine = await start_machine(
        sandboxes, task, ready, verifier.main, no_network=no_network, limits=limits, name=name, kind="grade"
    )
    try:
        for source, files in carried.items():
            if set(files) == {""}:
                await machine.main.put(source, files[""])
            elif files:
                await machine.main.put_tree(source, files)
        return await run_tests(machine.main, step, seconds, Desk(machine.main), clear=False)
    finally:
        with suppress(SandboxError):
            await machine.stop()


def _excluded(path: str, patterns: Iterable[str]) -> bool:
    """As tar's --exclude: a pattern fits a path, or a name of it."""
    return any(
        fnmatch.fnmatch(path, pattern) or any(fnmatch.fnmatch(part, pattern) for part in path.split("/"))
        for pattern in patterns
    )
