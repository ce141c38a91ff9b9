"""A matrix times a single row on a CPU: x W^T is the sum of the columns of W, weighted by x.

That is what an embedding bag computes, and torch's (FBGEMM) reads its rows at 15 to 21 GB/s on a core where
torch's product of one row reads a matrix at 9 to 13. A bag takes any columns, so all chosen experts of a
token are one call. Matrices with many more outputs than inputs are as fast, or faster, transposed. Either
form is a copy in the arena.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from longcat_eval.model_backend.longcat.huge_pages import Arena

# Outputs that a bag adds up at once: a core's registers hold about so many.
WIDEST, NARROWEST = 512, 64
# Outputs per input from which the transposed matrix is faster.
WIDE = 4

RowProduct = Callable[[Tensor], Tensor]
"""[inputs] to [outputs]."""


class Columns:
    """`count` matrices [count, outputs, inputs] as a table of their columns, cut into blocks of outputs.

    There are at least as many blocks as threads, where that leaves blocks wide enough: a bag is one thread's.
    """

    def __init__(self, weights: Tensor, arena: Arena) -> None:
        self.count, outputs, self.inputs = weights.shape
        self.width = _width(outputs)
        self.blocks = outputs // self.width
        cut = weights.reshape(self.count, self.blocks, self.width, self.inputs)
        self._table = arena.keep(cut.transpose(2, 3)).view(-1, self.width)
        self._rows = torch.arange(len(self._table))
        self._bags = torch.arange(self.count * self.blocks) * self.inputs
        self._one = self._rows[: self.inputs]

    def __call__(self, x: Tensor) -> Tensor:
        """A row for each matrix, [count * inputs], to [count * outputs]."""
        return self._added(self._rows, self._bags, self._repeated(x, self.count))

    def each(self, x: Tensor, chosen: list[int]) -> Tensor:
        """[inputs] times each of the chosen matrices, [k, outputs]."""
        rows = self._starts(chosen).unsqueeze(1) + self._one
        weights = x.expand(len(rows), -1).reshape(-1)
        return self._added(rows.view(-1), self._bags[: len(rows)], weights).view(len(chosen), -1)

    def total(self, x: Tensor, chosen: list[int]) -> Tensor:
        """Row i of [k, inputs] times the chosen matrix i, all of it added up: [outputs]."""
        starts = self._starts(chosen).view(-1, self.blocks).t()
        rows = (starts.unsqueeze(2) + self._one).reshape(-1)
        bags = self._bags[: self.blocks] * len(chosen)
        return self._added(rows, bags, x.expand(self.blocks, -1, -1).reshape(-1))

    def _starts(self, chosen: list[int]) -> Tensor:
        """Where each block of the chosen matrices begins in the table, [k * blocks]."""
        return torch.tensor([(e * self.blocks + b) * self.inputs for e in chosen for b in range(self.blocks)])

    def _repeated(self, x: Tensor, count: int) -> Tensor:
        """Rows of `count` matrices once for each block, flat."""
        if self.blocks == 1:
            return x
        return x.view(count, 1, -1).expand(-1, self.blocks, -1).reshape(-1)

    def _added(self, rows: Tensor, bags: Tensor, weights: Tensor) -> Tensor:
        """The weighted sums of bags that begin where `bags` says, flat."""
        found = torch._embedding_bag_forward_only(self._table, rows, bags, False, 0, False, weights)
        return found[0].view(-1)


def row_product(weight: Tensor, arena: Arena) -> RowProduct:
    """The faster form of [outputs, inputs]."""
    outputs, inputs = weight.shape
    if outputs >= WIDE * inputs or not can_add_columns(outputs):
        return arena.keep(weight.t()).t().mv
    return Columns(weight.unsqueeze(0), arena)


def can_add_columns(outputs: int) -> bool:
    """Whether so many outputs can be cut into blocks that are wide enough."""
    return _width(outputs) >= min(NARROWEST, outputs)


def has_fast_bags() -> bool:
    """Whether this torch has FBGEMM's embedding bag."""
    has_it = hasattr(torch, "_embedding_bag_forward_only")
    return has_it and "fbgemm" in torch.backends.quantized.supported_engines


def _width(outputs: int) -> int:
    """The widest cut of so many outputs in equal blocks."""
    most = max(NARROWEST, min(WIDEST, outputs // torch.get_num_threads()))
    return max(width for width in range(1, most + 1) if outputs % width == 0)
