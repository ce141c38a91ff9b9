"""Simulated: how often intervals cover, how often alarms are false, and whether power is as printed."""

import sys
from math import sqrt
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
from difficulty import AIME, SHAPES, draw, harder

from longcat_eval.records import AttemptRow, Outcome, TaskProtocol
from longcat_eval.reports.gate import Judged, Verdict, judge
from longcat_eval.reports.paired import compare, match, p_non_inferior
from longcat_eval.reports.policy import Policy, Rule, Tier
from longcat_eval.reports.sides import Side, run_side
from longcat_eval.reports.statistics import interval, ratio_interval, t_quantile
from longcat_eval.runners.manifest import DatasetRecord, Manifest, RoleRecord, TaskRecord
from longcat_eval.runners.store import RunData

pytestmark = pytest.mark.slow

SIZES = {"30 x 32": (30, 32), "198 x 16": (198, 16), "500 x 1": (500, 1), "50 x 8": (50, 8)}
RUNS, TRIALS = 1_000, 200
MIDDLE = (0.2, 0.8)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shape", SHAPES)
def test_intervals_cover(shape: str, size: str) -> None:
    """At least .93 in the middle, where Student's t is used; near 0 and 1 what replaces it holds .90."""
    rates, mean = SHAPES[shape]
    n, k = SIZES[size]
    rng = np.random.default_rng(17)
    found = [interval(draw(rng, rates(rng, n), k)) for _ in range(RUNS)]
    covered = sum(each.low <= mean <= each.high for each in found) / RUNS
    say(f"{shape}, {size}: {covered:.3f} ({', '.join(sorted({each.method for each in found}))})")
    assert covered >= (0.93 if MIDDLE[0] < mean < MIDDLE[1] else 0.90) - 2 * sqrt(0.93 * 0.07 / RUNS)


@pytest.mark.parametrize("n", [30, 541])
@pytest.mark.parametrize(("a", "b"), [(2.0, 1.0), (9.0, 1.0)])
def test_intervals_of_ratios_cover(n: int, a: float, b: float) -> None:
    """Questions of one to five points that stand or fall together, as instructions of a prompt do."""
    rng = np.random.default_rng(31)
    covered = 0
    for _ in range(RUNS):
        points = rng.integers(1, 6, n)
        won = rng.binomial(points, rng.beta(a, b, n))
        found = ratio_interval([(float(s), float(c)) for s, c in zip(won, points, strict=True)])
        covered += found is not None and found.low <= a / (a + b) <= found.high
    say(f"ratio of {n} questions at {a / (a + b):.2f}: {covered / RUNS:.3f}")
    assert covered / RUNS >= 0.93 - 2 * sqrt(0.93 * 0.07 / RUNS)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shape", SHAPES)
def test_false_alarms_are_rare(shape: str, size: str) -> None:
    """Two runs of one model: a drop is significant at one-sided .05 in no more than .05 of the trials."""
    rates, _ = SHAPES[shape]
    n, k = SIZES[size]
    rng = np.random.default_rng(23)
    alarms = 0
    for _ in range(RUNS):
        questions = rates(rng, n)
        base, cand = (dict(enumerate_names(draw(rng, questions, k))) for _ in range(2))
        p = compare(match(base, cand)).p_drop
        alarms += p is not None and p < 0.05
    say(f"{shape}, {size}: {alarms / RUNS:.3f}")
    assert alarms / RUNS <= 0.05 + 3 * sqrt(0.05 * 0.95 / RUNS)


def test_a_planted_drop_is_found_with_the_power_that_is_printed() -> None:
    """AIME-shaped, 30 x 32, one benchmark, margin 0, five points: regressed as often as foretold."""
    judged = trials(0.05)
    seen = share(judged)
    foretold = float(np.mean([power_at(0.05, each) for each in judged]))
    printed = float(np.mean([each.detectable for each in judged if each.detectable]))
    say(f"five points: seen {seen:.3f}, foretold {foretold:.3f}, mean smallest drop {100 * printed:.2f}")
    assert abs(seen - foretold) < 3 * sqrt(0.25 / TRIALS)
    at_printed = share(trials(printed))
    say(f"at the smallest drop: seen {at_printed:.3f}, printed 0.8")
    assert abs(at_printed - 0.8) < 3 * sqrt(0.16 / TRIALS)


def test_a_planted_zero_is_no_regression() -> None:
    """The same without a drop: false alarms are as rare as the policy's alpha says."""
    alarms = share(trials(0.0))
    say(f"zero: {alarms:.3f}")
    assert alarms <= 0.05 + 3 * sqrt(0.05 * 0.95 / TRIALS)


@pytest.mark.parametrize("size", ["30 x 32", "500 x 1", "50 x 8"])
def test_a_drop_as_large_as_the_margin_seldom_passes(size: str) -> None:
    """The other error: non-inferiority shown at one-sided .05 though the drop is the margin."""
    n, k = SIZES[size]
    rng = np.random.default_rng(29)
    margin, passed = 0.05, 0
    for _ in range(RUNS):
        rates = SHAPES[AIME][0](rng, n)
        lower = harder(rates, margin)
        base, cand = (dict(enumerate_names(draw(rng, each, k))) for each in (rates, lower))
        p = p_non_inferior(match(base, cand), margin)
        passed += p is not None and p < 0.05
    say(f"drop of the margin, {size}: {passed / RUNS:.3f} pass")
    assert passed / RUNS <= 0.05 + 3 * sqrt(0.05 * 0.95 / RUNS)


def say(text: str) -> None:
    """The figures of docs/gate.md; seen with `pytest -s`."""
    sys.stdout.write(f"{text}\n")


def enumerate_names(values: list[list[float]]) -> list[tuple[str, list[float]]]:
    return [(f"q{i}", each) for i, each in enumerate(values)]


def share(judged: list[Judged]) -> float:
    return sum(each.verdict is Verdict.REGRESSED for each in judged) / len(judged)


def power_at(drop: float, judged: Judged) -> float:
    """The power that the gate's own formula gives at a drop, margin 0."""
    assert judged.diff is not None
    assert judged.diff.comparison is not None
    se = judged.diff.comparison.se
    assert se
    return NormalDist().cdf(drop / se - t_quantile(0.95, 29))


def trials(drop: float) -> list[Judged]:
    """Gates of seeded pairs of runs, on fresh questions each."""
    policy, found = Policy("p", 0.05, 0.8, 99.0, Rule(0.0, Tier.BLOCK), {}), []
    for seed in range(TRIALS):
        rng = np.random.default_rng(seed)
        rates = SHAPES[AIME][0](rng, 30)
        lower = harder(rates, drop) if drop else rates
        base, cand = (side(draw(rng, each, 32)) for each in (rates, lower))
        found.append(judge(base, cand, policy).judged[0])
    return found


def side(values: list[list[float]]) -> Side:
    """A run of AIME24 with these values."""
    protocol = TaskProtocol(name="p", repeats=32, metric="avg@32", max_tokens=1, prompt_hash="h", grader="g")
    data = DatasetRecord(source="made up", revision=None, sha256="d", items=len(values))
    record = TaskRecord(protocol=protocol, dataset=data, selected=len(values), repeats=32)
    role = RoleRecord(name="m", kind="endpoint")
    manifest = Manifest(model="m", suite=None, seed=0, roles={"agent": role}, tasks={"aime24": record})
    rows = [
        AttemptRow(task="aime24", sample=name, repeat=j, outcome=Outcome.ANSWERED, value=value)
        for name, repeats in enumerate_names(values)
        for j, value in enumerate(repeats)
    ]

    return run_side(RunData(Path("run"), manifest, rows))
