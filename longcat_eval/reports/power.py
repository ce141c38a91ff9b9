"""What a comparison could have seen: the smallest drop that it calls a regression with a given power.

All are shares. The variance of D splits into that of the questions' true differences, omega^2, and that of
the attempts within them: n SE^2 = omega^2 + s_A^2 / k_A + s_B^2 / k_B.
"""

from collections.abc import Sequence
from math import ceil, fsum, log2, sqrt
from statistics import NormalDist
from typing import NamedTuple

from longcat_eval.reports.paired import Matched, Questions, difference_se
from longcat_eval.reports.statistics import t_quantile

UNSEEN = 3
"""Where nothing was seen of n, up to 3 of them may be otherwise (the rule of three)."""

PROVABLE = 2.5
"""A margin of so many standard errors is shown with 80 % power at one-sided 5 % if nothing changed."""


class Spread(NamedTuple):
    """omega^2, and for either side the mean variance within a question (None where all have one attempt)."""

    omega2: float | None
    base: float | None
    cand: float | None


def detectable_drop(
    se: float, n: int, attempts: int, margin: float, alpha: float, power: float, df: int | None
) -> float | None:
    """Smallest true drop called regressed with chance `power`; None where no drop can be.

    A regression is a drop beyond `margin` that is significant one-sided at `alpha`, so the estimate must pass
    the larger of margin and t SE plus one attempt (the step in which exact tests move), and does so with the
    wished chance from z SE further on. `df` None stands for the normal quantile. With n questions the exact
    tests need log2(1 / alpha) of them to have dropped. `attempts` of one side
    bound a standard error that is near zero by chance.
    """
    least = ceil(log2(1 / alpha))
    if n < least:
        return None
    seen = max(se, sqrt(UNSEEN) / attempts)
    quantile = NormalDist().inv_cdf(1 - alpha) if df is None else t_quantile(1 - alpha, df)
    drop = max(margin, quantile * seen + 1 / attempts, least / attempts) + NormalDist().inv_cdf(power) * seen
    return drop if drop <= 1 else None


def spread(matched: Matched, base: Questions, cand: Questions) -> Spread:
    """Estimate the parts of the variance from the runs themselves; needs two attempts on every question."""
    n = len(matched.names)
    within = [_within([side[name] for name in matched.names]) for side in (base, cand)]
    if n < 2 or None in within:
        return Spread(None, *(each[0] if each else None for each in within))
    noise = fsum(each[1] for each in within if each)
    return Spread(
        max(0.0, n * difference_se(matched.differences) ** 2 - noise),
        *(each[0] if each else None for each in within),
    )


def _within(questions: Sequence[Sequence[float]]) -> tuple[float, float] | None:
    """Mean over questions of s_i^2, and of s_i^2 / k_i."""
    if not questions or any(len(values) < 2 for values in questions):
        return None
    variances = []
    for values in questions:
        m = fsum(values) / len(values)
        variances.append(fsum((x - m) ** 2 for x in values) / (len(values) - 1))
    shares = [v / len(values) for v, values in zip(variances, questions, strict=True)]
    return fsum(variances) / len(variances), fsum(shares) / len(shares)


def repeats_needed(parts: Spread, n: int, margin: float) -> int | None:
    """Repeats on each side at which the margin is `PROVABLE` standard errors; 0 where no number is enough.

    None where the runs do not tell the variance within questions.
    """
    if parts.omega2 is None or parts.base is None or parts.cand is None:
        return None
    left = n * (margin / PROVABLE) ** 2 - parts.omega2
    return ceil((parts.base + parts.cand) / left) if left > 0 else 0
