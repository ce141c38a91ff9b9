"""G-Pass@k, ratio metrics and composites: definitions, limits, other implementations."""

import json
from collections.abc import Callable
from itertools import combinations
from math import sqrt
from pathlib import Path

import pytest
from cli_fixtures import Cli
from hypothesis import given, settings
from hypothesis import strategies as st

from longcat_eval.records import AttemptRow, Outcome
from longcat_eval.reports import statistics
from longcat_eval.reports.composite import Part, composite
from longcat_eval.tasks.aggregation import aggregate_rows, majority_curve


@settings(deadline=None)
@given(st.integers(1, 9), st.data())
def test_g_pass_counts_draws(n: int, data: st.DataObject) -> None:
    c, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    draws = [sum(draw) for draw in combinations([1] * c + [0] * (n - c), k)]
    tails = statistics.g_pass_at_k(n, c, k)
    assert tails == pytest.approx([sum(x >= j for x in draws) / len(draws) for j in range(k + 1)])
    assert tails[1] == pytest.approx(statistics.pass_at_k(n, c, k))
    assert tails[k] == pytest.approx(statistics.pass_hat_k(n, c, k))
    if k % 2 == 0:
        assert statistics.mg_pass([1.0] * (k + 1)) == 1.0


def test_g_pass_stands_for_every_j() -> None:
    questions = [[1.0] * c + [0.0] * (8 - c) for c in (8, 7, 4, 0)]
    found = statistics.g_pass_metrics(questions, 4, 8)
    passes = statistics.pass_metrics(questions, 4, 8)
    assert len(found) == 2 * 7 + 4
    for j in range(2, 9):
        assert (
            passes[f"pass^{j}"]
            <= found[f"g-pass@{j}/0.75"]
            <= found[f"g-pass@{j}/0.5"]
            <= passes[f"pass@{j}"]
        )
    assert found["g-pass@8/0.5"] == 0.75
    assert found["mg-pass@8"] == pytest.approx((1 + 3 / 4 + 0 + 0) / 4)
    assert statistics.g_pass_metrics([[0.5, 1.0]], 1, 2) == {}


@settings(deadline=None)
@given(st.lists(st.sampled_from([0.0, 1.0]), min_size=2, max_size=30))
def test_a_ratio_of_single_points_is_the_mean(values: list[float]) -> None:
    r, se = statistics.ratio_metric([(x, 1.0) for x in values])
    assert r == pytest.approx(sum(values) / len(values))
    assert se == pytest.approx(statistics.clustered_se(values))


def test_a_ratio_weighs_questions_by_their_points() -> None:
    assert statistics.ratio_metric([(3, 3), (0, 1)]) == (0.75, pytest.approx(sqrt(2 * 2 * 0.75**2) / 4))
    assert statistics.ratio_metric([(3, 4)]) == (0.75, None)


def test_composites_by_hand() -> None:
    mean = composite([Part(0.5, 0.03, 100), Part(0.7, 0.04, 100)])
    assert (mean.value, mean.se) == pytest.approx((0.6, 0.025))
    assert 99 < mean.df < 198
    assert composite([Part(0.5, 0.03, 100), Part(0.7, 0.04, 100)], [3, 1]).value == pytest.approx(0.55)
    alone = composite([Part(0.5, 0.03, 30)])
    t = statistics.t_quantile(0.975, 29)
    assert (alone.df, alone.low) == pytest.approx((29, 0.5 - t * 0.03))
    assert composite([Part(1.0, 0.0, 30)])[:4] == (1.0, 0.0, None, None)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0.001, 0.1), st.integers(2, 500)), min_size=1, max_size=9)
)
def test_a_composite_lies_within_and_is_surer_than_its_parts(parts: list[tuple[float, float, int]]) -> None:
    whole = composite([Part(*part) for part in parts])
    assert min(p[0] for p in parts) - 1e-9 <= whole.value <= max(p[0] for p in parts) + 1e-9
    assert whole.se <= max(p[1] for p in parts) + 1e-12
    assert min(p[2] for p in parts) - 1 - 1e-6 <= whole.df <= sum(p[2] - 1 for p in parts) + 1e-6


def test_reports_and_gates_have_the_means_of_suites(write_run: Callable[..., Path], cli: Cli) -> None:
    def values(right: int) -> list[list[float]]:
        return [[1.0]] * right + [[0.0]] * (100 - right)

    a = write_run("a", {"aime24": values(60), "aime25": values(40), "mmlu": values(80)})
    b = write_run("b", {"aime24": values(59), "aime25": values(42), "mmlu": values(80)})
    report = json.loads(cli("report", a, "-f", "json").out)
    found = {each["name"]: each for each in report["composites"]}
    assert found.keys() == {"Mathematical Reasoning", "all"}
    assert (found["Mathematical Reasoning"]["value"], found["all"]["value"]) == (50.0, 60.0)
    assert found["all"]["tasks"] == ["mmlu", "aime24", "aime25"]
    assert found["all"]["ci_low"] < 60 < found["all"]["ci_high"]
    suite = json.loads(cli("diff", a, b, "-f", "json").out)["suite"]
    assert suite["difference"] == pytest.approx(1 / 3)
    assert json.loads(cli("gate", a, b, "-f", "json").out)["suite"] == suite
    assert "mean over the 3 paired: +0.33" in cli("diff", a, b).out


def test_the_majority_of_every_prefix() -> None:
    def rows(sample: str, answers: str) -> list[AttemptRow]:
        return [
            AttemptRow(
                task="t",
                sample=sample,
                repeat=j,
                outcome=Outcome.ANSWERED,
                value=float(answer == "A"),
                extracted=None if answer == "-" else answer,
            )
            for j, answer in enumerate(answers)
        ]

    assert majority_curve(rows("q", "-BAAB")) == [0.0, 0.0, 0.0, 1.0, 0.0]
    metrics = aggregate_rows([*rows("q", "BAAC"), *rows("r", "AABB")]).metrics
    assert [metrics[f"maj@{j}"] for j in (2, 3, 4)] == [0.5, 1.0, 1.0]
    ragged = aggregate_rows([*rows("q", "BAAC"), *rows("r", "AA")]).metrics
    assert [name for name in ragged if name.startswith("maj@")] == ["maj@2", "maj@4"]
