"""A checkpoint in FP8 blocks computes what its blocks multiplied out compute; another form is one line."""

from pathlib import Path
from typing import Any

import pytest
import torch
from longcat_checkpoints import SHARDS, edit_config, edit_shard
from torch import Tensor

from longcat_eval.model_backend.longcat.budget import Weights
from longcat_eval.model_backend.longcat.byte_tokenizer import ByteTokenizer
from longcat_eval.model_backend.longcat.config import LiteConfig
from longcat_eval.model_backend.longcat.errors import CheckpointError, PlacementError
from longcat_eval.model_backend.longcat.fp8 import SUFFIX
from longcat_eval.model_backend.longcat.inspect import inspect
from longcat_eval.model_backend.longcat.loader import load
from longcat_eval.model_backend.longcat.local_options import LocalOptions
from longcat_eval.model_backend.longcat.open_local import computed
from longcat_eval.model_backend.longcat.placement import Plan

ROWS, COLUMNS = 40, 56  # neither divides the tensors' sizes
FORM = {
    "quant_method": "fp8",
    "fmt": "e4m3",
    "activation_scheme": "dynamic",
    "weight_block_size": [ROWS, COLUMNS],
}
TEXT = [5, 6, 7, 5, 2, 9, 300, 4]
GATE = "model.layers.1.mlp.experts.3.gate_proj.weight"


def quantise(tensors: dict[str, Tensor], kinds: tuple[str, ...]) -> None:
    for name in [name for name in tensors if any(kind in name for kind in kinds)]:
        weight = tensors[name]
        scale = torch.empty(-(-weight.shape[0] // ROWS), -(-weight.shape[1] // COLUMNS))
        values = torch.empty(weight.shape, dtype=torch.float8_e4m3fn)
        for i in range(scale.shape[0]):
            for j in range(scale.shape[1]):
                part = slice(i * ROWS, (i + 1) * ROWS), slice(j * COLUMNS, (j + 1) * COLUMNS)
                scale[i, j] = weight[part].abs().max() / 448
                values[part] = (weight[part] / scale[i, j]).to(torch.float8_e4m3fn)
        tensors[name], tensors[name + SUFFIX] = values, scale


def multiply_out(tensors: dict[str, Tensor]) -> None:
    for name in [name for name in tensors if name.endswith(SUFFIX)]:
        scale, weight = tensors.pop(name), name.removesuffix(SUFFIX)
        values = tensors[weight].float()
        blocks = torch.kron(scale, torch.ones(ROWS, COLUMNS))
        tensors[weight] = values * blocks[: values.shape[0], : values.shape[1]]


def in_fp8(folder: Path, *kinds: str) -> None:
    edit_config(folder, {"quantization_config": FORM})
    for shard in SHARDS:
        edit_shard(folder, shard, lambda tensors: quantise(tensors, kinds))


@pytest.mark.parametrize("kinds", [("experts", "self_attn", "mlps"), ("embedders",)])
def test_fp8_computes_what_it_multiplies_out_to(kinds: tuple[str, ...], checkpoint: Path) -> None:
    kinds = tuple(kind + "." for kind in kinds if kind != "self_attn") + (
        ("_proj",) if len(kinds) > 1 else ()
    )
    before = load(checkpoint).logits(TEXT)
    in_fp8(checkpoint, *kinds)
    found = inspect(checkpoint)
    assert found.problem is None
    assert any("FP8 in blocks; loading multiplies them out" in note for note in found.notes)
    got = load(checkpoint).logits(TEXT)
    edit_config(checkpoint, {"quantization_config": ...})
    for shard in SHARDS:
        edit_shard(checkpoint, shard, multiply_out)
    assert torch.equal(got, load(checkpoint).logits(TEXT))
    assert not torch.equal(got, before)
    assert torch.nn.functional.cosine_similarity(got.flatten(), before.flatten(), dim=0) > 0.98


def test_records_say_that_it_was_fp8(checkpoint: Path) -> None:
    in_fp8(checkpoint, "experts.")
    weights = Weights(LiteConfig.tiny(), "float32")
    facts = computed(checkpoint, weights, ByteTokenizer(), LocalOptions())
    assert f"FP8 in blocks of {ROWS}x{COLUMNS} multiplied out" in facts["weights"]


def test_tables_in_fp8_cannot_be_mapped(checkpoint: Path) -> None:
    in_fp8(checkpoint, "embedders.")
    with pytest.raises(PlacementError, match=r"give --set local\.tables=host"):
        load(checkpoint, Plan.single(Weights(LiteConfig.tiny(), "float32"), "cpu", "mmap"))


def put(folder: Path, name: str, tensor: Tensor | None) -> None:
    def change(tensors: dict[str, Tensor]) -> None:
        if name in tensors:
            tensors.pop(name)
            if tensor is not None:
                tensors[name] = tensor

    for shard in SHARDS:
        edit_shard(folder, shard, change)


@pytest.mark.parametrize(
    ("form", "name", "tensor", "said"),
    [
        ({"quant_method": "awq"}, "", None, "quantization_config 'awq' cannot be read here"),
        ("fp8", "", None, "quantization_config 'fp8' cannot be read here"),
        ({**FORM, "fmt": "e5m2"}, "", None, "cannot be read here"),
        ({"quant_method": "fp8"}, "", None, "weight_block_size None where FP8 in blocks has two numbers"),
        (FORM, GATE + SUFFIX, None, f"{GATE} is FP8 and {GATE}{SUFFIX} is missing"),
        (FORM, GATE + SUFFIX, torch.ones(1, 2), "is F32 [1, 2] where blocks of 40x56 make it F32 [2, 2]"),
        (FORM, GATE, torch.ones(64, 96), "which is not FP8"),
        (FORM, GATE, torch.ones(64, 96).to(torch.float8_e5m2), "not a matrix of F8_E4M3"),
    ],
)
def test_another_form_is_one_clear_line(
    form: Any, name: str, tensor: Tensor | None, said: str, checkpoint: Path
) -> None:
    in_fp8(checkpoint, "experts.")
    edit_config(checkpoint, {"quantization_config": form})
    put(checkpoint, name, tensor)
    with pytest.raises(CheckpointError) as refused:
        load(checkpoint)
    assert said in str(refused.value)
    assert "take the bfloat16 checkpoint" in str(refused.value)
    assert "\n" not in str(refused.value)
