"""Checkpoints in FP8: a scale per block of a matrix, multiplied out while loading.

    W[i, j] = q[i, j] * scale_inv[i // rows, j // columns]

`X.weight` is then F8_E4M3 and `X.weight_scale_inv` float32, with `quantization_config` of method fp8 and a
`weight_block_size` in config.json: the form of DeepSeek-V3's release, which sglang and vllm read. Nobody here
could read the files of LongCat-Flash-Lite-FP8, so whatever does not fit this form is refused.
"""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from longcat_eval.model_backend.longcat.errors import CheckpointError

if TYPE_CHECKING:
    import torch

    from longcat_eval.model_backend.longcat.shards import Stored

Block = tuple[int, int]
SUFFIX = "_scale_inv"
TYPE = "F8_E4M3"
INSTEAD = "take the bfloat16 checkpoint; --set local.quant=int8 gives int8 experts"


def block_size(config: Mapping[str, Any]) -> Block | None:
    """Rows and columns of a block by the parsed config.json; None where nothing is quantised."""
    said = config.get("quantization_config")
    if not said:
        return None
    if (
        not isinstance(said, Mapping)
        or said.get("quant_method") != "fp8"
        or said.get("fmt", "e4m3") != "e4m3"
    ):
        method = said.get("quant_method") if isinstance(said, Mapping) else said
        raise CheckpointError(f"config.json: quantization_config {method!r} cannot be read here; {INSTEAD}")
    block = said.get("weight_block_size")
    if not isinstance(block, list) or len(block) != 2 or not all(type(n) is int and n > 0 for n in block):
        raise CheckpointError(
            f"config.json: quantization_config has weight_block_size {block!r} where FP8 in blocks has two "
            f"numbers; {INSTEAD}"
        )
    return block[0], block[1]


def take_scales(stored: "Mapping[str, Stored]", block: Block | None) -> "dict[str, Stored]":
    """The scales of FP8 tensors by the tensors' names; raises `CheckpointError` where they do not fit."""
    scales = {name.removesuffix(SUFFIX): entry for name, entry in stored.items() if name.endswith(SUFFIX)}
    quantised = {name: entry for name, entry in stored.items() if entry.dtype.startswith("F8_")}
    for name, entry in quantised.items():
        if block is None:
            raise CheckpointError(
                f"{entry.file}: {name} is FP8, and config.json has no quantization_config; {INSTEAD}"
            )
        if entry.dtype != TYPE or len(entry.shape) != 2:
            raise CheckpointError(
                f"{entry.file}: {name} is {entry.dtype} {list(entry.shape)}, not a matrix of {TYPE}; "
                f"{INSTEAD}"
            )
        scale = scales.get(name)
        if scale is None:
            raise CheckpointError(f"{entry.file}: {name} is FP8 and {name}{SUFFIX} is missing; {INSTEAD}")
        blocks = tuple(math.ceil(n / size) for n, size in zip(entry.shape, block, strict=True))
        if scale.shape != blocks or scale.dtype != "F32":
            raise CheckpointError(
                f"{scale.file}: {name}{SUFFIX} is {scale.dtype} {list(scale.shape)} where blocks of "
                f"{block[0]}x{block[1]} make it F32 {list(blocks)}; {INSTEAD}"
            )
    for name, entry in scales.items():
        if name not in quantised:
            raise CheckpointError(f"{entry.file}: {name}{SUFFIX} scales {name}, which is not FP8; {INSTEAD}")
    return scales


def multiplied_out(
    values: "torch.Tensor", scales: "torch.Tensor", block: Block, dtype: "torch.dtype"
) -> "torch.Tensor":
    """FP8 [O, I] and its scales [blocks, blocks] to [O, I] in `dtype`, a row of blocks at a time."""
    import torch

    rows, columns = block
    result = torch.empty(values.shape, dtype=dtype)
    for i, scale in enumerate(scales):
        part = slice(i * rows, (i + 1) * rows)
        across = scale.repeat_interleave(columns)[: values.shape[1]]
        result[part] = (values[part].to(torch.float32) * across).to(dtype)
    return result
