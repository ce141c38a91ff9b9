"""What one forward pass computes: pieces of sequences, laid out as flat rows.

Everything but attention sees rows, [T, H], whatever sequence they are of. Sequences that go on by one token
come first, grouped by length, because attention reads a group at once; longer pieces follow one by one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from longcat_eval.model_backend.longcat.ngram_hash import MISSING, Ids, NgramHasher

Wanted = Literal["last", "all", "none"]
# On a CPU a sequence this long is computed alone: reading its cache takes far longer than a call does.
ALONE = 512


@dataclass(frozen=True)
class Piece:
    """Consecutive tokens of one sequence, of which `start` are in the cache already.

    `pages` cover what is cached and what comes; `context` is the N-gram Cache before the tokens; `wanted`
    says for which of them logits are needed.
    """

    tokens: Sequence[int]
    start: int
    pages: Sequence[int]
    context: Sequence[int]
    wanted: Wanted = "last"

    @property
    def end(self) -> int:
        """Tokens in the cache after the step."""
        return self.start + len(self.tokens)


@dataclass(frozen=True)
class Span:
    """Rows [first, last) that attend together: one piece, or the single tokens of B sequences.

    Sequence b has `lengths[b]` cached tokens, its own among them, on the pages `table[b]` (padded with
    page 0). `run` is the first page where a lone sequence's pages follow one another, to be read in place.
    """

    first: int
    last: int
    table: Tensor
    lengths: Tensor
    longest: int
    run: int | None
    page_size: int

    @property
    def queries(self) -> int:
        """Rows of each sequence."""
        return (self.last - self.first) // len(self.lengths)

    @property
    def start(self) -> int:
        """Cached tokens before a lone piece."""
        return self.longest - self.queries

    @cached_property
    def hidden(self) -> Tensor | None:
        """[B, queries or 1, positions] bool: what a query may not see; None where it sees all there is."""
        positions = torch.arange(self.longest, device=self.lengths.device)
        if self.queries > 1:
            own = torch.arange(self.start, self.longest, device=positions.device)
            return (positions > own.unsqueeze(1)).unsqueeze(0)
        if len(self.lengths) == 1:
            return None
        return (positions >= self.lengths.unsqueeze(1)).unsqueeze(1)

    def latents(self, cache: Tensor) -> Tensor:
        """[slots, width] of a KV layer to [B, longest, width] of these sequences."""
        if self.run is not None:
            begin = self.run * self.page_size
            return cache[begin : begin + self.longest].unsqueeze(0)
        paged = cache.view(-1, self.page_size * cache.shape[1])
        read = paged.index_select(0, self.table.flatten())
        return read.view(len(self.lengths), -1, cache.shape[1])[:, : self.longest]

    def to(self, device: torch.device) -> "Span":
        """The same with its tensors on a device."""
        return replace(self, table=self.table.to(device), lengths=self.lengths.to(device))


@dataclass(frozen=True)
class Layout:
    """Where the rows of a step lie in the cache and in their sequences, on one device.

    `run` is the first slot where they follow one another.
    """

    positions: Tensor  # [T] int64
    slots: Tensor  # [T] int64, rows of every KV layer
    longest: int
    spans: tuple[Span, ...]
    run: int | None = None

    def write(self, cache: Tensor, latent: Tensor, key: Tensor) -> None:
        """Put the rows' latents [T, rank] and roped keys [T, rope] into a KV layer [slots, rank + rope]."""
        if self.run is None:
            cache.index_copy_(0, self.slots, torch.cat([latent, key], dim=-1))
        else:
            torch.cat([latent, key], dim=-1, out=cache[self.run : self.run + len(latent)])

    def to(self, device: torch.device) -> "Layout":
        """The same with its tensors on a device."""
        if self.positions.device == device:
            return self
        return replace(
            self,
            positions=self.positions.to(device),
            slots=self.slots.to(device),
            spans=tuple(span.to(device) for span in self.spans),
        )


