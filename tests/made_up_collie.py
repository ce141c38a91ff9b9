"""A file like COLLIE's, of our own sentences: pickled as dill did it, from classes of the same names."""

import pickle
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from longcat_eval.tasks.collie.data import CLASSES

Groups = dict[str, list[dict[str, Any]]]


def module(name: str, members: Mapping[str, Any]) -> ModuleType:
    """A module that is nowhere but here."""
    made = ModuleType(name)
    for key, value in members.items():
        setattr(made, key, value)
    return made


class Made:
    """What all classes of the framework are to pickle: attributes."""

    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)


FRAMEWORK: dict[str, Any] = {
    name: type(name, (Made,), {"__module__": "collie.constraints"}) for name in sorted(CLASSES)
}


def _eval_repr(text: str) -> Any:
    return eval(text)


_eval_repr.__module__ = "dill._dill"


class Ellipse:
    """Pickles as dill pickles `...`."""

    def __reduce__(self) -> Any:
        return _eval_repr, ("Ellipsis",)


MODULES = {
    "collie": module("collie", {}),
    "collie.constraints": module("collie.constraints", FRAMEWORK),
    "dill": module("dill", {}),
    "dill._dill": module("dill._dill", {"_eval_repr": _eval_repr}),
}


@contextmanager
def importable(modules: Mapping[str, ModuleType]) -> Iterator[None]:
    """Let pickle find the classes while it writes; nothing of them is left to whoever reads."""
    before = {name: sys.modules[name] for name in modules if name in sys.modules}
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name in modules:
            del sys.modules[name]
        sys.modules.update(before)


def pickled(value: Any) -> bytes:
    """The pickle of a value whose classes are of the framework, protocol 4."""
    with importable(MODULES):
        return pickle.dumps(value, protocol=4)


def made(kind: str, **attributes: Any) -> Any:
    """An object of the framework."""
    return FRAMEWORK[kind](**attributes)


def constraint(outer: str | None, inner: str, measure: Any, relation: str, every: bool = False) -> Any:
    """One constraint of the framework."""
    return made(
        "Constraint",
        input_level=made("InputLevel", level=outer),
        target_level=made("TargetLevel", level=inner),
        transformation=measure,
        relation=made("Relation", operand=relation),
        reduction=made("Reduction", reduction="all" if every else None, value=None),
    )


def every(*parts: Any) -> Any:
    """All of several."""
    return made("All", callables=parts)


def trees() -> dict[str, tuple[Any, Any, str, str]]:
    """For each of the 13 kinds: its constraint, targets, a text that holds, and one that does not."""
    count = made("Count", count_target=None)
    ellipse = made("ForEach", func=Ellipse())
    each_count = made("ForEach", func=count)

    def place(where: Any) -> Any:
        return made("Position", position=where)

    first, last = made("ForEach", func=place(0)), made("ForEach", func=place(-1))
    number = constraint(None, "word", count, "==")
    sentences = constraint(None, "sentence", count, "==")
    without = constraint(None, "word", ellipse, "not in")
    long_enough = constraint("sentence", "word", each_count, ">=", True)
    c04 = constraint(None, "character", count, "==")
    c04.input_level = None
    return {
        "c01": (constraint(None, "character", count, ">="), [9], "marmalade", "jam"),
        "c02": (
            every(
                constraint(None, "character", count, "=="),
                constraint(None, "character", place([3, 7]), "=="),
            ),
            [9, ["m", "d"]],
            "Marmalade",
            "marzipans",
        ),
        "c03": (
            every(constraint(None, "character", count, "=="), constraint(None, "character", place(-1), "==")),
            [5, "h"],
            "march",
            "marsh.",
        ),
        "c04": (c04, 12, "Seven ducks.", "Seven duck."),
        "c05": (
            every(number, constraint(None, "word", place([1, 3]), "==")),
            [4, ["ducks", "home"]],
            "Seven ducks walked home.",
            "Seven ducks walked slowly.",
        ),
        "c06a": (
            every(
                constraint(None, "word", count, ">="),
                constraint("word", "character", each_count, "<=", True),
            ),
            [4, 6],
            "Seven ducks walked on home.",
            "Seven ducks wandered on home.",
        ),
        "c07": (
            constraint(None, "word", ellipse, "in"),
            ["ducks", "Home"],
            "Ducks at home.",
            "Ducks at homes.",
        ),
        "c08": (
            constraint("sentence", "word", first, "==", True),
            "Ducks",
            "Ducks walk. Ducks swim.",
            "Ducks walk. They swim.",
        ),
        "c09": (
            every(sentences, without, without),
            [2, "geese", "swans"],
            "Ducks walk. Ducks swim.",
            "Ducks walk. Geese swim.",
        ),
        "c10": (
            every(sentences, long_enough, constraint("sentence", "word", each_count, "<=", True)),
            [2, 2, 3],
            "Ducks walk. Ducks swim well.",
            "Ducks walk. Ducks swim really very well.",
        ),
        "c11": (
            every(constraint(None, "sentence", count, ">="), long_enough),
            [2, 2],
            "Ducks walk. Ducks swim well.",
            "Ducks walk. Swim!",
        ),
        "c12": (
            every(sentences, constraint("sentence", "word", last, "==", True)),
            [2, ["walk", "swim"]],
            "Ducks walk. Ducks swim.",
            "Ducks swim. Ducks walk.",
        ),
        "c14": (
            every(
                constraint("paragraph", "sentence", last, "==", True),
                constraint("paragraph", "sentence", each_count, ">=", True),
            ),
            [["They walk", "They swim"], 2],
            "Here are ducks. They walk.\n\nThere are more. They swim.",
            "Here are ducks. They walk. There are more. They swim.",
        ),
    }


def groups() -> Groups:
    """One item of each kind, as the official file has them."""
    return {
        f"made_{kind}": [
            {
                "example": holds,
                "metadata": {"index": 7, "title": "ducks"},
                "targets": targets,
                "constraint": tree,
                "prompt": f"Please write about ducks ({kind}).",
            }
        ]
        for kind, (tree, targets, holds, _) in trees().items()
    }
