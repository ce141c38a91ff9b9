"""Terminal tasks as samples: a folder of them in any format, or terminal-bench-core by its list of ids."""

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from longcat_eval.errors import EnvironmentUnusableError, UsageError, did_you_mean
from longcat_eval.protocols import DataOptions
from longcat_eval.records import Dataset, Sample
from longcat_eval.tasks.known_data import canonical_hash
from longcat_eval.tasks.terminal import read_harbor, read_tb
from longcat_eval.tasks.terminal.records import TerminalTask
from longcat_eval.tasks.terminal.source import fetched_folders

CORE = "terminal-bench-core@0.1.1"
_IDS = Path(__file__).with_name("core_ids.yaml")
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
    others = tasks.keys() != set(named_sets()[CORE])
    drift = f"{len(tasks)} tasks of the folder {folder.name} instead of {CORE}" if others else ""
    return Loaded(Dataset(samples, folder.name, None, sha256, drift), tasks, ())


@cache
def named_sets() -> dict[str, tuple[str, ...]]:
    """The sets that are known by name, with their ids."""
    import yaml

    return {name: tuple(ids) for name, ids in yaml.safe_load(_IDS.read_text(encoding="utf-8")).items()}


def read_folder(folder: Path) -> list[TerminalTask]:
    """The tasks of a folder of tasks, or of one task's own folder; two of one id are an error."""
    folder = folder.resolve()
    if is_task(folder):
        return read_task(folder)
    found: list[TerminalTask] = []
    for child in sorted(path for path in folder.iterdir() if path.is_dir()):
        if is_task(child):
            found += read_task(child)
    seen: set[str] = set()
    for task in found:
        if task.id in seen:
            raise EnvironmentUnusableError(f"{folder.name}: two tasks have the id {task.id}")
        seen.add(task.id)
    return found


def is_task(folder: Path) -> bool:
    """Whether a folder is a task of some format."""
    return any((folder / name).is_file() for name in (read_tb.CONFIG, read_harbor.CONFIG))


def read_task(folder: Path) -> list[TerminalTask]:
    """The task of a folder, or in terminal-bench's older form its variants."""
    if (folder / read_harbor.CONFIG).is_file():
        return [read_harbor.read_harbor(folder)]
    return read_tb.read_tb(folder)


def _named(name: str, options: DataOptions) -> Loaded:
    ids = named_sets()[name]
    places = [folder for folder in _places(options) if folder.is_dir()]
    tasks: dict[str, TerminalTask] = {}
    for folder in places:
        tasks |= {task.id: task for task in _of_ids(folder, set(ids) - tasks.keys())}
    if not tasks:
        raise EnvironmentUnusableError(f"none of the {len(ids)} tasks of {name} is here: {REMEDY}")
    missing = tuple(sorted(set(ids) - tasks.keys()))
    samples = [_sample(name, tasks.get(name)) for name in sorted(ids)]
    drift = f"{len(missing)} of {len(ids)} tasks have no body here" if missing else ""
    return Loaded(Dataset(samples, name, None, canonical_hash(samples), drift), tasks, missing)


def _places(options: DataOptions) -> list[Path]:
    own = [options.data_dir.expanduser() / "terminal-bench"] if options.data_dir else []
    return [*own, *fetched_folders()]


def _of_ids(folder: Path, wanted: set[str]) -> Iterable[TerminalTask]:
    """The tasks of these ids: only the folders that may hold one are read."""
    for child in sorted(
        {folder / name for name in wanted} | {folder / name.partition(".")[0] for name in wanted}
    ):
        if is_task(child):
            yield from (task for task in read_task(child) if task.id in wanted)


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
