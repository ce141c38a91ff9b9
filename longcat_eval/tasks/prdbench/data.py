"""PRDBench's tasks from the user's own copy: the folders 1 to 50 of its repository, or others like them.

github.com/AGI-Eval-Official/PRDBench (MIT by its README), known here by its commit 050bbcb: 50 tasks, 1,259
metrics. The tasks are never part of this project.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import msgspec

from longcat_eval.errors import EnvironmentUnusableError, UsageError
from longcat_eval.protocols import DataOptions
from longcat_eval.records import Dataset, Sample
from longcat_eval.tasks.known_data import canonical_hash
from longcat_eval.tasks.prdbench.plan import PLAN, Metric, read_plan

REPOSITORY = "https://github.com/AGI-Eval-Official/PRDBench"
REQUIREMENTS = "src/PRD.md"
REFERENCE = "reference"
"""A task of one's own may have its solution there, laid out like the task; official ones have none."""
FOLDER = "prdbench"
LAYOUTS = ("", "PRDBench")
"""Where the tasks lie in a folder, or in a checkout of the repository."""
NOT_OF_THE_TASK = frozenset({"__pycache__", ".git", ".pytest_cache", ".DS_Store"})
REPORTS = "reports"
"""Where the official judge leaves its reports, beside the task."""
NAMED = 5
"""How many tasks that differ are named."""
REMEDY = f"clone {REPOSITORY} and give that folder with --dataset, or have its tasks in DATA-DIR/{FOLDER}"


class Known(NamedTuple):
    """An official task: how many metrics it has, and the digest of its files."""

    metrics: int
    digest: str


class PrdTask(NamedTuple):
    """A task on this machine."""

    id: str
    folder: Path
    requirements: str
    plan: tuple[Metric, ...]
    digest: str

    @property
    def reference(self) -> Path | None:
        """The folder of its solution, if it has one."""
        place = self.folder / REFERENCE
        return place if place.is_dir() else None

    def files(self) -> dict[str, bytes | Path]:
        """What a developer gets, by path."""
        return {name: path for name, path in task_files(self.folder) if not name.startswith(f"{REFERENCE}/")}


class Loaded(NamedTuple):
    """The samples, and the tasks by id."""

    dataset: Dataset
    tasks: Mapping[str, PrdTask]


@cache
def official_tasks() -> dict[str, Known]:
    """The tasks of the repository's commit 050bbcb, from official_tasks.yaml."""
    import yaml

    text = Path(__file__).with_name("official_tasks.yaml").read_text(encoding="utf-8")
    return {str(name): Known(*known) for name, known in yaml.safe_load(text).items()}


def load_tasks(options: DataOptions) -> Loaded:
    """Return the tasks of `--dataset`, else of the data folder; a subset or other tasks are marked as that.

    Raises `UsageError` for a --dataset without tasks, `EnvironmentUnusableError` where none are here, one
    cannot be read, or an official one has another number of metrics (`--allow-data-drift`).
    """
    place, tasks = _found(options)
    problems = _other_counts(tasks)
    if problems and options.dataset is None and not options.allow_drift:
        raise EnvironmentUnusableError(
            f"{place} is not the known PRDBench: {'; '.join(problems)}. "
            "--allow-data-drift runs it all the same and marks every report"
        )
    samples = [_sample(task) for task in tasks.values()]
    drift = "; ".join([*problems, *_differences(place, tasks)])
    source = place if drift else f"{place} = {REPOSITORY.removeprefix('https://github.com/')}@050bbcb"
    return Loaded(Dataset(samples, source, None, canonical_hash(samples), drift), tasks)


