"""Which experts a token goes to, and with what weight."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from longcat_eval.model_backend.longcat.config import LiteConfig
from longcat_eval.model_backend.longcat.linear import Linear


class Router(nn.Module):
    """Softmax over all experts in float32; the bias chooses and does not weigh.

        p = softmax(W u),  chosen = top-k of (p + bias),  weights = scaling * p[chosen]

    The weights are not normalised again.
    """

    def __init__(self, config: LiteConfig) -> None:
        super().__init__()
        self.topk = config.moe_topk
        self.scaling = config.routed_scaling_factor
        self.classifier = Linear(config.hidden_size, config.all_experts, torch.float32)
        self.e_score_correction_bias: Tensor
        self.register_buffer(
            "e_score_correction_bias", torch.empty(config.all_experts, dtype=torch.float32), persistent=True
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """[T, H] to the chosen experts [T, k] int64 and their weights [T, k] float32."""
        scores = functional.softmax(self.classifier(x.float()), dim=-1)
        chosen = torch.topk(scores + self.e_score_correction_bias, self.topk, dim=-1, sorted=False).indices
        return chosen, scores.gather(1, chosen) * self.scaling
