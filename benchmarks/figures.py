"""A measured figure beside its target, and the two tables that `make bench` prints."""

from collections.abc import Sequence
from typing import NamedTuple

from measure import Cost


class Figure(NamedTuple):
    """One measurement of ours; `target` is an upper bound, or a lower one where `at_least`."""

    name: str
    value: float
    unit: str
    target: float | None = None
    at_least: bool = False
    note: str = ""

    @property
    def missed(self) -> bool:
        if self.target is None:
            return False
        return self.value < self.target if self.at_least else self.value > self.target


class Tool(NamedTuple):
    """One tool's cost of the common job, and of the same job with a single sample."""

    name: str
    cost: Cost
    start_up: Cost | None
    requests: int

    @property
    def per_request_ms(self) -> float:
        """CPU of one more sample, start-up taken away."""
        start = self.start_up.cpu if self.start_up else 0.0
        return 1000 * (self.cost.cpu - start) / self.requests


def number(value: float) -> str:
    """Three significant digits, or whole thousands with separators."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}" if value < 1 else f"{value:.2f}"


def tools_table(tools: Sequence[Tool]) -> str:
    """The tools beside each other; the first is ours, the ratios are to it."""
    head = (
        *("", "CPU s", "start-up s", "ms/sample", "wall s", "peak MB", "runs"),
        *("CPU / ours", "start-up / ours", "sample / ours"),
    )
    first = tools[0]
    rows = [
        (
            tool.name,
            f"{tool.cost.cpu:.2f}",
            f"{tool.start_up.cpu:.2f}" if tool.start_up else "",
            f"{tool.per_request_ms:.2f}" if tool.start_up else "",
            f"{tool.cost.wall:.2f}",
            f"{tool.cost.peak_mb:.0f}",
            str(tool.cost.runs),
            f"{tool.cost.cpu / first.cost.cpu:.2f}",
            f"{tool.start_up.cpu / first.start_up.cpu:.2f}" if tool.start_up and first.start_up else "",
            f"{tool.per_request_ms / first.per_request_ms:.2f}" if tool.start_up else "",
        )
        for tool in tools
    ]
    return aligned([head, *rows])


def figures_table(figures: Sequence[Figure]) -> str:
    """Our figures beside their targets; a missed one is marked."""
    rows = [("", "measured", "target", "", "")]
    for figure in figures:
        sign = "at least" if figure.at_least else "at most"
        target = "" if figure.target is None else f"{sign} {number(figure.target)}"
        verdict = "" if figure.target is None else "MISSED" if figure.missed else "ok"
        rows.append((figure.name, f"{number(figure.value)} {figure.unit}", target, verdict, figure.note))
    return aligned(rows)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Columns of equal width: names and notes to the left, the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    left = {0} if rows[0][-1] else {0, len(widths) - 1}
    lines = [
        "  ".join(
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])
