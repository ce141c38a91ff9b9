"""The multiple-choice task class: prompts, verdicts for every way a reply can end, shuffled options."""

from itertools import permutations

import pytest
from fake_context import FakeContext, oracle_score, run_attempt
from hypothesis import given
from hypothesis import strategies as st

from longcat_eval.protocols import ModelError
from longcat_eval.records import Completion, Message, Outcome, Sample, Score, Transcript
from longcat_eval.tasks.ceval import ceval
from longcat_eval.tasks.cmmlu import cmmlu
from longcat_eval.tasks.gpqa import gpqa_diamond
from longcat_eval.tasks.mmlu import mmlu
from longcat_eval.tasks.mmlu_pro import mmlu_pro
from longcat_eval.tasks.multiple_choice import MultipleChoiceTask, choice_sample, option_order

SAMPLE = choice_sample("law/0001", "law", " Which {one}? ", ["red\n", "green", "blue", "grey"], "C")
TEN = choice_sample("77", "math", "How many?", [str(i) for i in range(10)], "J")


def test_the_prompt_shows_question_options_and_letters_and_no_braces_of_the_question_are_touched() -> None:
    text = mmlu().prompt(SAMPLE, 0)
    assert "(one of A, B, C, D)" in text
    assert text.endswith("Which {one}?\n\nA. red\nB. green\nC. blue\nD. grey")
    assert "(one of A, B, C, D, E, F, G, H, I, J)" in mmlu_pro().prompt(TEN, 0)


@pytest.mark.parametrize(("task", "name"), [(ceval(), "法学"), (cmmlu(), "体育学")])
def test_a_chinese_prompt_names_the_subject_and_asks_for_its_last_line(
    task: MultipleChoiceTask, name: str
) -> None:
    group = {"法学": "law", "体育学": "sports_science"}[name]
    sample = choice_sample("x", group, "问题？", ["一", "二", "三", "四"], "B")
    text = task.prompt(sample, 0)
    assert f"“{name}”科目" in text
    assert "“答案：X”" in text
    assert "A、B、C、D之一" in text
    assert task.reference(sample, 0)["agent"][0].content == "答案：B"


@pytest.mark.parametrize(
    ("reply", "finish", "value", "outcome", "reason", "extracted"),
    [
        ("Blue.\nAnswer: C", "stop", 1.0, Outcome.ANSWERED, "", "C"),
        ("Answer: A", "stop", 0.0, Outcome.ANSWERED, "", "A"),
        ("Answer: C, or so it goes on", "length", 1.0, Outcome.ANSWERED, "", "C"),
        ("Let us think", "length", 0.0, Outcome.LENGTH_LIMIT, "tokens", None),
        ("<think>Answer: C", "length", 0.0, Outcome.LENGTH_LIMIT, "tokens", None),
        ("", "length", 0.0, Outcome.LENGTH_LIMIT, "tokens", None),
        ("", "stop", 0.0, Outcome.NO_ANSWER, "empty", None),
        (" \n", "stop", 0.0, Outcome.NO_ANSWER, "empty", None),
        ("I do not know", "stop", 0.0, Outcome.NO_ANSWER, "not_found", None),
        ("Answer: A and C", "stop", 0.0, Outcome.NO_ANSWER, "several_labels", None),
        ("Answer: C", "content_filter", 0.0, Outcome.REFUSED, "content_filter", None),
        ("I will not", "refusal", 0.0, Outcome.REFUSED, "refusal", None),
    ],
)
async def test_verdicts(
    reply: str, finish: str, value: float, outcome: Outcome, reason: str, extracted: str | None
) -> None:
    _, score = await run_attempt(mmlu(), SAMPLE, FakeContext(reply, finish))
    assert (score.value, score.outcome, score.reason, score.extracted) == (value, outcome, reason, extracted)


async def test_a_reply_without_content_is_no_answer() -> None:
    empty = Completion(Message("assistant", None, reasoning="Answer: C"), "stop")
    assert (await run_attempt(mmlu(), SAMPLE, FakeContext(empty)))[1].outcome is Outcome.NO_ANSWER


async def test_the_runners_outcome_stands() -> None:
    context = FakeContext(ModelError(Outcome.LENGTH_LIMIT, "context", "prompt is too long"))
    _, score = await run_attempt(mmlu(), SAMPLE, context)
    assert score == Score(0.0, Outcome.LENGTH_LIMIT, "context")


