"""Paired comparison: the rules by hand, by property, and beside other implementations."""

from itertools import product
from math import isclose
from statistics import NormalDist

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longcat_eval.reports import paired
from longcat_eval.reports.multiple import benjamini_hochberg, holm

Z = NormalDist().inv_cdf(0.975)


def once(*pairs: tuple[float, float]) -> paired.Matched:
    """Questions asked once on either side."""
    base, cand = ({f"q{i}": [pair[side]] for i, pair in enumerate(pairs)} for side in (0, 1))
    return paired.match(base, cand)


def test_questions_are_matched_by_name_and_the_others_listed() -> None:
    matched = paired.match({"a": [1.0], "b": [0.0], "c": []}, {"b": [1.0, 0.0], "c": [1.0], "d": [1.0]})
    assert (matched.names, matched.base, matched.cand) == (("b",), [0.0], [0.5])
    assert (matched.only_base, matched.only_cand, matched.once) == (("a", "c"), ("c", "d"), False)


def test_single_attempts_are_judged_by_mcnemar_and_tango() -> None:
    result = paired.compare(once(*[(1, 0)] * 9, *[(0, 1)] * 1, *[(1, 1)] * 50, *[(0, 0)] * 40))
    assert (result.test, result.interval_method) == ("exact McNemar", "Tango score")
    assert result.p_drop == pytest.approx(11 / 1024)
    assert result.p == pytest.approx(22 / 1024)
    assert result.difference == pytest.approx(-0.08)
    assert result.low is not None
    assert result.high is not None
    assert result.low < -0.08 < result.high < 0


def test_equal_runs_are_no_proof_of_equality() -> None:
    """No question differs: the interval is what n questions allow, z^2 / (n + z^2), not a point."""
    for repeats in (1, 8):
        side = {f"q{i}": [float(i % 2)] * repeats for i in range(100)}
        result = paired.compare(paired.match(side, side))
        assert result.high == pytest.approx(Z * Z / (100 + Z * Z))
        assert result.low == pytest.approx(-Z * Z / (100 + Z * Z))
        assert (result.p, result.p_drop) == (1.0, 1.0)
        margin = paired.p_non_inferior(paired.match(side, side), 0.01)
        assert margin is not None
        assert margin > 0.05


def test_the_same_step_on_every_question_still_has_an_interval() -> None:
    base = {f"q{i}": [1.0, 0.0] for i in range(40)}
    result = paired.compare(paired.match(base, {name: [0.0, 0.0] for name in base}))
    assert result.test == "sign-flip permutation"
    assert result.p_drop == pytest.approx(1e-4)
    assert result.low is not None
    assert result.high is not None
    assert result.low < -0.5 < result.high < 0


def test_many_differing_questions_use_student_t() -> None:
    stats = pytest.importorskip("scipy.stats")
    base = {f"q{i}": [float((i * j) % 3 > 0) for j in range(8)] for i in range(60)}
    cand = {f"q{i}": [float((i * j) % 5 > 1) for j in range(8)] for i in range(60)}
    matched = paired.match(base, cand)
    result = paired.compare(matched)
    theirs = stats.ttest_rel(matched.cand, matched.base)
    interval = theirs.confidence_interval(0.95)
    assert result.test == "paired t"
    assert result.p == pytest.approx(theirs.pvalue)
    assert (result.low, result.high) == pytest.approx((interval.low, interval.high))
    shifted = stats.ttest_1samp(matched.differences, -0.3, alternative="greater")
    assert paired.p_non_inferior(matched, 0.3) == pytest.approx(shifted.pvalue)


def test_one_question_says_nothing() -> None:
    result = paired.compare(once((1, 0)))
    assert (result.difference, result.se, result.p, result.low) == (-1.0, None, None, None)
    assert paired.compare(once()).difference is None


@settings(deadline=None)
@given(st.lists(st.floats(-1, 1).map(lambda x: round(x, 3)), min_size=1, max_size=8))
def test_sign_flips_count_every_pattern(differences: list[float]) -> None:
    sums = [
        sum(s * x for s, x in zip(p, differences, strict=True))
        for p in product((1, -1), repeat=len(differences))
    ]
    observed = sum(differences)
    below = sum(s <= observed + 1e-9 for s in sums) / len(sums)
    above = sum(s >= observed - 1e-9 for s in sums) / len(sums)
    assert paired.sign_flip_tails(differences) == pytest.approx((below, above))


@settings(deadline=None)
@given(st.integers(0, 12), st.integers(0, 12))
def test_mcnemar_is_the_sign_flip_of_ones(gained: int, lost: int) -> None:
    tails = paired.sign_flip_tails([1.0] * gained + [-1.0] * lost)
    if gained + lost <= paired.EXACT_FLIPS:
        assert paired.mcnemar_tail(gained, lost) == pytest.approx(tails[0])
    assert paired.mcnemar_tail(gained, lost) == pytest.approx(tails[0], abs=0.03)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 300), st.data())
def test_tango_interval_inverts_its_own_test(n: int, data: st.DataObject) -> None:
    gained = data.draw(st.integers(0, n))
    lost = data.draw(st.integers(0, n - gained))
    low, high = paired.tango_interval(gained, lost, n, Z)
    assert -1 <= low <= (gained - lost) / n <= high <= 1
    for end, sign in ((low, 1), (high, -1)):
        if -1 < end < 1:
            assert paired.tango_z(gained, lost, n, end) == pytest.approx(sign * Z, abs=1e-4)
    mirrored = paired.tango_interval(lost, gained, n, Z)
    assert (-mirrored[1], -mirrored[0]) == pytest.approx((low, high), abs=1e-9)


@settings(deadline=None)
@given(st.integers(1, 200), st.integers(0, 50), st.integers(0, 50))
def test_tango_at_zero_is_mcnemar_without_correction(same: int, gained: int, lost: int) -> None:
    if gained + lost:
        expected = (gained - lost) / (gained + lost) ** 0.5
        assert isclose(paired.tango_z(gained, lost, same + gained + lost, 0.0), expected, abs_tol=1e-12)


@settings(deadline=None)
@given(
    st.lists(st.lists(st.sampled_from([0.0, 1.0]), min_size=2, max_size=4), min_size=2, max_size=12),
    st.data(),
)
def test_swapping_the_runs_mirrors_the_comparison(base: list[list[float]], data: st.DataObject) -> None:
    cand = [data.draw(st.permutations(values)) for values in base[1:]] + [[1.0]]
    sides = [{f"q{i}": list(values) for i, values in enumerate(side)} for side in (base, cand)]
    there = paired.compare(paired.match(sides[0], sides[1]))
    back = paired.compare(paired.match(sides[1], sides[0]))
    assert there.difference == pytest.approx(-(back.difference or 0.0))
    assert (there.low, there.high) == pytest.approx((-(back.high or 0.0), -(back.low or 0.0)), abs=1e-9)
    assert there.p == pytest.approx(back.p)


def test_corrections_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert benjamini_hochberg([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.04, 0.04])
    assert holm([]) == benjamini_hochberg([]) == []


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_benjamini_hochberg_is_scipys_and_never_above_holm(p: list[float]) -> None:
    stats = pytest.importorskip("scipy.stats")
    ours = benjamini_hochberg(p)
    assert ours == pytest.approx(list(stats.false_discovery_control(p)))
    assert all(x >= y - 1e-12 >= -1e-12 for x, y in zip(holm(p), ours, strict=True))
    assert all(x >= y for x, y in zip(holm(p), p, strict=True))
