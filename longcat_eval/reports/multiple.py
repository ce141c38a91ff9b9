"""Several tests at once: Holm where an error blocks, Benjamini-Hochberg where it only points."""

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values that bound the chance of any false alarm (Holm 1979, Scand. J. Statistics 6:65)."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values that bound the share of false alarms (Benjamini and Hochberg 1995, JRSS B 57:289)."""
    total = len(p_values)
    order = sorted(range(total), key=p_values.__getitem__, reverse=True)
    adjusted, lowest = [1.0] * total, 1.0
    for rank, index in zip(range(total, 0, -1), order, strict=True):
        lowest = min(lowest, p_values[index] * total / rank)
        adjusted[index] = lowest
    return adjusted
