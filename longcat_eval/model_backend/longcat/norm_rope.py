"""Root mean square norm and rotary positions with YaRN (arXiv:2104.09864, arXiv:2309.00071)."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from longcat_eval.model_backend.longcat.config import LiteConfig


class RMSNorm(nn.Module):
    """x / rms(x) * weight, and times `factor`; the mean is taken in float32."""

    def __init__(self, width: int, eps: float, dtype: torch.dtype, factor: float = 1.0) -> None:
        super().__init__()
        self.eps, self.factor = eps, factor
        self.weight = nn.Parameter(torch.empty(width, dtype=dtype), requires_grad=False)
        self._scaled: Tensor | None = None
        self._least: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """[..., width] to the same."""
        if self._scaled is None or self._least is None:
            plain = functional.rms_norm(x, self.weight.shape, self.weight, self.eps)
            return plain if self.factor == 1 else plain * self.factor
        exact = x.float()
        length = torch.linalg.vector_norm(exact, dim=-1, keepdim=True)
        normed: Tensor = exact / torch.hypot(length, self._least) * self._scaled
        return normed.to(x.dtype)

    def pack(self) -> None:
        """On a CPU, x / sqrt(|x|^2 + n eps) * (weight factor sqrt(n)): torch's own makes a dozen calls."""
        if self.weight.device.type == "cpu":
            count = len(self.weight)
            self._scaled = self.weight.float() * (self.factor * math.sqrt(count))
            self._least = torch.tensor(math.sqrt(count * self.eps))


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
    """e^(i angle) of every position, [positions, qk_rope_head_dim / 2] complex64, grown as needed."""

    def __init__(self, config: LiteConfig) -> None:
        self._frequencies = inverse_frequencies(config)
        self._factor = float(config.rope["attention_factor"])
        self._turns: dict[str, Tensor] = {}

    def at(self, positions: Tensor, longest: int) -> Tensor:
        """[T] positions below `longest` to [T, 1, width / 2], for `rotate`."""
        key = str(positions.device)
        if key not in self._turns or len(self._turns[key]) < longest:
            rows = max(1024, 1 << (longest - 1).bit_length())
            angles = torch.outer(torch.arange(rows, dtype=torch.float32, device="cpu"), self._frequencies)
            turns = torch.polar(torch.full_like(angles, self._factor), angles)
            self._turns[key] = turns.to(positions.device)
        return self._turns[key].index_select(0, positions).unsqueeze(1)


def rotate(x: Tensor, turns: Tensor) -> Tensor:
    """[T, heads, width]: turn the pairs (x[2i], x[2i+1]) as complex numbers.

    transformers moves the pairs apart first; products of queries and keys do not see the order.
    """
    pairs = torch.view_as_complex(x.float().view(*x.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * turns).flatten(-2).to(x.dtype)
