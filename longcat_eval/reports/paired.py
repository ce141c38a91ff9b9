"""Two runs on the same questions: the difference, its interval, and what can be said of it.

Notation: m_i is the mean over the repeats of question i, d_i = m_i(candidate) - m_i(baseline), D the mean of
d_i over the n questions that both runs have a valid attempt of. All are shares in [-1, 1]; a drop is D < 0.
"""

from collections.abc import Callable, Mapping, Sequence
from math import fsum, sqrt
from statistics import NormalDist
from typing import NamedTuple

from longcat_eval.reports.statistics import CONFIDENCE, NO_SPREAD, mean, question_means, t_quantile

FEW = 30
"""With fewer questions that differ, Student's t is no longer trusted and signs are flipped instead."""
EXACT_FLIPS = 14
"""Up to so many differing questions all 2^n sign patterns are counted, beyond it `FLIPS` drawn ones."""
FLIPS = 9_999

PAIRED_T, SIGN_FLIP, MCNEMAR = "paired t", "sign-flip permutation", "exact McNemar"
TANGO = "Tango score"

Questions = Mapping[str, Sequence[float]]
"""Values of the valid attempts by question."""


class Matched(NamedTuple):
    """The questions both sides have, in a fixed order, and those only one has."""

    names: tuple[str, ...]
    base: list[float]
    cand: list[float]
    only_base: tuple[str, ...]
    only_cand: tuple[str, ...]
    once: bool

    @property
    def differences(self) -> list[float]:
        """d_i of every matched question."""
        return [b - a for a, b in zip(self.base, self.cand, strict=True)]


class Comparison(NamedTuple):
    """D with its standard error, interval and tests; `test` and `interval_method` name their rules.

    `p` is two-sided for D = 0 and `p_drop` one-sided against a drop (small where D < 0 is sure); None where
    nothing can be said (no or one question). `differing` counts the questions with d_i other than zero.
    """

    n: int
    base: float | None
    cand: float | None
    difference: float | None
    se: float | None
    low: float | None
    high: float | None
    interval_method: str
    p: float | None
    p_drop: float | None
    test: str
    differing: int


def match(base: Questions, cand: Questions) -> Matched:
    """Pair the questions of two runs by their id; questions without a valid attempt are in neither."""
    names = tuple(sorted(name for name in base.keys() & cand.keys() if base[name] and cand[name]))
    once = all(len(base[name]) == len(cand[name]) == 1 for name in names)
    binary = all(x in (0.0, 1.0) for name in names for x in (*base[name], *cand[name]))
    return Matched(
        names,
        question_means([base[name] for name in names]),
        question_means([cand[name] for name in names]),
        tuple(sorted(base.keys() - set(names))),
        tuple(sorted(cand.keys() - set(names))),
        once and binary,
    )


def compare(matched: Matched, confidence: float = CONFIDENCE) -> Comparison:
    """Compare two runs question by question.

    Interval: D -+ t(n-1) SE with SE^2 = sum (d_i - D)^2 / (n (n - 1)) (paired t; Miller 2024, arXiv
    2411.00640). Where every attempt is the only one of its question and right or wrong, or all d_i are equal,
    so that SE is zero: Tango's score interval (1998, Statistics in Medicine 17:891).
    Test: exact McNemar for such single attempts; with fewer than `FEW` differing questions the permutation of
    signs; else the paired t test.
    """
    differences = matched.differences
    n = len(differences)
    if n == 0:
        return Comparison(0, None, None, None, None, None, None, "", None, None, "", 0)
    d = mean(differences)
    ends = mean(matched.base), mean(matched.cand)
    differing = sum(abs(x) > NO_SPREAD for x in differences)
    if n == 1:
        return Comparison(1, *ends, d, None, None, None, "", None, None, "", differing)
    se = difference_se(differences)
    low, high, method = _interval(matched, d, se, confidence)
    p, p_drop, test = _test(matched, d, se, differing)
    return Comparison(n, *ends, d, se, low, high, method, p, p_drop, test, differing)


def difference_se(differences: Sequence[float]) -> float:
    """Clustered standard error of D over new questions, from two differences or more."""
    n, d = len(differences), mean(differences)
    return sqrt(fsum((x - d) ** 2 for x in differences) / (n * (n - 1)))


def lower_bound(matched: Matched, alpha: float) -> float | None:
    """One-sided lower confidence bound of D at level 1 - alpha, by the rule of `compare`; None below two
    questions.
    """
    differences = matched.differences
    if len(differences) < 2:
        return None
    d, se = mean(differences), difference_se(differences)
    return _interval(matched, d, se, 1 - 2 * alpha)[0]


