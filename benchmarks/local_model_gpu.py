"""The local model on a GPU, shape-true with random weights: decode speed beside what the memory allows.

python benchmarks/local_model_gpu.py [--layers 14] [--context 4096] [--batch 1 8 32 64]

Needs a card that holds the backbone (69 GiB in bfloat16 with 14 layers); contexts are shortened to what fits
beside it. The n-gram tables have fewer rows than the real ones: what a gather costs does not depend on how
many rows it does not read.
"""

import argparse
import gc
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from figures import Figure, figures_table
from local_model_bounds import demand
from local_model_shapes import OurStep, TheirStep

from longcat_eval.model_backend.longcat.budget import Weights
from longcat_eval.model_backend.longcat.config import LiteConfig
from longcat_eval.model_backend.longcat.core import EngineCore, EngineOptions
from longcat_eval.model_backend.longcat.engine import room
from longcat_eval.model_backend.longcat.placement import Plan
from longcat_eval.model_backend.longcat.random_weights import random_model

GIB = 1024**3
DEVICE = "cuda:0"
SHARES = {1: 40.0, 64: 35.0}
LOOP_LAYERS = 2  # both models have to fit side by side when the in-tree loop is measured


def read_bandwidth() -> float:
    """Bytes per second that a copy of 4 GiB moves, read and written: the best of ten."""
    source = torch.empty(4 * GIB, dtype=torch.uint8, device=DEVICE)
    target = torch.empty_like(source)
    best = min(wall_seconds(lambda: target.copy_(source), 1) for _ in range(10))
    return 2 * source.nbytes / best


def wall_seconds(work: Any, calls: int) -> float:
    """Seconds of one call, the device waited for."""
    torch.cuda.synchronize()
    begin = time.perf_counter()
    for _ in range(calls):
        work()
    torch.cuda.synchronize()
    return (time.perf_counter() - begin) / calls


def shape(layers: int) -> LiteConfig:
    return replace(LiteConfig.lite(), num_layers=layers, ngram_vocab_size_ratio=1)


def engine(config: LiteConfig, tokens: int) -> EngineCore:
    model = random_model(config, seed=0, placed=Plan.single(Weights(config, "bfloat16"), DEVICE))
    fitting = min(tokens, room(model) or tokens)
    options = EngineOptions(kv_tokens=fitting, step_tokens=4096, max_running=256, pack=False)
    return EngineCore(model, None, options)


def decoding(core: EngineCore, batch: int, context: int, bandwidth: float) -> list[Figure]:
    """Tokens per second of one batch, and the share of what reading weights and cache once allows."""
    context = min(context, core.cache.pool.pages * core.cache.pool.page_size // batch - 64)
    step = OurStep(core, batch, context)
    for _ in range(3):
        step()
    seconds = wall_seconds(step, 20)
    step.close()
    least = demand(core.model.config, batch, context).bytes / 2 / bandwidth  # `demand` counts 4-byte elements
    note = f"{1000 * seconds:.1f} ms a step, {1000 * least:.1f} ms for the bytes alone"
    return [
        Figure(f"batch {batch} at {context:,} tokens", batch / seconds, "tokens/s", note=note),
        Figure("  share of the ceiling", 100 * least / seconds, "%", SHARES.get(batch), at_least=True),
    ]


def beside_the_loop(batch: int, context: int) -> list[Figure]:
    """Against transformers' loop over experts, both with few layers and the same weights."""
    sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
    from longcat_oracle import in_tree

    config = shape(LOOP_LAYERS)
    core = engine(config, batch * (context + 64))
    with torch.device(DEVICE):
        theirs = in_tree(core.model).to(torch.bfloat16)
        their_step = TheirStep(theirs, config, batch, context)
        for layer in their_step.cache.layers:
            layer.keys, layer.values = layer.keys.bfloat16(), layer.values.bfloat16()
    our_step = OurStep(core, batch, context)
    for step in (our_step, their_step):
        step()
    ours, loop = wall_seconds(our_step, 10), wall_seconds(their_step, 5)
    note = f"{LOOP_LAYERS} layers each: {1000 * ours:.1f} against {1000 * loop:.1f} ms a step"
    return [Figure(f"batch {batch} beside in-tree", loop / ours, "x", 10.0, at_least=True, note=note)]


def main() -> None:
    parser = argparse.ArgumentParser(description="The local model on a GPU.")
    parser.add_argument("--layers", type=int, default=14)
    parser.add_argument("--context", type=int, default=4096)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8, 32, 64])
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("no GPU here; run this on a machine with one")
    bandwidth = read_bandwidth()
    figures = [Figure("memory, copy read and written", bandwidth / 1e9, "GB/s")]
    figures += beside_the_loop(32, 512)
    gc.collect()
    torch.cuda.empty_cache()
    core = engine(shape(options.layers), max(options.batch) * (options.context + 64))
    for batch in options.batch:
        figures += decoding(core, batch, options.context, bandwidth)
    print(f"{time.strftime('%Y-%m-%d %H:%M')}, {torch.cuda.get_device_name(0)}, torch {torch.__version__}")
    peak = torch.cuda.max_memory_allocated() / GIB
    print(f"{options.layers} layers, bfloat16, random weights, peak {peak:.1f} GiB")
    print(f"\nlongcat-eval\n{figures_table(figures)}")


if __name__ == "__main__":
    main()
