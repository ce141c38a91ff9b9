"""The N-gram Cache: whatever happens to a sequence, its ids are those of its committed tokens."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from longcat_eval.model_backend.longcat.config import LiteConfig
from longcat_eval.model_backend.longcat.ngram_context import BatchContext, NgramContext
from longcat_eval.model_backend.longcat.ngram_hash import MISSING, NgramHasher

SHAPE = LiteConfig.tiny()
EOS = SHAPE.eos_token_id
TOKENS = st.lists(st.sampled_from([EOS, 4, 5, 319]), max_size=10)


@given(st.lists(TOKENS, max_size=5))
def test_chunks_through_the_context_equal_the_whole(chunks: list[list[int]]) -> None:
    hasher, context = NgramHasher(SHAPE), NgramContext.empty(SHAPE)
    seen: list[int] = []
    found: list[list[int]] = []
    for chunk in chunks:
        found += hasher.ids(chunk, context.ids).tolist()
        context.append(chunk)
        seen += chunk
        assert context == NgramContext.from_tail(SHAPE, seen)
    assert found == hasher.ids(seen).tolist()


@given(TOKENS, TOKENS, TOKENS)
def test_rollback_forgets_drafts_and_forks_part(
    committed: list[int], draft: list[int], other: list[int]
) -> None:
    context = NgramContext.from_tail(SHAPE, committed)
    fork = context.fork()
    fork.append(other)
    context.append(draft)
    context.rollback_to(committed)
    assert context == NgramContext.from_tail(SHAPE, committed)
    assert fork == NgramContext.from_tail(SHAPE, committed + other)


def test_an_eos_empties_the_window() -> None:
    context = NgramContext.from_tail(SHAPE, [7, 8, 9])
    assert context.ids == (7, 8, 9)
    context.append([EOS])
    assert context.ids == (MISSING,) * 3
    context.append([5])
    assert context.ids == (MISSING, MISSING, 5)


@given(st.lists(st.lists(TOKENS, min_size=3, max_size=3), min_size=1, max_size=3), st.permutations([0, 1, 2]))
def test_a_left_padded_batch_equals_each_sequence(rounds: list[list[list[int]]], order: list[int]) -> None:
    hasher, batch = NgramHasher(SHAPE), BatchContext(SHAPE, 3)
    seen: list[list[int]] = [[], [], []]
    first = True
    for chunks in rounds:
        longest = max(map(len, chunks))
        if not first:  # padding within a sequence does not happen: rows move in step after the prompt
            chunks = [(chunk * longest or [6] * longest)[:longest] for chunk in chunks]
            longest = max(map(len, chunks))
        first = False
        if not longest:
            continue
        tokens = torch.tensor([[0] * (longest - len(c)) + c for c in chunks])
        valid = torch.tensor([[False] * (longest - len(c)) + [True] * len(c) for c in chunks])
        ids = hasher.window_ids(batch.windows(tokens, valid).reshape(-1, 4)).view(3, longest, -1)
        for row, chunk in enumerate(chunks):
            if chunk:
                assert ids[row, -len(chunk) :].tolist() == hasher.ids(chunk, seen[row]).tolist()
        batch.append(tokens, valid)
        batch.reorder(torch.tensor(order))
        seen = [(seen[row] + chunks[row])[:] for row in order]
        for row in range(3):
            assert tuple(batch.ids[row].tolist()) == NgramContext.from_tail(SHAPE, seen[row]).ids
