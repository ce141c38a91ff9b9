"""Which tasks lm-eval has: names, groups and tags to single tasks, without building one of them.

Reading the 14,683 definitions of lm-eval 0.4.13 takes seconds, so what they are called and where they lie is
kept in the user's cache.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from longcat_eval.errors import EnvironmentUnusableError, UsageError, did_you_mean

PREFIX = "lm-eval:"
KNOWN = "0.4.13"
REMEDY = "pip install 'longcat-eval[lm-eval]'"


class Leaf(NamedTuple):
    """One task: where it is defined, and what a group changes of it; plain data, so that workers build it."""

    task_name: str
    yaml_path: str
    overrides: dict[str, Any]


def lm_eval_version() -> str:
    """The installed version; raises `EnvironmentUnusableError` without the one whose insides are known."""
    try:
        found = version("lm_eval")
    except PackageNotFoundError:
        raise EnvironmentUnusableError(f"lm-eval is not installed: {REMEDY}") from None
    if found != KNOWN:
        raise EnvironmentUnusableError(
            f"lm-eval {found} is installed, tasks are bridged from {KNOWN}: {REMEDY}"
        )
    return found


def leaves(name: str, include: Path | None) -> dict[str, Leaf]:
    """The tasks that a name stands for, by the names of our rows: a task, a group, a tag, or a pattern.

    A task that its group changes is called GROUP/TASK. Definitions below `include` go before lm-eval's own.
    Raises `UsageError`.
    """
    if any(mark in name for mark in "*?["):
        return _matching(name, registry(include))
    group, slash, member = name.partition("/")
    known = own_entries(include)
    if group not in known or known[group].kind.name == "GROUP":
        known = registry(include)
    if group not in known:
        where = f" (looked below {include} too)" if include else "; --lm-eval-include DIR adds your own"
        raise UsageError(
            f"lm-eval {lm_eval_version()} has no task {group!r}{did_you_mean(group, known)}{where}"
        )
    built = _built(group, known)
    if not slash:
        return built
    if name not in built:
        raise UsageError(f"lm-eval's group {group} has no task {member!r}{did_you_mean(name, built)}")
    return {name: built[name]}


def _matching(pattern: str, known: Mapping[str, Any]) -> dict[str, Leaf]:
    from fnmatch import filter as matching

    found = [name for name in matching(known, pattern) if known[name].kind.name in ("TASK", "PY_TASK")]
    if not found:
        raise UsageError(f"no task of lm-eval matches {pattern!r}")
    return {name: _reader()._build_task(known[name], None) for name in found}


def _built(name: str, known: Mapping[str, Any]) -> dict[str, Leaf]:
    found = list(_walk(_reader().build(known[name], registry=dict(known)), name))
    if not found:
        raise UsageError(f"lm-eval's group {name} is empty")
    return {_row_name(name, leaf): leaf for leaf in found}


def _row_name(asked: str, leaf: Leaf) -> str:
    return f"{asked}/{leaf.task_name}" if leaf.overrides else leaf.task_name


def _walk(built: Any, asked: str) -> Iterator[Leaf]:
    """The leaves of what a factory built: one, a list of a tag's, or a group of these and of groups."""
    if isinstance(built, Leaf):
        yield built
    elif isinstance(built, list) or hasattr(built, "get_all_groups"):
        for child in built if isinstance(built, list) else built._children.values():
            yield from _walk(child, asked)
    else:
        inline = getattr(built, "task_name", built)
        raise UsageError(
            f"{inline} is defined within the file of the group {asked}: give it a file of its own"
        )


@cache
def _reader() -> Any:
    """lm-eval's own factory, which knows its groups and tags, with leaves in place of tasks."""
    from lm_eval.tasks._factory import TaskFactory

    class Reader(TaskFactory):  # type: ignore[misc]
        def _build_task(self, entry: Any, overrides: dict[str, Any] | None) -> Leaf:
            own = {k: v for k, v in (overrides or {}).items() if k not in ("task", "tag", "group")}
            return Leaf(entry.name, str(entry.yaml_path), own)

    return Reader()


@cache
def registry(include: Path | None) -> dict[str, Any]:
    """lm-eval's entries and the user's by name; raises as `own_entries` does."""
    own = own_entries(include)
    spec = find_spec("lm_eval")
    root = Path(next(iter((spec.submodule_search_locations if spec else None) or ["."]))) / "tasks"
    return {**_stock(root, lm_eval_version()), **own}


@cache
def own_entries(include: Path | None) -> dict[str, Any]:
    """The entries below `include`; `EnvironmentUnusableError` without lm-eval, `UsageError` for no tasks."""
    lm_eval_version()
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    from lm_eval.tasks._index import TaskIndex

    if include is None:
        return {}
    if not include.expanduser().is_dir():
        raise UsageError(f"--lm-eval-include {include} is no folder")
    own: dict[str, Any] = TaskIndex().build([include.expanduser()])
    if not own:
        raise UsageError(f"--lm-eval-include {include} holds no task of lm-eval (a YAML file with `task:`)")
    return own


def _stock(root: Path, wanted: str) -> dict[str, Any]:
    """The definitions that come with lm-eval, from the cache or read anew."""
    from lm_eval.tasks._index import Entry, Kind, TaskIndex
    from platformdirs import user_cache_path

    file = user_cache_path("longcat-eval") / "lm-eval" / f"index-{wanted}.json"
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        return {
            name: Entry(name, Kind[kind], root / path if path else None, None, set(tags))
            for name, (kind, path, tags) in kept.items()
        }
    except (OSError, ValueError, KeyError, TypeError):
        index = TaskIndex().build([root])
    kept = {
        name: (e.kind.name, str(e.yaml_path.relative_to(root)) if e.yaml_path else "", sorted(e.tags))
        for name, e in index.items()
    }
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        part.write_text(json.dumps(kept), encoding="utf-8")
        part.replace(file)
    except OSError:
        pass  # it is read anew next time
    return dict(index)
