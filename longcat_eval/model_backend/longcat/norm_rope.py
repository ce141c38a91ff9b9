"""Root mean square norm and rotary positions with YaRN (arXiv:2104.09864, arXiv:2309.00071)."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from longcat_eval.model_backend.longcat.config import LiteConfig


class RMSNorm(nn.Module):
    """x / rms(x) * weight; the mean is taken in float32."""

    def __init__(self, width: int, eps: float, dtype: torch.dtype) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.empty(width, dtype=dtype), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """[..., width] to the same."""
        if x.device.type != "cpu":
            return functional.rms_norm(x, self.weight.shape, self.weight, self.eps)
        # torch's own is a chain of a dozen calls on a CPU.
        exact = x.float()
        mean = torch.linalg.vecdot(exact, exact).div_(x.shape[-1])
        inverse: Tensor = mean.add_(self.eps).rsqrt_().unsqueeze(-1)
        return (exact * inverse * self.weight).to(x.dtype)


def inverse_frequencies(config: LiteConfig) -> Tensor:
    """[qk_rope_head_dim / 2] float32 angles per position.

    YaRN divides slow dimensions by `factor`, leaves fast ones alone, and blends linearly between the
    dimensions that turn `beta_slow` and `beta_fast` times over the original context (transformers 4.57.6
    `_compute_yarn_parameters`).
    """
    rope, width = config.rope, config.qk_rope_head_dim
    theta = float(rope["theta"])
    plain = 1.0 / theta ** (torch.arange(0, width, 2, dtype=torch.float32, device="cpu") / width)
    if rope["type"] == "default":
        return plain
    original = float(rope["original_max_position_embeddings"])

    def dimension_of(turns: float) -> float:
        return width * math.log(original / (turns * 2 * math.pi)) / (2 * math.log(theta))

    low, high = dimension_of(float(rope["beta_fast"])), dimension_of(float(rope["beta_slow"]))
    if rope["truncate"]:
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, width - 1)
    ramp = (torch.arange(width // 2, dtype=torch.float32, device="cpu") - low) / max(high - low, 0.001)
    slow = ramp.clamp(0, 1)
    return plain / float(rope["factor"]) * slow + plain * (1 - slow)


class Rotation:
    """cos and sin of every position, [positions, qk_rope_head_dim / 2] float32, grown as needed."""

    def __init__(self, config: LiteConfig) -> None:
        self._frequencies = inverse_frequencies(config)
        self._factor = float(config.rope["attention_factor"])
        self._tables: dict[str, tuple[Tensor, Tensor]] = {}

    def at(self, positions: Tensor, longest: int) -> tuple[Tensor, Tensor]:
        """[T] positions below `longest` to two [T, 1, width / 2], for `rotate`."""
        key = str(positions.device)
        if key not in self._tables or len(self._tables[key][0]) < longest:
            rows = max(1024, 1 << (longest - 1).bit_length())
            angles = torch.outer(torch.arange(rows, dtype=torch.float32, device="cpu"), self._frequencies)
            cos, sin = angles.cos() * self._factor, angles.sin() * self._factor
            self._tables[key] = (cos.to(positions.device), sin.to(positions.device))
        cos, sin = self._tables[key]
        return cos.index_select(0, positions).unsqueeze(1), sin.index_select(0, positions).unsqueeze(1)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """[T, heads, width]: turn the pairs (x[2i], x[2i+1]); firsts come out in one half, seconds in the other.

    Queries and keys come out in the same order, which is all that their products see.
    """
    first, second = x[..., 0::2].float(), x[..., 1::2].float()
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1).to(x.dtype)
