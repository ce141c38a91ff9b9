r"""The option extractor: a table of endings in two languages, properties, and hostile inputs."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longcat_eval.tasks.choice_extraction import LABELS, Choice, extract_choice

ENDINGS = [
    # explicit marker
    ("Answer: B", "B", "marker"),
    ("answer: b", "B", "marker"),
    ("ANSWER: D", "D", "marker"),
    ("Answer : C", "C", "marker"),
    ("Answer:C", "C", "marker"),
    ("**Answer:** B", "B", "marker"),
    ("**Answer: B**", "B", "marker"),
    ("__Answer__: `B`", "B", "marker"),
    ("Answer: **B**", "B", "marker"),
    ("Answer: (B)", "B", "marker"),
    ("Answer: [B]", "B", "marker"),
    ("Answer: B) the second one", "B", "marker"),
    ("Answer: B. The sky is blue.", "B", "marker"),
    ("Answer: $B$", "B", "marker"),
    (r"Answer: $\boxed{B}$", "B", "marker"),
    (r"Answer: \(\boxed{\text{C}}\)", "C", "marker"),
    (r"Answer: \text{(D)}", "D", "marker"),
    (r"Answer: $\mathbf{A}$", "A", "marker"),
    ("Answer: 'A'", "A", "marker"),
    ("Answer: option C", "C", "marker"),
    ("Answer:\n\n**C**", "C", "marker"),
    ("The correct answer is: A", "A", "marker"),
    ("Final answer: D", "D", "marker"),
    ("Final Answer: The final answer is $\\boxed{D}$. I hope it is correct.", "D", "marker"),
    ("### Final Answer\n\n**C**", "C", "marker"),
    ("The final answer is (C)", "C", "marker"),
    ("Answer: B, because A is too small", "B", "marker"),
    ("Answer: B, A is wrong", "B", "marker"),
    ("At first: Answer: A\nOn reflection.\nAnswer: B", "B", "marker"),
    ("Answer: B\nI hope this helps! A good day to you.", "B", "marker"),
    ("\\boxed{A}\nAnswer: C", "C", "marker"),
    ("Ａｎｓｗｅｒ：Ｂ", "B", "marker"),
    ("答案：B", "B", "marker"),
    ("答案:B", "B", "marker"),
    ("答案是B。", "B", "marker"),
    ("正确答案为：C", "C", "marker"),
    ("答案为选项D", "D", "marker"),
    ("答案：（Ａ）", "A", "marker"),
    ("**答案：C**", "C", "marker"),
    ("【答案】D", "D", "marker"),
    ("答案选A", "A", "marker"),
    ("答案应该是 B", "B", "marker"),
    ("答案：B，A选项错误", "B", "marker"),
    ("答案：\\boxed{C}", "C", "marker"),
    ("故选B。", "B", "marker"),
    ("所以本题选：C", "C", "marker"),
    ("因此应选择D", "D", "marker"),
    ("故选A，不选B", "A", "marker"),
    ("答案不是A，答案是C", "C", "marker"),
    # a boxed label
    (r"Therefore \boxed{C}.", "C", "boxed"),
    (r"so $\boxed{\text{(B)}}$", "B", "boxed"),
    (r"\boxed{\mathbf{D}}", "D", "boxed"),
    (r"\boxed{A} is wrong, so \boxed{B}", "B", "boxed"),
    (r"the answer is A. No: \boxed{B}", "B", "boxed"),
    # "the answer is"
    ("The answer is (B).", "B", "answer_is"),
    ("So the answer is B, not C.", "B", "answer_is"),
    ("the correct option is D", "D", "answer_is"),
    ("正确选项是C。", "C", "answer_is"),
    # a last line that is only a label
    ("Let us see.\nB", "B", "last_line"),
    ("Let us see.\n\n**(C)**\n", "C", "last_line"),
    ("Option D.", "D", "last_line"),
    # none
    ("", None, None),
    ("I cannot tell.", None, None),
    ("I would go with plan B", None, None),
    ("Answer: not sure", None, None),
    ("Answer: Because of B", None, None),
    ("Answer: E", None, None),
    ("Answer: B-cells make antibodies", None, None),
    ("Answer: a triangle", None, None),
    ("Answer:\nA few remarks first", None, None),
    ("That is my final answer\nA pleasure", None, None),
    ("The wrong answer: B", None, None),
    ("不选A", None, None),
    ("若选A则矛盾", None, None),
    ("the answer is b", None, None),
    (r"\boxed{b}", None, None),
    (r"\boxed{Paris}", None, None),
    ("b", None, None),
    ("D is the one that fits", None, None),
    # several
    ("Answer: B, C", None, "several_labels"),
    ("Answer: B and C", None, "several_labels"),
    ("Answer: (A) or (D)", None, "several_labels"),
    ("Answer: BC", None, "several_labels"),
    ("答案：A、B", None, "several_labels"),
    ("答案：ABD", None, "several_labels"),
    ("Answer: B\n\nand A, C and D are wrong", "B", "marker"),
    ("答案：A和C", None, "several_labels"),
    (r"\boxed{A, C}", None, "several_labels"),
]


@pytest.mark.parametrize(("text", "label", "rule"), ENDINGS)
@pytest.mark.parametrize(
    "lead", ["", "Step 1: we compare the options. " * 300 + "\n"], ids=["alone", "after much"]
)
def test_ending(lead: str, text: str, label: str | None, rule: str | None) -> None:
    assert extract_choice(lead + text) == Choice(label, rule)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("<think>Answer: A</think>\nAnswer: B", "B"),
        ("Answer: A</think>I do not know", None),
        ("<think>\nAnswer: A", None),
        ("\n<think>A</think>B</think>Answer: C", "C"),
        ("<longcat_think>\nAnswer: A</longcat_think>\nAnswer: C", "C"),
        ("The tag <think> is not mine. Answer: D", "D"),
    ],
)
def test_reasoning_is_not_the_answer(text: str, label: str | None) -> None:
    assert extract_choice(text).label == label


@pytest.mark.parametrize("label", LABELS)
def test_every_label_up_to_j_and_only_those_of_the_question(label: str) -> None:
    assert extract_choice(f"Answer: {label}", LABELS).label == label
    assert extract_choice(f"Answer: {label.lower()}", LABELS).label == label
    before = LABELS[: LABELS.index(label)]
    if before:
        assert extract_choice(f"Answer: {label}", before).label is None


def test_the_pronoun_is_not_the_ninth_option() -> None:
    assert extract_choice("Answer: I think it is hard", LABELS) == Choice(None, None)
    assert extract_choice("Answer: I'm not sure", LABELS) == Choice(None, None)
    assert extract_choice("Answer: I", LABELS) == Choice("I", "marker")
    assert extract_choice("Answer: I. Iron", LABELS) == Choice("I", "marker")


@given(
    text=st.text(max_size=3_000), label=st.sampled_from(LABELS), ask=st.sampled_from(["Answer: ", "答案："])
)
def test_a_last_answer_line_always_wins(text: str, label: str, ask: str) -> None:
    if text.lstrip().startswith(("<think>", "<longcat_think>")):
        text = "x" + text
    assert extract_choice(f"{text}\n{ask}{label}", LABELS) == Choice(label, "marker")


FRAGMENTS = st.one_of(
    st.sampled_from(
        ["Answer: ", "Final answer", "the answer is ", "答案", "：", "故选", "不", "，", "\\boxed{"]
    ),
    st.sampled_from(
        ["A", "B", "J", "b", " ", "\n", "(", ")", "\\text{", "}", "$", ",", "and ", "word ", "**"]
    ),
    st.just("</think>"),
)


@given(parts=st.lists(FRAGMENTS, max_size=60), labels=st.integers(3, 10).map(lambda n: LABELS[:n]))
def test_any_text_gives_a_label_of_the_question_or_none(parts: list[str], labels: str) -> None:
    label, rule = extract_choice("".join(parts), labels)
    assert (label in labels and rule is not None) if label else rule in (None, "several_labels")


@given(parts=st.lists(FRAGMENTS, max_size=60))
def test_what_stands_far_before_does_not_matter_once_a_marker_decides(parts: list[str]) -> None:
    text = "".join(parts)
    found = extract_choice(text)
    if found.rule == "marker" and "</think>" not in text:
        for length in (300, 390, 6_300, 7_000):
            assert extract_choice("Answer: C " + "y " * (length // 2) + "\n" + text) == found


HOSTILE = {
    "spaces": "Answer:" + " " * 1_000_000,
    "open brackets": "Answer: " + "(" * 1_000_000,
    "markers": "final answer " * 80_000,
    "boxes": "\\boxed{" * 150_000,
    "wrappers": "Answer: " + "\\text{" * 160_000,
    "labels": "Answer: " + "AB, " * 250_000,
    "one letter": "A" * 1_000_000,
    "chinese": "答案" * 500_000,
    "choose": "选" * 1_000_000,
    "newlines": "Answer:\n" * 125_000,
    "verbs": "answer is is is " * 60_000,
    "tags": "</think>" * 125_000,
    "emphasis": "*" * 1_000_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_megabyte_of_anything_ends_soon(text: str) -> None:
    started = time.process_time()
    extract_choice(text, LABELS)
    assert time.process_time() - started < 2.0
