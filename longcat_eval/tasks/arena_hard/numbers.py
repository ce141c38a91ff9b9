"""Numbers over games: the score, its official interval, and the win rate at equal style."""

from collections.abc import Sequence
from math import fsum
from statistics import fmean
from typing import TYPE_CHECKING

from longcat_eval.records import Aggregate, AttemptRow, Outcome
from longcat_eval.tasks.arena_hard.judging import VERDICTS
from longcat_eval.tasks.arena_hard.style import difference, fit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WON, OF = "won", "of"
"""The metrics of a row that are points won and points there were."""
PARTS = ("tokens", "headers", "lists", "bold")
STYLE = (*PARTS, *(f"baseline_{name}" for name in PARTS))
ROUNDS, TAIL = 100, 5.0
"""Of the official bootstrap: rounds, and percent cut off at each end."""
HEADLINE = "score"


def aggregate_battles(rows: Sequence[AttemptRow]) -> Aggregate:
    """Return `score` (headline), the same by group, `official_low` and `_high`, `style_equal`, and rates.

    `official_low` and `official_high` are the official 90 % interval: verdicts, decisive ones as three, drawn
    anew 100 times as if they were independent, which they are not (two of one question are alike): it is too
    short. `style_equal` is the chance to win against the baseline at its length and markdown.
    """
    judged = [row for row in rows if row.value is not None]
    valid = [row for row in judged if row.metrics.get(OF)]
    if not valid:
        return Aggregate(HEADLINE, {HEADLINE: fmean(row.value or 0.0 for row in judged)} if judged else {})
    metrics = {HEADLINE: _share(valid)}
    groups = sorted({row.group for row in valid})
    if len(groups) > 1:
        metrics |= {name: _share([row for row in valid if row.group == name]) for name in groups}
    metrics["official_low"], metrics["official_high"] = official_interval(valid)
    if (equal := style_equal(valid)) is not None:
        metrics["style_equal"] = equal
    for outcome in (Outcome.NO_ANSWER, Outcome.LENGTH_LIMIT):
        metrics[outcome.value] = sum(row.outcome is outcome for row in valid) / len(valid)
    return Aggregate(HEADLINE, metrics, ratio=(WON, OF))


def _share(rows: Sequence[AttemptRow]) -> float:
    return fsum(row.metrics[WON] for row in rows) / fsum(row.metrics[OF] for row in rows)


def verdict_points(row: AttemptRow) -> list[float]:
    """The model's points, one number a verdict, three for a decisive one, as the official script counts."""
    if row.extracted is None:
        return [0.0] * round(row.metrics[OF])
    first, second = (VERDICTS[label] for label in row.extracted.split())
    games = ((first.of - first.won, first.of), (second.won, second.of))
    return [won / of for won, of in games for _ in range(round(of))]


def official_interval(rows: Sequence[AttemptRow]) -> tuple[float, float]:
    """The 5 % and 95 % quantiles of the mean over verdicts drawn anew, with a seed that never changes."""
    import numpy as np

    ordered = sorted(rows, key=lambda row: (row.sample, row.repeat))
    points = np.array([point for row in ordered for point in verdict_points(row)])
    drawn = np.random.default_rng(0).integers(0, len(points), (ROUNDS, len(points)))
    low, high = np.percentile(points[drawn].mean(axis=1), [TAIL, 100 - TAIL])
    return float(low), float(high)


def battles(rows: Sequence[AttemptRow]) -> "tuple[NDArray[np.float64], ...] | None":
    """Features, points won and points there were of every row; None where tokens of one are not counted."""
    import numpy as np

    if not all(name in row.metrics for row in rows for name in STYLE):
        return None
    features = [
        difference([row.metrics[name] for name in PARTS], [row.metrics[f"baseline_{name}"] for name in PARTS])
        for row in rows
    ]
    won, of = (np.array([row.metrics[name] for row in rows]) for name in (WON, OF))
    return np.array(features), won, of


def style_equal(rows: Sequence[AttemptRow]) -> float | None:
    """The win rate at the baseline's own length and markdown, by `style.fit`; None where it is not known.

    The official script centres the features over all models in its folder, so that its number depends on who
    else is judged there; here they are 0 where both styles are equal.
    """
    found = battles(rows)
    if found is None:
        return None
    features, won, of = found
    return float(fit([0] * len(rows), features, won, of).win_rates[0])
