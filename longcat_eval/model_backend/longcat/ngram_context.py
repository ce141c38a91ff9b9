"""The N-gram Cache: the last N-1 ids of a sequence, and nothing else.

It lives and dies with the sequence's KV cache: whatever forks, reorders, rolls back, evicts or restores one
does the same to the other. An EOS ends the window, so right after it the cache is empty; it is always derived
from committed tokens, never from drafted ones.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from longcat_eval.model_backend.longcat.config import LiteConfig
from longcat_eval.model_backend.longcat.ngram_hash import MISSING

if TYPE_CHECKING:
    import torch


@dataclass
class NgramContext:
    """One sequence's window: `ids` has N-1 entries, oldest first, `MISSING` where there is none."""

    eos: int
    size: int
    ids: tuple[int, ...] = field(default=())

    def __post_init__(self) -> None:
        """Fill up with missing ids."""
        self.ids = (MISSING,) * (self.size - len(self.ids)) + tuple(self.ids)

    @classmethod
    def empty(cls, config: LiteConfig) -> "NgramContext":
        """The window before the first token."""
        return cls(config.eos_token_id, config.ngram_context_size)

    @classmethod
    def from_tail(cls, config: LiteConfig, tokens: Sequence[int]) -> "NgramContext":
        """The window after `tokens`; their last N-1 are enough."""
        context = cls.empty(config)
        context.rollback_to(tokens)
        return context

    def append(self, tokens: Iterable[int]) -> None:
        """Go on by processed tokens, one or many."""
        line = [*self.ids, *tokens]
        self._keep(line[-self.size :])

    def rollback_to(self, tokens: Sequence[int]) -> None:
        """Be the window after exactly these committed tokens, whatever was appended since."""
        tail = list(tokens[-self.size :])
        self._keep([MISSING] * (self.size - len(tail)) + tail)

    def fork(self) -> "NgramContext":
        """A window of its own that goes on from here."""
        return NgramContext(self.eos, self.size, self.ids)

    def _keep(self, tail: list[int]) -> None:
        for place in range(self.size - 1, -1, -1):
            if tail[place] == self.eos:
                tail[: place + 1] = [MISSING] * (place + 1)
                break
        self.ids = tuple(tail)


class BatchContext:
    """The windows of a batch that moves in step: [B, N-1] int64 on one device.

    Padding is absent, not token 0: `valid` says which tokens are real, and padding must lie on the left.
    """

    def __init__(self, config: LiteConfig, batch: int, device: "torch.device | str" = "cpu") -> None:
        import torch

        self.eos = config.eos_token_id
        self.size = config.ngram_context_size
        self.ids = torch.full((batch, self.size), MISSING, dtype=torch.int64, device=device)

    def windows(self, tokens: "torch.Tensor", valid: "torch.Tensor | None" = None) -> "torch.Tensor":
        """[B, T, N]: column d holds the token d places back; flattened, for `NgramHasher.window_ids`."""
        return self._line(tokens, valid).unfold(1, self.size + 1, 1).flip(-1)

    def append(self, tokens: "torch.Tensor", valid: "torch.Tensor | None" = None) -> None:
        """Go on by [B, T] processed tokens."""
        line = self._line(tokens, valid)[:, -self.size :]
        ended = (line == self.eos).flip(1).cumsum(1).flip(1) > 0
        self.ids = line.masked_fill(ended, MISSING)

    def reorder(self, rows: "torch.Tensor") -> None:
        """Row b goes on from what was row `rows[b]`, as beam search reorders its KV cache."""
        self.ids = self.ids.index_select(0, rows.to(self.ids.device))

    def _line(self, tokens: "torch.Tensor", valid: "torch.Tensor | None") -> "torch.Tensor":
        import torch

        real = tokens if valid is None else tokens.masked_fill(~valid.bool(), MISSING)
        return torch.cat([self.ids, real.to(self.ids)], dim=1)
