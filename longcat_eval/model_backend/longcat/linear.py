"""A matrix of the model, and how a CPU multiplies by it.

torch's CPU path packs a weight anew in every product; with few rows that costs more than the product. oneDNN
can keep the packed form instead: measured on one core, 1.5 times the speed at 32 rows, twice at 4. For a
single row see `one_row.py`.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

# The rows that oneDNN lays the packed form out for; with 32 it is the fastest from 2 to 512 rows.
PACKED_ROWS = 32


class Linear(nn.Module):
    """x W^T without bias; `weight` is [outputs, inputs]."""

    def __init__(self, inputs: int, outputs: int, dtype: torch.dtype, packs: bool = True) -> None:
        """`packs` is False for a weight that is also read as a tensor."""
        super().__init__()
        self.packs = packs
        self.weight = nn.Parameter(torch.empty(outputs, inputs, dtype=dtype), requires_grad=False)
        self._packed: Packed | None = None

    def forward(self, x: Tensor) -> Tensor:
        """[T, inputs] to [T, outputs]."""
        return functional.linear(x, self.weight) if self._packed is None else self._packed(x)

    def pack(self) -> None:
        """Keep the CPU's form in the place of the weight, which is gone then; see `Packed`."""
        if self.packs and can_pack(self.weight):
            self._packed = Packed(self.weight)
            self.drop()

    def drop(self) -> None:
        """Let go of the weight."""
        self.weight = nn.Parameter(torch.empty(0, dtype=self.weight.dtype), requires_grad=False)


class Together:
    """Matrices that multiply the same rows: one product once they are packed."""

    def __init__(self, *parts: Linear) -> None:
        self.parts = parts
        self._sizes = [part.weight.shape[0] for part in parts]
        self._packed: Packed | None = None

    def __call__(self, x: Tensor) -> tuple[Tensor, ...]:
        """[T, inputs] to a [T, outputs] of each."""
        if self._packed is None:
            return tuple(part(x) for part in self.parts)
        return tuple(torch.split_with_sizes(self._packed(x), self._sizes, -1))

    def pack(self) -> None:
        """Pack them as one matrix; the weights are gone then."""
        if all(can_pack(part.weight) for part in self.parts):
            self._packed = Packed(torch.cat([part.weight for part in self.parts]))
            for part in self.parts:
                part.drop()


class Packed:
    """A weight as oneDNN lays it out."""

    def __init__(self, weight: Tensor) -> None:
        self._packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), PACKED_ROWS)

    def __call__(self, x: Tensor) -> Tensor:
        """[T, inputs] to [T, outputs]."""
        result: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._packed, None, "none", [], "")
        return result


def can_pack(weight: Tensor) -> bool:
    """Whether oneDNN's packed products are in this torch and fit this weight."""
    return (
        weight.device.type == "cpu"
        and weight.numel() > 0
        and weight.dtype in (torch.float32, torch.bfloat16)
        and bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
        and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
    )
