"""Which rows of the n-gram tables a token reads: a rolling hash over the token and those before it.

For position t and table i of order o = 2 + i // K, with M_i rows:

    id_i(t) = ( sum over d < o of x[t-d] * (V^d mod M_i) ) mod M_i

Walking back stops at the start of the sequence and at the first EOS; what lies beyond counts as 0. The
current token is hashed with its whole look-back even if it is an EOS itself. Source: the checkpoint's own
n-gram module (a sibling's public copy), which shifts within segments that end with the EOS; docs/model.md has
golden ids.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from longcat_eval.model_backend.longcat.config import LiteConfig

if TYPE_CHECKING:
    import torch

Ids = NDArray[np.int64]
MISSING = -1


class NgramHasher:
    """Token ids to table rows, for one config; holds constants only, so one serves every sequence.

    The un-reduced sum stays below 2^41 at the real shape, so int64 needs no reduction on the way.
    """

    def __init__(self, config: LiteConfig) -> None:
        self.order = config.emb_neighbor_num
        self.eos = config.eos_token_id
        self.sizes: Ids = np.array(config.ngram_table_sizes, dtype=np.int64)
        orders = 2 + np.arange(config.ngram_tables) // config.emb_split_num
        self.powers: Ids = np.array(
            [
                [
                    pow(config.vocab_size, d, int(rows)) if d < order else 0
                    for rows, order in self._each(orders)
                ]
                for d in range(self.order)
            ],
            dtype=np.int64,
        )
        self._on_device: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}

    def _each(self, orders: NDArray[np.int64]) -> list[tuple[int, int]]:
        return [(int(rows), int(order)) for rows, order in zip(self.sizes, orders, strict=True)]

    def windows(self, tokens: Sequence[int], context: Sequence[int] = ()) -> Ids:
        """[T, N]: column d holds the token d places back, `MISSING` where there is none.

        `context` are the ids before `tokens`, oldest first; more than N-1 of them change nothing.
        """
        back = self.order - 1
        kept = list(context)[-back:]
        if not len(tokens):
            return np.empty((0, self.order), dtype=np.int64)
        line = np.array([MISSING] * (back - len(kept)) + kept + list(tokens), dtype=np.int64)
        return np.lib.stride_tricks.sliding_window_view(line, self.order)[:, ::-1]

    def ids(self, tokens: Sequence[int], context: Sequence[int] = ()) -> Ids:
        """[T, tables]: the row of each table that each token reads; one sequence."""
        windows = self.windows(tokens, context)
        seen = (windows[:, 1:] != MISSING) & (windows[:, 1:] != self.eos)
        before = np.where(np.logical_and.accumulate(seen, axis=1), windows[:, 1:], 0)
        total: Ids = windows[:, :1] * self.powers[0] + before @ self.powers[1:]
        return total % self.sizes

    def window_ids(self, windows: "torch.Tensor") -> "torch.Tensor":
        """[T, N] int64 windows (as of `windows`, of any sequences) to [T, tables], on the same device."""
        powers, sizes = self._constants(windows.device)
        total = windows[:, :1] * powers[0]
        seen = None
        for d in range(1, self.order):
            token = windows[:, d : d + 1]
            present = (token != MISSING) & (token != self.eos)
            seen = present if seen is None else seen & present
            total = total + (token * seen) * powers[d]
        return total % sizes

    def _constants(self, device: "torch.device") -> tuple["torch.Tensor", "torch.Tensor"]:
        import torch

        key = str(device)
        if key not in self._on_device:
            self._on_device[key] = (
                torch.from_numpy(self.powers).to(device),
                torch.from_numpy(self.sizes).to(device),
            )
        return self._on_device[key]
