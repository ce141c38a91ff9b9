"""One benchmark of one run as numbers: `ResultRow`, the unit of every table, export and comparison."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from math import fsum, sqrt
from typing import TYPE_CHECKING

import msgspec

from longcat_eval.errors import UsageError
from longcat_eval.records import Aggregate, AttemptRow
from longcat_eval.reports import statistics
from longcat_eval.reports.conditions import conditions
from longcat_eval.runners.judging import NULLS
from longcat_eval.runners.manifest import TaskRecord

if TYPE_CHECKING:
    from longcat_eval.runners.store import RunData


class ResultRow(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one benchmark; scores, intervals, errors, bounds, metrics and floors are percentages.

    `correct` sums the values of the `valid` attempts of `attempts` = n x k expected ones, `coverage` is their
    ratio. `value` is None while no attempt is valid. `bounds`, the score with all lost attempts wrong and
    with all right, is None where none is lost. `ci_method` names the rule of `statistics.interval`; interval
    and bounds are None where the headline is no mean over questions. Where it is the ratio of two sums,
    `points` are those, `ratio` their metrics, and the interval is that of `statistics.ratio_interval`.
    `conditions` are what else results must share to be compared (`conditions.conditions`); `errors` are
    standard errors over new questions of those metrics that are means over right-or-wrong draws (pass@k and
    the like, maj@k); `means` are plain numbers over attempts, no percentages. `tokens` are (prompt,
    completion), `cost` is in US dollars and None where a price is unknown, `role_costs` splits it by role,
    `seconds` sums over attempts, `nulls` replies of judges that could not be read.
    """

    task: str
    metric: str
    value: float | None
    ci_low: float | None
    ci_high: float | None
    ci_method: str
    se_questions: float | None
    se_rerun: float | None
    correct: float
    n: int
    k: int
    attempts: int
    valid: int
    coverage: float
    bounds: tuple[float, float] | None
    outcomes: dict[str, int]
    items: int
    subset: bool
    drift: str
    remark: str
    protocol: str
    prompt_hash: str
    grader: str
    dataset_sha256: str
    conditions: dict[str, str]
    headline: str
    metrics: dict[str, float]
    errors: dict[str, float] = {}
    means: dict[str, float]
    floors: dict[str, float]
    tokens: tuple[int, int]
    cost: float | None
    seconds: float
    scores_sha256: str
    points: tuple[float, float] | None = None
    ratio: tuple[str, str] | None = None
    nulls: float = 0.0
    role_costs: dict[str, float | None] = {}

    @property
    def complete(self) -> bool:
        """Whether every expected attempt is valid."""
        return self.valid >= self.attempts

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """What must agree, like `conditions`, for two results to share a row: protocol to data."""
        return self.protocol, self.prompt_hash, self.grader, self.dataset_sha256


def percent(share: float) -> float:
    """A share as a percentage, without the noise of binary fractions."""
    return round(100.0 * share, 10)


def result_rows(run: "RunData") -> list[ResultRow]:
    """One row per benchmark of the run, in the manifest's order; `run.rows` holds one row per key."""
    by_task: dict[str, list[AttemptRow]] = {name: [] for name in run.manifest.tasks}
    for row in run.rows:
        if row.task in by_task:
            by_task[row.task].append(row)
    return [
        result_row(name, record, by_task[name], conditions(run.manifest, name))
        for name, record in run.manifest.tasks.items()
    ]


def result_row(
    task: str, record: TaskRecord, rows: Sequence[AttemptRow], shared: Mapping[str, str] | None = None
) -> ResultRow:
    """Summarise the attempts of one benchmark; `shared` are its conditions."""
    valid = [row for row in rows if row.value is not None and row.outcome.valid]
    questions = by_question(valid)
    n, k, protocol = record.selected, record.repeats, record.protocol
    aggregate = _aggregate(task, valid)
    interval = _interval(aggregate, questions, valid)
    return ResultRow(
        task=task,
        metric=metric_label(record),
        value=_headline(aggregate),
        ci_low=percent(interval.low) if interval else None,
        ci_high=percent(interval.high) if interval else None,
        ci_method=interval.method if interval else "",
        se_questions=_percent(statistics.clustered_se(statistics.question_means(questions))),
        se_rerun=_percent(statistics.rerun_se(questions)),
        correct=fsum(x for values in questions for x in values),
        n=n,
        k=k,
        attempts=n * k,
        valid=len(valid),
        coverage=len(valid) / (n * k) if n * k else 0.0,
        bounds=_bounds(questions, n, k)
        if len(valid) < n * k and (interval or not valid) and not _is_ratio(aggregate)
        else None,
        outcomes=dict(sorted(Counter(row.outcome.value for row in rows).items())),
        items=record.dataset.items,
        subset=record.subset,
        drift=record.dataset.drift,
        remark=record.dataset.remark,
        protocol=protocol.name,
        prompt_hash=protocol.prompt_hash,
        grader=protocol.grader,
        dataset_sha256=record.dataset.sha256,
        conditions=dict(shared or {}),
        headline=aggregate.headline if aggregate else "",
        metrics={name: percent(x) for name, x in _metrics(aggregate, questions, n, k).items()},
        errors={name: percent(x) for name, x in _errors(aggregate, questions, n, k).items()},
        means=dict(aggregate.means) if aggregate else {},
        floors={name: percent(x) for name, x in record.floors.items()},
        tokens=(sum(row.prompt_tokens for row in rows), sum(row.completion_tokens for row in rows)),
        cost=total_cost(row.cost for row in rows),
        seconds=fsum(row.seconds for row in rows),
        scores_sha256=scores_sha256(rows),
        points=_sums(valid, *aggregate.ratio) if aggregate and aggregate.ratio else None,
        ratio=aggregate.ratio if aggregate else None,
        role_costs=role_costs(rows),
        nulls=fsum(row.metrics.get(NULLS, 0.0) for row in rows),
    )


