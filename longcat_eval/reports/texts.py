"""The pieces of one of our cells as text, the same in every printed format."""

from longcat_eval.reports.rows import ResultRow


def amount(number: float) -> str:
    """A sum of scores: whole where it is whole, else with two decimals."""
    return str(round(number)) if abs(number - round(number)) < 1e-9 else f"{number:.2f}"


def ratio(result: ResultRow) -> str:
    """Sum of scores over valid attempts: `(693/960)`."""
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
