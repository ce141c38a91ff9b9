"""The backbone is the one of transformers 4.57.6, in every form that it is computed in.

In float32, to 1e-5 of the largest logit.
"""

import random
from dataclasses import replace

import pytest
import torch
from longcat_oracle import in_tree, in_tree_logits
from torch import Tensor

from longcat_eval.model_backend.longcat.config import LiteConfig
from longcat_eval.model_backend.longcat.experts import Kernel
from longcat_eval.model_backend.longcat.model import LongcatLite
from longcat_eval.model_backend.longcat.norm_rope import Rotation, inverse_frequencies
from longcat_eval.model_backend.longcat.packing import packed_parameters
from longcat_eval.model_backend.longcat.random_weights import random_model
from longcat_eval.model_backend.longcat.step import Piece, Step

TINY = LiteConfig.tiny()
PAGE = 4
SHAPES = {
    "tiny": TINY,
    "no zero experts": replace(TINY, zero_expert_num=0),
    "no yarn": replace(TINY, rope_scaling=None),
    "yarn that turns within the text": replace(
        TINY,
        rope_scaling={**(TINY.rope_scaling or {}), "factor": 10.0, "original_max_position_embeddings": 64},
    ),
    "uneven mscale": replace(
        TINY, rope_scaling={**(TINY.rope_scaling or {}), "mscale": 0.7, "mscale_all_dim": 1.2}
    ),
}


def assert_alike(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=1e-5 * float(expected.abs().max()), rtol=0)


def text(length: int, seed: int = 0, config: LiteConfig = TINY) -> list[int]:
    """Random ids, EOS often among them."""
    rng = random.Random(seed)
    return [rng.choice([config.eos_token_id, *range(20)]) % config.vocab_size for _ in range(length)]


def through_the_cache(model: LongcatLite, pieces: list[list[list[int]]]) -> list[Tensor]:
    """Logits of several texts, each given in pieces; round by round, one piece of each in a step."""
    pages = 64
    cache = model.new_cache(len(pieces) * pages * PAGE)
    seen: list[list[int]] = [[] for _ in pieces]
    found: list[list[Tensor]] = [[] for _ in pieces]
    for round_ in range(max(map(len, pieces))):
        step_pieces, owners = [], []
        for i, own in enumerate(pieces):
            if round_ < len(own):
                # pages in an order that nothing may depend on
                table = [(7 * p) % pages + i * pages for p in range(pages)]
                context = (-1, -1, -1, *seen[i])[-3:]
                step_pieces.append(Piece(own[round_], len(seen[i]), table, context, "all"))
                owners.append(i)
                seen[i] = seen[i] + own[round_]
        step = Step.of(step_pieces, model.hasher, PAGE)
        logits = model(step, cache)
        for i, (first, last) in zip(owners, step.answers, strict=True):
            found[i].append(logits[first:last])
    return [torch.cat(parts) for parts in found]


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_logits_equal_transformers(shape: LiteConfig) -> None:
    model = random_model(shape, seed=1)
    assert model.model.layers[0].mlp.router.e_score_correction_bias.abs().max() > 0
    tokens = text(150)
    expected = in_tree_logits(in_tree(model), model, tokens)
    assert_alike(model.logits(tokens), expected)
    pieces = [tokens[:90], tokens[90:97], *([t] for t in tokens[97:])]
    (got,) = through_the_cache(model, [pieces])
    assert_alike(got, expected)


@pytest.mark.parametrize("kernel", ["loop", "grouped", "grouped_mm", "gather"])
def test_every_expert_kernel_gives_the_same(kernel: Kernel) -> None:
    model = random_model(TINY, seed=2)
    tokens = text(40)
    expected = in_tree_logits(in_tree(model), model, tokens)
    model.use_kernel(kernel)
    assert_alike(model.logits(tokens), expected)
    assert_alike(model.logits(tokens[:1]), expected[:1])


