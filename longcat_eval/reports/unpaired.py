"""Two results of which one has no questions to pair: a published value, or a summary of numbers alone.

What is asked is whether the same questions, asked again, would give the other number. Where the noise of that
is not known, its bound is taken: the mean of m_i (1 - m_i) is at most p (1 - p).
"""

from math import sqrt
from statistics import NormalDist
from typing import NamedTuple

from longcat_eval.reports.paired import Comparison
from longcat_eval.reports.statistics import CONFIDENCE

UNPAIRED, NORMAL = "unpaired z", "normal"


class Result(NamedTuple):
    """A score (a share) of n questions asked k times each; `se` its standard error, None where unknown."""

    value: float
    n: int
    k: int
    se: float | None = None

    @property
    def noise(self) -> float:
        """The standard error, or its bound from p (1 - p) / (n k), with p drawn to 1/2 as by two more right
        and two more wrong attempts (Agresti and Coull 1998), so that 0 and 1 are not taken for certain.
        """
        if self.se is not None and self.se > 0:
            return self.se
        attempts = self.n * self.k
        p = (self.value * attempts + 2) / (attempts + 4)
        return sqrt(p * (1 - p) / attempts)


def compare_unpaired(base: Result, cand: Result, confidence: float = CONFIDENCE) -> Comparison:
    """The difference of two independent results with a normal interval and test."""
    normal = NormalDist()
    d, se = cand.value - base.value, sqrt(base.noise**2 + cand.noise**2)
    half = normal.inv_cdf((1 + confidence) / 2) * se
    p_drop = normal.cdf(d / se)
    return Comparison(
        n=min(base.n, cand.n),
        base=base.value,
        cand=cand.value,
        difference=d,
        se=se,
        low=max(-1.0, d - half),
        high=min(1.0, d + half),
        interval_method=NORMAL,
        p=min(1.0, 2 * min(p_drop, 1 - p_drop)),
        p_drop=p_drop,
        test=UNPAIRED,
        differing=0,
    )


def p_non_inferior_unpaired(comparison: Comparison, margin: float) -> float | None:
    """One-sided p value of H0: D <= -margin."""
    if comparison.difference is None or not comparison.se:
        return None
    return NormalDist().cdf(-(comparison.difference + margin) / comparison.se)
