"""From a checkpoint's files to a model in place: tensor by tensor, straight to where each belongs.

The files are mapped, not read into memory: a tensor's bytes go from the page cache to its slice of the
parameter on its device. Names, shapes, types and file lengths are checked before (`shards.py`). Nothing of
a checkpoint is executed.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from longcat_eval.model_backend.longcat.assembly import Assembly
from longcat_eval.model_backend.longcat.budget import Weights, host_memory, present_gpus
from longcat_eval.model_backend.longcat.config import LiteConfig
from longcat_eval.model_backend.longcat.errors import CheckpointError
from longcat_eval.model_backend.longcat.fp8 import multiplied_out
from longcat_eval.model_backend.longcat.model import LongcatLite
from longcat_eval.model_backend.longcat.placement import Plan, plan
from longcat_eval.model_backend.longcat.quant import NOT_QUANTISED, Quantisation
from longcat_eval.model_backend.longcat.random_weights import random_model, write_checkpoint
from longcat_eval.model_backend.longcat.shards import Checkpoint, open_checkpoint
from longcat_eval.model_backend.longcat.storage import Storage, mapped

__all__ = ["load", "plan_here", "random_model", "stream", "write_checkpoint"]

Progress = Callable[[int, int], None]
"""Told the tensors done and the tensors there are."""
DEFAULT_CONTEXT = 32_768


def load(
    path: str | Path,
    placed: Plan | None = None,
    dtype: str | None = None,
    *,
    quant: Quantisation = NOT_QUANTISED,
    offload: Path | None = None,
    emulate: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> LongcatLite:
    """The model of a checkpoint folder, ready to compute.

    `placed` decides types and quantisation; without it the machine's GPUs and memory are planned for, in
    `dtype` (config.json's by default) and `quant`. `offload` is the folder of the disk tier; `emulate` maps a
    place to the device that stands for it. Raises `CheckpointError` or `PlacementError`.
    """
    checkpoint = open_checkpoint(path)
    placed = placed or plan_here(checkpoint.config, dtype, quant)
    if placed.weights.config != checkpoint.config:
        raise CheckpointError(f"{path}: config.json is not the one that the placement was planned for")
    assembly = Assembly.allocate(placed, Storage(offload, emulate), checkpoint)
    count = len(checkpoint.tensors)
    for done, (name, tensor) in enumerate(stream(checkpoint, assembly.model.dtype), 1):
        assembly.write(name, tensor)
        if progress is not None:
            progress(done, count)
    return assembly.model


def plan_here(
    config: LiteConfig,
    dtype: str | None = None,
    quant: Quantisation = NOT_QUANTISED,
    context: int | None = None,
) -> Plan:
    """The best plan for this machine as it is."""
    weights = Weights(config, dtype or config.dtype, quant)
    context = context or min(DEFAULT_CONTEXT, config.max_position_embeddings)
    return plan(weights, present_gpus(), host_memory(), context=context)


def stream(checkpoint: Checkpoint, dtype: torch.dtype) -> Iterator[tuple[str, Tensor]]:
    """Every tensor with its name, shard by shard in file order, as views of the mapped files.

    Those in FP8 come multiplied out to `dtype`.
    """
    from safetensors import SafetensorError, safe_open

    for file in checkpoint.files:
        names = [name for name, stored in checkpoint.tensors.items() if stored.file == file]
        names.sort(key=lambda name: checkpoint.tensors[name].begin)
        try:
            with safe_open(file, framework="pt", device="cpu") as shard:
                for name in names:
                    tensor = shard.get_tensor(name)
                    scales = checkpoint.scales.get(name)
                    if scales is not None and checkpoint.block is not None:
                        tensor = multiplied_out(tensor, mapped(scales), checkpoint.block, dtype)
                    yield name, tensor
        except SafetensorError as error:
            raise CheckpointError(f"{file} is corrupt: {error}; fetch this file again") from error
