"""Aggregates over rows against plain formulas, and the edges: missing repeats, ties, no answers, nothing."""

from collections import Counter
from statistics import fmean

from hypothesis import given
from hypothesis import strategies as st

from longcat_eval.records import AttemptRow, Outcome
from longcat_eval.tasks.aggregation import aggregate_rows, majority


def row(
    sample: str, repeat: int, value: float | None, extracted: str | None = None, group: str = ""
) -> AttemptRow:
    outcome = Outcome.ANSWERED if extracted else Outcome.NO_ANSWER
    if value is None:
        outcome = Outcome.ENDPOINT_ERROR
    return AttemptRow(
        task="t", sample=sample, repeat=repeat, group=group, outcome=outcome, value=value, extracted=extracted
    )


def test_repeats_are_averaged_first_then_samples_then_groups() -> None:
    rows = [row("a", 0, 1.0, group="x"), row("a", 1, 0.0, group="x"), row("b", 0, 1.0, group="x")]
    rows += [row("b", 1, 1.0, group="x"), row("c", 0, 0.0, group="y"), row("c", 1, 0.0, group="y")]
    result = aggregate_rows(rows, groups=True)
    assert result.headline == "micro"
    assert result.metrics["micro"] == (0.5 + 1.0 + 0.0) / 3
    assert result.metrics["macro"] == (0.75 + 0.0) / 2
    assert (result.metrics["x"], result.metrics["y"]) == (0.75, 0.0)


def test_missing_repeats_leave_the_mean_of_those_there() -> None:
    rows = [row("a", 0, 1.0), row("b", 0, 1.0), row("b", 1, 0.0), row("b", 2, None), row("c", 0, None)]
    assert aggregate_rows(rows).metrics["micro"] == 0.75


def test_rates_are_shares_of_attempts() -> None:
    rows = [row("a", 0, 1.0, "A"), row("b", 0, 0.0), row("c", 0, 0.0, "B"), row("d", 0, 0.0, "B")]
    metrics = aggregate_rows(rows).metrics
    assert (metrics["no_answer"], metrics["length_limit"]) == (0.25, 0.0)
    assert not any(name.startswith("maj") for name in metrics)


def test_no_valid_row_gives_no_number() -> None:
    assert aggregate_rows([]).metrics == {}
    assert aggregate_rows([row("a", 0, None)]).metrics == {}


def test_the_majority_wins_ties_go_to_the_first_and_no_answer_never_wins() -> None:
    assert majority([row("a", 0, 0.0, "A"), row("a", 1, 1.0, "B"), row("a", 2, 1.0, "B")]) == 1.0
    assert majority([row("a", 1, 0.0, "A"), row("a", 0, 1.0, "B")]) == 1.0
    assert majority([row("a", 0, 0.0), row("a", 1, 0.0), row("a", 2, 1.0, "B")]) == 1.0
    assert majority([row("a", 0, 0.0), row("a", 1, 0.0)]) == 0.0


ANSWERS = st.lists(st.sampled_from(["A", "B", "C", None]), min_size=2, max_size=8)


@given(st.lists(ANSWERS, min_size=1, max_size=6))
def test_against_plain_formulas(samples: list[list[str | None]]) -> None:
    rows = [
        row(str(i), j, float(answer == "A"), answer, group=str(i % 2))
        for i, answers in enumerate(samples)
        for j, answer in enumerate(answers)
    ]
    metrics = aggregate_rows(rows[::-1]).metrics
    means = [fmean(answer == "A" for answer in answers) for answers in samples]
    assert metrics["micro"] == fmean(means)
    assert metrics["macro"] == fmean(fmean(part) for part in (means[::2], means[1::2]) if part)
    votes = [Counter(answer for answer in answers if answer).most_common(1) for answers in samples]
    wins = [bool(vote) and vote[0][0] == "A" for vote in votes]
    assert metrics[f"maj@{max(map(len, samples))}"] == fmean(wins)