async def test_a_transcript_without_a_reply_has_no_valid_verdict() -> None:
    context = FakeContext("")
    score = await mmlu().score(SAMPLE, Transcript(context.key), context)
    assert (score.value, score.outcome) == (None, Outcome.HARNESS_ERROR)
    invalid = Transcript(context.key, outcome=Outcome.ENDPOINT_ERROR, reason="http_500")
    assert (await mmlu().score(SAMPLE, invalid, context)).value is None


@given(sample=st.text(max_size=20), repeat=st.integers(0, 99), n=st.integers(1, 10))
def test_an_order_is_a_permutation_that_depends_on_nothing_else(sample: str, repeat: int, n: int) -> None:
    order = option_order(sample, repeat, n)
    assert sorted(order) == list(range(n))
    assert order == option_order(sample, repeat, n)


def test_orders_are_even_over_all_permutations_and_vary_within_a_question() -> None:
    counts = dict.fromkeys(permutations(range(4)), 0)
    for question in range(198):
        orders = {tuple(option_order(f"rec{question}", repeat, 4)) for repeat in range(16)}
        # 16 draws from 24 give 11.9 distinct orders on average.
        assert len(orders) >= 6
        for repeat in range(16):
            counts[tuple(option_order(f"rec{question}", repeat, 4))] += 1
    # 3,168 draws, 132 expected each: chi-square with 23 degrees of freedom, p < 1e-6 beyond 70.
    assert sum((n - 132) ** 2 / 132 for n in counts.values()) < 70


def test_the_order_of_a_known_question_never_changes() -> None:
    assert [option_order("rec00000000000000", repeat, 4) for repeat in range(3)] == [
        [0, 1, 3, 2],
        [1, 3, 2, 0],
        [1, 2, 0, 3],
    ]


async def test_the_right_letter_follows_the_order() -> None:
    task, letters = gpqa_diamond(), set()
    sample = choice_sample("rec1", "Physics", "q", ["right", "wrong 1", "wrong 2", "wrong 3"], "A")
    for repeat in range(16):
        letter = (task.reference(sample, repeat)["agent"][0].content or "")[-1]
        assert f"{letter}. right" in task.prompt(sample, repeat)
        score = await oracle_score(task, sample, repeat)
        assert (score.value, score.extracted, score.metrics) == (1.0, letter, {"option": 0.0})
        letters.add(letter)
    assert letters == set("ABCD")


async def test_the_order_is_kept_and_scoring_again_believes_it() -> None:
    task = gpqa_diamond()
    sample = choice_sample("rec1", "Physics", "q", ["right", "wrong 1", "wrong 2", "wrong 3"], "A")
    context = FakeContext("Answer: B", repeat=7)
    transcript = await task.attempt(sample, context)
    assert transcript.artifacts == {"order": option_order("rec1", 7, 4)}
    transcript.artifacts["order"] = [3, 0, 1, 2]
    score = await task.score(sample, transcript, context)
    assert (score.value, score.metrics) == (1.0, {"option": 0.0})


def test_the_votes_of_gpqa_are_options_not_letters() -> None:
    from fake_context import row

    sample = Sample("rec1", {}, "Physics")

    def answered(letter: str, option: float, repeat: int) -> object:
        value = float(option == 0)
        return row(
            sample, Score(value, Outcome.ANSWERED, extracted=letter, metrics={"option": option}), repeat
        )

    rows = [answered("A", 0, 0), answered("B", 0, 1), answered("A", 1, 2), answered("A", 2, 3)]
    metrics = gpqa_diamond().aggregate(rows).metrics  # type: ignore[arg-type]
    assert (metrics["maj@4"], metrics["micro"]) == (1.0, 0.5)


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        (["a", "b"], "C"),
        (["a", "b"], "AB"),
        (["a", "b"], ""),
        (["a"], "A"),
        (["a", None], "A"),
        (["a"] * 11, "A"),
    ],
)
def test_rows_that_are_no_question_are_refused(options: list[object], answer: str) -> None:
    with pytest.raises(ValueError, match=r"options|letter|text"):
        choice_sample("x", "g", "q", options, answer)


def test_protocols_say_what_is_done() -> None:
    protocols = {task.name: task.protocol for task in (mmlu(), mmlu_pro(), ceval(), cmmlu(), gpqa_diamond())}
    assert protocols["mmlu"].name == "mmlu/zero-shot-cot/1"
    assert all(p.max_tokens == 32_768 for p in protocols.values())
    assert [p.metric for p in protocols.values()] == ["acc"] * 4 + ["avg@16"]
    assert len({protocols["mmlu"].prompt_hash, protocols["ceval"].prompt_hash}) == 2
    assert gpqa_diamond().floors == {"null": 0.0, "chance": 0.25}