@dataclass(frozen=True)
class Step:
    """A forward pass to do; made by `Step.of`.

    `ngram_ids` are the table rows of the tokens in order: a [t, tables] for all single tokens, then one for
    each longer piece, so that what was prefetched for a piece is found. `wanted` are the rows whose logits
    are asked for; those of piece i are `wanted[first:last]` with `(first, last) = answers[i]`.
    """

    tokens: Tensor
    ngram_ids: tuple[Tensor, ...]
    layout: Layout
    wanted: Tensor
    answers: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, pieces: Sequence[Piece], hasher: NgramHasher, page_size: int, alone: int = ALONE) -> "Step":
        """Lay pieces out, on the CPU; sequences of `alone` cached tokens and more attend one by one."""
        order = sorted(range(len(pieces)), key=lambda i: (len(pieces[i].tokens) > 1, -pieces[i].end))
        placed = [pieces[i] for i in order]
        lengths = np.array([len(piece.tokens) for piece in placed])
        firsts = np.concatenate([[0], np.cumsum(lengths)])
        positions = _counting(np.array([piece.start for piece in placed]), lengths)
        slots = np.concatenate([_slots(piece, page_size) for piece in placed])
        wanted, answers = _answers(placed, firsts, order)
        return cls(
            torch.tensor([token for piece in placed for token in piece.tokens]),
            tuple(_ngram_ids(placed, hasher)),
            Layout(
                torch.from_numpy(positions),
                torch.from_numpy(slots),
                max(piece.end for piece in placed),
                tuple(_spans(placed, firsts, page_size, alone)),
                int(slots[0]) if bool((np.diff(slots) == 1).all()) else None,
            ),
            torch.tensor(wanted, dtype=torch.int64),
            answers,
        )


def piece_ngram_ids(piece: Piece, hasher: NgramHasher) -> Tensor:
    """The table rows of a piece, as `Step.of` computes them: what to prefetch."""
    windows = hasher.windows(piece.tokens, piece.context)
    return hasher.window_ids(torch.from_numpy(windows.copy()))


def _ngram_ids(placed: list[Piece], hasher: NgramHasher) -> list[Tensor]:
    single = [piece for piece in placed if len(piece.tokens) == 1]
    ids = [piece_ngram_ids(piece, hasher) for piece in placed[len(single) :]]
    if single:
        missing = [MISSING] * hasher.order
        windows = [[piece.tokens[0], *reversed(piece.context), *missing][: hasher.order] for piece in single]
        ids.insert(0, hasher.window_ids(torch.tensor(windows)))
    return ids


def _slots(piece: Piece, page_size: int) -> Ids:
    if len(piece.tokens) == 1:
        return np.array([piece.pages[piece.start // page_size] * page_size + piece.start % page_size])
    places = np.arange(piece.start, piece.end)
    return np.asarray(piece.pages)[places // page_size] * page_size + places % page_size


def _counting(starts: Ids, lengths: Ids) -> Ids:
    """Each start and what follows it, `lengths` long, one after the other."""
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(int(lengths.sum()))


def _answers(
    placed: list[Piece], firsts: Ids, order: list[int]
) -> tuple[list[int], tuple[tuple[int, int], ...]]:
    rows: list[int] = []
    answers = [(0, 0)] * len(placed)
    for piece, first, i in zip(placed, firsts.tolist(), order, strict=False):
        last, begin = first + len(piece.tokens), len(rows)
        if piece.wanted != "none":
            rows += range(first if piece.wanted == "all" else last - 1, last)
        answers[i] = (begin, len(rows))
    return rows, tuple(answers)


def _spans(placed: list[Piece], firsts: Ids, page_size: int, alone: int) -> list[Span]:
    """Single tokens in groups whose shortest is at least half as long as its longest, then the others."""
    spans: list[Span] = []
    i = 0
    while i < len(placed):
        longest = placed[i].end
        until = i + 1
        if len(placed[i].tokens) == 1 and longest < alone:
            while (
                until < len(placed)
                and len(placed[until].tokens) == 1
                and 2 * placed[until].end + 32 >= longest
            ):
                until += 1
        spans.append(_span(placed[i:until], int(firsts[i]), int(firsts[until]), page_size))
        i = until
    return spans


def _span(group: list[Piece], first: int, last: int, page_size: int) -> Span:
    longest = group[0].end
    width = -(-longest // page_size)
    table = np.zeros((len(group), width), dtype=np.int64)
    for row, piece in enumerate(group):
        pages = piece.pages[: -(-piece.end // page_size)]
        table[row, : len(pages)] = pages
    run = int(table[0, 0]) if len(group) == 1 and bool((np.diff(table[0]) == 1).all()) else None
    lengths = torch.tensor([piece.end for piece in group])
    return Span(first, last, torch.from_numpy(table), lengths, longest, run, page_size)
