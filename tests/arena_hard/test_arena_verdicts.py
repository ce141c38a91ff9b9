"""Verdicts of Arena-Hard's judge: how they are read, what they are worth, what is asked."""

import re
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longcat_eval.records import AttemptRow, Outcome
from longcat_eval.tasks.arena_hard.judging import VERDICTS, game, judge_prompts, model_points, read_verdict
from longcat_eval.tasks.arena_hard.numbers import OF, WON, aggregate_battles, verdict_points

WORTH = {
    "A>B": [1],
    "A>>B": [1, 1, 1],
    "A=B": [0.5],
    "A<<B": [0, 0, 0],
    "A<B": [0],
    "B>A": [0],
    "B>>A": [0, 0, 0],
    "B=A": [0.5],
    "B<<A": [1, 1, 1],
    "B<A": [1],
}
"""Written down from show_result.py, weight 3."""
LABELS = st.sampled_from(sorted(WORTH))


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("My final verdict is tie: [[A=B]]", "A=B"),
        ("[[A>B]] at first, but then [[B>>A]].", "B>>A"),
        ("verdict: [[a>b]]", "A>B"),
        ("verdict: [B>A]", "B>A"),
        ("[B>A] and later [[A=B]], then [A>B]", "A=B"),
        ("[[A]]", None),
        ("[[A>>>B]]", None),
        ("<think>perhaps [[A>B]]</think>It is [[B>A]].", "B>A"),
        ("<think>perhaps [[A>B]], but", None),
        ("[[A > B]]", None),
        ("[C]", None),
        ("Assistant A is better", None),
        ("", None),
    ],
)
def test_the_last_label_in_double_brackets_counts(text: str, label: str | None) -> None:
    assert read_verdict(text) == label


@given(
    st.lists(
        st.sampled_from(["[[A>B]]", "[A=B]", "[[b>>a]]", "[[", "]]", "[x]", "A<B", " ", "[[C]]"]), max_size=8
    )
)
def test_labels_are_read_as_the_official_script_reads_them(parts: list[str]) -> None:
    text = "".join(parts)
    official = None
    for pattern in (r"\[\[([AB<>=]+)\]\]", r"\[([AB<>=]+)\]"):
        matches = [m for m in re.compile(pattern).findall(text.upper()) if m != ""]
        if len(set(matches)) > 0:
            official = matches[-1].strip("\n")
            break
    assert read_verdict(text) == (official if official in WORTH else None)


def test_every_label_has_its_worth() -> None:
    assert {label: (p.won, p.of) for label, p in VERDICTS.items()} == {
        label: (sum(points), len(points)) for label, points in WORTH.items()
    }


def row(number: int, first: str, second: str, group: str = "") -> AttemptRow:
    points = model_points(first, second)
    return AttemptRow(
        task="t",
        sample=f"s{number}",
        repeat=0,
        group=group,
        outcome=Outcome.ANSWERED,
        value=points.won / points.of,
        extracted=f"{first} {second}",
        metrics={WON: points.won, OF: points.of},
    )


@given(st.lists(st.tuples(LABELS, LABELS), min_size=1, max_size=30))
def test_the_score_is_the_mean_over_verdicts_as_the_official_script_lists_them(
    games: list[tuple[str, str]],
) -> None:
    official = [x for first, second in games for x in [*WORTH[second], *(1 - s for s in WORTH[first])]]
    rows = [row(i, first, second) for i, (first, second) in enumerate(games)]
    found = aggregate_battles(rows)
    assert found.metrics["score"] == pytest.approx(sum(official) / len(official))
    assert sorted(x for r in rows for x in verdict_points(r)) == sorted(official)
    assert found.metrics["official_low"] <= found.metrics["official_high"]
    assert found.ratio == (WON, OF)


def test_a_judge_that_prefers_a_place_gives_fifty() -> None:
    rows = [row(i, label, label) for i, label in enumerate(WORTH)]
    assert aggregate_battles(rows).metrics["score"] == 0.5


def test_subcategories_have_scores_of_their_own() -> None:
    rows = [row(0, "B>A", "A>B", "math"), row(1, "A>>B", "B>>A", "coding")]
    metrics = aggregate_battles(rows).metrics
    assert (metrics["math"], metrics["coding"], metrics["score"]) == (1.0, 0.0, 0.25)


def test_nothing_valid_is_no_number() -> None:
    assert aggregate_battles([]).metrics == {}


def test_the_judge_is_told_the_official_words() -> None:
    """Hashes of the texts in lmarena/arena-hard-auto@196f6b8, taken by evaluating its files."""
    assert {name: sha256(text.encode()).hexdigest()[:16] for name, text in judge_prompts().items()} == {
        "hard_prompt": "03f68010febd7a64",
        "creative_writing": "171489efbca7f19f",
        "user": "80fb20ab2eaae6d3",
    }
    system, user = game("hard_prompt", "Say {x}", "one {A}", "two")
    assert "Begin your evaluation by generating your own answer" in system["content"]
    assert "generating your own answer" not in game("creative_writing", "", "", "")[0]["content"]
    assert user["content"] == (
        "<|User Prompt|>\nSay {x}\n\n<|The Start of Assistant A's Answer|>\none {A}\n"
        "<|The End of Assistant A's Answer|>\n\n<|The Start of Assistant B's Answer|>\ntwo\n"
        "<|The End of Assistant B's Answer|>"
    )
