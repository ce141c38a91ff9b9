"""Scores that are ratios of two sums, and costs by role: their numbers, and how they are told."""

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from longcat_eval.records import Aggregate, AttemptRow, Outcome
from longcat_eval.reports import rows as reports_rows
from longcat_eval.reports import texts
from longcat_eval.reports.html.summary import categories
from longcat_eval.reports.notes import notes
from longcat_eval.reports.rows import result_row
from longcat_eval.reports.statistics import RATIO_T, ratio_interval, ratio_metric
from longcat_eval.reports.summary import _usage
from longcat_eval.reports.table import build_table
from longcat_eval.runners.manifest import TaskRecord
from longcat_eval.runners.store import RunData

MakeRecord = Callable[..., TaskRecord]
MakeRun = Callable[..., RunData]
PARTS = st.lists(st.tuples(st.floats(0, 1), st.integers(1, 6)), min_size=3, max_size=40)


@given(PARTS)
def test_the_interval_is_that_of_linearised_questions(shares: list[tuple[float, int]]) -> None:
    """x_i = R + (s_i - R c_i) / mean c has mean R, and the standard error of its mean is the ratio's."""
    parts = [(share * c, float(c)) for share, c in shares]
    r, se = ratio_metric(parts)
    n, c_mean = len(parts), sum(c for _, c in parts) / len(parts)
    xs = [r + (s - r * c) / c_mean for s, c in parts]
    assert sum(xs) / n == pytest.approx(r)
    assert se == pytest.approx(math.sqrt(sum((x - r) ** 2 for x in xs) / (n * (n - 1))), abs=1e-9)
    found = ratio_interval(parts)
    assert found is None or (found.method == RATIO_T and 0 <= found.low <= r <= found.high <= 1)


def test_the_interval_covers() -> None:
    """Correlated games, decisive ones thrice: 95 % of intervals hold the true ratio."""
    draw, hits, truth = random.Random(3), 0, []
    runs = []
    for _ in range(600):
        parts = []
        for _ in range(120):
            better = draw.random() < 0.55
            c = 6.0 if draw.random() < 0.4 else 2.0
            parts.append((c * (0.9 if better else 0.2) * (draw.random() < 0.9), c))
        runs.append(parts)
        truth += parts
    true = sum(s for s, _ in truth) / sum(c for _, c in truth)
    for parts in runs:
        found = ratio_interval(parts)
        assert found is not None
        hits += found.low <= true <= found.high
    assert 0.93 <= hits / len(runs) <= 0.975


def attempts(task: str) -> list[AttemptRow]:
    return [
        AttemptRow(
            task=task,
            sample=f"s{i}",
            repeat=0,
            group="ab"[i % 2],
            outcome=Outcome.ANSWERED,
            value=won / of,
            metrics={"won": won, "of": of, "null_verdicts": float(i == 1)},
        )
        for i, (won, of) in enumerate([(6.0, 6.0), (0.0, 2.0), (1.5, 4.0), (1.0, 2.0)])
    ]


def test_a_ratio_is_told_by_its_points(make_record: MakeRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = attempts("made-up")
    ratio = Aggregate("score", {"score": 8.5 / 14}, ratio=("won", "of"))
    monkeypatch.setattr(reports_rows, "_aggregate", lambda task, valid: ratio)
    row = result_row("made-up", make_record(4), rows)
    assert (row.value, row.points, row.ci_method) == (pytest.approx(100 * 8.5 / 14), (8.5, 14.0), RATIO_T)
    assert texts.ratio(row) == "(8.50/14 points)"
    assert row.nulls == 1
    part = result_row("made-up", make_record(5), rows)
    assert (part.bounds, part.coverage) == (None, 0.8)
    a, b = categories(rows, row.ratio)
    assert (a.value, b.value) == (pytest.approx(100 * 7.5 / 10), pytest.approx(25.0))


def test_costs_are_told_by_role(make_record: MakeRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports_rows, "_aggregate", lambda task, valid: Aggregate("acc", {"acc": 0.5}))
    paid = {"agent": 0.5, "judge": 2.0}
    rows = [structs.replace(row, cost=2.5, role_costs=paid) for row in attempts("made-up")]
    row = result_row("made-up", make_record(4), rows)
    assert row.role_costs == {"agent": 2.0, "judge": 8.0}
    assert "$10.00 (agent $2.00, judge $8.00)" in _usage([row])
    free = structs.replace(rows[0], cost=None, role_costs={"agent": None, "judge": 2.0})
    unknown = result_row("made-up", make_record(4), [free, *rows[1:]])
    assert "cost unknown (no price set) (agent unknown, judge $8.00)" in _usage([unknown])
    assert (
        "(" not in _usage([result_row("made-up", make_record(4), attempts("made-up"))]).partition("set)")[2]
    )


@pytest.mark.parametrize(("ratio", "ranged"), [(("won", "of"), False), (None, True)])
def test_a_range_is_explained_where_one_is_printed(
    make_record: MakeRecord,
    make_run: MakeRun,
    monkeypatch: pytest.MonkeyPatch,
    ratio: tuple[str, str] | None,
    ranged: bool,
) -> None:
    rows = attempts("made-up")
    mean = sum(row.value or 0 for row in rows) / len(rows)
    monkeypatch.setattr(
        reports_rows, "_aggregate", lambda task, valid: Aggregate("score", {"score": mean}, ratio=ratio)
    )
    (said,) = [
        text
        for text in notes(build_table([make_run({"made-up": (make_record(5), rows)})]))
        if text.startswith("incomplete")
    ]
    assert ("The range" in said) == ranged
