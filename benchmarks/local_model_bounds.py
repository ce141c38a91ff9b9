"""What this machine can do at best with the shapes of a step: matrix products, and bytes moved."""

import time
from collections.abc import Callable
from typing import NamedTuple

import torch

from longcat_eval.model_backend.longcat.config import LiteConfig


class Machine(NamedTuple):
    """FLOP per CPU second of a product with a step's rows, of one with a row per head; bytes of a copy."""

    flops: float
    head_flops: float
    bytes: float


class Demand(NamedTuple):
    """What a step has to do at least: FLOP with weights and cache, 2 a multiply-add, and bytes to read."""

    flops: float
    cache_flops: float
    bytes: float

    def seconds(self, machine: Machine) -> float:
        """The CPU seconds below which it cannot be done: computing or reading, whichever takes longer."""
        computing = self.flops / machine.flops + self.cache_flops / machine.head_flops
        return max(computing, self.bytes / machine.bytes)


def cpu_seconds(work: Callable[[], object], calls: int) -> float:
    """CPU seconds of one call, the mean of several."""
    begin = time.process_time()
    for _ in range(calls):
        work()
    return (time.process_time() - begin) / calls


def machine(config: LiteConfig, rows: int) -> Machine:
    """Measured with the head's matrix, the largest of a step, and with a copy of 128 MB, read and written."""
    source = torch.randn(32 * 1024 * 1024)
    target = torch.empty_like(source)
    copy = min(cpu_seconds(lambda: target.copy_(source), 3) for _ in range(5))
    return Machine(
        _product(config, rows), _product(config, config.num_attention_heads), 2 * source.nbytes / copy
    )


def _product(config: LiteConfig, rows: int) -> float:
    x = torch.randn(rows, config.hidden_size)
    weight = torch.randn(config.hidden_size, config.vocab_size)
    return 2 * rows * weight.numel() / min(cpu_seconds(lambda: x @ weight, 10) for _ in range(5))


def demand(config: LiteConfig, batch: int, context: int) -> Demand:
    """A decode step of float32 weights: what routing chooses on average, every weight read once."""
    hidden, heads = config.hidden_size, config.num_attention_heads
    attention = (
        hidden * (config.q_lora_rank + config.kv_width)
        + config.q_lora_rank * heads * config.qk_head_dim
        + config.kv_lora_rank * heads * (config.qk_nope_head_dim + config.v_head_dim)
        + heads * config.v_head_dim * hidden
    )
    dense = 3 * hidden * config.ffn_hidden_size
    expert = 3 * hidden * config.expert_ffn_hidden_size
    router = hidden * config.all_experts
    chosen = config.moe_topk * config.real_experts / config.all_experts
    hit = config.real_experts * (1 - (1 - config.moe_topk / config.all_experts) ** batch)
    head = hidden * (config.vocab_size + hidden)  # the n-gram projections are hidden x hidden together
    shared = config.kv_layers * (attention + dense) + config.num_layers * router + head
    read = shared + config.num_layers * hit * expert + batch * context * config.kv_layers * config.kv_width
    scores = config.kv_layers * heads * context * (config.kv_width + config.kv_lora_rank)
    computed = shared + config.num_layers * chosen * expert
    return Demand(2.0 * batch * computed, 2.0 * batch * scores, 4.0 * read)
