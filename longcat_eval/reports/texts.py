"""The pieces of one of our results as text, the same in every printed format."""

from collections.abc import Iterable

from longcat_eval.reports.rows import ResultRow

RATES = ("no_answer", "length_limit")
"""Shares of attempts among a task's metrics; how attempts ended is told elsewhere."""

LONG_CURVE = 8
"""Longer curves of pass^k are printed at powers of two and at their end."""


def amount(number: float) -> str:
    """A sum of scores: whole where it is whole, else with two decimals."""
    return str(round(number)) if abs(number - round(number)) < 1e-9 else f"{number:.2f}"


def ratio(result: ResultRow) -> str:
    """Sum of scores over valid attempts: `(693/960)`; of points, where the score is their ratio."""
    if result.points is not None:
        return f"({amount(result.points[0])}/{amount(result.points[1])} points)"
    return f"({amount(result.correct)}/{result.valid})"


def interval(result: ResultRow) -> str:
    """The interval with one decimal, or nothing where there is none."""
    if result.ci_low is None or result.ci_high is None:
        return ""
    return f"[{result.ci_low:.1f}, {result.ci_high:.1f}]"


def coverage(result: ResultRow) -> str:
    """Share of the expected attempts that are valid, cut and not rounded: 100 only if all are."""
    hundredths = result.valid * 10_000 // result.attempts if result.attempts else 0
    return f"{hundredths / 100:.2f}".rstrip("0").rstrip(".") + " %"


def bounds(result: ResultRow) -> str:
    """Score with all lost attempts wrong and all right: `33.33–35.00`."""
    return f"{result.bounds[0]:.2f}–{result.bounds[1]:.2f}" if result.bounds else ""


def incomplete(result: ResultRow) -> str:
    """`incomplete 98.75 %`, or nothing for a complete result."""
    return "" if result.complete else f"incomplete {coverage(result)}"


def others(result: ResultRow) -> Iterable[str]:
    """The numbers beside the score: percentages with two decimals, plain means with one, the curve.

    Groups that are repositories (`django/django`) are for the JSON report: some benchmarks have forty.
    """
    for name, value in result.metrics.items():
        told = name in (result.headline, *RATES) or (name == "macro" and value == result.value)
        shorter = name.startswith("maj@") and name != f"maj@{result.k}"
        if (
            not told
            and not shorter
            and "/" not in name
            and not name.startswith(("pass@", "pass^", "g-pass@", "mg-pass@"))
        ):
            yield f"{name.replace('_', ' ')} {value:.2f}"
    for name, value in result.means.items():
        yield f"{name.replace('_', ' ')} {value:.1f}"
    yield from curve(result)


def curve(result: ResultRow) -> Iterable[str]:
    """`pass@8 84.00` and `pass^1..8: 58.00 49.10 …`; where they end before k, the reason is said."""
    last = max((j for j in range(1, result.k + 1) if f"pass^{j}" in result.metrics), default=0)
    if not last:
        return
    shown = [j for j in range(1, last + 1) if last <= LONG_CURVE or j & (j - 1) == 0 or j == last]
    name = f"1..{last}" if 1 < last <= LONG_CURVE else ",".join(map(str, shown))
    values = " ".join(f"{result.metrics[f'pass^{j}']:.2f}" for j in shown)
    short = f" (some question has only {last} valid attempt{'s' * (last > 1)})" if last < result.k else ""
    yield f"pass@{last} {result.metrics[f'pass@{last}']:.2f}"
    yield f"pass^{name}: {values}{short}"
