"""Attempts become a row: what counts, what is lost, what is unknown."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from longcat_eval.records import AttemptRow, Outcome
from longcat_eval.reports.rows import result_row, result_rows, scores_sha256
from longcat_eval.runners.manifest import TaskRecord
from longcat_eval.runners.store import RunData

MakeRecord = Callable[..., TaskRecord]
MakeRows = Callable[..., list[AttemptRow]]
MakeRun = Callable[..., RunData]


def test_a_complete_result(make_record: MakeRecord, make_rows: MakeRows) -> None:
    rows = make_rows("toy", [[1.0, 0.0], [1.0, 1.0], [0.0, ""], [0.5, 1.0]])
    row = result_row("toy", make_record(4, 2, floors={"always A": 0.25}), rows)
    assert (row.value, row.correct, row.n, row.k, row.attempts, row.valid) == (56.25, 4.5, 4, 2, 8, 8)
    assert (row.coverage, row.bounds, row.complete) == (1.0, None, True)
    assert row.outcomes == {"answered": 7, "no_answer": 1}
    assert (row.metric, row.ci_method, row.floors) == ("avg@2", "clustered t", {"always A": 25.0})
    assert row.ci_low is not None
    assert row.ci_low < 56.25
    assert row.se_questions == pytest.approx(21.3478, abs=1e-3)
    assert row.tokens == (700, 350)
    assert row.cost == pytest.approx(0.08)
    assert row.seconds == 16.0


def test_lost_attempts_leave_the_score_and_widen_the_bounds(
    make_record: MakeRecord, make_rows: MakeRows
) -> None:
    rows = make_rows("toy", [[1.0, None], [0.0, 1.0], [None, None]])
    row = result_row("toy", make_record(4, 2), rows)  # the fourth question was not even asked
    assert row.value == 75.0  # mean of 1 and 1/2: questions count alike
    assert (row.correct, row.valid, row.attempts, row.complete) == (2.0, 3, 8, False)
    assert row.coverage == 3 / 8
    assert row.bounds == (25.0, 87.5)
    assert row.outcomes == {"answered": 3, "endpoint_error": 3}
    assert row.se_rerun is None
    assert row.cost is None


def test_no_valid_attempt_is_no_score(make_record: MakeRecord, make_rows: MakeRows) -> None:
    row = result_row("toy", make_record(2), make_rows("toy", [[None], [None]]))
    assert (row.value, row.ci_low, row.ci_method, row.coverage, row.bounds) == (
        None,
        None,
        "",
        0.0,
        (0.0, 100.0),
    )


def test_a_task_without_rows_is_still_expected(make_record: MakeRecord, make_run: MakeRun) -> None:
    (row,) = result_rows(make_run({"toy": (make_record(3), [])}))
    assert (row.value, row.attempts, row.valid, row.outcomes) == (None, 3, 0, {})


@pytest.mark.parametrize(
    ("own", "k", "label"), [(16, 16, "avg@16"), (16, 1, "acc"), (1, 4, "avg@4"), (1, 1, "acc")]
)
def test_the_metric_follows_the_repeats(make_record: MakeRecord, own: int, k: int, label: str) -> None:
    assert result_row("toy", make_record(3, k, protocol_k=own), []).metric == label


def test_a_headline_that_is_no_mean_over_questions_has_no_interval(
    make_record: MakeRecord, make_rows: MakeRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    from longcat_eval.records import Aggregate
    from longcat_eval.tasks import table

    class Macro:
        def aggregate(self, rows: list[AttemptRow]) -> Aggregate:
            return Aggregate("macro", {"macro": 0.8, "micro": 0.5})

    monkeypatch.setattr(table, "load_task", lambda name: Macro())
    row = result_row("toy", make_record(3), make_rows("toy", [[1.0], [0.0]]))
    assert (row.value, row.ci_low, row.ci_high, row.ci_method, row.bounds) == (80.0, None, None, "", None)
    assert row.metrics == {"macro": 80.0, "micro": 50.0}


def test_repeated_attempts_also_give_pass_at_k_and_pass_hat_k(
    make_record: MakeRecord, make_rows: MakeRows
) -> None:
    row = result_row("toy", make_record(3, 2), make_rows("toy", [[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]))
    assert (row.metrics["pass@2"], row.metrics["pass^2"]) == pytest.approx((200 / 3, 100 / 3))
    once = result_row("toy", make_record(3), make_rows("toy", [[1.0], [0.0], [0.0]]))
    assert not any(name.startswith("pass") for name in once.metrics)


def test_the_hash_is_over_scores_alone(make_rows: MakeRows) -> None:
    rows = make_rows("toy", [[1.0, 0.0], [None, ""]])
    slower = [
        AttemptRow(**{**_fields(row), "seconds": 9.0, "cost": 3.0, "tries": 4}) for row in reversed(rows)
    ]
    other = [*rows[:-1], AttemptRow(**{**_fields(rows[-1]), "outcome": Outcome.REFUSED})]
    assert scores_sha256(slower) == scores_sha256(rows)
    assert scores_sha256(other) != scores_sha256(rows)


def _fields(row: AttemptRow) -> dict[str, object]:
    return {name: getattr(row, name) for name in row.__struct_fields__}


@pytest.mark.parametrize(("n", "k", "limit"), [(14_042, 1, 0.15), (1_900, 32, 0.5)])
def test_large_runs_are_summarised_quickly(
    n: int, k: int, limit: float, make_binary: Callable[..., tuple[TaskRecord, list[AttemptRow]]]
) -> None:
    record, rows = make_binary("toy", n * k // 2 + 7, n, k)
    result_row("toy", *make_binary("toy", 3, 4, 2))  # imports scipy
    best = min(_seconds(lambda: result_row("toy", record, rows)) for _ in range(5))
    assert best < limit


def _seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def test_a_run_read_from_disk(
    tmp_path: Path, make_record: MakeRecord, make_rows: MakeRows, make_run: MakeRun
) -> None:
    import msgspec

    from longcat_eval.runners.store import read_run

    record, rows = make_record(2), make_rows("toy", [[1.0], [None]])
    run = make_run({"toy": (record, rows)})
    (tmp_path / "manifest.json").write_bytes(msgspec.json.encode(run.manifest))
    again = AttemptRow(
        **{**_fields(rows[1]), "tries": 2, "time": "2", "outcome": Outcome.ANSWERED, "value": 1.0}
    )
    lines = [msgspec.json.encode(row) for row in [*rows, again]]
    (tmp_path / "samples.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    (row,) = result_rows(read_run(tmp_path))
    assert (row.value, row.valid, row.complete) == (100.0, 2, True)
