"""COLLIE's constraints and what satisfies them, by the semantics of the official checker.

Yao et al. 2023, COLLIE: Systematic Construction of Constrained Text Generation Tasks, arXiv 2307.08689;
github.com/princeton-nlp/Collie (MIT), `collie/constraints.py`. A constraint cuts a text twice into units,
measures them, and compares with the targets. The 13 trees of COLLIE-v1 need what stands here, and nothing of
the framework beyond.
"""

import operator
import string
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import msgspec

Level = Literal["character", "word", "sentence", "paragraph"]
Units = str | list[Any]
"""A text, or the units of a text, or those of each unit."""

_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    ">=": operator.ge,
    "<=": operator.le,
}


class Constraint(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="constraint"):
    """One comparison.

    The text is cut into units of `outer`, each of these into units of `inner` (null: not cut). `measure` is
    the number of the units, the unit or units at the index or indices `position`, or the units themselves;
    with `each` it is taken of every outer unit. `relation` compares it with the target; with `every` each
    measure with its own, or all with the only one.
    """

    inner: Level
    measure: Literal["count", "position", "units"]
    relation: Literal["==", ">=", "<=", "in", "not in"]
    outer: Level | None = None
    position: int | list[int] | None = None
    each: bool = False
    every: bool = False

    def holds(self, text: str, target: Any) -> bool:
        """Whether `text` satisfies the constraint."""
        units = cut(cut(text, self.outer) if self.outer else text, self.inner)
        found = [self._measured(unit) for unit in units] if self.each else self._measured(units)
        if not self.every:
            return related(self.relation, found, target)
        if not isinstance(found, list):
            raise ValueError("a constraint on every unit has no units")
        targets = target if isinstance(target, list) else [target] * len(found)
        return len(found) == len(targets) and all(
            related(self.relation, one, its) for one, its in zip(found, targets, strict=True)
        )

    def _measured(self, units: Units) -> Any:
        if self.measure == "count":
            return len(units)
        if self.measure == "units":
            return units
        if isinstance(self.position, int):
            return at(units, self.position)
        return [at(units, index) for index in self.position or ()]


class All(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="all"):
    """All of several constraints, each with the target at its place."""

    of: list[Constraint]

    def holds(self, text: str, target: Any) -> bool:
        """Whether `text` satisfies every one."""
        return all(part.holds(text, its) for part, its in zip(self.of, target, strict=False))


Tree = Constraint | All


def check(tree: Any, targets: Any, text: str, nltk_data: str) -> bool:
    """Return whether `text` satisfies the plain-data `tree`; runs in a worker process.

    `nltk_data` is the folder that holds NLTK's punkt_tab.
    """
    from longcat_eval.tasks.punkt import use_punkt

    use_punkt(nltk_data)
    constraint: Tree = msgspec.convert(tree, Tree)
    return constraint.holds(text, targets)


def cut(text: Units, level: Level) -> list[Any]:
    """Return the units of a text, or of every text of a list, without white space and full stops around."""
    if isinstance(text, list):
        return [cut(part, level) for part in text]
    return [unit.strip().strip(".") for unit in _CUTS[level](text)]


def _words(text: str) -> list[str]:
    """Tokens of the Penn Treebank less punctuation: a token that is a run of `string.punctuation`."""
    import nltk

    return [token for token in nltk.word_tokenize(text) if token not in string.punctuation]


def _sentences(text: str) -> list[str]:
    import nltk

    found: list[str] = nltk.sent_tokenize(text)
    return found


_CUTS: Mapping[Level, Callable[[str], Sequence[str]]] = {
    "character": list,
    "word": _words,
    "sentence": _sentences,
    "paragraph": lambda text: text.split("\n\n"),
}


def at(units: Units, index: int) -> Any:
    """Return the unit at `index`, None beyond either end."""
    return units[index] if -len(units) <= index < len(units) else None


def related(relation: str, found: Any, target: Any) -> bool:
    """Compare after dropping case and the punctuation around texts; a list of one is compared as that one.

    `in` and `not in` ask for all, or none, of a list of targets.
    """
    found, target = plain(found), plain(target)
    if relation in ("in", "not in"):
        wanted = target if isinstance(target, list) else [target]
        present = [one in found for one in wanted]
        return all(present) if relation == "in" else not any(present)
    if isinstance(target, list) and len(target) == 1:
        target = target[0]
    return _COMPARISONS[relation](found, target)


def plain(value: Any) -> Any:
    """Return a text, or the texts of a list, in lower case and without punctuation and spaces around.

    What is nothing but those stays as it is.
    """
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return _plain(value)


def _plain(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return value.lower().strip(string.punctuation + " ") or value
