"""The estimators against independent implementations, brute force and simulation."""

from collections.abc import Callable
from itertools import combinations, product
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from longcat_eval.reports import statistics as s

share = st.floats(0, 1)
binary = st.sampled_from([0.0, 1.0])
ragged = st.lists(st.lists(share, min_size=1, max_size=6), min_size=1, max_size=12)
grid = st.integers(2, 6).flatmap(
    lambda k: st.lists(st.lists(binary, min_size=k, max_size=k), min_size=2, max_size=15)
)


@given(ragged)
def test_avg_at_k_is_the_mean_of_means(questions: list[list[float]]) -> None:
    assert s.avg_at_k(questions) == pytest.approx(np.mean([np.mean(values) for values in questions]))


@given(ragged, st.randoms(use_true_random=False))
def test_the_order_of_attempts_changes_no_bit(questions: list[list[float]], random: Random) -> None:
    shuffled = [random.sample(values, len(values)) for values in random.sample(questions, len(questions))]
    assert s.avg_at_k(shuffled) == s.avg_at_k(questions)
    assert s.interval(shuffled) == s.interval(questions)


@given(grid)
def test_clustered_se_is_the_sandwich_estimator(questions: list[list[float]]) -> None:
    """Cluster-robust variance of a regression on a constant, from single attempts, times C/(C-1)."""
    x = np.array(questions)
    residuals = x - x.mean()
    c, total = len(x), x.size
    sandwich = (residuals.sum(axis=1) ** 2).sum() / total**2 * c / (c - 1)
    assert s.clustered_se(s.question_means(questions)) == pytest.approx(np.sqrt(sandwich), abs=1e-12)


@given(st.lists(share, min_size=2, max_size=30))
def test_clustered_se_is_the_standard_error_of_the_means(means: list[float]) -> None:
    assert s.clustered_se(means) == pytest.approx(stats.sem(means), abs=1e-12)


@given(grid)
def test_rerun_se_of_right_or_wrong_values(questions: list[list[float]]) -> None:
    x = np.array(questions)
    m, k = x.mean(axis=1), x.shape[1]
    assert s.rerun_se(questions) == pytest.approx(np.sqrt((m * (1 - m) / (k - 1)).sum()) / len(x), abs=1e-12)


def test_a_single_question_or_try_has_no_such_error() -> None:
    assert s.clustered_se([0.5]) is None
    assert s.rerun_se([[1.0], [0.0, 1.0]]) is None
    assert s.rerun_se([]) is None


def test_both_errors_are_the_spreads_they_claim_to_be() -> None:
    """AIME-shaped: asked again the score moves by the one, with other questions by the other."""
    rng = np.random.default_rng(3)
    difficulty = rng.beta(1.4, 0.6, 30)
    again = [rng.binomial(32, difficulty).mean() / 32 for _ in range(3000)]
    other = [rng.binomial(32, rng.beta(1.4, 0.6, 30)).mean() / 32 for _ in range(3000)]
    estimates = [
        (s.rerun_se(q), s.clustered_se(s.question_means(q)))
        for q in (
            (rng.random((30, 32)) < rng.beta(1.4, 0.6, (30, 1))).astype(float).tolist() for _ in range(300)
        )
    ]
    assert np.mean([float(a or 0) for a, _ in estimates]) == pytest.approx(np.std(again), rel=0.1)
    assert np.mean([float(b or 0) for _, b in estimates]) == pytest.approx(np.std(other), rel=0.1)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_scipys(counts: tuple[int, int]) -> None:
    c, n = counts
    theirs = stats.binomtest(c, n).proportion_ci(0.95, method="wilson")
    ours = s.interval([[1.0]] * c + [[0.0]] * (n - c))
    assert ours.method == s.WILSON
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@given(st.lists(st.floats(0.2, 0.8), min_size=3, max_size=30))
def test_the_t_interval_is_scipys(means: list[float]) -> None:
    if np.ptp(means) < 1e-6:
        return
    ours = s.interval([[m] for m in means])
    low, high = stats.t.interval(0.95, len(means) - 1, np.mean(means), stats.sem(means))
    assert ours.method == s.CLUSTERED_T
    assert (ours.low, ours.high) == pytest.approx((max(0, low), min(1, high)), abs=1e-9)


@given(ragged)
def test_an_interval_holds_its_estimate_and_is_never_empty(questions: list[list[float]]) -> None:
    low, high, method = s.interval(questions)
    assert 0 <= low <= s.avg_at_k(questions) + 1e-12
    assert s.avg_at_k(questions) - 1e-12 <= high <= 1
    assert high > low
    assert method in (s.WILSON, s.CLUSTERED_T, s.CLUSTERED_WILSON)


@pytest.mark.parametrize(
    ("questions", "method"),
    [
        ([[1.0, 1.0]] * 30, s.WILSON),
        ([[0.0] * 8] * 20 + [[1.0] * 8] * 30, s.WILSON),
        ([[0.3]] * 9, s.WILSON),
        ([[0.5, 1.0]], s.WILSON),
        ([[0.0, 1.0], [1.0, 1.0]] * 15, s.CLUSTERED_T),
        ([[1.0] * 32] * 29 + [[1.0] * 31 + [0.0]], s.CLUSTERED_WILSON),
    ],
)
def test_which_rule_is_used(questions: list[list[float]], method: str) -> None:
    assert s.interval(questions).method == method


