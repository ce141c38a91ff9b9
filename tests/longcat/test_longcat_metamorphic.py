"""What must happen to the output when something happens to the model or the text."""

import random

import pytest
import torch

from longcat_eval.model_backend.longcat.config import LiteConfig
from longcat_eval.model_backend.longcat.random_weights import random_model
from longcat_eval.model_backend.longcat.step import Piece, Step

TINY = LiteConfig.tiny()
EOS = TINY.eos_token_id


def embedding(tokens: list[int]) -> torch.Tensor:
    model = random_model(TINY, seed=1)
    return model.embed(Step.of([Piece(tokens, 0, [0], (), "all")], model.hasher, len(tokens)))


@pytest.mark.parametrize("back", range(6))
def test_a_token_is_seen_three_back_and_no_further(back: int) -> None:
    tokens = [11, 12, 13, 14, 15, 16]
    changed = [*tokens]
    changed[5 - back] = 99
    same = torch.equal(embedding(tokens)[5], embedding(changed)[5])
    assert same == (back > TINY.ngram_context_size)


@pytest.mark.parametrize("end", range(5))
def test_an_eos_hides_what_is_before_it(end: int) -> None:
    tokens, changed = [11, 12, 13, 14, 15], [91, 92, 93, 94, 15]
    tokens[end], changed[end] = EOS, EOS
    hidden = torch.equal(embedding(tokens)[4], embedding(changed)[4])
    # hidden after it only: the EOS itself is hashed with what is before it
    assert hidden == (end == 3)


def test_later_tokens_change_nothing_before_them() -> None:
    model = random_model(TINY, seed=2)
    tokens = [random.Random(0).randrange(320) for _ in range(20)]
    torch.testing.assert_close(model.logits(tokens)[:12], model.logits(tokens[:12]), atol=1e-5, rtol=0)


def test_experts_may_change_places_with_their_router_rows() -> None:
    model = random_model(TINY, seed=3)
    tokens = list(range(30, 60))
    before = model.logits(tokens)
    order = torch.randperm(TINY.real_experts, generator=torch.Generator().manual_seed(1))
    for layer in model.layers:
        moe = layer.mlp
        moe.experts.gate_up.copy_(moe.experts.gate_up[order])
        moe.experts.down.copy_(moe.experts.down[order])
        for rows in (moe.router.classifier.weight, moe.router.e_score_correction_bias):
            rows[: TINY.real_experts] = rows[order]
    torch.testing.assert_close(model.logits(tokens), before, atol=3e-5, rtol=0)


def test_dead_experts_leave_the_identity_term() -> None:
    moe = random_model(TINY, seed=4).layers[0].mlp
    moe.experts.down.zero_()
    u = torch.randn(25, TINY.hidden_size, generator=torch.Generator().manual_seed(0))
    scores = torch.softmax(moe.router.classifier(u), -1)
    chosen = torch.topk(scores + moe.router.e_score_correction_bias, TINY.moe_topk).indices
    identity = torch.where(chosen >= TINY.real_experts, scores.gather(1, chosen), 0).sum(1, keepdim=True)
    assert identity.max() > 0
    torch.testing.assert_close(moe(u), u * identity * TINY.routed_scaling_factor, atol=1e-6, rtol=0)


def test_the_bias_chooses_and_does_not_weigh() -> None:
    router = random_model(TINY, seed=5).layers[0].mlp.router
    u = torch.randn(7, TINY.hidden_size, generator=torch.Generator().manual_seed(0))
    router.e_score_correction_bias.zero_()
    router.e_score_correction_bias[3] = 100
    chosen, weights = router(u)
    assert (chosen == 3).any(1).all(), "the bias makes it chosen everywhere"
    scores = torch.softmax(router.classifier(u), -1)
    torch.testing.assert_close(weights, scores.gather(1, chosen) * TINY.routed_scaling_factor)
