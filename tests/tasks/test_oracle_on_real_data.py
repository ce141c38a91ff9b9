"""Every sample of the real sets: the reference reply scores 1, an empty one is no answer."""

from pathlib import Path

import pytest
from fake_context import FakeContext, oracle_score, row, run_attempt

from longcat_eval.protocols import DataOptions
from longcat_eval.records import Outcome
from longcat_eval.tasks.mmlu_pro import CHANCE
from longcat_eval.tasks.table import load_task

pytestmark = pytest.mark.data


@pytest.mark.parametrize(("name", "items"), [("mmlu", 14_042), ("mmlu-pro", 12_032), ("math500", 500)])
async def test_the_reference_scores_all_and_silence_nothing(name: str, items: int, data_dir: Path) -> None:
    task = load_task(name)
    samples = task.load(DataOptions(data_dir)).samples
    # No workers: a gold answer must never need more than the plain comparison with itself.
    right = [row(sample, await oracle_score(task, sample)) for sample in samples]
    assert (len(right), task.aggregate(right).metrics["micro"]) == (items, 1.0)
    silent = [(await run_attempt(task, sample, FakeContext("")))[1] for sample in samples]
    assert {(score.value, score.outcome) for score in silent} == {(0.0, Outcome.NO_ANSWER)}


def test_the_chance_of_mmlu_pro_is_that_of_its_options(data_dir: Path) -> None:
    samples = load_task("mmlu-pro").load(DataOptions(data_dir)).samples
    assert sum(1 / len(s.fields["options"]) for s in samples) / len(samples) == pytest.approx(
        CHANCE, abs=5e-5
    )