def task_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Every file of a task by its path, sorted; caches and reports of earlier runs are none."""
    for root, folders, files in os.walk(folder):
        own = {REPORTS} if Path(root) == folder else set()
        folders[:] = sorted(set(folders) - NOT_OF_THE_TASK - own)
        for name in sorted(set(files) - NOT_OF_THE_TASK):
            path = Path(root) / name
            if path.is_file() and path.suffix != ".pyc":
                yield path.relative_to(folder).as_posix(), path


def digest_of(folder: Path) -> str:
    """sha256 over the sorted lines `<git's name of the content> <path>`, whatever the files' modes are.

    The names can be had from `git ls-tree` too.
    """
    lines = sorted(f"{blob_name(path.read_bytes())} {name}\n" for name, path in task_files(folder))
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def blob_name(content: bytes) -> str:
    """The name that git gives a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def read_task(folder: Path) -> PrdTask:
    """Read one task; `EnvironmentUnusableError`."""
    try:
        requirements = (folder / REQUIREMENTS).read_text(encoding="utf-8", errors="replace")
        return PrdTask(folder.name, folder, requirements, tuple(read_plan(folder)), digest_of(folder))
    except OSError as error:
        raise EnvironmentUnusableError(f"cannot read the task {folder.name}: {error}") from None


def _found(options: DataOptions) -> tuple[str, dict[str, PrdTask]]:
    if options.dataset is not None:
        folder = options.dataset.expanduser()
        if not folder.is_dir():
            raise UsageError(f"--dataset {options.dataset}: there is no such folder of PRDBench's tasks")
        folders = _task_folders(folder)
        if not folders:
            raise UsageError(
                f"--dataset {options.dataset} holds no task: expected folders with {REQUIREMENTS} and {PLAN}"
            )
        return folder.resolve().name, _read_all(folders)
    root = options.data_dir or os.environ.get("LONGCAT_EVAL_DATA")
    if root and not Path(root).expanduser().is_dir():
        raise EnvironmentUnusableError(f"there is no data folder {root} (--data-dir or LONGCAT_EVAL_DATA)")
    folders = _task_folders(Path(root).expanduser() / FOLDER) if root else []
    if not folders:
        looked = f" ({root} has none in {FOLDER}/)" if root else ""
        raise EnvironmentUnusableError(f"PRDBench's tasks are not here{looked}: {REMEDY}")
    return FOLDER, _read_all(folders)


def _task_folders(folder: Path) -> list[Path]:
    if _is_task(folder):
        return [folder.resolve()]
    for place in LAYOUTS:
        if (folder / place).is_dir():
            found = [child for child in (folder / place).iterdir() if _is_task(child)]
            if found:
                return sorted(found, key=lambda path: (len(path.name), path.name))
    return []


def _is_task(folder: Path) -> bool:
    return (folder / REQUIREMENTS).is_file() and (folder / PLAN).is_file()


def _read_all(folders: list[Path]) -> dict[str, PrdTask]:
    return {folder.name: read_task(folder) for folder in folders}


def _other_counts(tasks: Mapping[str, PrdTask]) -> list[str]:
    """Official tasks whose plans have another length."""
    known = official_tasks()
    return [
        f"task {name} has {len(task.plan)} metrics, expected {known[name].metrics}"
        for name, task in tasks.items()
        if name in known and len(task.plan) != known[name].metrics
    ]


def _differences(place: str, tasks: Mapping[str, PrdTask]) -> list[str]:
    """How these are not the official tasks, as every report says it."""
    known, found = official_tasks(), []
    metrics = sum(task.metrics for task in known.values())
    here = sum(len(task.plan) for task in tasks.values())
    if not tasks.keys() <= known.keys():
        return [f"{len(tasks)} tasks of the folder {place} instead of the {len(known)} of PRDBench"]
    if len(tasks) < len(known):
        found.append(f"{len(tasks)} of {len(known)} tasks, {here:,} of {metrics:,} metrics")
    other = [name for name, task in tasks.items() if task.digest != known[name].digest]
    if other:
        more = f" and {len(other) - NAMED} more" if len(other) > NAMED else ""
        found.append(f"not the released files: {', '.join(other[:NAMED])}{more}")
    return found


def _sample(task: PrdTask) -> Sample:
    fields = {
        "requirements": task.requirements,
        "plan": msgspec.to_builtins(task.plan),
        "digest": task.digest,
    }
    return Sample(task.id, fields)
