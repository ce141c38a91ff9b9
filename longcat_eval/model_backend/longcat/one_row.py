"""The model for one token of one sequence on a CPU: as few calls as it takes to read the weights once.

The formulas are those of `layer.py`, `attention.py` and `experts.py`, in their absorbed form; what differs is
how the weights are kept. Everything linear that lies between two matrices is multiplied into the second:

    norm(x) W^T = z (W diag(weight) sqrt(n))^T    with    z = x / sqrt(|x|^2 + n eps)

so that a norm is z alone, and so are the scales of query and scores. Matrices that multiply the same row are
one. All of it lies in huge pages. Rows are vectors here, [H].
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from longcat_eval.model_backend.longcat.attention import LatentAttention
from longcat_eval.model_backend.longcat.columns import Columns, has_fast_bags, row_product
from longcat_eval.model_backend.longcat.huge_pages import Arena
from longcat_eval.model_backend.longcat.layer import MLP, MoE, ScMoELayer
from longcat_eval.model_backend.longcat.norm_rope import RMSNorm
from longcat_eval.model_backend.longcat.step import Layout

if TYPE_CHECKING:
    from longcat_eval.model_backend.longcat.model import LongcatLite


class OneRow:
    """The weights once more, for `model`'s steps of one token."""

    def __init__(self, model: "LongcatLite") -> None:
        embeddings, arena = model.model.ngram_embeddings, Arena()
        self.divisor = 1 + model.config.ngram_tables
        self.project = row_product(embeddings.post_projs.transpose(0, 1).flatten(1) / self.divisor, arena)
        self.layers = [RowLayer(layer, arena) for layer in model.layers]
        self.norm = Norm(model.model.norm)
        self.head = row_product(self.norm.folded(model.lm_head.weight), arena)

    def __call__(
        self, word: Tensor, rows: Tensor, turns: Tensor, layout: Layout, cache: Sequence[Tensor]
    ) -> Tensor:
        """A word's embedding [1, H] and its n-grams' rows [1, tables, d] to logits [1, vocabulary]."""
        x = torch.add(self.project(rows.view(-1)), word.view(-1), alpha=1 / self.divisor)
        turns = turns.view(1, -1)
        for i, layer in enumerate(self.layers):
            x = layer(x, turns, layout, cache[2 * i], cache[2 * i + 1])
        return self.head(self.norm(x)).unsqueeze(0)


class Norm:
    """x / sqrt(|x|^2 + n eps); the rest of a norm is `scale`, for the matrix that comes next."""

    def __init__(self, norm: RMSNorm) -> None:
        count = len(norm.weight)
        self.least = torch.tensor(math.sqrt(count * norm.eps))
        self.scale = norm.weight.detach() * (norm.factor * math.sqrt(count))

    def __call__(self, x: Tensor) -> Tensor:
        """[n] to the same."""
        return x / torch.hypot(torch.linalg.vector_norm(x), self.least)

    def folded(self, weight: Tensor) -> Tensor:
        """[..., outputs, n] as it multiplies what comes from here."""
        return weight.detach() * self.scale


class RowLayer:
    """One logical layer."""

    def __init__(self, layer: ScMoELayer, arena: Arena) -> None:
        before = [Norm(norm) for norm in layer.input_layernorm]  # type: ignore[arg-type]
        after = [Norm(norm) for norm in layer.post_attention_layernorm]  # type: ignore[arg-type]
        self.norms = before[0], after[0], before[1], after[1]
        self.attention = [RowAttention(layer.self_attn[i], before[i], arena) for i in range(2)]  # type: ignore[arg-type]
        self.mlp = [RowMLP(layer.mlps[i], after[i], arena) for i in range(2)]  # type: ignore[arg-type]
        self.experts = RowMoE(layer.mlp, after[0], arena)

    def __call__(self, x: Tensor, turns: Tensor, layout: Layout, first: Tensor, second: Tensor) -> Tensor:
        """[H] to [H]; `first` and `second` are the layer's KV layers."""
        norms = self.norms
        a = self.attention[0](norms[0](x), turns, layout, first).add_(x)
        u = norms[1](a)
        s = self.experts(u)
        b = self.mlp[0](u).add_(a)
        c = self.attention[1](norms[2](b), turns, layout, second).add_(b)
        return self.mlp[1](norms[3](c)).add_(c).add_(s)


