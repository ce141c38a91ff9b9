"""What the judge of Arena-Hard v2 is asked, how its verdict is read, and what a verdict is worth.

Official: gen_judgment.py and show_result.py of lmarena/arena-hard-auto@196f6b8 (Apache-2.0). Two games per
question: in the first assistant A is the baseline, in the second the model.
"""

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from longcat_eval.records import Wire
from longcat_eval.runners.judging import Judge
from longcat_eval.tasks.prompts import prompt_hash
from longcat_eval.tasks.replies import visible_text

_PROMPTS = Path(__file__).with_name("judge_prompts.yaml")
_PATTERNS = (re.compile(r"\[\[([AB<>=]+)\]\]"), re.compile(r"\[([AB<>=]+)\]"))
STRONG = 3
"""How many times a decisive verdict counts."""


class Points(NamedTuple):
    """Points that assistant A won, of how many."""

    won: float
    of: float


VERDICTS: dict[str, Points] = {
    "A>>B": Points(STRONG, STRONG),
    "A>B": Points(1, 1),
    "A=B": Points(0.5, 1),
    "B=A": Points(0.5, 1),
    "A<B": Points(0, 1),
    "B>A": Points(0, 1),
    "A<<B": Points(0, STRONG),
    "B>>A": Points(0, STRONG),
    "B<A": Points(1, 1),
    "B<<A": Points(STRONG, STRONG),
}


@cache
def judge_prompts() -> dict[str, str]:
    """Return the official texts: a system prompt by category, and `user`, the question with two answers."""
    import yaml

    texts: dict[str, str] = yaml.safe_load(_PROMPTS.read_text(encoding="utf-8"))
    return texts


def judge_of(category: str) -> Judge:
    """Return the judge of one category; official: GPT-4.1 at temperature 0 with 16,000 tokens."""
    texts = judge_prompts()
    return Judge("judge", prompt_hash(texts[category], texts["user"]), tries=3, max_tokens=16_000)


def game(category: str, question: str, answer_a: str, answer_b: str) -> list[Wire]:
    """Return the messages of one game."""
    texts = judge_prompts()
    asked = texts["user"].format(QUESTION=question, ANSWER_A=answer_a, ANSWER_B=answer_b)
    return [{"role": "system", "content": texts[category]}, {"role": "user", "content": asked}]


def read_verdict(text: str) -> str | None:
    """Return the last label in double brackets, else in single ones, of the visible text in capitals.

    None where there is none, or where it is none of the ten that have a worth (the official script fails on
    those). A judge's reasoning is no verdict, even if it was cut in the middle of it.
    """
    for pattern in _PATTERNS:
        if found := pattern.findall(visible_text(text).upper()):
            label: str = found[-1]
            return label if label in VERDICTS else None
    return None


def model_points(first: str, second: str) -> Points:
    """Return the model's points from the labels of both games: B's of the first, A's of the second."""
    baseline, model = VERDICTS[first], VERDICTS[second]
    return Points(baseline.of - baseline.won + model.won, baseline.of + model.of)
