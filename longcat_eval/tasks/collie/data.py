"""COLLIE's official file, a pickle, read without running anything that it asks for.

`all_data.dill` needs ten names: nine classes of `collie.constraints` and dill's reader of `Ellipsis`. None of
them is imported: nodes stand for the classes, every other name is refused, and so is every pickle operation
that the official file does not use, before the first is carried out.
"""

import io
import pickle
import pickletools
from typing import Any

import msgspec

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.records import Sample
from longcat_eval.tasks.collie.constraints import All, Constraint, Tree
from longcat_eval.tasks.data_files import Row

CLASSES = frozenset(
    {
        "All",
        "Constraint",
        "Count",
        "ForEach",
        "InputLevel",
        "Position",
        "Reduction",
        "Relation",
        "TargetLevel",
    }
)
OPERATIONS = {
    *("PROTO", "FRAME", "STOP", "MARK", "MEMOIZE", "BINGET", "LONG_BINGET", "STACK_GLOBAL", "NEWOBJ"),
    *("BUILD", "REDUCE", "NONE", "NEWFALSE", "NEWTRUE", "BININT", "BININT1", "BININT2"),
    *("SHORT_BINUNICODE", "BINUNICODE", "EMPTY_DICT", "SETITEM", "SETITEMS", "EMPTY_LIST", "APPEND"),
    *("APPENDS", "EMPTY_TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "TUPLE"),
}
LARGEST, MOST_ITEMS, LONGEST_TEXT, MOST_TARGETS = 64 << 20, 50_000, 50_000, 100
"""Bounds of what a file may unfold to: bytes, items, characters of a text, targets of an item."""

Targets = int | str | list[int | str | list[str]]


class Node:
    """Stands for an object of a class of `collie.constraints`."""


_NODES = {name: type(name, (Node,), {}) for name in CLASSES}


class _Reader(pickle.Unpickler):
    """Unpickles nodes, texts, whole numbers, lists, dicts and tuples; any other name is an error."""

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a name."""
        if module == "collie.constraints" and name in _NODES:
            return _NODES[name]
        if (module, name) == ("dill._dill", "_eval_repr"):
            return _ellipsis
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")

    def persistent_load(self, pid: Any) -> Any:
        """Refuse."""
        raise pickle.UnpicklingError("it asks for an object outside the file")


def _ellipsis(text: object) -> object:
    if text != "Ellipsis":
        raise pickle.UnpicklingError("it asks for code to be run")
    return ...


def read_pickle(content: bytes, name: str) -> list[Row]:
    """Return one row per item: group, place in its group, prompt, targets, constraint and example.

    Raises `EnvironmentUnusableError` for a file that is damaged, or that asks for anything more.
    """
    try:
        return list(_rows(_load(content)))
    except (pickle.UnpicklingError, ValueError, msgspec.ValidationError) as error:
        raise EnvironmentUnusableError(
            f"{name} is not COLLIE's official file and is not opened any further: {error}"
        ) from None


def _load(content: bytes) -> Any:
    if len(content) > LARGEST:
        raise ValueError(f"it has {len(content):,} bytes")
    for operation, _, place in pickletools.genops(content):
        if operation.name not in OPERATIONS:
            raise ValueError(f"it uses the pickle operation {operation.name} at byte {place}")
    try:
        return _Reader(io.BytesIO(content)).load()
    except pickle.UnpicklingError:
        raise
    except Exception as error:  # noqa: BLE001 - a damaged or hostile pickle raises whatever it likes
        raise ValueError(f"it is damaged ({type(error).__name__})") from None


def _rows(groups: Any) -> Any:
    if not isinstance(groups, dict) or not all(isinstance(items, list) for items in groups.values()):
        raise ValueError("it is no dict of lists")
    if sum(map(len, groups.values())) > MOST_ITEMS:
        raise ValueError(f"it has more than {MOST_ITEMS:,} items")
    for group, items in groups.items():
        for place, item in enumerate(items):
            if not isinstance(item, dict):
                raise ValueError(f"item {place} of {group!r} is no dict")
            yield {
                "group": _text(group),
                "place": place,
                "prompt": _text(item.get("prompt")),
                "example": _text(item.get("example")),
                "targets": _targets(item.get("targets")),
                "constraint": msgspec.to_builtins(_tree(item.get("constraint"))),
            }


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        raise ValueError("a text is missing or too long")
    return value


def _targets(value: Any) -> Targets:
    lists = [value, *value] if isinstance(value, list) and len(value) <= MOST_TARGETS else [value]
    if any(isinstance(one, list) and len(one) > MOST_TARGETS for one in lists):
        raise ValueError(f"an item has more than {MOST_TARGETS} targets")
    for one in (text for part in lists for text in (part if isinstance(part, list) else [part])):
        if isinstance(one, str):
            _text(one)
    checked: Targets = msgspec.convert(value, Targets)
    return checked


def _tree(node: Any) -> Tree:
    if not _is(node, "All"):
        return _constraint(node)
    parts = _part(node, "callables")
    if not isinstance(parts, tuple) or len(parts) > MOST_TARGETS:
        raise ValueError("a constraint has no readable parts")
    return All([_constraint(part) for part in parts])


def _constraint(node: Any) -> Constraint:
    """Read one `Constraint`: its two levels, transformation, relation and reduction."""
    if not _is(node, "Constraint"):
        raise ValueError("a constraint is of no known kind")
    measure = _part(node, "transformation")
    each = _is(measure, "ForEach")
    if each:
        measure = _part(measure, "func")
    if measure is ...:
        how: Row = {"measure": "units"}
    elif _is(measure, "Position"):
        how = {"measure": "position", "position": _part(measure, "position"), "each": each}
    elif _is(measure, "Count") and _part(measure, "count_target") is None:
        how = {"measure": "count", "each": each}
    else:
        raise ValueError("a constraint measures by no known rule")
    reduction = _part(node, "reduction")
    if _part(reduction, "reduction") not in (None, "all"):
        raise ValueError("a constraint reduces by no known rule")
    outer = _part(node, "input_level")
    return msgspec.convert(
        {
            "type": "constraint",
            "outer": None if outer is None else _part(outer, "level"),
            "inner": _part(_part(node, "target_level"), "level"),
            "relation": _part(_part(node, "relation"), "operand"),
            "every": _part(reduction, "reduction") == "all",
            **how,
        },
        Constraint,
    )


def _is(node: Any, kind: str) -> bool:
    return type(node) is _NODES[kind]


def _part(node: Any, name: str) -> Any:
    if not isinstance(node, Node) or name not in vars(node):
        raise ValueError(f"a constraint lacks {name}")
    return vars(node)[name]


def sample(row: Row, subject: str, position: int) -> Sample:
    """Make a sample of a row; its group is the constraint's number, such as c07, its id `wiki_c07/12`."""
    source, _, kind = row["group"].rpartition("_")
    if not source:
        raise ValueError(f"the group {row['group']!r} names no source and constraint")
    targets, tree = row["targets"], row["constraint"]
    parts = tree.get("of")
    if parts is not None and not (isinstance(targets, list) and len(targets) == len(parts)):
        raise ValueError("not every constraint has a target")
    fields = {name: row[name] for name in ("prompt", "example", "targets", "constraint")}
    return Sample(f"{row['group']}/{row['place']:03}", fields | {"source": source}, kind)
