"""The smallest drop that could have been seen."""

import random

import pytest

from longcat_eval.reports.paired import match
from longcat_eval.reports.power import detectable_drop, spread


@pytest.mark.parametrize(
    ("se", "n", "k", "expected"),
    [
        (0.016, 30, 32, 0.039),
        (0.010, 198, 16, 0.025),
        (0.0034, 14_042, 1, 0.0084),
        (0.031, 50, 8, 0.077),
        (0.055, 80, 1, 0.136),
    ],
)
def test_the_figures_of_known_benchmarks(se: float, n: int, k: int, expected: float) -> None:
    """(z_.95 + z_.80) SE, as in the table of planned sizes, and one attempt."""
    expected += 1 / (n * k)
    assert detectable_drop(se, n, n * k, 0.0, 0.05, 0.8, None) == pytest.approx(expected, abs=0.0015)


def test_a_margin_must_be_passed_too() -> None:
    def drop(margin: float) -> float | None:
        return detectable_drop(0.01, 500, 500, margin, 0.05, 0.8, 499)

    assert drop(0.05) == pytest.approx(0.05 + 0.8416 * 0.01, abs=1e-5)
    assert drop(0.001) == drop(0.0)


def test_too_few_questions_see_nothing() -> None:
    assert detectable_drop(0.0, 4, 4, 0.0, 0.05, 0.8, 3) is None
    assert detectable_drop(0.1, 5, 40, 0.0, 0.05, 0.8, 4) is not None
    assert detectable_drop(0.1, 6, 48, 0.0, 0.01, 0.8, 5) is None


def test_equal_runs_do_not_see_everything() -> None:
    drop = detectable_drop(0.0, 500, 500, 0.0, 0.05, 0.8, 499)
    assert drop is not None
    assert drop >= 5 / 500


def test_the_variance_is_split_into_its_parts() -> None:
    """Questions of true rates m and m + e with sd(e) = .1: omega^2 = .01, s^2 = mean m (1 - m)."""
    rng, n, k = random.Random(5), 4000, 8
    rates = [
        (m, min(1.0, max(0.0, m + rng.gauss(0, 0.1)))) for m in (rng.uniform(0.3, 0.7) for _ in range(n))
    ]
    base, cand = (
        {f"q{i}": [float(rng.random() < pair[side]) for _ in range(k)] for i, pair in enumerate(rates)}
        for side in (0, 1)
    )
    parts = spread(match(base, cand), base, cand)
    assert parts.omega2 == pytest.approx(0.01, abs=0.004)
    assert parts.base == pytest.approx(sum(m * (1 - m) for m, _ in rates) / n, abs=0.006)
    assert spread(match(base, base), {q: v[:1] for q, v in base.items()}, base).omega2 is None
