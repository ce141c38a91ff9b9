"""Models of LongCat-Flash-Lite's proportions that fit here: ours, and transformers' with the same weights."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from longcat_eval.model_backend.longcat.config import LiteConfig
from longcat_eval.model_backend.longcat.core import EngineCore, EngineOptions
from longcat_eval.model_backend.longcat.engine_api import GenerationRequest, SamplingParams
from longcat_eval.model_backend.longcat.model import LongcatLite
from longcat_eval.model_backend.longcat.random_weights import random_model
from longcat_eval.model_backend.longcat.sequence import Request
from longcat_eval.model_backend.longcat.sequence import Sequence as Choice

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
GREEDY = SamplingParams(temperature=0)


def scaled(divisor: int, layers: int, experts: int, topk: int, vocabulary: int) -> LiteConfig:
    """Every width of the real model divided by one number; the heads, and so the ratio of KV, stay."""
    return LiteConfig(
        vocab_size=vocabulary,
        hidden_size=3072 // divisor,
        num_layers=layers,
        q_lora_rank=1536 // divisor,
        kv_lora_rank=512 // divisor,
        qk_nope_head_dim=128 // divisor,
        qk_rope_head_dim=64 // divisor,
        v_head_dim=128 // divisor,
        ffn_hidden_size=6144 // divisor,
        expert_ffn_hidden_size=1024 // divisor,
        n_routed_experts=experts,
        zero_expert_num=experts // 2,
        moe_topk=topk,
        ngram_vocab_size_ratio=1,
        dtype="float32",
    )


SHAPES = {"40M": scaled(8, 4, 32, 6, 12_800), "300M": scaled(4, 6, 64, 8, 8_192)}


class Pair:
    """Both models of one shape; ours is packed, so theirs is made first."""

    def __init__(self, config: LiteConfig, options: EngineOptions) -> None:
        from longcat_oracle import in_tree

        self.config = config
        self.ours: LongcatLite = random_model(config, seed=0)
        self.parameters = sum(value.numel() for value in self.ours.state_dict().values())
        self.theirs: Any = in_tree(self.ours)
        self.theirs.generation_config.eos_token_id = None
        self.core = EngineCore(self.ours, None, options)

    def their_step(self, batch: int, context: int) -> "TheirStep":
        """A batch of theirs that goes on by a token at each call, its cache filled with noise."""
        return TheirStep(self.theirs, self.config, batch, context)

    def our_step(self, batch: int, context: int) -> "OurStep":
        """The same through our engine."""
        return OurStep(self.core, batch, context)


class TheirStep:
    """The in-tree model and its own cache, greedy."""

    def __init__(self, model: Any, config: LiteConfig, batch: int, context: int) -> None:
        from transformers import DynamicCache

        self.model, self.cache = model, DynamicCache(config=model.config)
        heads = (batch, config.num_attention_heads, context)
        for layer in range(config.kv_layers):
            self.cache.update(
                torch.randn(*heads, config.qk_head_dim), torch.randn(*heads, config.v_head_dim), layer
            )
        self.tokens = torch.full((batch, 1), 7, device=model.device)

    @torch.inference_mode()
    def __call__(self) -> None:
        logits = self.model(self.tokens, past_key_values=self.cache, use_cache=True).logits
        self.tokens = logits[:, -1:].argmax(-1)

    def products(self) -> Callable[[], None]:
        """The matrix products of a step alone, on the rows that it had."""
        calls: list[tuple[torch.Tensor, torch.Tensor]] = []

        def note(module: Any, given: tuple[torch.Tensor, ...], result: torch.Tensor) -> None:
            calls.append((given[0], module.weight))

        linear = [part for part in self.model.modules() if isinstance(part, torch.nn.Linear)]
        hooks = [part.register_forward_hook(note) for part in linear]
        self()
        for hook in hooks:
            hook.remove()

        @torch.inference_mode()
        def again() -> None:
            for x, weight in calls:
                torch.nn.functional.linear(x, weight)

        return again

    def close(self) -> None:
        del self.cache


class OurStep:
    """The engine with `batch` sequences that have `context` tokens in the cache."""

    def __init__(self, core: EngineCore, batch: int, context: int) -> None:
        self.core, self.requests = core, []
        for i in range(batch):
            asked = GenerationRequest((7,) * context, 1 << 20, GREEDY)
            request = Request(asked, lambda event: None, None)
            choice = Choice(request, 0, [i % core.model.config.vocab_size, *asked.prompt_ids])
            choice.cache = core.cache.begin(choice.tokens, share=False)
            choice.cache.reserve(len(choice.tokens))
            choice.cache.commit(choice.tokens, context)
            core.scheduler.running.append(choice)
            self.requests.append(request)
        for layer in core.cache.layers:
            layer.normal_()

    def __call__(self) -> None:
        self.core.step()

    def close(self) -> None:
        for request in self.requests:
            self.core.cancel(request)


def their_batches(model: Any, jobs: Sequence[tuple[list[int], int]], size: int) -> int:
    """`generate` on padded batches, each until its longest is done; the tokens that were asked for."""
    for begin in range(0, len(jobs), size):
        batch = jobs[begin : begin + size]
        longest = max(len(prompt) for prompt, _ in batch)
        ids = torch.tensor([[3] * (longest - len(prompt)) + prompt for prompt, _ in batch])
        mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt, _ in batch])
        model.generate(
            ids,
            attention_mask=mask,
            do_sample=False,
            max_new_tokens=max(new for _, new in batch),
            pad_token_id=3,
        )
    return sum(new for _, new in jobs)


def our_requests(core: EngineCore, jobs: Sequence[tuple[list[int], int]]) -> int:
    """The same requests through the engine; the tokens that came."""
    found = core.run([GenerationRequest(tuple(prompt), new, GREEDY) for prompt, new in jobs])
    return sum(map(len, found))
