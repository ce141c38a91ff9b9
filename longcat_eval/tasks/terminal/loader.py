"""Terminal tasks as samples: a folder of them in any format, or terminal-bench-core by its list of ids."""

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from longcat_eval.errors import EnvironmentUnusableError, UsageError, did_you_mean
from longcat_eval.protocols import DataOptions
from longcat_eval.records import Dataset, Sample
from longcat_eval.tasks.known_data import canonical_hash
from longcat_eval.tasks.terminal import read_harbor, read_tb
from longcat_eval.tasks.terminal.digest import folder_digest
from longcat_eval.tasks.terminal.records import Step, TerminalTask, Verifier
from longcat_eval.tasks.terminal.source import fetched_folders

CORE = "terminal-bench-core@0.1.1"
_IDS = Path(__file__).with_name("core_ids.yaml")
LAYOUTS = ("", "tasks", "dataset/tasks")
"""Where a checkout of a benchmark keeps its tasks."""
NAMED = 5
"""How many tasks that differ are named."""
REMEDY = "`longcat-eval fetch terminal-bench` fetches them (52 MB), or give a folder of tasks with --dataset"


class Loaded(NamedTuple):
    """Samples, the tasks by id, and the ids whose bodies are not here."""

    dataset: Dataset
    tasks: Mapping[str, TerminalTask]
    missing: tuple[str, ...]


def load_terminal(options: DataOptions) -> Loaded:
    """Return the tasks of `options.dataset` (a folder, or a named set), by default those of the card.

    Raises `UsageError` for a folder that is none, `EnvironmentUnusableError` where no body is here.
    """
    given = options.dataset
    if given is None or str(given) in named_sets():
        return _named(str(given or CORE), options)
    folder = given.expanduser()
    if not folder.is_dir():
        hint = did_you_mean(str(given), named_sets())
        raise UsageError(
            f"--dataset {given}: no folder, and no set of that name{hint}: {', '.join(named_sets())}"
        )
    tasks = {task.id: task for task in read_folder(folder)}
    if not tasks:
        wanted = f"folders with {read_tb.CONFIG} or {read_harbor.CONFIG}"
        raise UsageError(f"--dataset {given} holds no terminal task: expected {wanted}")
    samples = [_sample(name, task) for name, task in sorted(tasks.items())]
    sha256 = canonical_hash(samples)
    name = folder.resolve().name
    others = tasks.keys() != set(named_sets()[CORE])
    drift = f"{len(tasks)} tasks of the folder {name} instead of {CORE}" if others else _drift(CORE, tasks)
    return Loaded(Dataset(samples, name, None, sha256, drift), tasks, ())


@cache
def named_sets() -> dict[str, dict[str, str]]:
    """The sets known by name: their ids, each with the digest of its task in the source distributions."""
    import yaml

    sets: dict[str, dict[str, str]] = yaml.safe_load(_IDS.read_text(encoding="utf-8"))
    return sets


def read_folder(folder: Path) -> list[TerminalTask]:
    """The tasks of a folder of tasks, or of one task's own folder; two of one id are an error.

    Among several, one that cannot be read has that as its problem. Raises `EnvironmentUnusableError`.
    """
    folder = folder.resolve()
    if is_task(folder):
        return read_task(folder)
    found, unreadable = list[TerminalTask](), list[EnvironmentUnusableError]()
    for child in _task_folders(folder):
        try:
            found += read_task(child)
        except EnvironmentUnusableError as error:
            unreadable.append(error)
            found.append(_unreadable(child, error))
    if unreadable and len(unreadable) == len(found):
        raise unreadable[0]
    seen: set[str] = set()
    for task in found:
        if task.id in seen:
            raise EnvironmentUnusableError(f"{folder.name}: two tasks have the id {task.id}")
        seen.add(task.id)
    return found


def _task_folders(folder: Path) -> list[Path]:
    """The tasks in a folder, or where a checkout has them."""
    for place in LAYOUTS:
        try:
            found = sorted(path for path in (folder / place).iterdir() if is_task(path))
        except FileNotFoundError:
            continue
        except OSError as error:
            raise EnvironmentUnusableError(f"cannot read {folder.name}: {error.strerror}") from None
        if found:
            return found
    return []


