"""Numbers over the attempts of a bridged task: means, and lm-eval's own functions where there is no mean."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from math import exp, inf, isfinite
from statistics import fmean
from typing import Any

from longcat_eval.records import Aggregate, AttemptRow, Outcome

Function = Callable[[Sequence[Any]], float]
MEAN = "mean"
PERCENT = {"bleu": False, "chrf": False, "chrf++": False, "ter": True}
"""Aggregations from 0 to 100; true where less is better."""
NO_SHARES = ("matthews_corrcoef", "brier_score", "perplexity", "weighted_perplexity", "bits_per_byte")


def aggregate(rows: Sequence[AttemptRow], own: Callable[[str], Function | None]) -> Aggregate:
    """Return every metric; the headline is the one whose values the attempts have (`AttemptRow.rule`).

    A mean is over samples of the mean over their repeats; an attempt without the metric counts 0 in it. Any
    other aggregation is lm-eval's, over the attempts of each repeat, then the mean over repeats. What is no
    share stands in `means`. `own` gives the function of a metric that has one of its own, None where the task
    cannot be read; the metric is then left out.
    """
    valid = [row for row in rows if row.value is not None]
    named = Counter(row.rule for row in valid if row.rule)
    if not named:
        return Aggregate("value", {"value": fmean(row.value or 0.0 for row in valid)} if valid else {})
    found: dict[str, float] = {}
    for name in dict.fromkeys(name for row in valid for name in row.metrics):
        found[name] = _mean(valid, name)
    for name in dict.fromkeys(name for row in valid for name in row.items):
        value = _computed(valid, name, own)
        if value is not None and isfinite(value):
            found[name] = value
    shares = {n: v for n, v in found.items() if _is_share(valid, n, v)}
    means = {n: v for n, v in found.items() if n not in shares}
    outcomes = Counter(row.outcome for row in valid)
    rates = {o.value: outcomes[o] / len(valid) for o in (Outcome.NO_ANSWER, Outcome.LENGTH_LIMIT)}
    return Aggregate(named.most_common(1)[0][0], shares | rates, means)


def value_of(value: Any, aggregation: str) -> float:
    """One attempt's value in [0, 1].

    A number is itself, cut to [0, 1]. A log-likelihood, alone or with its count of words or bytes, is the
    probability of the mean unit (1 / perplexity of this text); a pair for BLEU, chrF or TER what that gives
    for it alone.
    """
    if aggregation in ("perplexity", "weighted_perplexity", "bits_per_byte"):
        total, units = value if isinstance(value, list) else (value, 1)
        return min(1.0, exp(total / max(units, 1)))
    if aggregation in PERCENT:
        share = min(1.0, max(0.0, _function(aggregation)([value]) / 100))
        return 1 - share if PERCENT[aggregation] else share
    if isinstance(value, int | float) and isfinite(value):
        return min(1.0, max(0.0, float(value)))
    if isinstance(value, list) and len(value) == 2:  # (gold, predicted)
        return float(value[0] == value[1])
    return 0.0


def _mean(rows: Sequence[AttemptRow], name: str) -> float:
    samples: dict[str, list[float]] = {}
    for row in rows:
        samples.setdefault(row.sample, []).append(row.metrics.get(name, 0.0))
    return fmean(fmean(values) for values in samples.values())


def _computed(rows: Sequence[AttemptRow], name: str, own: Callable[[str], Function | None]) -> float | None:
    repeats: dict[int, list[Any]] = {}
    aggregation = ""
    for row in rows:
        if name in row.items:
            aggregation = row.items[name]["by"]
            repeats.setdefault(row.repeat, []).append(_tuples(row.items[name]["of"]))
    function = _known(aggregation) or own(name.partition(",")[0])
    return None if function is None else fmean(float(function(items)) for items in repeats.values())


def _known(aggregation: str) -> Function | None:
    try:
        return _function(aggregation)
    except (ImportError, KeyError):
        return None


def _function(aggregation: str) -> Function:
    from lm_eval.api import metrics  # noqa: F401 - registers what it has
    from lm_eval.api.registry import AGGREGATION_REGISTRY

    function: Function = AGGREGATION_REGISTRY[aggregation]
    return function


def _tuples(value: Any) -> Any:
    """A pair as lm-eval has it."""
    return tuple(value) if isinstance(value, list) else value


def _is_share(rows: Sequence[AttemptRow], name: str, value: float) -> bool:
    """Whether a number is a share: in [0, 1], and made of nothing else."""
    kept = [row.items[name] for row in rows if name in row.items]
    if any(item["by"] in NO_SHARES for item in kept):
        return False
    parts = [row.metrics[name] for row in rows if name in row.metrics]
    parts += [part for item in kept for part in _numbers(item["of"])]
    return bool(parts) and all(0 <= part <= 1 for part in [value, *parts])


def _numbers(value: Any) -> Iterator[float]:
    """The numbers in nested lists; a text is none, and no share either."""
    if isinstance(value, list):
        for item in value:
            yield from _numbers(item)
    else:
        yield float(value) if isinstance(value, int | float) else inf


def kept(verdicts: Sequence[Sequence[Any]]) -> tuple[dict[str, float], dict[str, Any]]:
    """What a row keeps of an attempt: numbers that are averaged, and the rest with its aggregation's name."""
    numbers: dict[str, float] = {}
    items: dict[str, Any] = {}
    for metric, name, value, aggregation, _ in verdicts:
        if aggregation == MEAN and isinstance(value, int | float):
            numbers[f"{metric},{name}"] = float(value)
        elif aggregation != "bypass":
            items[f"{metric},{name}"] = {"by": aggregation, "of": value}
    return numbers, items
