"""Matrices times a single row on a CPU: x W^T is the sum of the columns of W, weighted by x.

That is what an embedding bag computes, and torch's (FBGEMM) reads its rows at 14 to 19 GB/s on a core where
its product of one row reads a matrix at 7 to 12. A bag also takes columns of several matrices, so all chosen
experts of a token are one call.
"""

import torch
from torch import Tensor

# Outputs that a bag adds up at once: a core's registers hold about so many.
WIDEST, NARROWEST = 512, 64


class Columns:
    """`count` matrices [count, outputs, inputs] as a table of their columns, cut into blocks of outputs.

    There are at least as many blocks as threads, where that leaves blocks wide enough: a bag is one thread's.
    """

    def __init__(self, weights: Tensor) -> None:
        self.count, outputs, self.inputs = weights.shape
        self.width = _width(outputs)
        self.blocks = outputs // self.width
        cut = weights.reshape(self.count, self.blocks, self.width, self.inputs)
        self._table = cut.transpose(2, 3).reshape(-1, self.width).contiguous()
        self._rows = torch.arange(self.count * self.blocks * self.inputs)
        self._bags = torch.arange(self.count * self.blocks) * self.inputs
        self._numbers = torch.arange(self.count) * self.blocks * self.inputs

    def __call__(self, x: Tensor) -> Tensor:
        """[count, inputs], a row for each matrix, to [count, outputs]."""
        return self._added(self._rows, self._bags, self._repeated(x))

    def each(self, x: Tensor, chosen: Tensor) -> Tensor:
        """[1, inputs] times each of the chosen matrices, [k, outputs]; `chosen` is [k] int64."""
        rows = self._numbers.index_select(0, chosen).unsqueeze(1) + self._rows[: self.blocks * self.inputs]
        bags = self._bags[: len(chosen) * self.blocks]
        return self._added(rows.view(-1), bags, self._repeated(x.expand(len(chosen), -1)))

    def total(self, x: Tensor, chosen: Tensor) -> Tensor:
        """Row i of [k, inputs] times the chosen matrix i, all of it added up: [1, outputs]."""
        first = self._numbers.index_select(0, chosen) + self._bags[: self.blocks].unsqueeze(1)
        rows = first.unsqueeze(2) + self._rows[: self.inputs]
        weights = x.expand(self.blocks, -1, -1).reshape(-1)
        return self._added(rows.view(-1), self._bags[: self.blocks] * len(chosen), weights).view(1, -1)

    def _repeated(self, x: Tensor) -> Tensor:
        """Rows [k, inputs] once for each block of their matrix, flat."""
        return x.reshape(-1) if self.blocks == 1 else x.unsqueeze(1).expand(-1, self.blocks, -1).reshape(-1)

    def _added(self, rows: Tensor, bags: Tensor, weights: Tensor) -> Tensor:
        """The weighted sums of bags that begin where `bags` says, [bags / blocks, outputs]."""
        added: Tensor = torch._embedding_bag_forward_only(  # type: ignore[attr-defined]
            self._table, rows, bags, False, 0, False, weights
        )[0]
        return added if self.blocks == 1 else added.view(-1, self.blocks * self.width)


def can_add_columns(weight: Tensor) -> bool:
    """Whether this torch has the fast embedding bag, and the outputs of [..., outputs, inputs] can be cut."""
    fast = "fbgemm" in torch.backends.quantized.supported_engines
    return fast and weight.device.type == "cpu" and _width(weight.shape[-2]) >= min(NARROWEST, weight.shape[-2])


def _width(outputs: int) -> int:
    """The widest cut of so many outputs in equal blocks."""
    most = max(NARROWEST, min(WIDEST, outputs // torch.get_num_threads()))
    return max(width for width in range(1, most + 1) if outputs % width == 0)
