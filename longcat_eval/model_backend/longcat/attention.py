"""Multi-head latent attention (arXiv:2405.04434, §2.1), cached as one latent per token.

    q      = q_b( norm(q_a x) ) * sqrt(H / q_rank)                heads of [nope | rope]
    c, k_r = kv_a x;   c = norm(c) * sqrt(H / kv_rank)            one latent, one roped key for all heads
    k_h    = [ W_k,h c | k_r ],   v_h = W_v,h c                   the two halves of kv_b
    out    = o( softmax(q_h k_h * scale) v_h )

The cache holds c and k_r only. Because q_h (W_k,h c) = (W_k,h^T q_h) c, a query can be brought to the latent
once instead of every cached token to its heads: that is the absorbed form, cheaper for few queries. For many
queries the expanded form is. Both give the same result.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from longcat_eval.model_backend.longcat.config import LiteConfig
from longcat_eval.model_backend.longcat.linear import Linear, Together
from longcat_eval.model_backend.longcat.norm_rope import RMSNorm, rotate
from longcat_eval.model_backend.longcat.step import Layout, Span


class LatentAttention(nn.Module):
    """One attention sublayer; it owns a KV layer of the cache."""

    def __init__(self, config: LiteConfig, dtype: torch.dtype) -> None:
        super().__init__()
        self.heads = config.num_attention_heads
        self.nope, self.rope, self.value = (
            config.qk_nope_head_dim,
            config.qk_rope_head_dim,
            config.v_head_dim,
        )
        self.rank = config.kv_lora_rank
        # The whole query is multiplied by q_lora_scale, which is the same as so much more of its products.
        self.scale = config.softmax_scale * config.q_lora_scale
        hidden, q_rank = config.hidden_size, config.q_lora_rank
        self.q_a_proj = Linear(hidden, q_rank, dtype)
        self.q_a_layernorm = RMSNorm(q_rank, config.lora_norm_eps, dtype)
        self.q_b_proj = Linear(q_rank, self.heads * config.qk_head_dim, dtype)
        self.kv_a_proj_with_mqa = Linear(hidden, config.kv_width, dtype)
        self.kv_a_layernorm = RMSNorm(self.rank, config.lora_norm_eps, dtype, config.kv_lora_scale)
        self.kv_b_proj = Linear(self.rank, self.heads * (self.nope + self.value), dtype, packs=False)
        self.o_proj = Linear(self.heads * self.value, hidden, dtype)
        self._down = Together(self.q_a_proj, self.kv_a_proj_with_mqa)
        # Queries for which expanding a cached token and attending to heads costs as much as to its latent.
        self.worth_expanding = self.rank * (self.nope + self.value) / (2 * self.rank - self.nope - self.value)

    def forward(self, x: Tensor, turns: Tensor, layout: Layout, cache: Tensor) -> Tensor:
        """[T, H] to [T, H]; writes the rows' latents into `cache` [slots, rank + rope] and attends to it."""
        down, latents = self._down(x)
        latent, key = torch.split_with_sizes(latents, [self.rank, self.rope], -1)
        q = self.q_b_proj(self.q_a_layernorm(down)).view(len(x), self.heads, -1)
        q_nope, q_rope = torch.split_with_sizes(q, [self.nope, self.rope], -1)
        turned = rotate(torch.cat([q_rope, key.unsqueeze(1)], dim=1), turns)
        layout.write(cache, self.kv_a_layernorm(latent), turned[:, self.heads])
        q_rope = turned[:, : self.heads]
        heads = [self._attend(q_nope, q_rope, span, cache) for span in layout.spans]
        out: Tensor = self.o_proj(heads[0] if len(heads) == 1 else torch.cat(heads))
        return out

    def pack(self) -> None:
        """Make the two projections down one matrix for a CPU."""
        self._down.pack()

    def _attend(self, q_nope: Tensor, q_rope: Tensor, span: Span, cache: Tensor) -> Tensor:
        """The heads' values for the rows of a span, [rows, heads * value]."""
        form = self._expanded if span.queries > self.worth_expanding else self._absorbed
        if span.last - span.first < len(q_nope):
            rows = slice(span.first, span.last)
            q_nope, q_rope = q_nope[rows], q_rope[rows]
        return form(q_nope, q_rope, span, span.latents(cache))

    def _absorbed(self, q_nope: Tensor, q_rope: Tensor, span: Span, latents: Tensor) -> Tensor:
        """Every head of a query against the latents: [B, queries * heads, width] x [B, S, width]."""
        to_latent, from_latent = self.up()
        absorbed = torch.bmm(q_nope.transpose(0, 1), to_latent).transpose(0, 1)
        q = torch.cat([absorbed, q_rope], dim=-1).view(len(latents), -1, latents.shape[-1])
        keys = latents.transpose(1, 2)
        scores = torch.baddbmm(q.new_empty(()), q, keys, beta=0, alpha=self.scale)
        if span.hidden is not None:
            by_query = scores.view(len(latents), span.queries, self.heads, -1)
            by_query.masked_fill_(span.hidden.unsqueeze(2), -torch.inf)
        weights = functional.softmax(scores, dim=-1, dtype=torch.float32).to(q.dtype)
        seen = torch.bmm(weights, latents[..., : self.rank]).view(-1, self.heads, self.rank)
        values = torch.bmm(seen.transpose(0, 1), from_latent.transpose(1, 2))
        return values.transpose(0, 1).reshape(-1, self.heads * self.value)

    def _expanded(self, q_nope: Tensor, q_rope: Tensor, span: Span, latents: Tensor) -> Tensor:
        """Keys and values of every head, for one sequence with many queries."""
        latent, key = torch.split_with_sizes(latents[0], [self.rank, self.rope], -1)
        both = self.kv_b_proj(latent).view(-1, self.heads, self.nope + self.value)
        k_nope, v = torch.split_with_sizes(both, [self.nope, self.value], -1)
        q = torch.cat([q_nope, q_rope], dim=-1)
        k = torch.cat([k_nope, key.unsqueeze(1).expand(-1, self.heads, -1)], dim=-1)
        v, width = _widened(v, q.shape[-1])
        causal = span.start == 0
        visible = None if causal or span.hidden is None else ~span.hidden
        heads = functional.scaled_dot_product_attention(
            _heads_first(q),
            _heads_first(k),
            _heads_first(v),
            attn_mask=visible,
            is_causal=causal,
            scale=self.scale,
        )
        return heads[0, ..., :width].transpose(0, 1).reshape(-1, self.heads * self.value)

    def up(self) -> tuple[Tensor, Tensor]:
        """The two halves of kv_b: [heads, nope, rank] and [heads, value, rank]."""
        both = self.kv_b_proj.weight.view(self.heads, self.nope + self.value, self.rank)
        return both[:, : self.nope], both[:, self.nope :]


def _heads_first(x: Tensor) -> Tensor:
    """[T, heads, width] to [1, heads, T, width]."""
    return x.transpose(0, 1).unsqueeze(0)


def _widened(v: Tensor, width: int) -> tuple[Tensor, int]:
    """Values padded to the keys' width on a CPU, whose fused attention wants it; and their own width."""
    own = v.shape[-1]
    return (functional.pad(v, (0, width - own)) if v.device.type == "cpu" and own < width else v), own
