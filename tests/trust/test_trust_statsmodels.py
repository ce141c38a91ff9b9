"""statsmodels as an oracle of the statistics that it has too; the package itself never imports it."""

from collections.abc import Sequence
from math import sqrt
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import DescrStatsW, ttost_paired

from longcat_eval.reports import paired, statistics
from longcat_eval.reports.multiple import benjamini_hochberg, holm
from longcat_eval.reports.power import detectable_drop

p_values = st.lists(st.floats(0, 1), min_size=1, max_size=20)
binary = st.sampled_from([0.0, 1.0])
grids = st.tuples(st.integers(2, 15), st.integers(2, 6)).flatmap(
    lambda size: st.lists(
        st.lists(binary, min_size=size[1], max_size=size[1]), min_size=size[0], max_size=size[0]
    )
)


def matched(base: Sequence[Sequence[float]], cand: Sequence[Sequence[float]]) -> paired.Matched:
    return paired.match(*({f"q{i:03}": values for i, values in enumerate(side)} for side in (base, cand)))


def clustered(groups: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Mean of single attempts and its cluster-robust standard error, without statsmodels' own corrections."""
    values = [x for group in groups for x in group]
    names = [i for i, group in enumerate(groups) for _ in group]
    fit = OLS(values, np.ones(len(values))).fit(
        cov_type="cluster", cov_kwds={"groups": np.array(names), "use_correction": False}
    )
    return float(fit.params[0]), float(fit.bse[0])


@settings(deadline=None)
@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson(counts: tuple[int, int]) -> None:
    c, n = counts
    low, high = statistics.wilson(c / n, n, NormalDist().inv_cdf(0.975))
    assert (low, high) == pytest.approx(proportion_confint(c, n, 0.05, "wilson"), abs=1e-9)


@settings(deadline=None)
@given(grids)
def test_the_clustered_error(questions: list[list[float]]) -> None:
    p, se = clustered(questions)
    n = len(questions)
    assert statistics.avg_at_k(questions) == pytest.approx(p)
    assert statistics.clustered_se(statistics.question_means(questions)) == pytest.approx(
        se * sqrt(n / (n - 1)), abs=1e-9
    )


def test_a_ratio_is_the_cluster_robust_mean() -> None:
    parts = [(1.0, 3.0), (2.0, 2.0), (0.0, 1.0), (4.0, 5.0)]
    p, se = clustered([[1.0] * int(s) + [0.0] * int(c - s) for s, c in parts])
    r, error = statistics.ratio_metric(parts)
    assert r == pytest.approx(p)
    assert error == pytest.approx(se * sqrt(len(parts) / (len(parts) - 1)))


@settings(deadline=None)
@given(st.lists(st.floats(0.2, 0.8), min_size=30, max_size=60).filter(lambda means: np.std(means) > 0.01))
def test_the_t_interval(means: list[float]) -> None:
    found = statistics.interval([[m, m] for m in means])
    assert found.method == statistics.CLUSTERED_T
    assert found[:2] == pytest.approx(DescrStatsW(means).tconfint_mean(0.05), abs=1e-9)


@settings(deadline=None, max_examples=6)  # theirs collects garbage in every call
@given(p_values)
def test_holm(p: list[float]) -> None:
    assert holm(p) == pytest.approx(list(multipletests(p, method="holm")[1]))


@settings(deadline=None)
@given(p_values)
def test_benjamini_hochberg(p: list[float]) -> None:
    assert benjamini_hochberg(p) == pytest.approx(list(multipletests(p, method="fdr_bh")[1]))


@settings(deadline=None)
@given(st.integers(0, 40), st.integers(0, 40))
def test_mcnemar(gained: int, lost: int) -> None:
    pairs = [(0.0, 1.0)] * gained + [(1.0, 0.0)] * lost + [(1.0, 1.0), (0.0, 0.0)]
    result = paired.compare(matched([[a] for a, _ in pairs], [[b] for _, b in pairs]))
    assert result.p == pytest.approx(mcnemar([[1, gained], [lost, 1]], exact=True).pvalue)


@settings(deadline=None)
@given(st.integers(0, 1000), st.floats(0.01, 0.2))
def test_non_inferiority_is_the_lower_half_of_an_equivalence_test(seed: int, margin: float) -> None:
    rng = np.random.default_rng(seed)
    base, cand = rng.binomial(8, rng.beta(2, 2, 60), (2, 60)) / 8
    sides = matched([[x, x] for x in base], [[x, x] for x in cand])
    _, (_, lower, _), _ = ttost_paired(cand, base, -margin, 1.0)
    assert paired.p_non_inferior(sides, margin) == pytest.approx(float(lower), abs=1e-9)


@settings(deadline=None)
@given(st.integers(0, 1000))
def test_the_paired_t_test(seed: int) -> None:
    rng = np.random.default_rng(seed)
    base, cand = rng.random((2, 80))
    result = paired.compare(matched([[x, x] for x in base], [[x, x] for x in cand]))
    theirs = DescrStatsW(cand - base)
    assert result.test == "paired t"
    assert result.p == pytest.approx(theirs.ttest_mean(0)[1])
    assert result.p_drop == pytest.approx(theirs.ttest_mean(0, alternative="smaller")[1])
    assert (result.low, result.high) == pytest.approx(theirs.tconfint_mean(0.05))


@pytest.mark.parametrize(("se", "n"), [(0.016, 30), (0.010, 198), (0.031, 50), (0.055, 80)])
def test_the_smallest_drop_has_the_power_it_says(se: float, n: int) -> None:
    """By the noncentral t, without the step of exact tests; our normal end costs under a point of power."""
    drop = detectable_drop(se, n, 10**9, 0.0, 0.05, 0.8, n - 1)
    assert drop is not None
    power = TTestPower().power(drop / (se * sqrt(n)), n, 0.05, alternative="larger")
    assert power == pytest.approx(0.8, abs=0.01)