def p_non_inferior(matched: Matched, margin: float) -> float | None:
    """One-sided p value of H0: D <= -margin; small means the drop is smaller than the margin."""
    differences = matched.differences
    n = len(differences)
    if n < 2:
        return None
    d, se = mean(differences), difference_se(differences)
    if matched.once or se < NO_SPREAD:
        gained, lost = _moves(differences)
        return NormalDist().cdf(-tango_z(gained, lost, n, max(-1.0, -margin)))
    return t_tail((d + margin) / se, n - 1)


def t_tail(statistic: float, df: int) -> float:
    """P(T >= statistic) of Student's t with `df` degrees of freedom."""
    from scipy.special import stdtr

    return float(stdtr(df, -statistic))


def _interval(matched: Matched, d: float, se: float, confidence: float) -> tuple[float, float, str]:
    n = len(matched.names)
    if matched.once or se < NO_SPREAD:
        gained, lost = _moves(matched.differences)
        return *tango_interval(gained, lost, n, NormalDist().inv_cdf((1 + confidence) / 2)), TANGO
    half = t_quantile((1 + confidence) / 2, n - 1) * se
    return max(-1.0, d - half), min(1.0, d + half), PAIRED_T


def _test(matched: Matched, d: float, se: float, differing: int) -> tuple[float, float, str]:
    """Two-sided p, one-sided p against a drop, and the test's name."""
    differences = matched.differences
    if matched.once:
        gained, lost = map(round, _moves(differences))
        p_drop, p_gain = mcnemar_tail(gained, lost), mcnemar_tail(lost, gained)
        return min(1.0, 2 * min(p_drop, p_gain)), p_drop, MCNEMAR
    if differing < FEW or se < NO_SPREAD:
        p_drop, p_gain = sign_flip_tails([x for x in differences if abs(x) > NO_SPREAD])
        return min(1.0, 2 * min(p_drop, p_gain)), p_drop, SIGN_FLIP
    p_gain = t_tail(d / se, len(differences) - 1)
    return min(1.0, 2 * min(p_gain, 1 - p_gain)), 1 - p_gain, PAIRED_T


def _moves(differences: Sequence[float]) -> tuple[float, float]:
    """What was gained and what was lost, in questions."""
    return fsum(x for x in differences if x > 0), fsum(-x for x in differences if x < 0)


def mcnemar_tail(gained: int, lost: int) -> float:
    """Chance that of gained + lost fair coins at most `gained` fall on that side (McNemar 1947, exact)."""
    from scipy.special import bdtr

    return float(bdtr(gained, gained + lost, 0.5)) if gained + lost else 1.0


def sign_flip_tails(differences: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """P(sum <= observed) and P(sum >= observed) when each difference may have either sign.

    All 2^n patterns up to `EXACT_FLIPS` differences, else `FLIPS` drawn ones and the observed one.
    """
    import numpy as np

    x = np.asarray(differences, dtype=float)
    if not x.size:
        return 1.0, 1.0
    observed, near = float(x.sum()), 1e-9 * float(np.abs(x).sum())
    if x.size <= EXACT_FLIPS:
        patterns = (np.arange(2**x.size)[:, None] >> np.arange(x.size)) & 1
        sums, extra = (1 - 2 * patterns) @ x, 0
    else:
        flips = np.random.default_rng(seed).integers(0, 2, size=(FLIPS, x.size))
        sums, extra = (1 - 2 * flips) @ x, 1
    total = sums.size + extra
    below, above = int((sums <= observed + near).sum()), int((sums >= observed - near).sum())
    return (below + extra) / total, (above + extra) / total


def tango_z(gained: float, lost: float, n: int, difference: float) -> float:
    """Score statistic of H0: D = difference for paired right-or-wrong answers (Tango 1998, eq. 8).

    `gained` and `lost` count the questions right on one side alone; infinite where H0 is impossible.
    """
    numerator = gained - lost - n * difference
    b = -gained - lost + (2 * n - gained + lost) * difference
    c = -lost * difference * (1 - difference)
    only_lost = (sqrt(max(0.0, b * b - 8 * n * c)) - b) / (4 * n)
    variance = n * (2 * only_lost + difference * (1 - difference))
    if variance <= 0:
        return 0.0 if abs(numerator) < NO_SPREAD else numerator / abs(numerator) * float("inf")
    return numerator / sqrt(variance)


def tango_interval(gained: float, lost: float, n: int, z: float) -> tuple[float, float]:
    """The differences that Tango's score test does not reject at the quantile z."""
    d = (gained - lost) / n
    low = _solve(lambda x: tango_z(gained, lost, n, x) <= z, -1.0, d)
    high = _solve(lambda x: tango_z(gained, lost, n, x) < -z, d, 1.0)
    return low, high


def _solve(beyond: Callable[[float], bool], low: float, high: float) -> float:
    """Where a rule that is false at `low` begins to be true; bisection to double precision."""
    if beyond(low):
        return low
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if beyond(middle) else (middle, high)
    return (low + high) / 2
