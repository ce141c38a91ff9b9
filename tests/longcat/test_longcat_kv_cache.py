"""Pages are shared, copied when written, given back; the N-gram Cache does what they do."""

import random

import pytest
import torch

from longcat_eval.model_backend.longcat.config import LiteConfig
from longcat_eval.model_backend.longcat.kv_cache import PagedCache, SequenceCache
from longcat_eval.model_backend.longcat.kv_pages import ROOT, OutOfPagesError, PagePool
from longcat_eval.model_backend.longcat.model import LongcatLite
from longcat_eval.model_backend.longcat.ngram_context import NgramContext
from longcat_eval.model_backend.longcat.random_weights import random_model
from longcat_eval.model_backend.longcat.step import Piece, Step

TINY = LiteConfig.tiny()
PAGE = 4


@pytest.fixture(scope="module")
def model() -> LongcatLite:
    return random_model(TINY, seed=1)


def grow(model: LongcatLite, share: SequenceCache, tokens: list[int]) -> torch.Tensor:
    """Compute what is not yet cached of `tokens`; the last logits."""
    share.reserve(len(tokens))
    piece = Piece(tokens[share.length :], share.length, share.pages, share.ngrams.ids)
    logits = model(Step.of([piece], model.hasher, PAGE), share.cache.layers)
    share.commit(tokens, len(tokens))
    assert share.ngrams == NgramContext.from_tail(TINY, tokens)
    return logits[0]


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=3e-5, rtol=0)


def test_forks_go_on_apart(model: LongcatLite) -> None:
    cache = PagedCache(model, 64, PAGE)
    prompt = [5, 6, 7, 8, 9, 10]
    share = cache.begin(prompt)
    grow(model, share, prompt)
    fork = share.fork()
    assert cache.pool.free == 14, "two pages, held twice"
    close(grow(model, share, [*prompt, 20, 21]), model.logits([*prompt, 20, 21])[-1])
    close(grow(model, fork, [*prompt, 30, 2, 31]), model.logits([*prompt, 30, 2, 31])[-1])
    close(grow(model, share, [*prompt, 20, 21, 22]), model.logits([*prompt, 20, 21, 22])[-1])
    assert share.pages[0] == fork.pages[0], "the full page is still shared"
    share.release()
    fork.release()
    assert cache.pool.free == 16


def test_rolled_back_tokens_never_were(model: LongcatLite) -> None:
    cache = PagedCache(model, 64, PAGE)
    tokens = list(range(10, 24))
    share = cache.begin(tokens)
    grow(model, share, tokens)
    for keep in (9, 8, 3):
        share.rollback_to(tokens[:keep])
        assert len(share.pages) == -(-keep // PAGE)
        other = [*tokens[:keep], 99, 98, 97, 96, 95]
        close(grow(model, share, other), model.logits(other)[-1])
        share.rollback_to(tokens[:keep])
    fresh = cache.begin(tokens)
    assert fresh.length == 12, "what was written over a known page went to another one"
    close(grow(model, fresh, tokens), model.logits(tokens)[-1])


def test_a_prefix_is_shared_and_survives_its_owner(model: LongcatLite) -> None:
    cache = PagedCache(model, 64, PAGE)
    prompt = list(range(40, 53))
    first = cache.begin(prompt)
    assert first.length == 0
    grow(model, first, prompt)
    first.release()
    second = cache.begin([*prompt[:10], 1, 1, 1])
    assert second.length == 8
    close(grow(model, second, [*prompt[:10], 1, 1, 1]), model.logits([*prompt[:10], 1, 1, 1])[-1])
    assert cache.begin(prompt[:12]).length == 8, "the last token is always computed"
    assert cache.begin(prompt, share=False).length == 0


def test_the_longest_idle_page_is_the_first_to_go(model: LongcatLite) -> None:
    cache = PagedCache(model, 16, PAGE)
    old, new = list(range(50, 58)), list(range(60, 68))
    for prompt in (old, new):
        share = cache.begin(prompt)
        grow(model, share, prompt)
        share.release()
    assert cache.pool.free == 4
    share = cache.begin([9] * 4)
    share.reserve(4)
    assert cache.begin([*new, 1]).length == 8
    assert cache.begin([*old, 1]).length < 8


def test_no_page_is_told() -> None:
    pool = PagePool(2, PAGE)
    pool.take()
    assert pool.take() == 1
    with pytest.raises(OutOfPagesError):
        pool.take()


def test_a_text_that_differs_anywhere_before_is_not_found() -> None:
    pool = PagePool(8, PAGE)
    a = pool.know(pool.take(), ROOT, [1, 2, 3, 4])
    b = pool.know(pool.take(), ROOT, [1, 2, 3, 5])
    pool.know(pool.take(), a, [7, 7, 7, 7])
    assert pool.find(a, [7, 7, 7, 7]) is not None
    assert pool.find(b, [7, 7, 7, 7]) is None
    assert pool.find(ROOT, [7, 7, 7, 7]) is None


@pytest.mark.parametrize("seed", range(20))
def test_pages_are_never_lost_nor_held_twice(model: LongcatLite, seed: int) -> None:
    """Random forks, growth, rollbacks and releases: holders are counted, and no writer disturbs another."""
    rng = random.Random(seed)
    cache = PagedCache(model, 48, PAGE)
    written = cache.layers[0]
    live: list[tuple[SequenceCache, list[int]]] = []
    for _ in range(60):
        action = rng.choice(["begin", "grow", "grow", "fork", "rollback", "release"])
        if action == "begin" or not live:
            tokens = [rng.choice([1, 2, 3]) for _ in range(rng.randrange(1, 9))]
            live.append((cache.begin(tokens), tokens))
            grown = live[-1]
        else:
            grown = live[rng.randrange(len(live))]
        share, tokens = grown
        if action == "fork":
            live.append((share.fork(), list(tokens)))
        elif action == "rollback":
            del tokens[max(1, rng.randrange(len(tokens) + 1)) :]
            share.rollback_to(tokens[: min(len(tokens), share.length)])
        elif action == "release":
            share.release()
            live.remove(grown)
        else:
            tokens += [rng.choice([1, 2, 3]) for _ in range(rng.randrange(4))]
            try:
                share.reserve(len(tokens))
            except OutOfPagesError:
                share.release()
                live.remove(grown)
            else:
                _stamp(written, share, tokens)
                share.commit(tokens, len(tokens))
        held = {page for other, _ in live for page in other.pages}
        assert cache.pool.free == cache.pool.pages - len(held)
        for other, own in live:
            _check(written, other, own)


def _stamp(layer: torch.Tensor, share: SequenceCache, tokens: list[int]) -> None:
    """Write to each slot what identifies the text up to it."""
    for at in range(share.length, len(tokens)):
        layer[share.pages[at // PAGE] * PAGE + at % PAGE, 0] = _mark(tokens[: at + 1])


def _check(layer: torch.Tensor, share: SequenceCache, tokens: list[int]) -> None:
    for at in range(share.length):
        assert layer[share.pages[at // PAGE] * PAGE + at % PAGE, 0] == _mark(tokens[: at + 1])


def _mark(tokens: list[int]) -> float:
    return float(hash(tuple(tokens)) % 65_521)
