"""What bfloat16, int8 experts and each expert kernel change in the local model's distributions.

python benchmarks/local_model_precision.py [--shape tiny 40M] [--tokens 512] [--device cpu]

The reference is float32 with the kernel `loop`. Weights are random, so the figures say how much the
arithmetic changes, and not what a benchmark's score loses.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from local_model_shapes import SHAPES
from measure import machine as machine_name
from torch import Tensor

from longcat_eval.model_backend.longcat.budget import Weights
from longcat_eval.model_backend.longcat.config import LiteConfig
from longcat_eval.model_backend.longcat.experts import Kernel
from longcat_eval.model_backend.longcat.loader import load, random_model, write_checkpoint
from longcat_eval.model_backend.longcat.model import LongcatLite
from longcat_eval.model_backend.longcat.placement import Plan
from longcat_eval.model_backend.longcat.quant import NOT_QUANTISED, Quantisation
from longcat_eval.model_backend.longcat.step import Piece, Step

CONFIGS = {"tiny": LiteConfig.tiny(), **SHAPES}
KERNELS: tuple[Kernel, ...] = ("loop", "grouped", "grouped_mm", "gather")
GATHERED = 32
INT8 = Quantisation(experts="int8")


class Change(NamedTuple):
    """KL divergence from the reference in nats, over all positions; and those with its most likely token."""

    mean: float
    worst: float
    same_top: float


def change(reference: Tensor, found: Tensor) -> Change:
    """Of logits [T, vocabulary]."""
    reference = reference[: len(found)]
    p, q = (logits.double().log_softmax(-1) for logits in (reference, found))
    divergence = (p.exp() * (p - q)).sum(-1)
    same = (reference.argmax(-1) == found.argmax(-1)).double().mean()
    return Change(float(divergence.mean()), float(divergence.max()), 100 * float(same))


def loaded(folder: Path, config: LiteConfig, dtype: str, quant: Quantisation, device: str) -> LongcatLite:
    return load(folder, Plan.single(Weights(config, dtype, quant), device))


def study(config: LiteConfig, tokens: list[int], device: str, folder: Path) -> Iterator[tuple[str, Change]]:
    """Every type and kernel beside the reference, then the kernels of bfloat16 beside each other."""
    write_checkpoint(random_model(config, seed=0), folder)
    exact = loaded(folder, config, "float32", NOT_QUANTISED, device)
    reference = logits(exact, "loop", tokens)
    p = reference.double().log_softmax(-1)
    print(f"  entropy of the reference {float(-(p.exp() * p).sum(-1).mean()):.2f} nats", flush=True)
    for kernel in KERNELS[1:]:
        yield f"float32, {kernel}", change(reference, logits(exact, kernel, tokens))
    yield "bfloat16, transformers", change(reference, theirs(exact, tokens))
    del exact
    half = loaded(folder, config, "bfloat16", NOT_QUANTISED, device)
    found = {kernel: logits(half, kernel, tokens) for kernel in KERNELS}
    del half
    for kernel in KERNELS:
        yield f"bfloat16, {kernel}", change(reference, found[kernel])
    for kernel in KERNELS[1:]:
        yield f"bfloat16, {kernel} beside loop", change(found["loop"], found[kernel])
    for dtype in ("float32", "bfloat16"):
        small = loaded(folder, config, dtype, INT8, device)
        yield f"{dtype}, int8 experts", change(reference, logits(small, "auto", tokens))


def theirs(model: LongcatLite, tokens: list[int]) -> Tensor:
    """The in-tree model in bfloat16 over our embeddings: how much of the change is the type's alone."""
    from longcat_oracle import in_tree

    step = Step.of([Piece(tokens, 0, [0], (), "all")], model.hasher, page_size=len(tokens))
    embedded = model.embed(step).clone().unsqueeze(0).bfloat16()
    with torch.no_grad():
        backbone = in_tree(model).to(embedded.device, torch.bfloat16)
        found: Tensor = backbone(inputs_embeds=embedded).logits[0]
    return found


def logits(model: LongcatLite, kernel: Kernel, tokens: list[int]) -> Tensor:
    """[T, vocabulary]; the kernel that copies matrices for each token sees the beginning alone."""
    model.use_kernel(kernel)
    return model.logits(tokens[:GATHERED] if kernel == "gather" else tokens)


def main() -> None:
    parser = argparse.ArgumentParser(description="What precision and kernels change in the local model.")
    parser.add_argument("--shape", choices=list(CONFIGS), nargs="+", default=["tiny", "40M"])
    parser.add_argument("--tokens", type=int, default=512, help="of one random text")
    parser.add_argument("--device", default="cuda:0" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        sys.exit(f"--device {options.device}: no GPU here; leave it out to compute on the CPU")
    print(f"{time.strftime('%Y-%m-%d %H:%M')}, {machine_name()}, torch {torch.__version__}, {options.device}")
    for shape in options.shape:
        config = CONFIGS[shape]
        rng = random.Random(0)
        tokens = [rng.randrange(4, config.vocab_size) for _ in range(options.tokens)]
        print(f"\n{shape}, {len(tokens)} tokens")
        print(f"  {'':32}{'mean KL':>12}{'largest KL':>12}{'same top':>12}")
        with tempfile.TemporaryDirectory() as folder:
            for name, (mean, worst, same) in study(config, tokens, options.device, Path(folder)):
                print(f"  {name:32}{mean:12.2e}{worst:12.2e}{same:10.1f} %", flush=True)


if __name__ == "__main__":
    main()