class RowAttention:
    """Absorbed latent attention of one query; `q_b` gives first the nope of all heads, then the rope."""

    def __init__(self, own: LatentAttention, before: Norm, arena: Arena) -> None:
        self.heads, self.rank, self.rope = own.heads, own.rank, own.rope
        self.sizes = len(own.q_a_layernorm.weight), own.rank, own.rope
        self.q_sizes = own.heads * own.nope, own.heads * own.rope
        self.down = row_product(
            before.folded(torch.cat([own.q_a_proj.weight, own.kv_a_proj_with_mqa.weight])), arena
        )
        self.q_norm, self.kv_norm = Norm(own.q_a_layernorm), Norm(own.kv_a_layernorm)
        by_head = (self.q_norm.folded(own.q_b_proj.weight) * own.scale).view(
            own.heads, own.nope + own.rope, -1
        )
        nope, rope = by_head[:, : own.nope], by_head[:, own.nope :]
        self.q_b = row_product(torch.cat([nope.flatten(0, 1), rope.flatten(0, 1)]), arena)
        to_latent, from_latent = own.up()
        self.to_latent = Columns(to_latent.transpose(1, 2), arena)
        self.from_latent = Columns(from_latent, arena)
        self.o = row_product(own.o_proj.weight, arena)

    def __call__(self, z: Tensor, turns: Tensor, layout: Layout, cache: Tensor) -> Tensor:
        """A normed [H] to [H]; writes the row's latent to `cache` and attends to it."""
        down, latent, key = torch.split_with_sizes(self.down(z), self.sizes)
        nope, rope = torch.split_with_sizes(self.q_b(self.q_norm(down)), self.q_sizes)
        pairs = torch.cat([rope, key]).view(torch.complex64).view(self.heads + 1, -1)
        turned = (pairs * turns).view(torch.float32)
        layout.write(cache, (self.kv_norm(latent) * self.kv_norm.scale).unsqueeze(0), turned[self.heads :])
        latents = layout.spans[0].latents(cache)[0]
        q = torch.cat([self.to_latent(nope).view(self.heads, -1), turned[: self.heads]], dim=1)
        weights = torch.softmax(torch.mm(q, latents.t()), dim=1)
        seen = torch.mm(weights, latents[:, : self.rank])
        return self.o(self.from_latent(seen.view(-1)))


class RowMLP:
    """down( silu(gate x) * up x )."""

    def __init__(self, own: MLP, before: Norm, arena: Arena) -> None:
        self.gate_up = row_product(
            before.folded(torch.cat([own.gate_proj.weight, own.up_proj.weight])), arena
        )
        self.down = row_product(own.down_proj.weight, arena)

    def __call__(self, z: Tensor) -> Tensor:
        """A normed [H] to [H]."""
        gate, up = self.gate_up(z).chunk(2)
        return self.down(functional.silu(gate).mul_(up))


class RowMoE:
    """The router, and all chosen experts of a token in two calls."""

    def __init__(self, own: MoE, before: Norm, arena: Arena) -> None:
        router, experts = own.router, own.experts
        self.topk, self.scaling, self.count = router.topk, router.scaling, experts.count
        self.bias = router.e_score_correction_bias
        self.scale = before.scale
        self.classify = row_product(before.folded(router.classifier.weight), arena)
        self.gate_up = Columns(before.folded(experts.gate_up), arena)
        self.down = Columns(experts.down, arena)

    def __call__(self, z: Tensor) -> Tensor:
        """A normed [H] to [H]."""
        scores = torch.softmax(self.classify(z), dim=0)
        chosen = torch.topk(scores + self.bias, self.topk, sorted=False).indices
        pairs = list(zip(chosen.tolist(), scores.gather(0, chosen).tolist(), strict=True))
        real = [(e, self.scaling * p) for e, p in pairs if e < self.count]
        identity = self.scaling * sum(p for e, p in pairs if e >= self.count)
        passed: Tensor = self.scale * z * identity
        if not real:
            return passed
        gate, up = self.gate_up.each(z, [e for e, _ in real]).chunk(2, dim=1)
        weighted = functional.silu(gate).mul_(up).mul_(torch.tensor([[weight] for _, weight in real]))
        return passed.add_(self.down.total(weighted, [e for e, _ in real]))


def has_rows_to_spare(model: "LongcatLite", most: int) -> bool:
    """Whether the model computes in float32 on a CPU alone, and has at most so many bytes of weights."""
    weights = list(model.parameters())
    here = all(weight.device.type == "cpu" and weight.dtype == torch.float32 for weight in weights)
    return here and not model.on_disk and has_fast_bags() and sum(weight.nbytes for weight in weights) < most
