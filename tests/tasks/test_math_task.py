r"""The math task class: verdicts for every way a reply can end, AIME integers, limits of the grader."""

from typing import Any

import pytest
from fake_context import FakeContext, oracle_score, row, run_attempt

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.protocols import DataOptions, WorkerError
from longcat_eval.records import Outcome, Sample, Score
from longcat_eval.tasks import math_grading
from longcat_eval.tasks.aime import aime24, aime25
from longcat_eval.tasks.math500 import math500
from longcat_eval.tasks.math_task import MathTask

SAMPLE = Sample("test/1", {"problem": "Half of {one}?", "answer": r"\frac{1}{2}"}, "Algebra")


class Workers:
    """A grader that says what it is told."""

    def __init__(self, verdict: bool | WorkerError | None) -> None:
        self.verdict = verdict

    async def call(self, function: str, *args: Any) -> Any:
        assert function == "longcat_eval.tasks.math_grading:equivalent"
        if isinstance(self.verdict, WorkerError):
            raise self.verdict
        return self.verdict


async def verdict(reply: str, finish: str = "stop", workers: Any = None, sample: Sample = SAMPLE) -> Score:
    return (await run_attempt(math500(), sample, FakeContext(reply, finish, workers=workers)))[1]


def test_the_prompt_holds_the_problem_and_asks_for_a_box() -> None:
    text = math500().prompt(SAMPLE, 0)
    assert text.startswith("Half of {one}?\n")
    assert r"\boxed{}" in text


@pytest.mark.parametrize(
    ("reply", "finish", "value", "outcome", "reason", "rule"),
    [
        (r"so \boxed{\frac{1}{2}}", "stop", 1.0, Outcome.ANSWERED, "", "boxed"),
        (r"so \boxed{\frac{1}{2}} and then I went on", "length", 1.0, Outcome.ANSWERED, "", "boxed"),
        (r"so \boxed{\frac{1}{2}", "stop", 0.0, Outcome.NO_ANSWER, "unclosed_box", "unclosed_box"),
        (r"so \boxed{\frac{1}{2}", "length", 0.0, Outcome.LENGTH_LIMIT, "tokens", "unclosed_box"),
        (r"\fbox{\frac{1}{2}}", "stop", 0.0, Outcome.NO_ANSWER, "no_box", "no_box"),
        ("", "stop", 0.0, Outcome.NO_ANSWER, "empty", "no_box"),
        ("", "length", 0.0, Outcome.LENGTH_LIMIT, "tokens", "no_box"),
        (r"\boxed{\frac{1}{2}}", "content_filter", 0.0, Outcome.REFUSED, "content_filter", None),
    ],
)
async def test_verdicts(
    reply: str, finish: str, value: float, outcome: Outcome, reason: str, rule: str | None
) -> None:
    score = await verdict(reply, finish)
    assert (score.value, score.outcome, score.reason, score.rule) == (value, outcome, reason, rule)


@pytest.mark.parametrize(
    ("grader", "value", "outcome", "reason"),
    [
        (True, 1.0, Outcome.ANSWERED, ""),
        (False, 0.0, Outcome.ANSWERED, ""),
        (None, 0.0, Outcome.ANSWERED, "grader_timeout"),
        (WorkerError("timeout", ""), 0.0, Outcome.ANSWERED, "grader_timeout"),
        (WorkerError("memory", ""), 0.0, Outcome.ANSWERED, "grader_memory"),
        (WorkerError("crash", ""), 0.0, Outcome.ANSWERED, "grader_crash"),
        (WorkerError("error", ""), None, Outcome.HARNESS_ERROR, "grader_error"),
    ],
)
async def test_what_the_grader_says_and_its_limits(
    grader: bool | WorkerError | None, value: float | None, outcome: Outcome, reason: str
) -> None:
    score = await verdict(r"\boxed{0.5}", workers=Workers(grader))
    assert (score.value, score.outcome, score.reason, score.extracted) == (value, outcome, reason, "0.5")


async def test_an_answer_too_long_is_wrong_and_kept_short() -> None:
    score = await verdict("\\boxed{" + "1+" * 5_000 + "1}")
    assert (score.value, score.reason) == (0.0, "answer_too_long")
    assert len(score.extracted or "") == 2_000


@pytest.mark.parametrize("answer", ["25", "025", "25.0", "$25$", " 25 ", "+25"])
async def test_aime_answers_are_integers_however_written(answer: str) -> None:
    sample = Sample("0005", {"problem": "q", "answer": "25"})
    for task in (aime24(), aime25()):
        context = FakeContext(f"\\boxed{{{answer}}}")
        assert (await run_attempt(task, sample, context))[1].value == 1.0
        assert (await oracle_score(task, sample, 31)).value == 1.0


def test_protocols_say_what_is_done() -> None:
    assert math500().protocol.metric == "acc"
    assert (aime25().protocol.metric, aime25().protocol.repeats) == ("avg@32", 32)
    assert math500().protocol.max_tokens == 32_768
    assert "antlr4-python3-runtime=4.13" in math500().protocol.grader
    assert math500().floors == {"null": 0.0}


def test_without_the_extra_a_run_is_refused_before_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(math_grading, "_installed", lambda name: None)
    with pytest.raises(EnvironmentUnusableError, match=r"pip install 'longcat-eval\[math\]'"):
        math500().load(DataOptions())


def test_the_majority_counts_two_spellings_as_one_answer() -> None:
    def answered(text: str, value: float, repeat: int) -> Any:
        return row(SAMPLE, Score(value, Outcome.ANSWERED, extracted=text), repeat)

    rows = [answered("7", 0.0, 0), answered("025", 1.0, 1), answered("25", 1.0, 2), answered("7.5", 0.0, 3)]
    assert aime24().aggregate(rows).metrics["maj@4"] == 1.0


def test_a_task_without_algebra_needs_no_grader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(math_grading, "_installed", lambda name: None)
    task = MathTask("x", load=lambda options: None, template="{problem}", algebra=False)  # type: ignore[arg-type, return-value]
    assert task.load(DataOptions()) is None
    assert task.protocol.grader == "last-boxed/1"
