"""Numbers over attempts: avg@k, macro average over groups, majority vote, replies without an answer."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from statistics import fmean

from longcat_eval.records import Aggregate, AttemptRow, Outcome

Vote = Callable[[AttemptRow], str | None]


def extracted(row: AttemptRow) -> str | None:
    """The vote of an attempt in maj@k: the answer as extracted."""
    return row.extracted


def aggregate_rows(rows: Iterable[AttemptRow], vote: Vote = extracted, groups: bool = False) -> Aggregate:
    """Return micro (the headline), macro, no_answer, length_limit and, for k > 1, maj@j; all in [0, 1].

    micro is the mean over samples of the mean over their repeats that are there (avg@k), macro the unweighted
    mean over groups of the same, maj@j the majority of the first j repeats, for every j that all samples have
    and for k, the two rates are shares of attempts, `groups` adds one number per group.
    Without a valid row there is no number at all.
    """
    valid = [row for row in rows if row.value is not None]
    if not valid:
        return Aggregate("micro", {})
    samples = _by_sample(valid)
    means = {sample: fmean(row.value or 0.0 for row in tries) for sample, tries in samples.items()}
    of_group: dict[str, list[float]] = {}
    for sample, tries in samples.items():
        of_group.setdefault(tries[0].group, []).append(means[sample])
    metrics = {"micro": fmean(means.values()), "macro": fmean(fmean(part) for part in of_group.values())}
    repeats = max(len(tries) for tries in samples.values())
    if repeats > 1:
        curves = [majority_curve(tries, vote) for tries in samples.values()]
        for j in range(2, min(map(len, curves)) + 1):
            metrics[f"maj@{j}"] = fmean(curve[j - 1] for curve in curves)
        metrics[f"maj@{repeats}"] = fmean(curve[-1] for curve in curves)
    outcomes = Counter(row.outcome for row in valid)
    for outcome in (Outcome.NO_ANSWER, Outcome.LENGTH_LIMIT):
        metrics[outcome.value] = outcomes[outcome] / len(valid)
    if groups:
        metrics |= {group: fmean(part) for group, part in sorted(of_group.items())}
    return Aggregate("micro", metrics)


def aggregate_episodes(rows: Iterable[AttemptRow], headline: str, means: Collection[str]) -> Aggregate:
    """Return `headline` (avg@k), the same by group where there are several, and the mean of every metric.

    Metrics named in `means` are no shares of attempts (steps, seconds) and go to `Aggregate.means`.
    """
    valid = [row for row in rows if row.value is not None]
    if not valid:
        return Aggregate(headline, {})
    metrics = {headline: _avg_at_k(valid)}
    groups = sorted({row.group for row in valid})
    if len(groups) > 1:
        metrics |= {name: _avg_at_k(row for row in valid if row.group == name) for name in groups}
    names = dict.fromkeys(name for row in valid for name in row.metrics)
    found = {name: fmean(row.metrics[name] for row in valid if name in row.metrics) for name in names}
    metrics |= {name: value for name, value in found.items() if name not in means}
    return Aggregate(headline, metrics, {name: value for name, value in found.items() if name in means})


def _avg_at_k(rows: Iterable[AttemptRow]) -> float:
    return fmean(fmean(row.value or 0.0 for row in tries) for tries in _by_sample(rows).values())


def majority(tries: Sequence[AttemptRow], vote: Vote = extracted) -> float:
    """Return the value of the most frequent answer of one sample, by the rules of `majority_curve`."""
    return majority_curve(tries, vote)[-1]


def majority_curve(tries: Sequence[AttemptRow], vote: Vote = extracted) -> list[float]:
    """Return the value of the most frequent answer among the first j repeats, for j = 1..k; ties go to the
    first seen, no answer never wins.

    Wang et al. 2022, self-consistency (arXiv 2203.11171), with majority voting over final answers.
    """
    votes: dict[str, int] = {}
    first: dict[str, tuple[int, float]] = {}
    curve: list[float] = []
    winner: str | None = None
    for place, row in enumerate(sorted(tries, key=lambda r: r.repeat)):
        answer = vote(row)
        if answer is not None:
            first.setdefault(answer, (place, row.value or 0.0))
            votes[answer] = votes.get(answer, 0) + 1
            if winner is None or (votes[answer], -first[answer][0]) > (votes[winner], -first[winner][0]):
                winner = answer
        curve.append(0.0 if winner is None else first[winner][1])
    return curve


def _by_sample(rows: Iterable[AttemptRow]) -> dict[str, list[AttemptRow]]:
    samples: dict[str, list[AttemptRow]] = {}
    for row in rows:
        samples.setdefault(row.sample, []).append(row)
    return samples
