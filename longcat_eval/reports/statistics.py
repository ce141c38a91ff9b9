"""Scores and their uncertainty: one number per question first, then over questions.

Notation: x_ij in [0, 1] is repeat j of question i, i = 1..n, j = 1..k_i; m_i is the mean of x_ij over j and
p the mean of m_i. Attempts on one question are not independent, so the unit everywhere is the question.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from math import ceil, comb, fsum, sqrt
from statistics import NormalDist
from typing import NamedTuple

CONFIDENCE = 0.95
EDGE = 0.1
"""Closer than this to 0 or 1 the t interval is too short, and the clustered Wilson interval replaces it."""
NO_SPREAD = 1e-12
"""Equal means differ by rounding only below this."""

TAUS = (0.5, 0.75)
"""Thresholds of G-Pass@k that are told; at 1 it is pass^k, at 1/k pass@k."""

WILSON, CLUSTERED_T, CLUSTERED_WILSON = "wilson", "clustered t", "clustered wilson"
RATIO_T = "ratio t"


class Interval(NamedTuple):
    """A confidence interval within [0, 1] and the rule it comes from."""

    low: float
    high: float
    method: str


def question_means(questions: Sequence[Sequence[float]]) -> list[float]:
    """m_i of every question, each with one value or more; exact sums, so their order does not matter."""
    return [fsum(values) / len(values) for values in questions]


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean, from an exactly rounded sum."""
    return fsum(values) / len(values)


def avg_at_k(questions: Sequence[Sequence[float]]) -> float:
    """Mean over questions of the mean over repeats; `acc` where every k_i is 1."""
    return mean(question_means(questions))


def clustered_se(means: Sequence[float]) -> float | None:
    """Standard error over new questions: SE^2 = sum (m_i - p)^2 / (n (n - 1)); None for one question.

    Equals the cluster-robust standard error with the question as cluster and its C/(C-1) factor at equal k
    (Miller 2024, arXiv 2411.00640).
    """
    n = len(means)
    if n < 2:
        return None
    p = mean(means)
    return sqrt(fsum((m - p) ** 2 for m in means) / (n * (n - 1)))


def rerun_se(questions: Sequence[Sequence[float]]) -> float | None:
    """Standard error of asking the same again: SE^2 = sum (s_i^2 / k_i) / n^2; None where a k_i is 1.

    s_i^2 is the sample variance within question i; for right-or-wrong values s_i^2 / k_i is
    m_i (1 - m_i) / (k_i - 1).
    """
    if not questions or any(len(values) < 2 for values in questions):
        return None
    return sqrt(fsum(_variance(values) / len(values) for values in questions)) / len(questions)


def _variance(values: Sequence[float]) -> float:
    m = mean(values)
    return fsum((x - m) ** 2 for x in values) / (len(values) - 1)


def wilson(p: float, n: float, quantile: float) -> tuple[float, float]:
    """Score interval for a proportion p of n trials (Wilson 1927, JASA 22:209); `quantile` is z, or t.

    Its ends at p = 0 and p = 1 are 0 and 1 exactly.
    """
    z2 = quantile * quantile
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = quantile / (1 + z2 / n) * sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return (0.0 if p <= 0 else max(0.0, centre - half)), (1.0 if p >= 1 else min(1.0, centre + half))