def is_task(folder: Path) -> bool:
    """Whether a folder is a task of some format."""
    return any((folder / name).is_file() for name in (read_tb.CONFIG, read_harbor.CONFIG))


def read_task(folder: Path) -> list[TerminalTask]:
    """The task of a folder, or in terminal-bench's older form its variants; `EnvironmentUnusableError`."""
    try:
        if (folder / read_harbor.CONFIG).is_file():
            return [read_harbor.read_harbor(folder)]
        return read_tb.read_tb(folder)
    except OSError as error:
        raise EnvironmentUnusableError(f"cannot read the task {folder.name}: {error}") from None


def _unreadable(folder: Path, error: EnvironmentUnusableError) -> TerminalTask:
    """A task that is never run, and counts."""
    try:
        digest = folder_digest(folder)
    except OSError:
        digest = ""
    nothing = Step(
        instruction="",
        agent_seconds=0.0,
        verifier=Verifier(kind="reward", script="", seconds=0.0),
        oracle=None,
    )
    return TerminalTask(
        id=folder.name,
        folder=folder,
        format="harbor" if (folder / read_harbor.CONFIG).is_file() else "tb1",
        digest=digest,
        services=(),
        agent_service="",
        steps=(nothing,),
        difficulty="unknown",
        problems=(str(error),),
    )


def _named(name: str, options: DataOptions) -> Loaded:
    ids = named_sets()[name]
    places = [folder for folder in _places(options) if folder.is_dir()]
    tasks: dict[str, TerminalTask] = {}
    for folder in places:
        tasks |= _of_ids(folder, ids.keys() - tasks.keys())
    if not tasks:
        raise EnvironmentUnusableError(f"none of the {len(ids)} tasks of {name} is here: {REMEDY}")
    missing = tuple(sorted(ids.keys() - tasks.keys()))
    samples = [_sample(name, tasks.get(name)) for name in sorted(ids)]
    return Loaded(Dataset(samples, name, None, canonical_hash(samples), _drift(name, tasks)), tasks, missing)


def _drift(name: str, tasks: Mapping[str, TerminalTask]) -> str:
    """How the tasks of a named set differ from those of the source distributions, empty if not at all."""
    ids = named_sets()[name]
    missing = len(ids.keys() - tasks.keys())
    other = sorted(id for id, digest in ids.items() if id in tasks and tasks[id].digest != digest)
    more = f" and {len(other) - NAMED} more" if len(other) > NAMED else ""
    remarks = (
        f"{missing} of {len(ids)} tasks have no body here" if missing else "",
        f"not the released files: {', '.join(other[:NAMED])}{more}" if other else "",
    )
    return "; ".join(remark for remark in remarks if remark)


def _places(options: DataOptions) -> list[Path]:
    """The user's own folder first, with its tasks in one of the usual layouts, then what was fetched."""
    root = options.data_dir or os.environ.get("LONGCAT_EVAL_DATA")
    own = [Path(root).expanduser() / "terminal-bench" / place for place in LAYOUTS] if root else []
    return [*own, *fetched_folders()]


def _of_ids(folder: Path, wanted: set[str]) -> dict[str, TerminalTask]:
    """The tasks of these ids: only the folders that may hold one are read."""
    found: dict[str, TerminalTask] = {}
    for name in sorted(wanted | {name.partition(".")[0] for name in wanted}):
        if not is_task(folder / name):
            continue
        try:
            read = read_task(folder / name)
        except EnvironmentUnusableError as error:
            read = [_unreadable(folder / name, error)]
        found |= {task.id: task for task in read if task.id in wanted}
    return found


def _sample(name: str, task: TerminalTask | None) -> Sample:
    if task is None:
        return Sample(name, {"instruction": "", "digest": ""}, "unknown")
    first = task.steps[0]
    fields: dict[str, Any] = {
        "instruction": first.instruction,
        "digest": task.digest,
        "format": task.format,
        "category": task.category,
        "tags": list(task.tags),
        "steps": len(task.steps),
        "agent_seconds": sum(step.agent_seconds for step in task.steps),
        "test_seconds": sum(step.verifier.seconds for step in task.steps),
        "images": sorted({service.image for service in task.services if service.image}),
    }
    return Sample(name, fields, task.difficulty or "unknown")
