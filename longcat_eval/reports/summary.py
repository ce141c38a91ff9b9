"""What `run` prints when it ends: the table, then how the attempts ended and what they took."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from longcat_eval.records import Outcome
from longcat_eval.reports.notes import short_label
from longcat_eval.reports.render_table import QUIET, hanging, table_renderable
from longcat_eval.reports.rows import ResultRow, total_cost
from longcat_eval.reports.table import Table, build_table

if TYPE_CHECKING:
    from longcat_eval.runners.store import RunData

INDENT = 10
NO_ANSWER_LIMIT = 0.02
"""Above this share of replies without an answer, the score is partly about their form."""
USER_LIMIT = 5.0
"""Percent of attempts; above, the score is partly about the user simulator."""
USER_FAULTS = {
    "user_fault": "the user simulator made a fault in",
    "premature_stop": "the user simulator seems to have stopped before the agent was done in",
}
"""What tasks with a simulated user call such shares of attempts, and how a warning says them."""


def render_run_summary(console: Console, runs: Sequence["RunData"], compare: Iterable[str] = ()) -> None:
    """Print the table of `runs` beside the published columns `compare`, then a few lines per run."""
    table = build_table(runs, compare, allow_mixed=True)
    console.print(table_renderable(table, console.width))
    for number, run in enumerate(runs, 1):
        console.print()
        if len(runs) > 1:
            console.print(Text(str(run.path), style="bold"))
        for name, text, style in run_lines(table, number):
            console.print(hanging(f"{name:<{INDENT}}{text}", console.width, INDENT, style))


def run_lines(table: Table, run: int) -> list[tuple[str, str, str]]:
    """Outcomes, warnings, and tokens, cost and time of run number `run`, each with its name and style."""
    index = next(i for i, column in enumerate(table.columns) if column.run == run)
    found = [(short_label(row.label), row.cells[index].result) for row in table.rows]
    results = [(label, result) for label, result in found if result is not None]
    return [
        ("outcomes", _outcomes(result for _, result in results), ""),
        *(("warning", text, "yellow") for label, result in results for text in _warnings(label, result)),
        ("usage", _usage([result for _, result in results]), QUIET),
    ]


def _outcomes(results: Iterable[ResultRow]) -> str:
    counts: Counter[str] = Counter()
    for result in results:
        counts.update(result.outcomes)
    return ", ".join(f"{name} {counts[name]:,}" for name in Outcome if counts[name]) or "none"


def _warnings(label: str, result: ResultRow) -> Iterable[str]:
    silent = result.outcomes.get(Outcome.NO_ANSWER, 0)
    if result.valid and silent > NO_ANSWER_LIMIT * result.valid:
        yield (
            f"{label}: {silent:,} of {result.valid:,} replies hold no answer "
            f"({100 * silent / result.valid:.1f} %); read some before trusting the score"
        )
    if broken := result.outcomes.get(Outcome.SIMULATOR_ERROR, 0):
        yield (
            f"{label}: the user simulator failed in {broken:,} of {result.attempts:,} attempts, which "
            f"have no score; read some (show --outcome {Outcome.SIMULATOR_ERROR})"
        )
    if broken := result.outcomes.get(Outcome.JUDGE_ERROR, 0):
        yield (
            f"{label}: {broken:,} of {result.attempts:,} attempts have no verdict of their judge, hence no "
            "score; the same command judges them again, without asking the model again"
        )
    for name, what in USER_FAULTS.items():
        if (share := result.metrics.get(name, 0.0)) > USER_LIMIT:
            yield f"{label}: {what} {share:.1f} % of the attempts; read some before trusting the score"


def _usage(results: Sequence[ResultRow]) -> str:
    prompt, completion = (sum(result.tokens[i] for result in results) for i in (0, 1))
    cost = total_cost(result.cost for result in results)
    seconds = sum(result.seconds for result in results)
    attempts = sum(sum(result.outcomes.values()) for result in results)
    parts = [
        f"{_tokens(prompt)} tokens in, {_tokens(completion)} out",
        ("cost unknown (no price set)" if cost is None else f"${cost:,.2f}") + _by_role(results),
        f"{_duration(seconds)} summed over attempts",
    ]
    if attempts:
        parts.append(f"{seconds / attempts:.1f} s each")
    return " · ".join(parts)


def _by_role(results: Sequence[ResultRow]) -> str:
    """` (agent $1.20, judge $9.80)`; nothing where no role's cost is known."""
    roles = dict.fromkeys(role for result in results for role in result.role_costs)
    costs = {role: total_cost(r.role_costs.get(role, 0.0) for r in results) for role in roles}
    if not any(cost for cost in costs.values()):
        return ""
    said = (f"{role} {'unknown' if cost is None else f'${cost:,.2f}'}" for role, cost in costs.items())
    return f" ({', '.join(said)})"


def _tokens(count: int) -> str:
    for size, unit in ((1_000_000_000, "G"), (1_000_000, "M"), (10_000, "k")):
        if count >= size:
            return f"{count / (1000 if unit == 'k' else size):.1f} {unit}"
    return f"{count:,}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{seconds:.1f} s"
