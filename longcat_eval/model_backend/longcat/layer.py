"""A logical layer: two attention sublayers, two dense MLPs, and the experts on a shortcut (arXiv:2509.01322).

a = x + Attn0(norm x)        u = norm a
b = a + MLP0(u)              s = MoE(u)            s depends on nothing between here and the end,
c = b + Attn1(norm b)                              so on a GPU it may run beside them
y = c + MLP1(norm c) + s
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from longcat_eval.model_backend.longcat.attention import LatentAttention
from longcat_eval.model_backend.longcat.config import LiteConfig
from longcat_eval.model_backend.longcat.experts import Experts
from longcat_eval.model_backend.longcat.linear import Linear, Together
from longcat_eval.model_backend.longcat.norm_rope import RMSNorm
from longcat_eval.model_backend.longcat.quant import Kind
from longcat_eval.model_backend.longcat.router import Router
from longcat_eval.model_backend.longcat.step import Layout


class MLP(nn.Module):
    """down( silu(gate x) * up x )."""

    def __init__(self, hidden: int, inner: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.gate_proj = Linear(hidden, inner, dtype)
        self.up_proj = Linear(hidden, inner, dtype)
        self.down_proj = Linear(inner, hidden, dtype)
        self._gate_up = Together(self.gate_proj, self.up_proj)

    def forward(self, x: Tensor) -> Tensor:
        """[T, H] to [T, H]."""
        gate, up = self._gate_up(x)
        y: Tensor = self.down_proj(functional.silu(gate) * up)
        return y

    def pack(self) -> None:
        """Make gate and up one matrix for a CPU."""
        self._gate_up.pack()


class MoE(nn.Module):
    """The router and the experts it chooses."""

    def __init__(self, config: LiteConfig, dtype: torch.dtype, quant: Kind) -> None:
        super().__init__()
        self.router = Router(config)
        self.experts = Experts(config, dtype, quant)

    def forward(self, x: Tensor) -> Tensor:
        """[T, H] to [T, H]."""
        y: Tensor = self.experts(x, *self.router(x))
        return y


class ScMoELayer(nn.Module):
    """One logical layer; it owns two KV layers of the cache."""

    def __init__(self, config: LiteConfig, dtype: torch.dtype, quant: Kind) -> None:
        super().__init__()
        hidden, eps = config.hidden_size, config.rms_norm_eps
        both = range(2)
        self.input_layernorm = nn.ModuleList(RMSNorm(hidden, eps, dtype) for _ in both)
        self.self_attn = nn.ModuleList(LatentAttention(config, dtype) for _ in both)
        self.post_attention_layernorm = nn.ModuleList(RMSNorm(hidden, eps, dtype) for _ in both)
        self.mlps = nn.ModuleList(MLP(hidden, config.ffn_hidden_size, dtype) for _ in both)
        self.mlp = MoE(config, dtype, quant)

    def forward(self, x: Tensor, turns: Tensor, layout: Layout, caches: tuple[Tensor, Tensor]) -> Tensor:
        """[T, H] to [T, H]; `caches` are the layer's two KV layers."""
        a = x + self.self_attn[0](self.input_layernorm[0](x), turns, layout, caches[0])
        u = self.post_attention_layernorm[0](a)
        s = self.mlp(u)
        b = a + self.mlps[0](u)
        c = b + self.self_attn[1](self.input_layernorm[1](b), turns, layout, caches[1])
        y: Tensor = c + self.mlps[1](self.post_attention_layernorm[1](c)) + s
        return y

    @property
    def device(self) -> torch.device:
        """Where the layer lies; its KV layers lie there too."""
        weight: Tensor = self.input_layernorm[0].weight  # type: ignore[assignment]
        return weight.device
