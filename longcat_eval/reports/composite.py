"""Means over benchmarks with fixed weights, and what their uncertainty is: suites and groups of the card."""

from collections.abc import Sequence
from math import fsum, sqrt
from typing import NamedTuple

from longcat_eval.reports.statistics import CONFIDENCE, t_quantile


class Part(NamedTuple):
    """One benchmark: its value or difference, the standard error over questions, and their number."""

    value: float
    se: float
    n: int


class Composite(NamedTuple):
    """The weighted mean of independent benchmarks with its interval; `df` are Satterthwaite's.

    No interval where no part has any spread: that says nothing.
    """

    value: float
    se: float
    low: float | None
    high: float | None
    df: float


def composite(
    parts: Sequence[Part], weights: Sequence[float] | None = None, confidence: float = CONFIDENCE
) -> Composite:
    """Weighted mean of one part or more, each of two questions or more; without weights all count alike.

    SE^2 = sum w_b^2 SE_b^2 with weights that sum to 1; t with (sum v_b)^2 / sum (v_b^2 / (n_b - 1)) degrees
    of freedom, v_b = w_b^2 SE_b^2 (Satterthwaite 1946, Biometrics Bulletin 2:110).
    """
    raw = [1.0] * len(parts) if weights is None else list(weights)
    shares = [w / fsum(raw) for w in raw]
    value = fsum(w * part.value for w, part in zip(shares, parts, strict=True))
    variances = [(w * part.se) ** 2 for w, part in zip(shares, parts, strict=True)]
    total = fsum(variances)
    if total == 0:
        return Composite(value, 0.0, None, None, float("inf"))
    df = total**2 / fsum(v**2 / (part.n - 1) for v, part in zip(variances, parts, strict=True))
    half = t_quantile((1 + confidence) / 2, df) * sqrt(total)
    return Composite(value, sqrt(total), value - half, value + half, df)