def test_a_perfect_score_of_repeats_is_not_certain() -> None:
    low, high, _ = s.interval([[1.0] * 32] * 30)
    assert high == 1.0
    assert low == pytest.approx(stats.binomtest(30, 30).proportion_ci(method="wilson").low)


Draw = Callable[[np.random.Generator, int], np.ndarray]
SHAPES: dict[str, tuple[float, Draw]] = {
    "spread": (0.70, lambda rng, n: rng.beta(1.4, 0.6, n)),
    "bimodal": (0.50, lambda rng, n: (rng.random(n) < 0.5).astype(float)),
    "alike": (0.40, lambda rng, n: np.full(n, 0.4)),
    "narrow": (0.60, lambda rng, n: rng.beta(6, 4, n)),
}


def covered(draw: Draw, p: float, n: int, k: int, trials: int = 800) -> float:
    rng = np.random.default_rng(11)
    hits = 0
    for _ in range(trials):
        x = rng.random((n, k)) < draw(rng, n)[:, None]
        low, high, _ = s.interval(x.astype(float).tolist())
        hits += low <= p <= high
    return hits / trials


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("n", "k"), [(30, 32), (50, 8), (100, 1)])
def test_the_interval_covers(shape: str, n: int, k: int) -> None:
    p, draw = SHAPES[shape]
    assert covered(draw, p, n, k) >= 0.93


def test_near_one_the_replacement_covers_what_t_does_not() -> None:
    def draw(rng: np.random.Generator, n: int) -> np.ndarray:
        return (rng.random(n) < 0.95).astype(float)

    def t_alone(questions: list[list[float]], confidence: float = 0.95) -> bool:
        means = np.mean(questions, axis=1)
        low, high = stats.t.interval(confidence, len(means) - 1, means.mean(), max(stats.sem(means), 1e-12))
        return bool(low <= 0.95 <= high)

    rng = np.random.default_rng(5)
    samples = [(rng.random((30, 1)) < 0.95).astype(float).repeat(32, axis=1).tolist() for _ in range(500)]
    assert np.mean([t_alone(q) for q in samples]) < 0.85
    assert covered(draw, 0.95, 30, 32) >= 0.93


@pytest.mark.parametrize("n", range(1, 7))
def test_pass_at_k_and_pass_hat_k_count_the_draws(n: int) -> None:
    for c, k in product(range(n + 1), range(1, n + 1)):
        draws = list(combinations([1] * c + [0] * (n - c), k))
        assert s.pass_at_k(n, c, k) == pytest.approx(np.mean([any(d) for d in draws]))
        assert s.pass_hat_k(n, c, k) == pytest.approx(np.mean([all(d) for d in draws]))


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_is_codex_product(numbers: tuple[int, int, int]) -> None:
    n, c, k = numbers
    product_form = 1.0 if n - c < k else 1.0 - np.prod(1.0 - k / np.arange(n - c + 1, n + 1))
    assert s.pass_at_k(n, c, k) == pytest.approx(product_form, abs=1e-9)


@pytest.mark.parametrize(("n", "c", "k"), [(4, 5, 1), (4, 2, 5), (4, 2, 0), (4, -1, 1)])
def test_an_impossible_draw_is_refused(n: int, c: int, k: int) -> None:
    with pytest.raises(ValueError, match="cannot draw"):
        s.pass_at_k(n, c, k)


@given(st.lists(st.lists(binary, max_size=3), min_size=1, max_size=4))
def test_bounds_are_the_extremes_over_all_ways_the_lost_attempts_could_end(
    questions: list[list[float]],
) -> None:
    n, k = len(questions), 3
    lost = n * k - sum(map(len, questions))
    right = sum(map(sum, questions))
    possible = [(right + extra) / (n * k) for extra in range(lost + 1)]
    assert s.coverage_bounds(questions, n, k) == pytest.approx((min(possible), max(possible)))


@given(grid)
def test_errors_of_curves_are_the_spread_of_their_questions(questions: list[list[float]]) -> None:
    n, k = len(questions), len(questions[0])
    found = s.curve_errors(questions, n, k)
    values = s.pass_metrics(questions, n, k) | s.g_pass_metrics(questions, n, k)
    assert found.keys() == values.keys()
    for j in range(1, k + 1):
        each = [s.pass_at_k(k, round(sum(question)), j) for question in questions]
        assert values[f"pass@{j}"] == pytest.approx(np.mean(each))
        assert found[f"pass@{j}"] == pytest.approx(stats.sem(each), abs=1e-12)
    assert found["pass^1"] == pytest.approx(s.clustered_se(s.question_means(questions)), abs=1e-12)


def test_one_question_has_no_error_of_its_curve() -> None:
    assert s.curve_errors([[1.0, 0.0]], 1, 2) == {}
    assert s.curve_errors([[0.5, 1.0], [1.0, 1.0]], 2, 2) == {}
