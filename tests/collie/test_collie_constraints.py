"""What satisfies a constraint: the 13 kinds on texts of our own, the corners of the official semantics."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_collie import groups, pickled, trees

from longcat_eval.tasks.collie.constraints import Constraint, at, check, cut, plain, related
from longcat_eval.tasks.collie.data import read_pickle

KINDS = ("c01", "c02", "c03", "c04", "c05", "c06a", "c07", "c08", "c09", "c10", "c11", "c12", "c14")


@pytest.fixture(scope="module")
def rows() -> dict[str, dict[str, Any]]:
    return {row["group"].partition("_")[2]: row for row in read_pickle(pickled(groups()), "made_up.dill")}


def test_all_thirteen_kinds_are_here() -> None:
    assert tuple(trees()) == KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_tells_what_holds_from_what_does_not(
    kind: str, rows: dict[str, dict[str, Any]], punkt: Path
) -> None:
    _, _, holds, fails = trees()[kind]
    verdicts = [
        check(rows[kind]["constraint"], rows[kind]["targets"], text, str(punkt)) for text in (holds, fails)
    ]
    assert verdicts == [True, False]


def test_a_trees_parts_are_judged_each_with_its_own_target(
    rows: dict[str, dict[str, Any]], punkt: Path
) -> None:
    row = rows["c10"]
    for targets, holds in (([2, 2, 3], True), ([3, 2, 3], False), ([2, 3, 3], False), ([2, 2, 2], False)):
        assert check(row["constraint"], targets, "Ducks walk. Ducks swim well.", str(punkt)) is holds


@pytest.mark.parametrize(
    ("relation", "found", "target", "holds"),
    [
        ("==", "Ducks!", "ducks", True),
        ("==", "...", "...", True),
        ("==", ["A", "b."], ["a", "B"], True),
        ("==", 4, [4], True),
        ("==", None, "ducks", False),
        ("==", [None, "b"], ["a", "b"], False),
        (">=", 4, 4, True),
        ("<=", 5, 4, False),
        ("in", ["the", "ducks"], ["Ducks", "The"], True),
        ("in", ["the", "ducks"], ["ducks", "geese"], False),
        ("in", "ducklings", "duck", True),
        ("not in", ["the", "ducks"], ["geese"], True),
        ("not in", ["the", "Ducks."], "ducks", False),
    ],
)
def test_relations_drop_case_and_outer_punctuation(
    relation: str, found: Any, target: Any, holds: bool
) -> None:
    assert related(relation, found, target) is holds


def test_units_lose_white_space_and_full_stops_around(punkt: Path) -> None:
    from longcat_eval.tasks.punkt import use_punkt

    use_punkt(str(punkt))
    assert cut("a .b", "character") == ["a", "", "", "b"]
    assert cut("Mr. Duck can't, (really) swim...", "word") == [
        "Mr",
        "Duck",
        "ca",
        "n't",
        "really",
        "swim",
        "",
    ]
    assert cut("The U.S. ducks swim. They eat!", "sentence") == ["The U.S. ducks swim", "They eat!"]
    assert cut("One.\n\n Two. \n Three", "paragraph") == ["One", "Two. \n Three"]
    assert cut(cut("A b. C d.", "sentence"), "word") == [["A", "b"], ["C", "d"]]


def test_positions_beyond_the_end_are_nothing() -> None:
    assert [at(["a", "b"], i) for i in (-3, -2, -1, 0, 1, 2)] == [None, "a", "b", "a", "b", None]
    assert at([], 0) is None


def test_every_wants_as_many_targets_as_units() -> None:
    rule = Constraint("paragraph", "units", "==", every=True)
    assert rule.holds("a\n\nb", ["a", "b"])
    assert not rule.holds("a\n\nb\n\nc", ["a", "b"])
    assert rule.holds("a\n\na", "a")


@given(st.text(), st.sampled_from(["==", "in", "not in"]), st.text())
def test_plain_is_done_once_for_all(text: str, relation: str, target: str) -> None:
    assert plain(plain(text)) == plain(text)
    assert related(relation, text, target) == related(relation, plain(text), plain(target))
