"""The smoke suite: forty sound questions, its own answers score 1, nothing scores 0, no data is needed."""

from pathlib import Path

import pytest
from fake_context import FakeContext, oracle_score, row, run_attempt

from longcat_eval.protocols import DataOptions
from longcat_eval.records import Outcome
from longcat_eval.tasks.math_answers import as_integer
from longcat_eval.tasks.smoke import smoke

SAMPLES = smoke().load(DataOptions()).samples


def test_forty_questions_in_three_groups() -> None:
    groups = [sample.group for sample in SAMPLES]
    assert {g: groups.count(g) for g in groups} == {"choice": 20, "math": 14, "chinese": 6}
    assert len({str(sample.fields) for sample in SAMPLES}) == 40


def test_the_questions_are_well_formed_and_the_letters_spread() -> None:
    letters = [s.fields["answer"] for s in SAMPLES if s.group == "choice"]
    assert all(letters.count(letter) >= 3 for letter in "ABCD")
    for sample in SAMPLES:
        options = sample.fields.get("options", [])
        assert len(set(options)) == len(options)
        if sample.group == "math":
            assert as_integer(sample.fields["answer"]) == sample.fields["answer"]


async def test_its_own_answers_are_right_without_any_worker() -> None:
    task = smoke()
    rows = [row(sample, await oracle_score(task, sample)) for sample in SAMPLES]
    metrics = task.aggregate(rows).metrics
    assert {name: metrics[name] for name in ("micro", "macro", "choice", "math", "chinese")} == dict.fromkeys(
        ("micro", "macro", "choice", "math", "chinese"), 1.0
    )


async def test_silence_scores_nothing() -> None:
    task = smoke()
    scores = [(await run_attempt(task, sample, FakeContext("")))[1] for sample in SAMPLES]
    assert {(score.value, score.outcome) for score in scores} == {(0.0, Outcome.NO_ANSWER)}


@pytest.mark.parametrize(
    ("group", "words"), [("choice", "Answer: X"), ("math", r"\boxed{}"), ("chinese", "答案：X")]
)
async def test_each_group_is_asked_in_its_own_form(group: str, words: str) -> None:
    sample = next(s for s in SAMPLES if s.group == group)
    context = FakeContext("x")
    await smoke().attempt(sample, context)
    assert words in context.asked[0][0]["content"]


def test_nothing_outside_the_package_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONGCAT_EVAL_DATA", str(tmp_path / "nowhere"))
    dataset = smoke().load(DataOptions(tmp_path / "nowhere"))
    assert dataset.source == "longcat_eval/tasks/smoke_questions.yaml"
    assert (dataset.revision, dataset.drift) == (None, "")
