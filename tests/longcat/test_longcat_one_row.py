"""Steps of one token on a CPU: other calls, the same numbers."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from longcat_oracle import in_tree, in_tree_logits
from torch import Tensor

from longcat_eval.model_backend.longcat import columns, huge_pages
from longcat_eval.model_backend.longcat.columns import Columns, row_product
from longcat_eval.model_backend.longcat.config import LiteConfig
from longcat_eval.model_backend.longcat.huge_pages import Arena
from longcat_eval.model_backend.longcat.model import LongcatLite
from longcat_eval.model_backend.longcat.random_weights import random_model
from longcat_eval.model_backend.longcat.step import Piece, Step

TINY = LiteConfig.tiny()
PAGE = 4


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def token_by_token(model: LongcatLite, tokens: list[int], pages: list[int]) -> Tensor:
    """Logits [T, vocabulary] of steps of one token each."""
    cache = model.new_cache(len(pages) * PAGE)
    found = []
    for i, token in enumerate(tokens):
        context = (-1, -1, -1, *tokens[:i])[-3:]
        found.append(model(Step.of([Piece([token], i, pages, context, "all")], model.hasher, PAGE), cache))
    return torch.cat(found)


@given(
    st.integers(1, 5),
    st.sampled_from([1, 7, 31, 32, 48, 96, 131]),
    st.integers(1, 40),
    st.sampled_from([8, 512]),
)
def test_columns_added_up_are_the_product(count: int, outputs: int, inputs: int, widest: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "WIDEST", widest)
        patch.setattr(columns, "NARROWEST", 1)
        weights, x = drawn(count, outputs, inputs), drawn(count, inputs)
        cut = Columns(weights, Arena())
    products = torch.einsum("coi,ci->co", weights, x)
    torch.testing.assert_close(cut(x.flatten()), products.flatten(), atol=1e-4, rtol=1e-4)
    chosen = list(range(count - 1, -1, -2))
    each = torch.einsum("koi,i->ko", weights[chosen], x[0])
    torch.testing.assert_close(cut.each(x[0], chosen), each, atol=1e-4, rtol=1e-4)
    total = cut.total(x[chosen], chosen)
    torch.testing.assert_close(total, products[chosen].sum(0), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("outputs", [16, 257, 1021, 4096])
def test_every_form_of_a_matrix_gives_its_product(outputs: int) -> None:
    weight, x = drawn(outputs, 300), drawn(300)
    product = row_product(weight, Arena())
    assert isinstance(product, Columns) == (outputs in (16, 257)), "1,021 is prime, and 4,096 wide"
    torch.testing.assert_close(product(x), weight @ x, atol=1e-3, rtol=1e-4)


def test_kept_tensors_lie_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huge_pages, "CHUNK", huge_pages.PAGE)
    arena = Arena()
    sizes = [3, 100, 400_000, 200_000, 700_000, 5]
    kept = [arena.keep(torch.full((size,), float(size))) for size in sizes]
    assert all(bool((tensor == size).all()) for tensor, size in zip(kept, sizes, strict=True))
    assert all(tensor.data_ptr() % huge_pages.ALIGNMENT == 0 for tensor in kept)


@pytest.mark.parametrize("zero_experts", [0, TINY.zero_expert_num])
@pytest.mark.parametrize("widest", [16, 512])
def test_steps_of_one_token_equal_transformers(
    zero_experts: int, widest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns, "WIDEST", widest)
    monkeypatch.setattr(columns, "NARROWEST", 8)
    model = random_model(replace(TINY, zero_expert_num=zero_experts), seed=4)
    tokens = [5, 9, TINY.eos_token_id, 11, 5, 9, 12, 3, 3, 8]
    expected = in_tree_logits(in_tree(model), model, tokens)
    model.pack()
    assert model.has_one_row, "this torch has no FBGEMM"
    for pages in ([0, 1, 2], [2, 0, 1]):  # read in place, and gathered
        got = token_by_token(model, tokens, pages)
        torch.testing.assert_close(got, expected, atol=1e-5 * float(expected.abs().max()), rtol=0)


def test_a_token_whose_experts_are_all_identities() -> None:
    model = random_model(TINY, seed=6)
    for layer in model.layers:
        layer.mlp.router.e_score_correction_bias[TINY.real_experts :] += 100.0
    expected = model.logits([7])
    model.pack()
    torch.testing.assert_close(token_by_token(model, [7], [0]), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("spoil", ["bfloat16", "disk", "size"])
def test_one_row_is_for_float32_in_memory_and_not_too_large(
    spoil: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = random_model(TINY, seed=6, dtype=torch.bfloat16 if spoil == "bfloat16" else torch.float32)
    if spoil == "disk":
        model.on_disk = frozenset({0})
    if spoil == "size":
        monkeypatch.setattr("longcat_eval.model_backend.longcat.model.TWICE_BELOW", 1000)
    model.pack()
    assert not model.has_one_row
    assert token_by_token(model, [7, 8], [0]).isfinite().all()