def interval(questions: Sequence[Sequence[float]], confidence: float = CONFIDENCE) -> Interval:
    """Confidence interval of avg@k for new questions of the same kind; at least one question.

    `wilson` on n questions where every m_i is 0 or 1 (k = 1, or repeats that never differ) or where all m_i
    are equal: a spread of zero says nothing, and n coin tosses vary at least as much as n means in [0, 1].
    Else `clustered t`: p -+ t(n-1) SE. Within `EDGE` of 0 or 1 instead `clustered wilson`: Wilson's interval
    with n' = p (1 - p) / SE^2 trials and t(n-1) for z (the effective sample size of survey statistics, as in
    Korn and Graubard 1998, Survey Methodology 24:193). Simulated at 30 x 32, over four spreads of difficulty,
    it covers .90 to .95 at p = .95 (t alone .77 to .95) and .80 to .98 at p = .98 (t alone .45 to .94).
    """
    means = question_means(questions)
    n, p, se = len(means), mean(means), clustered_se(means)
    if se is None or se < NO_SPREAD or all(m in (0.0, 1.0) for m in means):
        return Interval(*wilson(p, n, NormalDist().inv_cdf((1 + confidence) / 2)), WILSON)
    t = t_quantile((1 + confidence) / 2, n - 1)
    if EDGE < p < 1 - EDGE:
        return Interval(max(0.0, p - t * se), min(1.0, p + t * se), CLUSTERED_T)
    return Interval(*wilson(p, p * (1 - p) / se**2, t), CLUSTERED_WILSON)


def t_quantile(probability: float, df: float) -> float:
    """Quantile of Student's t; scipy.special alone, because importing scipy.stats takes thrice as long."""
    from scipy.special import stdtrit

    return float(stdtrit(df, probability))


def pass_at_k(n: int, c: int, k: int) -> float:
    """Chance that at least one of k draws without replacement from n attempts, c of them right, is right.

    1 - C(n - c, k) / C(n, k) (Chen et al. 2021, arXiv 2107.03374, equation 1).
    """
    _check_draw(n, c, k)
    return 1.0 - comb(n - c, k) / comb(n, k)


def pass_hat_k(n: int, c: int, k: int) -> float:
    """Chance that all k draws are right: C(c, k) / C(n, k) (tau-bench, arXiv 2406.12045)."""
    _check_draw(n, c, k)
    return comb(c, k) / comb(n, k)


def pass_metrics(questions: Sequence[Sequence[float]], n: int, k: int) -> dict[str, float]:
    """`pass@j` and `pass^j` for every j <= k, each a mean over all `n` questions; empty if not all values are
    right (1) or wrong (0).

    A j is left out as soon as one of the n questions has fewer than j valid attempts: a mean over the others
    would be over another, mostly easier, set of questions. `pass@1` and `pass^1` equal avg@k.
    """
    counts, deepest = _counts(questions, n, k)
    return {name: _mean(counts, values, n) for name, values in _pass_values(counts, deepest)}


def g_pass_metrics(questions: Sequence[Sequence[float]], n: int, k: int) -> dict[str, float]:
    """`g-pass@j/tau` for `TAUS` and, for even j, `mg-pass@j`: right in most of j draws; for every j >= 2.

    Each is a mean over all `n` questions under the rules of `pass_metrics`.
    """
    counts, deepest = _counts(questions, n, k)
    return {name: _mean(counts, values, n) for name, values in _g_pass_values(counts, deepest)}


def curve_errors(questions: Sequence[Sequence[float]], n: int, k: int) -> dict[str, float]:
    """Standard errors over new questions of `pass_metrics` and `g_pass_metrics`, by their names.

    SE^2 = sum (v_i - v)^2 / (n (n - 1)) with v_i the metric of question i and v their mean; empty for n = 1.
    """
    counts, deepest = _counts(questions, n, k)
    found: dict[str, float] = {}
    for name, values in (*_pass_values(counts, deepest), *_g_pass_values(counts, deepest)):
        v = _mean(counts, values, n)
        squares = fsum(times * (values[key] - v) ** 2 for key, times in counts.items())
        if n > 1:
            found[name] = sqrt(squares / (n * (n - 1)))
    return found


Counts = Counter[tuple[int, int]]
"""Questions by their valid attempts and how many of those are right."""


def _pass_values(counts: Counts, deepest: int) -> Iterator[tuple[str, dict[tuple[int, int], float]]]:
    for name, rule in (("pass@", pass_at_k), ("pass^", pass_hat_k)):
        for j in range(1, deepest + 1):
            yield f"{name}{j}", {(attempts, c): rule(attempts, c, j) for attempts, c in counts}