def by_question(rows: Iterable[AttemptRow]) -> list[list[float]]:
    """Values grouped by question, in the order the questions come."""
    questions: dict[str, list[float]] = {}
    for row in rows:
        if row.value is not None:
            questions.setdefault(row.sample, []).append(row.value)
    return list(questions.values())


def values_by_question(run: "RunData") -> dict[str, dict[str, list[float]]]:
    """The values of valid attempts by task and question."""
    found: dict[str, dict[str, list[float]]] = {name: {} for name in run.manifest.tasks}
    for row in run.rows:
        if row.value is not None and row.outcome.valid and row.task in found:
            found[row.task].setdefault(row.sample, []).append(row.value)
    return found


def metric_label(record: TaskRecord) -> str:
    """The protocol's metric, or what --repeats made of it: `avg@16` at k = 1 is `acc`."""
    metric = record.protocol.metric
    if record.repeats == record.protocol.repeats or not (metric == "acc" or metric.startswith("avg@")):
        return metric
    return "acc" if record.repeats == 1 else f"avg@{record.repeats}"


def total_cost(costs: Iterable[float | None]) -> float | None:
    """The sum of the costs in US dollars, None if one of them is unknown."""
    known = list(costs)
    return None if None in known else fsum(cost for cost in known if cost is not None)


def role_costs(rows: Sequence[AttemptRow]) -> dict[str, float | None]:
    """The cost of each role, where others than the agent were asked; None if a part of it is unknown."""
    roles = dict.fromkeys(role for row in rows for role in row.role_costs)
    return {
        role: total_cost(row.role_costs.get(role, 0.0) for row in rows if row.role_costs) for role in roles
    }


def scores_sha256(rows: Iterable[AttemptRow]) -> str:
    """Hash over (sample, repeat, value, outcome, extracted) of every attempt, independent of their order."""
    ordered = sorted(rows, key=lambda row: (row.sample, row.repeat))
    scores = [(row.sample, row.repeat, row.value, row.outcome.value, row.extracted) for row in ordered]
    return sha256(msgspec.json.encode(scores)).hexdigest()


def _aggregate(task: str, valid: Sequence[AttemptRow]) -> Aggregate | None:
    """The task's own metrics; plain avg@k for a task this version does not know."""
    from longcat_eval.tasks.table import load_task

    if not valid:
        return None
    try:
        return load_task(task).aggregate(valid)
    except UsageError:
        return Aggregate("avg@k", {"avg@k": statistics.avg_at_k(by_question(valid))})


def _headline(aggregate: Aggregate | None) -> float | None:
    """A share as a percentage; what is none (a perplexity) as it is."""
    if aggregate is None:
        return None
    if aggregate.headline in aggregate.means:
        return aggregate.means[aggregate.headline]
    share = aggregate.metrics.get(aggregate.headline)
    return None if share is None else percent(share)


def _metrics(aggregate: Aggregate | None, questions: list[list[float]], n: int, k: int) -> dict[str, float]:
    """The task's own metrics; for repeated right-or-wrong attempts also pass@k, pass^k and G-Pass@k."""
    metrics = dict(aggregate.metrics) if aggregate else {}
    if k <= 1:
        return metrics
    curves = statistics.pass_metrics(questions, n, k) | statistics.g_pass_metrics(questions, n, k)
    return metrics | curves


def _errors(aggregate: Aggregate | None, questions: list[list[float]], n: int, k: int) -> dict[str, float]:
    """Standard errors over questions; of a majority, which is right or wrong, SE^2 = v (1 - v) / (n - 1)."""
    errors = statistics.curve_errors(questions, n, k) if k > 1 else {}
    if not errors or aggregate is None:
        return {}
    votes = {name: v for name, v in aggregate.metrics.items() if name.startswith("maj@")}
    return errors | {name: sqrt(v * (1 - v) / (n - 1)) for name, v in votes.items()}


def _interval(
    aggregate: Aggregate | None, questions: list[list[float]], rows: Sequence[AttemptRow]
) -> statistics.Interval | None:
    if aggregate is None:
        return None
    if aggregate.ratio is not None:
        return statistics.ratio_interval(points_by_question(rows, *aggregate.ratio))
    value = aggregate.metrics.get(aggregate.headline)
    if value is None or abs(value - statistics.avg_at_k(questions)) >= 1e-9:
        return None
    return statistics.interval(questions)


def _sums(rows: Sequence[AttemptRow], won: str, of: str) -> tuple[float, float]:
    points = points_by_question(rows, won, of)
    return fsum(w for w, _ in points), fsum(c for _, c in points)


def _is_ratio(aggregate: Aggregate | None) -> bool:
    return aggregate is not None and aggregate.ratio is not None


def points_by_question(rows: Sequence[AttemptRow], won: str, of: str) -> list[tuple[float, float]]:
    """Points won and points there were, by question."""
    points: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        points.setdefault(row.sample, []).append((row.metrics.get(won, 0.0), row.metrics.get(of, 0.0)))
    return [(fsum(w for w, _ in each), fsum(c for _, c in each)) for each in points.values()]


def _bounds(questions: list[list[float]], n: int, k: int) -> tuple[float, float]:
    low, high = statistics.coverage_bounds(questions, n, k)
    return percent(low), percent(high)


def _percent(share: float | None) -> float | None:
    return None if share is None else percent(share)
