"""Weight-only int8: one scale per output channel, symmetric, from the largest magnitude.

Off by default and recorded wherever a run is recorded; what is computed stays in the activations' type. Of
the model only the routed experts (half of its bytes) and the rows of the n-gram tables may be quantised.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

Kind = Literal["none", "int8"]
LARGEST = 127


@dataclass(frozen=True)
class Quantisation:
    """What is kept in 8 bits; `describe` is what manifests and tables say."""

    experts: Kind = "none"
    tables: Kind = "none"

    def describe(self) -> str:
        """One phrase, empty where nothing is quantised."""
        parts = [name for name in ("experts", "tables") if getattr(self, name) == "int8"]
        return f"int8 {' and '.join(parts)} (weight-only, symmetric, per row)" if parts else ""


NOT_QUANTISED = Quantisation()


def quantise(weight: "torch.Tensor") -> "tuple[torch.Tensor, torch.Tensor]":
    """[..., out, in] to int8 of the same shape and float32 scales [..., out]; a zero row has scale 1."""
    import torch

    exact = weight.to(torch.float32)
    scale = exact.abs().amax(dim=-1) / LARGEST
    scale = torch.where(scale == 0, torch.ones_like(scale), scale)
    return (exact / scale.unsqueeze(-1)).round_().clamp_(-LARGEST, LARGEST).to(torch.int8), scale


def dequantise(weight: "torch.Tensor", scale: "torch.Tensor", dtype: "torch.dtype") -> "torch.Tensor":
    """The weight that int8 values and their scales stand for, in `dtype`."""
    import torch

    return (weight.to(torch.float32) * scale.unsqueeze(-1)).to(dtype)
