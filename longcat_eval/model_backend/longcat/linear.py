"""A matrix of the model, and how a CPU multiplies by it.

torch's CPU path packs a weight anew in every product; with few rows that costs more than the product. oneDNN
can keep the packed form instead: measured on one core, 1.5 times the speed at 32 rows, twice at 4.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

# The rows that oneDNN lays the packed form out for; with 32 it is the fastest from 1 to 512 rows.
PACKED_ROWS = 32


class Linear(nn.Module):
    """x W^T without bias; `weight` is [outputs, inputs]."""

    def __init__(self, inputs: int, outputs: int, dtype: torch.dtype, packs: bool = True) -> None:
        """`packs` is False for a weight that is also read as a tensor."""
        super().__init__()
        self.packs = packs
        self.weight = nn.Parameter(torch.empty(outputs, inputs, dtype=dtype), requires_grad=False)
        self._packed: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """[T, inputs] to [T, outputs]."""
        if self._packed is None:
            return functional.linear(x, self.weight)
        return packed_linear(x, self._packed)

    def pack(self) -> None:
        """Keep oneDNN's form in the place of the weight, which is gone then; only on a CPU that has it."""
        if self.packs and can_pack(self.weight):
            self._packed = packed(self.weight)
            self.weight = nn.Parameter(torch.empty(0, dtype=self.weight.dtype), requires_grad=False)


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


def packed(weight: Tensor) -> Tensor:
    """[outputs, inputs] in oneDNN's own layout."""
    result: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), PACKED_ROWS)
    return result


def packed_linear(x: Tensor, weight: Tensor) -> Tensor:
    """x times the transposed weight of `packed`."""
    result: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")
    return result
