"""The latent KV cache and the N-gram Cache as one cache object of transformers.

The n-gram context is always read from the tokens that a row has in the cache, so whatever reorders, repeats
or crops the one does it to the other. Padding takes no place: rows know which columns of the batch were real.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache

from longcat_eval.model_backend.longcat.ngram_context import NgramContext
from longcat_eval.model_backend.longcat.step import Piece, Wanted

if TYPE_CHECKING:
    from longcat_eval.model_backend.longcat.model import LongcatLite

PAGE = 64


class LatentCache(Cache):  # type: ignore[misc]
    """`tokens[b]` are the real tokens of row b, one latent each; `valid` [B, columns] says where."""

    def __init__(self, model: "LongcatLite", rows: int, columns: int = PAGE) -> None:
        self.layers: list[Any] = []  # of transformers' own kinds it has none
        self.model = model
        self.tokens: list[list[int]] = [[] for _ in range(rows)]
        self.valid = torch.zeros(rows, 0, dtype=torch.bool)
        self.capacity = 0
        self.latents: list[Tensor] = []
        self._grow(columns)

    is_compileable = False
    is_initialized = True

    @property
    def is_sliding(self) -> list[bool]:
        """No layer forgets."""
        return [False] * self.model.config.kv_layers

    @property
    def max_cache_len(self) -> int:
        """Unbounded: it grows."""
        return -1

    @property
    def max_batch_size(self) -> int:
        """Rows."""
        return len(self.tokens)

    def __len__(self) -> int:
        return self.model.config.kv_layers

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Columns of the batch that were read, padding included."""
        return self.valid.shape[1]

    def get_max_cache_shape(self, layer_idx: int = 0) -> int:
        """Unbounded."""
        return -1

    def update(self, *_: Any, **__: Any) -> Any:
        """Not here: the model writes its latents itself."""
        raise NotImplementedError("LongCat-Flash-Lite writes its own cache")

    def take(self, ids: Tensor, real: Tensor, wanted: Wanted) -> list[Piece]:
        """The pieces that columns [B, T] add, in row order; rows without a real token add none."""
        added = [row[mask].tolist() for row, mask in zip(ids, real, strict=True)]
        longest = max(len(old) + len(new) for old, new in zip(self.tokens, added, strict=True))
        if longest > self.capacity:
            self._grow(max(longest, 2 * self.capacity))
        pages = self.capacity // PAGE
        pieces = []
        for b, new in enumerate(added):
            if not new:
                continue
            own = self.tokens[b]
            context = NgramContext.from_tail(self.model.config, own).ids
            row_pages = range(b * pages, (b + 1) * pages)
            pieces.append(Piece(new, len(own), row_pages, context, wanted))
            own += new
        self.valid = torch.cat([self.valid, real.cpu()], dim=1)
        return pieces

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Row b goes on from what was row `beam_idx[b]`."""
        self._select(beam_idx.tolist())

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Every row so many times in a row."""
        self._select([b for b in range(len(self.tokens)) for _ in range(repeats)])

    def batch_select_indices(self, indices: Tensor) -> None:
        """Only these rows."""
        self._select(indices.tolist())

    def crop(self, max_length: int) -> None:
        """Only the first columns, or all but the last ones if negative."""
        kept = self.valid[:, :max_length]
        self.tokens = [own[: int(n)] for own, n in zip(self.tokens, kept.sum(1), strict=True)]
        self.valid = kept

    def reset(self) -> None:
        """As new."""
        self.crop(0)

    def _select(self, rows: Sequence[int]) -> None:
        before = len(self.tokens)
        self.tokens = [list(self.tokens[b]) for b in rows]
        self.valid = self.valid[list(rows)]
        with torch.inference_mode():
            self.latents = [
                layer.view(before, -1)[torch.tensor(rows, device=layer.device)].view(-1, layer.shape[1])
                for layer in self.latents
            ]

    def _grow(self, columns: int) -> None:
        """Room for so many tokens a row, in whole pages."""
        capacity, rows = -(-columns // PAGE) * PAGE, len(self.tokens)
        with torch.inference_mode():
            larger = self.model.new_cache(rows * capacity)
            for old, new in zip(self.latents, larger, strict=False):
                new.view(rows, capacity, -1)[:, : self.capacity] = old.view(rows, self.capacity, -1)
        self.latents, self.capacity = larger, capacity