@pytest.mark.parametrize("kernel", ["grouped", "grouped_mm", "gather"])
@pytest.mark.parametrize("rows", [1, 5, 64])
def test_kernels_agree_in_bfloat16_and_where_nobody_computes(kernel: Kernel, rows: int) -> None:
    moe = random_model(TINY, seed=6, dtype=torch.bfloat16).layers[0].mlp
    u = torch.randn(rows, TINY.hidden_size, generator=torch.Generator().manual_seed(0)).bfloat16()
    for bias in (0.0, 100.0):  # the second: every token goes to identities alone
        moe.router.e_score_correction_bias[TINY.real_experts :] += bias
        found = {}
        for each in ("loop", kernel):
            moe.experts.kernel = each
            found[each] = moe(u).float()
        torch.testing.assert_close(found[kernel], found["loop"], atol=0.05, rtol=0.02)


def test_packing_for_a_cpu_changes_nothing() -> None:
    model = random_model(TINY, seed=3)
    tokens = text(60)
    expected = model.logits(tokens)
    steps = [tokens[:40], *([t] for t in tokens[40:])]
    model.pack()
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        pytest.skip("this torch has no oneDNN")
    assert model.lm_head.weight.numel() == 0, "the plain weight is gone"
    assert_alike(model.logits(tokens), expected)
    assert_alike(through_the_cache(model, [steps])[0], expected)


def test_a_batch_of_pieces_equals_each_text_alone() -> None:
    model = random_model(TINY, seed=4)
    texts = [text(length, seed) for seed, length in enumerate([1, 3, 17, 60, 61, 130])]
    rng = random.Random(9)
    pieces: list[list[list[int]]] = []
    for tokens in texts:
        cuts = sorted(rng.sample(range(1, len(tokens)), min(len(tokens) - 1, rng.randrange(12))))
        pieces.append([tokens[a:b] for a, b in zip([0, *cuts], [*cuts, len(tokens)], strict=True)])
    for tokens, got in zip(texts, through_the_cache(model, pieces), strict=True):
        assert_alike(got, model.logits(tokens))


def test_long_sequences_attend_alone_and_give_the_same() -> None:
    model = random_model(TINY, seed=5)
    tokens = text(80)
    cache = model.new_cache(4 * 80)
    pieces = [Piece(tokens[:79], 0, range(i * 20, i * 20 + 20), (), "none") for i in range(4)]
    model(Step.of(pieces, model.hasher, PAGE), cache)
    last = [Piece(tokens[79:], 79, piece.pages, tokens[76:79], "last") for piece in pieces]
    together = model(Step.of(last, model.hasher, PAGE), cache)
    alone = model(Step.of(last, model.hasher, PAGE, alone=1), cache)
    assert_alike(together, alone)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_frequencies_are_those_of_transformers(shape: LiteConfig) -> None:
    from transformers import LongcatFlashConfig
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    rope = dict(shape.rope_scaling) if shape.rope_scaling else None
    theirs = LongcatFlashConfig(
        head_dim=shape.qk_rope_head_dim,
        rope_theta=shape.rope_theta,
        rope_scaling=rope,
        max_position_embeddings=shape.max_position_embeddings,
    )
    frequencies, factor = ROPE_INIT_FUNCTIONS["yarn" if rope else "default"](theirs, None)
    torch.testing.assert_close(inverse_frequencies(shape), frequencies, atol=0, rtol=1e-6)
    turns = Rotation(shape).at(torch.tensor([0]), 1)
    assert turns.real.flatten().tolist() == pytest.approx([factor] * (shape.qk_rope_head_dim // 2))


def test_the_real_shape_has_its_parameters() -> None:
    with torch.device("meta"):
        model = LongcatLite(LiteConfig.lite(), torch.bfloat16)
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    assert shapes == packed_parameters(LiteConfig.lite())
    tables = sum(LiteConfig.lite().ngram_table_sizes) * LiteConfig.lite().ngram_dim
    assert sum(value.numel() for value in model.state_dict().values()) + tables == 68_562_465_024


def test_a_model_without_tables_says_so() -> None:
    with pytest.raises(RuntimeError, match="tables are not loaded"):
        LongcatLite(TINY).logits([5])
