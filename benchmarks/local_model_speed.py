"""The local model on this CPU beside transformers' own `longcat_flash`: same weights, same run, one thread.

python benchmarks/local_model_speed.py [--shape 40M|300M] [--only batch-1 batch-32 long mixed]
"""

import argparse
import random
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from figures import Figure, figures_table
from local_model_bounds import cpu_seconds, demand, machine
from local_model_shapes import SHAPES, Pair, our_requests, their_batches
from measure import load_average
from measure import machine as machine_name

from longcat_eval.model_backend.longcat.core import EngineOptions

SHORT, LONG = 64, 4096
# The in-tree cache of 32 x 4,096 tokens is 5.4 GB at 40M and would be 16 GB at 300M.
LONG_BATCH = {"40M": 32, "300M": 8}
TARGETS = {"batch-1": 2.0, "batch-32": 1.5, "long": 4.0, "mixed": 3.0}
MIXED = 64
MIXED_NEW = (16, 512)
MIXED_PROMPT = (8, 128)


class Seconds(NamedTuple):
    """Median CPU seconds of a decode step of either, and of the matrix products of theirs alone."""

    ours: float
    theirs: float
    their_products: float


def steps(pair: Pair, batch: int, context: int, rounds: int) -> Seconds:
    """All three in turns, so that each sees the same machine."""
    calls = max(1, round(16 / batch)) if context < LONG else 1
    ours, theirs = pair.our_step(batch, context), pair.their_step(batch, context)
    work = (ours, theirs, theirs.products())
    found: tuple[list[float], ...] = ([], [], [])
    for _ in range(rounds):
        for step, seconds in zip(work, found, strict=True):
            step()
            seconds += [cpu_seconds(step, 1) for _ in range(calls)]
    ours.close()
    theirs.close()
    return Seconds(*map(statistics.median, found))


def stepping(pair: Pair, shape: str, case: str, batch: int, context: int, rounds: int) -> list[Figure]:
    ours, theirs, products = steps(pair, batch, context, rounds)
    bound = demand(pair.config, batch, context).seconds(machine(pair.config, batch))
    note = f"{batch / ours:,.0f} against {batch / theirs:,.0f} tokens per CPU second"
    name = f"{shape}, batch {batch} at {context:,} tokens"
    return [
        Figure(name, theirs / ours, "x in-tree", TARGETS[case], at_least=True, note=note),
        Figure("  share of the bound", 100 * bound / ours, "%", note=f"in-tree {100 * bound / theirs:.0f} %"),
        Figure("  products alone, in-tree", 100 * products / theirs, "% of its step"),
    ]


def mixed(pair: Pair, shape: str) -> list[Figure]:
    """Requests of many lengths: ours come and go, theirs wait for the longest of their batch."""
    rng = random.Random(0)
    jobs = [
        (
            [rng.randrange(4, pair.config.vocab_size) for _ in range(rng.randint(*MIXED_PROMPT))],
            rng.randint(*MIXED_NEW),
        )
        for _ in range(MIXED)
    ]
    begin = time.process_time()
    count = our_requests(pair.core, jobs)
    ours = (time.process_time() - begin) / count
    begin = time.process_time()
    theirs_count = their_batches(pair.theirs, jobs, 32)
    theirs = (time.process_time() - begin) / theirs_count
    if count != theirs_count:
        raise RuntimeError(f"ours gave {count} tokens, {theirs_count} were asked for")
    mean = sum(len(prompt) + new / 2 for prompt, new in jobs) / MIXED
    bound = demand(pair.config, 32, round(mean)).seconds(machine(pair.config, 32)) / 32
    note = f"{1 / ours:,.0f} against {1 / theirs:,.0f} tokens per CPU second"
    name = f"{shape}, {MIXED} requests of {MIXED_NEW[0]} to {MIXED_NEW[1]} tokens"
    return [
        Figure(name, theirs / ours, "x in-tree", TARGETS["mixed"], at_least=True, note=note),
        Figure("  share of the bound", 100 * bound / ours, "%", note="of a batch of 32 that never empties"),
    ]


def cache_size(pair: Pair, shape: str) -> Figure:
    config = pair.config
    theirs = 4 * config.kv_layers * config.num_attention_heads * (config.qk_head_dim + config.v_head_dim)
    ours = pair.core.cache.bytes_per_token
    return Figure(
        f"{shape}, KV bytes per token",
        theirs / ours,
        "x fewer",
        17.0,
        at_least=True,
        note=f"{ours:,} for {theirs:,}",
    )


def measured(shape: str, only: list[str] | None, rounds: int) -> list[Figure]:
    long_batch = LONG_BATCH[shape]
    pair = Pair(SHAPES[shape], EngineOptions(kv_tokens=long_batch * (LONG + 64)))
    print(f"{shape}: {pair.parameters / 1e6:,.1f}M parameters without n-gram tables", flush=True)
    cases: dict[str, Callable[[], list[Figure]]] = {
        "batch-1": lambda: stepping(pair, shape, "batch-1", 1, SHORT, rounds),
        "batch-32": lambda: stepping(pair, shape, "batch-32", 32, SHORT, rounds),
        "long": lambda: stepping(pair, shape, "long", long_batch, LONG, min(rounds, 3)),
        "mixed": lambda: mixed(pair, shape),
    }
    figures = [cache_size(pair, shape)]
    for case, measure in cases.items():
        if only is None or case in only:
            found = measure()
            print(f"  {case}: {found[0].value:.2f} x, {found[0].note}", flush=True)
            figures += found
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description="The local model beside transformers' longcat_flash.")
    parser.add_argument("--shape", choices=list(SHAPES), help="one shape alone")
    parser.add_argument("--only", choices=list(TARGETS), nargs="+", help="some cases alone")
    parser.add_argument("--rounds", type=int, default=9, help="measurements of a step; medians count")
    options = parser.parse_args()
    torch.set_num_threads(1)
    began, load = time.perf_counter(), load_average()
    figures = [
        figure
        for shape in SHAPES
        if options.shape in (None, shape)
        for figure in measured(shape, options.only, options.rounds)
    ]
    print(f"\n{time.strftime('%Y-%m-%d %H:%M')}, {machine_name()}")
    print(f"torch {torch.__version__}, one thread, float32, {options.rounds} rounds, medians")
    print(f"load average {load:.2f} before, {load_average():.2f} after; {time.perf_counter() - began:.0f} s")
    print(f"\nlongcat-eval\n{figures_table(figures)}")


if __name__ == "__main__":
    main()
