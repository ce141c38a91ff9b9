"""The n-gram hash: golden ids of the real shape, and equality with a plain walk."""

from collections.abc import Sequence

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from longcat_eval.model_backend.longcat.config import LiteConfig
from longcat_eval.model_backend.longcat.ngram_hash import MISSING, NgramHasher

EOS = 2
GOLDEN_TOKENS = [11, 523, EOS, 44, 130000, 7]
GOLDEN = """
    11 11 11 11 11 11 11 11 11 11 11 11
    1442315 1442315 1442315 1442315 1442315 1442315 1442315 1442315 1442315 1442315 1442315 1442315
    7208956 7208944 7208932 7208920 2061807 2024825 1987843 1950861 1913879 1876897 1839915 1802933
    44 44 44 44 44 44 44 44 44 44 44 44
    5897168 5897168 5897168 5897168 5897168 5897168 5897168 5897168 5897168 5897168 5897168 5897168
    6814085 6810753 6807421 6804089 6659603 6508395 6357187 6205979 6054771 5903563 5752355 5601147
"""
GOLDEN_IDS = [[int(word) for word in line.split()] for line in GOLDEN.split("\n") if line.strip()]


def config(vocabulary: int = 131072, order: int = 4, splits: int = 4, ratio: float = 78) -> LiteConfig:
    tables = splits * (order - 1)
    return LiteConfig(
        vocab_size=vocabulary,
        hidden_size=8 * tables,
        emb_neighbor_num=order,
        emb_split_num=splits,
        ngram_vocab_size_ratio=ratio,
    )


def walk(shape: LiteConfig, tokens: Sequence[int]) -> list[list[int]]:
    """The definition, token by token."""
    rows = []
    for t in range(len(tokens)):
        row = []
        for i, size in enumerate(shape.ngram_table_sizes):
            total, back = tokens[t], 1
            while back < 2 + i // shape.emb_split_num and t >= back and tokens[t - back] != EOS:
                total += tokens[t - back] * shape.vocab_size**back
                back += 1
            row.append(total % size)
        rows.append(row)
    return rows


def test_golden_ids_of_the_real_shape() -> None:
    hasher = NgramHasher(LiteConfig.lite())
    assert hasher.ids(GOLDEN_TOKENS).tolist() == GOLDEN_IDS
    assert hasher.window_ids(torch.from_numpy(hasher.windows(GOLDEN_TOKENS).copy())).tolist() == GOLDEN_IDS
    assert hasher.powers[:, 11].tolist() == [1, 131072, 4155664, 6376805]
    assert hasher.powers[:, 0].tolist() == [1, 131072, 0, 0], "table 0 is of bigrams"


@given(
    vocabulary=st.sampled_from([5, 7, 64, 320, 131072]),
    order=st.integers(2, 5),
    splits=st.integers(1, 4),
    ratio=st.sampled_from([1, 4, 78]),
    draws=st.lists(st.floats(0, 1, exclude_max=True), max_size=24),
    ends=st.lists(st.booleans(), min_size=24, max_size=24),
    cut=st.integers(0, 24),
)
def test_equals_the_walk_in_any_chunks(
    vocabulary: int, order: int, splits: int, ratio: int, draws: list[float], ends: list[bool], cut: int
) -> None:
    shape = config(vocabulary, order, splits, ratio)
    tokens = [EOS if end else int(draw * vocabulary) for draw, end in zip(draws, ends, strict=False)]
    expected = walk(shape, tokens)
    hasher = NgramHasher(shape)
    assert hasher.ids(tokens).tolist() == expected
    head, tail = tokens[:cut], tokens[cut:]
    assert [*hasher.ids(head).tolist(), *hasher.ids(tail, head).tolist()] == expected
    windows = torch.from_numpy(hasher.windows(tokens).copy())
    assert hasher.window_ids(windows).tolist() == expected


def test_largest_ids_do_not_overflow() -> None:
    tokens = [131071] * 6
    assert NgramHasher(LiteConfig.lite()).ids(tokens).tolist() == walk(LiteConfig.lite(), tokens)


def test_four_back_and_beyond_an_eos_change_nothing() -> None:
    hasher = NgramHasher(LiteConfig.lite())
    assert (hasher.ids([9, 5, 6, 7, 8])[4] == hasher.ids([1, 5, 6, 7, 8])[4]).all()
    assert (hasher.ids([9, 6, EOS, 7, 8])[3:] == hasher.ids([4, 3, EOS, 7, 8])[3:]).all()
    assert (hasher.ids([9, 6, EOS])[2] != hasher.ids([4, 3, EOS])[2]).any()


def test_an_empty_chunk_and_missing_context() -> None:
    hasher = NgramHasher(LiteConfig.tiny())
    assert hasher.ids([]).shape == (0, 12)
    assert np.array_equal(hasher.ids([5, 6], [MISSING] * 3), hasher.ids([5, 6]))
