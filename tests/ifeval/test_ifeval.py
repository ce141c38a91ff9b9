"""IFEval: lm-eval's verdicts, alike twice over, in processes that may be killed."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fake_context import FakeContext, row, run_attempt
from hypothesis import given
from hypothesis import strategies as st

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.protocols import DataOptions
from longcat_eval.records import Outcome, Sample, Score
from longcat_eval.runners.workers import WorkerPool
from longcat_eval.tasks import ifeval_checkers
from longcat_eval.tasks.ifeval import IFEvalTask, sample
from longcat_eval.tasks.ifeval_checkers import judge

COMMAS, LOWER, SENTENCES = (
    "punctuation:no_comma",
    "change_case:english_lowercase",
    "length_constraints:number_sentences",
)


def prompt(*instructions: str, kwargs: list[dict[str, object]] | None = None) -> Sample:
    row = {
        "key": 7,
        "prompt": "Say something.",
        "instruction_id_list": list(instructions),
        "kwargs": kwargs or [{}] * len(instructions),
    }
    return sample(row, "", 0)


async def verdict(item: Sample, reply: str, pool: WorkerPool, finish: str = "stop") -> Score:
    context = FakeContext(reply, finish, workers=pool)
    return (await run_attempt(IFEvalTask(), item, context))[1]


async def test_strict_and_loose_verdicts_of_one_reply(workers: WorkerPool) -> None:
    two = prompt(COMMAS, SENTENCES, kwargs=[{}, {"relation": "at least", "num_sentences": 2}])
    right = await verdict(two, "One thing. Another thing.", workers)
    assert (right.value, right.outcome, right.extracted) == (1.0, Outcome.ANSWERED, None)
    half = await verdict(two, "Sure, here it is:\nOne thing. Another thing.", workers)
    assert (half.value, half.extracted) == (0.0, COMMAS)
    assert half.metrics == {
        "instructions": 2.0,
        "followed_strict": 1.0,
        "followed_loose": 2.0,
        "prompt_loose": 1.0,
    }


async def test_four_rates_and_their_denominators(workers: WorkerPool) -> None:
    two, one = prompt(COMMAS, LOWER), prompt(COMMAS)
    one = Sample("8", one.fields)
    task = IFEvalTask()
    scores = [
        (two, await verdict(two, "no, this is a sentence of the english language", workers)),
        (one, await verdict(one, "Fine", workers)),
    ]
    rates = task.aggregate([row(item, score) for item, score in scores])
    assert rates.headline == "prompt_strict"
    assert rates.metrics["prompt_strict"] == 0.5
    assert rates.metrics["inst_strict"] == pytest.approx(2 / 3)
    silent = await verdict(two, " \n", workers)
    assert (silent.outcome, silent.metrics["instructions"]) == (Outcome.NO_ANSWER, 2.0)
    rates = task.aggregate([row(two, silent), row(one, scores[1][1])])
    assert rates.metrics["inst_strict"] == pytest.approx(1 / 3), "a blank reply stays in the denominator"
    assert rates.metrics["no_answer"] == 0.5
    assert task.aggregate([]).metrics == {}


async def test_a_cut_reply_is_judged_as_it_is(workers: WorkerPool) -> None:
    cut = await verdict(prompt(COMMAS), "Fine so f", workers, finish="length")
    assert (cut.value, cut.outcome, cut.reason) == (1.0, Outcome.LENGTH_LIMIT, "tokens")
    thinking = await verdict(prompt(COMMAS), "<think>well, well</think>Fine", workers)
    assert thinking.value == 1.0


async def test_a_grader_that_cannot_run_is_no_verdict_on_the_model(workers: WorkerPool) -> None:
    broken = await verdict(prompt("punctuation:none_such"), "Fine", workers)
    assert (broken.value, broken.outcome, broken.reason) == (None, Outcome.HARNESS_ERROR, "grader_error")


async def test_a_reply_that_breaks_the_limits_is_wrong(
    workers: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ifeval_checkers, "SECONDS", 0.001)
    slow = await verdict(prompt(LOWER), "fine", workers)
    assert (slow.value, slow.outcome, slow.reason) == (0.0, Outcome.ANSWERED, "grader_timeout")
    assert slow.metrics["instructions"] == 1.0


async def test_a_random_letter_is_the_same_each_time(workers: WorkerPool) -> None:
    """Keys 1122 and 1129 ask for `#` and `!`, for which lm-eval counts a letter of its own choice."""
    arguments = {"letter": "#", "let_frequency": 2, "let_relation": "at least"}
    texts = [letter * 2 for letter in "abcdefghijklmnopqrstuvwxyz"]
    passed = [
        await judge("Say #.", ["keywords:letter_frequency"], [arguments], text, workers) for text in texts
    ]
    assert sum(found.strict[0] for found in passed) == 1
    assert all(found.strict == found.loose for found in passed)


@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), st.none() | st.integers(0, 3)))
def test_nulls_of_the_hub_change_nothing(arguments: dict[str, int | None]) -> None:
    raw = {"key": 1, "prompt": "p", "instruction_id_list": [COMMAS]}
    bare = {name: value for name, value in arguments.items() if value is not None}
    assert sample(raw | {"kwargs": [arguments]}, "", 0) == sample(raw | {"kwargs": [bare]}, "", 0)


def test_what_is_missing_is_said_before_any_request(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("nltk.data.path", [str(tmp_path)])
    with pytest.raises(EnvironmentUnusableError, match="longcat-eval fetch punkt"):
        IFEvalTask().load(DataOptions(tmp_path))
    monkeypatch.setattr(ifeval_checkers, "PACKAGES", (*ifeval_checkers.PACKAGES, "none-such"))
    with pytest.raises(
        EnvironmentUnusableError, match=r"needs none-such: pip install 'longcat-eval\[lm-eval\]'"
    ):
        IFEvalTask().load(DataOptions(tmp_path))


def test_a_row_with_arguments_too_few_is_refused(punkt: Path, tmp_path: Path) -> None:
    (tmp_path / "ifeval").mkdir()
    bad = {"key": 1, "prompt": "p", "instruction_id_list": [COMMAS], "kwargs": []}
    (tmp_path / "ifeval" / "input_data.jsonl").write_text(json.dumps(bad))
    with pytest.raises(EnvironmentUnusableError, match="row 1: 1 instructions with 0 sets of arguments"):
        IFEvalTask().load(DataOptions(tmp_path))


REPLIES = ("{prompt}", "sure. here is the answer\n\n* a\n* b\n\nP.S. done", "HELLO WORLD, THIS IS IT!")
DRAWN = {"language:response_language", "change_case:english_lowercase", "change_case:english_capital"}
"""What langdetect judges, from a draw of its own each time."""
RANDOM_LETTERS = {"1122", "1129"}
OFFICIAL = """
import json, sys
from lm_eval.tasks.ifeval.utils import process_results
print(json.dumps([process_results(doc, [reply]) for doc, reply in json.load(sys.stdin)]))
"""


def by_lm_eval(docs: str, punkt: Path) -> list[dict[str, Any]]:
    command, env = [sys.executable, "-c", OFFICIAL], {**os.environ, "NLTK_DATA": str(punkt)}
    done = subprocess.run(command, input=docs, env=env, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.data
async def test_541_prompts_graded_twice_alike_and_as_by_lm_eval(
    data_dir: Path, workers: WorkerPool, punkt: Path
) -> None:
    """lm-eval's own `process_results` runs unseeded in a process of its own."""
    data = IFEvalTask().load(DataOptions(data_dir))
    assert (len(data.samples), data.drift) == (541, "")
    assert sum(len(s.fields["kwargs"]) for s in data.samples) == 834
    items = [
        (s, REPLIES[i % len(REPLIES)].format(prompt=s.fields["prompt"])) for i, s in enumerate(data.samples)
    ]

    async def grade() -> list[Score]:
        return await asyncio.gather(*(verdict(s, reply, workers) for s, reply in items))

    first, second = await grade(), await grade()
    assert msgspec.json.encode(first) == msgspec.json.encode(second)
    docs = json.dumps([({"key": int(s.id), **s.fields}, reply) for s, reply in items])
    differing = set()
    judged = await asyncio.to_thread(by_lm_eval, docs, punkt)
    for (item, _), ours, theirs in zip(items, first, judged, strict=True):
        official = (
            float(theirs["prompt_level_strict_acc"]),
            float(theirs["prompt_level_loose_acc"]),
            sum(theirs["inst_level_strict_acc"]),
            sum(theirs["inst_level_loose_acc"]),
        )
        found = ours.metrics
        rates = (ours.value, found["prompt_loose"], found["followed_strict"], found["followed_loose"])
        if rates != official:
            differing.add(item.id)
            assert item.id in RANDOM_LETTERS or DRAWN & set(item.fields["instruction_id_list"]), item.id
    assert len(differing) < 12
    assert 0.05 < sum(score.value or 0 for score in first) / 541 < 0.5
