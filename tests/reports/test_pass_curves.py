"""pass@j and pass^j of one run, for every j up to k."""

from itertools import combinations
from statistics import fmean

import pytest

from longcat_eval.reports.statistics import avg_at_k, pass_metrics

RAGGED = [[1.0, 0.0, 1.0, 1.0, 0.0], [0.0] * 5, [1.0] * 5, [0.0, 0.0, 1.0], [1.0, 0.0, 0.0, 1.0]]
"""Five questions with three to five valid attempts each."""


def drawn(values: list[float], j: int, rule: object) -> float:
    """The definition itself: over all draws of j attempts, the share of which any (all) are right."""
    return fmean(float(rule(draw)) for draw in combinations(values, j))  # type: ignore[operator]


@pytest.mark.parametrize(("name", "rule"), [("pass@", any), ("pass^", all)])
def test_each_point_is_the_mean_over_all_draws(name: str, rule: object) -> None:
    metrics = pass_metrics(RAGGED, 5, 5)
    for j in (1, 2, 3):
        assert metrics[f"{name}{j}"] == pytest.approx(fmean(drawn(v, j, rule) for v in RAGGED))


def test_the_first_point_is_the_score() -> None:
    metrics = pass_metrics(RAGGED, 5, 5)
    assert (metrics["pass@1"], metrics["pass^1"]) == pytest.approx((avg_at_k(RAGGED), avg_at_k(RAGGED)))


def test_no_point_is_about_fewer_questions() -> None:
    assert list(pass_metrics(RAGGED, 5, 5)) == [f"pass{kind}{j}" for kind in "@^" for j in (1, 2, 3)]
    assert pass_metrics(RAGGED, 6, 5) == {}, "the sixth question has no valid attempt"
    assert pass_metrics([], 5, 5) == {}


def test_nothing_is_right_or_wrong_where_scores_are_shares() -> None:
    assert pass_metrics([[1.0, 0.5], [0.0, 1.0]], 2, 2) == {}


def test_the_curves_of_a_whole_run() -> None:
    metrics = pass_metrics([[1.0] * c + [0.0] * (8 - c) for c in (8, 7, 4, 0)], 4, 8)
    assert len(metrics) == 16
    assert (metrics["pass^8"], metrics["pass@8"], metrics["pass^1"]) == (0.25, 0.75, 19 / 32)
    rising = [metrics[f"pass@{j}"] for j in range(1, 9)]
    falling = [metrics[f"pass^{j}"] for j in range(1, 9)]
    assert rising == sorted(rising)
    assert falling == sorted(falling, reverse=True)
