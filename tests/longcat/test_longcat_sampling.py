"""Draws follow transformers' own processors, in their order; the other orders are what they say."""

import math
import random

import pytest
import torch
from torch import Tensor

from longcat_eval.model_backend.longcat.engine_api import SamplingParams
from longcat_eval.model_backend.longcat.sampling import Draw, Seen, distribution, penalised, sample, uniform

VOCABULARY = 50


def scores(rows: int, seed: int, coarse: bool = False) -> Tensor:
    """Random logits; coarse ones have many ties, as bfloat16 has."""
    logits = torch.randn(rows, VOCABULARY, generator=torch.Generator().manual_seed(seed)) * 2
    return logits.mul(2).round().div(2) if coarse else logits


def transformers_probabilities(logits: Tensor, params: SamplingParams, seen: list[int]) -> Tensor:
    from transformers.generation import logits_process as theirs

    row = logits.unsqueeze(0)
    ids = torch.tensor([seen], dtype=torch.int64)
    if params.repetition_penalty != 1 and seen:
        row = theirs.RepetitionPenaltyLogitsProcessor(params.repetition_penalty)(ids, row)
    row = theirs.TemperatureLogitsWarper(params.temperature)(ids, row) if params.temperature != 1 else row
    row = theirs.TopKLogitsWarper(params.top_k)(ids, row) if params.top_k else row
    row = theirs.TopPLogitsWarper(params.top_p)(ids, row) if params.top_p < 1 else row
    return row.softmax(-1)[0]


def over_vocabulary(ids: Tensor, probabilities: Tensor) -> Tensor:
    return torch.zeros(len(ids), VOCABULARY).scatter_(1, ids, probabilities)


@pytest.mark.parametrize("coarse", [False, True])
@pytest.mark.parametrize("seed", range(40))
def test_every_combination_is_that_of_transformers(seed: int, coarse: bool) -> None:
    rng = random.Random(seed)
    params = SamplingParams(
        temperature=rng.choice([0.3, 0.7, 1.0, 2.0]),
        top_k=rng.choice([0, 1, 4, 20, 500]),
        top_p=rng.choice([0.01, 0.5, 0.95, 1.0]),
        repetition_penalty=rng.choice([1.0, 1.06, 0.8]),
    )
    logits = scores(3, seed, coarse)
    seen = [[rng.randrange(VOCABULARY) for _ in range(rng.randrange(1, 9))] for _ in range(3)]
    draws = [Draw(params, Seen(own, logits.device).ids) for own in seen]
    found = over_vocabulary(*distribution(penalised(logits, draws), [params] * 3))
    for row, own in enumerate(seen):
        expected = transformers_probabilities(logits[row], params, own)
        if coarse and params.top_p < 1:  # which of equals is cut depends on the sort; their masses do not
            assert found[row].sort().values.tolist() == pytest.approx(
                expected.sort().values.tolist(), abs=1e-6
            )
        else:
            torch.testing.assert_close(found[row], expected, atol=1e-6, rtol=1e-5)


def test_rows_with_different_filters_do_not_mix() -> None:
    logits = scores(6, 1)
    ways = [
        SamplingParams(0),
        SamplingParams(0.7, top_k=4, top_p=0.95),
        SamplingParams(1.3),
        SamplingParams(1, top_p=0.4),
        SamplingParams(1, top_k=1),
        SamplingParams(0.7, top_k=9),
    ]
    draws = [Draw(params, None, 0.37 * (i + 1) % 1) for i, params in enumerate(ways)]
    alone = [sample(logits[i : i + 1], [draw])[0] for i, draw in enumerate(draws)]
    assert sample(logits, draws) == alone
    assert alone[0] == int(logits[0].argmax())
    assert alone[4] == int(logits[4].argmax())


def test_joint_filters_look_at_the_whole_distribution() -> None:
    probabilities = torch.tensor([[0.4, 0.3, 0.2, 0.1]])
    # of the top two, renormalised, the first has 4/7 > 0.5; of the whole it has 0.4 and the second is needed
    kept = {
        order: (
            distribution(
                probabilities.log(),
                [SamplingParams(top_k=2, top_p=0.5, filter_order=order)],  # type: ignore[arg-type]
            )[1]
            > 0
        )
        .sum()
        .item()
        for order in ("sequential", "joint")
    }
    assert kept == {"sequential": 1, "joint": 2}


def test_draws_have_the_probabilities_they_should() -> None:
    params = SamplingParams(0.8, top_k=5)
    logits = scores(1, 3)
    expected = over_vocabulary(*distribution(logits, [params]))[0]
    count = 4000
    drawn = sample(
        logits.expand(count, -1).contiguous(), [Draw(params, None, uniform(11, 0, i)) for i in range(count)]
    )
    found = torch.bincount(torch.tensor(drawn), minlength=VOCABULARY) / count
    assert (found - expected).abs().max() < 4 * math.sqrt(0.25 / count)
    assert found[expected == 0].sum() == 0


@pytest.mark.parametrize("number", [0.0, 1 - 2**-53])
def test_the_ends_of_the_unit_interval_draw_possible_tokens(number: float) -> None:
    params = SamplingParams(1, top_k=3, top_p=0.9)
    logits = scores(1, 4)
    (token,) = sample(logits, [Draw(params, None, number)])
    assert over_vocabulary(*distribution(logits, [params]))[0, token] > 0


def test_logits_are_left_as_they_were() -> None:
    logits = scores(2, 5)
    before = logits.clone()
    sample(logits, [Draw(SamplingParams(0, repetition_penalty=2.0), torch.tensor([1, 2]))] * 2)
    assert torch.equal(logits, before)


def test_uniform_numbers_depend_on_all_three() -> None:
    numbers = {
        uniform(seed, choice, position) for seed in range(5) for choice in range(5) for position in range(40)
    }
    assert len(numbers) == 1000
    assert all(0 <= number < 1 for number in numbers)
    assert 0.45 < sum(numbers) / len(numbers) < 0.55
    assert uniform(1, 2, 3) == uniform(1, 2, 3)


def test_seen_tokens_grow_beyond_their_first_room() -> None:
    seen = Seen([3, 3, 4], torch.device("cpu"))
    for token in [*range(200), 3]:
        seen.add(token)
    assert sorted(seen.ids.tolist()) == list(range(200))
