"""The routed experts of a layer: those that compute, and the zero-computation ones that pass their input on.

    MoE(u) = sum over chosen e < E of w_e * down_e( silu(gate_e u) * up_e u )  +  u * (sum of w_e over e >= E)

Three kernels give the same result. `loop` is the definition, expert by expert. `grouped` sorts the (token,
expert) pairs by expert and multiplies group by group; `grouped_mm` leaves that to torch's own kernel.
`gather` copies the chosen matrices side by side for one batched product, for a handful of tokens on a GPU.
All of them add up in float32.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from longcat_eval.model_backend.longcat.config import LiteConfig
from longcat_eval.model_backend.longcat.linear import Packed, can_pack
from longcat_eval.model_backend.longcat.quant import Kind, dequantise

Kernel = Literal["auto", "loop", "grouped", "grouped_mm", "gather"]
# From so many (token, expert) pairs on, copying matrices costs more than sorting.
GATHER_PAIRS = 16


class Experts(nn.Module):
    """`gate_up` [E, 2I, H] (gate first) and `down` [E, H, I]; int8 ones with a scale per output row."""

    def __init__(self, config: LiteConfig, dtype: torch.dtype, quant: Kind = "none") -> None:
        super().__init__()
        hidden, inner, count = config.hidden_size, config.expert_ffn_hidden_size, config.real_experts
        self.count, self.inner, self.dtype = count, inner, dtype
        self.kernel: Kernel = "auto"
        kept = torch.int8 if quant == "int8" else dtype
        self.gate_up = nn.Parameter(torch.empty(count, 2 * inner, hidden, dtype=kept), requires_grad=False)
        self.down = nn.Parameter(torch.empty(count, hidden, inner, dtype=kept), requires_grad=False)
        self.gate_up_scale: Tensor | None = None
        self.down_scale: Tensor | None = None
        if quant == "int8":
            for name, rows in (("gate_up_scale", 2 * inner), ("down_scale", hidden)):
                scale = torch.empty(count, rows, dtype=torch.float32)
                setattr(self, name, nn.Parameter(scale, requires_grad=False))
        self._packed: list[tuple[Packed, Packed]] = []

    def forward(self, x: Tensor, chosen: Tensor, weights: Tensor) -> Tensor:
        """[T, H] with the router's [T, k] and [T, k] to [T, H]."""
        identity = x.float() * (weights * (chosen >= self.count)).sum(1, keepdim=True)
        return self._kernel(x, chosen)(x, chosen, weights, identity).to(x.dtype)

    def pack(self) -> None:
        """Keep the CPU's form in the place of the weights; see `linear.Packed`."""
        if self.gate_up_scale is None and can_pack(self.gate_up):
            for e in range(self.count):
                self._packed.append((Packed(self.gate_up[e]), Packed(self.down[e])))
            for name in ("gate_up", "down"):
                setattr(self, name, nn.Parameter(torch.empty(0, dtype=self.dtype), requires_grad=False))

    def _kernel(self, x: Tensor, chosen: Tensor) -> Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]:
        dense = not self._packed and self.gate_up_scale is None
        kernel = self.kernel
        if kernel == "auto":
            if x.device.type == "cpu":
                return self._grouped
            kernel = "gather" if chosen.numel() <= GATHER_PAIRS else "grouped_mm"
        if kernel == "gather" and not self._packed:
            return self._gather
        if kernel == "grouped_mm" and dense:
            return self._grouped_mm
        return self._loop if kernel == "loop" else self._grouped

    def _loop(self, x: Tensor, chosen: Tensor, weights: Tensor, total: Tensor) -> Tensor:
        """Expert by expert, as the definition says."""
        for e in range(self.count):
            tokens, places = torch.where(chosen == e)
            if len(tokens):
                gate, up = self._first(x[tokens], e).chunk(2, dim=-1)
                output = self._second(functional.silu(gate) * up, e)
                total.index_add_(0, tokens, output.float() * weights[tokens, places, None])
        return total

    def _grouped(self, x: Tensor, chosen: Tensor, weights: Tensor, total: Tensor) -> Tensor:
        """Pairs sorted by expert, one product per expert that has any."""
        tokens, order = self._sorted(chosen)
        groups = torch.bincount(chosen.flatten(), minlength=self.count)[: self.count].tolist()
        hit = [(e, size) for e, size in enumerate(groups) if size]
        if not hit:
            return total
        computed = sum(size for _, size in hit)
        tokens, order = tokens[:computed], order[:computed]
        sizes = [size for _, size in hit]
        inputs = torch.split(x.index_select(0, tokens), sizes)
        gate, up = torch.cat([self._first(part, e) for part, (e, _) in zip(inputs, hit, strict=True)]).chunk(
            2, -1
        )
        inner = torch.split(functional.silu(gate) * up, sizes)
        outputs = torch.cat([self._second(part, e) for part, (e, _) in zip(inner, hit, strict=True)])
        return total.index_add_(0, tokens, outputs.float() * weights.flatten()[order, None])

    def _grouped_mm(self, x: Tensor, chosen: Tensor, weights: Tensor, total: Tensor) -> Tensor:
        """The same in one kernel, without asking the device for sizes; pairs of identities stay idle."""
        tokens, order = self._sorted(chosen)
        # The place of the first pair beyond each expert; bincount would wait for the device.
        experts = torch.arange(1, self.count + 1, device=x.device)
        ends = torch.searchsorted(chosen.flatten()[order], experts).to(torch.int32)
        inputs = x.index_select(0, tokens)
        gate, up = functional.grouped_mm(inputs, self.gate_up.transpose(1, 2), offs=ends).chunk(2, -1)
        outputs = functional.grouped_mm(functional.silu(gate) * up, self.down.transpose(1, 2), offs=ends)
        idle = torch.arange(len(tokens), device=x.device) >= ends[-1]
        outputs = outputs.float().masked_fill(idle.unsqueeze(1), 0)
        return total.index_add_(0, tokens, outputs * weights.flatten()[order, None])

    def _gather(self, x: Tensor, chosen: Tensor, weights: Tensor, total: Tensor) -> Tensor:
        """Every pair with matrices of its own; identities multiply expert 0 and weigh nothing."""
        real = chosen < self.count
        experts = torch.where(real, chosen, 0).flatten()
        inputs = x.repeat_interleave(chosen.shape[1], dim=0).unsqueeze(2)
        first = self._dense(self.gate_up.index_select(0, experts), self.gate_up_scale, experts)
        gate, up = torch.bmm(first, inputs).squeeze(2).chunk(2, -1)
        second = self._dense(self.down.index_select(0, experts), self.down_scale, experts)
        outputs = torch.bmm(second, (functional.silu(gate) * up).unsqueeze(2)).view(*chosen.shape, -1)
        return total + (outputs.float() * (weights * real).unsqueeze(2)).sum(1)

    def _sorted(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Pairs in the order of their experts: the token of each, and its number in [T * k]."""
        order = chosen.flatten().argsort(stable=True)
        return order.div(chosen.shape[1], rounding_mode="floor"), order

    def _first(self, x: Tensor, e: int) -> Tensor:
        """Gate and up of expert e."""
        if self._packed:
            return self._packed[e][0](x)
        return functional.linear(x, self._dense(self.gate_up[e], self.gate_up_scale, e))

    def _second(self, x: Tensor, e: int) -> Tensor:
        """Down of expert e."""
        if self._packed:
            return self._packed[e][1](x)
        return functional.linear(x, self._dense(self.down[e], self.down_scale, e))

    def _dense(self, weight: Tensor, scale: Tensor | None, e: int | Tensor) -> Tensor:
        return weight if scale is None else dequantise(weight, scale[e], self.dtype)
