"""What a bridged task's rows become: means, and lm-eval's own aggregations where a metric is no mean."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longcat_eval.records import AttemptRow, Outcome
from longcat_eval.tasks.lmeval.aggregating import aggregate, kept, value_of
from longcat_eval.tasks.lmeval.prompting import cut, most_tokens, stop_strings


def row(sample: int, repeat: int = 0, **how: Any) -> AttemptRow:
    how = {"value": 0.0, "outcome": Outcome.ANSWERED, "rule": "m,none"} | how
    return AttemptRow(task="lm-eval:t", sample=str(sample), repeat=repeat, **how)


def none(metric: str) -> None:
    return None


def test_a_mean_is_over_samples_and_what_is_lost_counts_nothing() -> None:
    rows = [
        row(1, 0, metrics={"m,none": 1.0}),
        row(1, 1, metrics={"m,none": 0.0}),
        row(2, metrics={"m,none": 1.0}),
    ]
    found = aggregate([*rows, row(3)], none)
    assert (found.headline, found.metrics["m,none"]) == ("m,none", pytest.approx((0.5 + 1 + 0) / 3))
    assert aggregate([], none).metrics == {}
    lost = row(1, value=None, outcome=Outcome.ENDPOINT_ERROR, rule=None)
    assert aggregate([lost], none).metrics == {}


def test_a_mean_of_what_is_no_share_is_a_plain_number() -> None:
    found = aggregate([row(1, metrics={"m,none": 30.0}), row(2, metrics={"m,none": 0.5})], none)
    assert found.means == {"m,none": 15.25}
    assert "m,none" not in found.metrics


def test_lm_evals_aggregations_run_over_each_repeat() -> None:
    import sacrebleu

    pairs = [
        ("the cat sat on the mat", "the cat sat on a mat"),
        ("hello there my friend", "hello there my friend"),
    ]
    rows = [
        row(i, repeat, items={"m,none": {"by": "bleu", "of": list(pair)}})
        for repeat in range(2)
        for i, pair in enumerate(pairs)
    ]
    found = aggregate(rows, none)
    expected = sacrebleu.corpus_bleu([p for _, p in pairs], [[r for r, _ in pairs]]).score
    assert found.means["m,none"] == pytest.approx(expected)
    scored = [row(i, items={"m,none": {"by": "weighted_perplexity", "of": [-3.0 * i, i]}}) for i in (1, 2)]
    assert aggregate(scored, none).means["m,none"] == pytest.approx(math.exp(3))


def test_what_is_made_of_shares_is_one() -> None:
    rows = [row(i, items={"m,none": {"by": "its own", "of": [1.0, 0.0]}}) for i in (1, 2)]
    found = aggregate(rows, lambda metric: lambda items: sum(map(sum, items)) / 4)
    assert (found.metrics["m,none"], found.means) == (0.5, {})
    pairs = [row(i, items={"m,none": {"by": "matthews_corrcoef", "of": [1, i]}}) for i in (0, 1)]
    assert "m,none" in aggregate(pairs, none).means, "from -1 to 1"


def test_a_tasks_own_aggregation_is_asked_for_or_left_out() -> None:
    rows = [row(i, items={"m,none": {"by": "its own", "of": i}}) for i in (1, 2)]
    assert aggregate(rows, lambda metric: sum if metric == "m" else None).means == {"m,none": 3.0}
    unread = aggregate(rows, none)
    assert (unread.headline, unread.means, "m,none" in unread.metrics) == ("m,none", {}, False)


def test_what_a_row_keeps() -> None:
    verdicts = [
        ["acc", "none", 1.0, "mean", "x"],
        ["f1", "none", [0, 1], "f1", "x"],
        ["x", "none", 1, "bypass", ""],
    ]
    assert kept(verdicts) == ({"acc,none": 1.0}, {"f1,none": {"by": "f1", "of": [0, 1]}})


@pytest.mark.parametrize(
    ("value", "aggregation", "expected"),
    [
        (0.25, "mean", 0.25),
        (30.0, "mean", 1.0),
        (-math.log(4), "perplexity", 0.25),
        ([-2 * math.log(4), 2], "weighted_perplexity", 0.25),
        ([1, 1], "f1", 1.0),
        ([1, 0], "matthews_corrcoef", 0.0),
        (["same words here now", "same words here now"], "bleu", 1.0),
        (["same words here now", "same words here now"], "ter", 1.0),
        (math.nan, "mean", 0.0),
        (["a", "b", "c"], "its own", 0.0),
    ],
)  # fmt: skip
def test_the_value_of_one_attempt(value: Any, aggregation: str, expected: float) -> None:
    assert value_of(value, aggregation) == pytest.approx(expected)


@given(st.text("abQ:\n", max_size=20), st.lists(st.sampled_from(["Q:", "\n\n", "ab", "b"]), max_size=3))
def test_nothing_is_left_of_a_stop_string_or_what_follows(text: str, stops: list[str]) -> None:
    left = cut(text, stops)
    assert text.startswith(left)
    assert not any(stop in left for stop in stops)
    assert left == text or any(text[len(left) :].startswith(stop) for stop in stops)


def test_how_definitions_say_their_limits() -> None:
    assert stop_strings({"until": "x"}) == ("x",)
    assert stop_strings({"until": ["", "x"]}) == ("x",)
    assert stop_strings({}) == ()
    assert [most_tokens(given) for given in ({}, {"max_gen_toks": 7}, {"max_new_tokens": "8"})] == [256, 7, 8]