def _g_pass_values(counts: Counts, deepest: int) -> Iterator[tuple[str, dict[tuple[int, int], float]]]:
    for j in range(2, deepest + 1):
        tails = {(attempts, c): g_pass_at_k(attempts, c, j) for attempts, c in counts}
        for tau in TAUS:
            yield f"g-pass@{j}/{tau:g}", {key: tail[ceil(tau * j)] for key, tail in tails.items()}
        if j % 2 == 0:
            yield f"mg-pass@{j}", {key: mg_pass(tail) for key, tail in tails.items()}


def _mean(counts: Counts, values: Mapping[tuple[int, int], float], n: int) -> float:
    return fsum(times * values[key] for key, times in counts.items()) / n


def _counts(questions: Sequence[Sequence[float]], n: int, k: int) -> tuple[Counts, int]:
    """Questions by attempts and right ones, and the largest j that all of them allow; 0 for none."""
    binary = all(x in (0.0, 1.0) for values in questions for x in values)
    if len(questions) < n or not questions or not binary:
        return Counter(), 0
    counts = Counter((len(values), round(fsum(values))) for values in questions)
    return counts, min(k, *(attempts for attempts, _ in counts))


def g_pass_at_k(n: int, c: int, k: int) -> list[float]:
    """Chance that at least j of k draws without replacement from n attempts, c right, are right; j = 0..k.

    G-Pass@k at tau is entry ceil(tau k), mG-Pass@k `mg_pass` of the list (Liu et al. 2024, arXiv 2412.13147).
    """
    _check_draw(n, c, k)
    total, tails, above = comb(n, k), [0.0] * (k + 1), 0
    for j in range(k, -1, -1):
        above += comb(c, j) * comb(n - c, k - j)
        tails[j] = above / total
    return tails


def mg_pass(tails: Sequence[float]) -> float:
    """mG-Pass@k for even k: the mean of G-Pass@k at i/k for i = k/2 + 1..k, the thresholds above one half."""
    k = len(tails) - 1
    return 2 / k * fsum(tails[k // 2 + 1 :])


def ratio_metric(parts: Sequence[tuple[float, float]]) -> tuple[float, float | None]:
    """R = sum s_i / sum c_i over questions with s_i of c_i points, and its standard error, None for one.

    SE^2 = n / (n - 1) sum (s_i - R c_i)^2 / (sum c_i)^2 (linearised, questions as clusters): instructions of
    IFEval, battles of Arena-Hard. At least one c_i is above 0.
    """
    n, whole = len(parts), fsum(c for _, c in parts)
    r = fsum(s for s, _ in parts) / whole
    if n < 2:
        return r, None
    return r, sqrt(n / (n - 1) * fsum((s - r * c) ** 2 for s, c in parts)) / whole


def ratio_interval(parts: Sequence[tuple[float, float]], confidence: float = CONFIDENCE) -> Interval | None:
    """Interval of `ratio_metric` for new questions: R -+ t(n-1) SE, cut at 0 and 1.

    None for one question, or where all have the same share: a spread of zero says nothing.
    """
    r, se = ratio_metric(parts)
    if se is None or se < NO_SPREAD:
        return None
    half = t_quantile((1 + confidence) / 2, len(parts) - 1) * se
    return Interval(max(0.0, r - half), min(1.0, r + half), RATIO_T)


def _check_draw(n: int, c: int, k: int) -> None:
    if not (0 <= c <= n and 1 <= k <= n):
        raise ValueError(f"cannot draw k={k} of n={n} attempts with c={c} right")


def coverage_bounds(questions: Sequence[Sequence[float]], n: int, k: int) -> tuple[float, float]:
    """Score if every lost attempt of n x k were wrong, and if every one were right."""
    right = fsum(value for values in questions for value in values)
    lost = n * k - sum(len(values) for values in questions)
    return right / (n * k), (right + lost) / (n * k)
