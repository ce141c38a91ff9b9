"""The config: the released shape's numbers, what it resolves to, and the models that are refused."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from longcat_eval.model_backend.longcat.config import LITE_ROPE, LiteConfig
from longcat_eval.model_backend.longcat.errors import CheckpointError
from longcat_eval.model_backend.longcat.packing import packed_parameters, slots

LITE = LiteConfig.lite()


def changed(**changes: Any) -> dict[str, Any]:
    found = {**LITE.to_json(), **changes}
    return {name: value for name, value in found.items() if value is not ...}


def test_the_released_shape_by_the_numbers() -> None:
    assert len(LITE.expected_tensors()) == 11_143
    assert LITE.param_count() == 68_562_465_024
    tables = [shape for name, shape in LITE.expected_tensors().items() if ".embedders." in name]
    assert sum(math.prod(shape) for shape in tables) == 31_406_985_216
    assert LITE.ngram_table_sizes[0] == 10_223_617
    assert LITE.ngram_table_sizes[-1] == 10_223_639
    assert sum(LITE.ngram_table_sizes) == 122_683_536
    assert LITE.kv_layers * LITE.kv_width * 2 == 32_256
    assert LITE.softmax_scale == pytest.approx(0.1092300, abs=1e-7)
    assert LITE.rope["attention_factor"] == 1.0
    assert (LITE.q_lora_scale, LITE.kv_lora_scale) == pytest.approx((1.41421356, 2.44948974), abs=1e-8)


def test_packing_loses_no_parameter_and_overlaps_none() -> None:
    packed = packed_parameters(LITE)
    tables = sum(LITE.ngram_table_sizes) * LITE.ngram_dim
    assert sum(map(math.prod, packed.values())) + tables == LITE.param_count()
    assert len(set(map(str, slots(LITE).values()))) == 11_143 - 12
    assert packed["model.layers.13.mlp.experts.gate_up"] == (256, 2048, 3072)
    assert packed["model.layers.0.mlp.experts.down"] == (256, 3072, 1024)
    assert packed["model.ngram_embeddings.post_projs"] == (12, 3072, 256)


def test_the_model_has_these_parameters_on_meta() -> None:
    import torch

    from longcat_eval.model_backend.longcat.model import LongcatLite

    with torch.device("meta"):
        model = LongcatLite(LITE, dtype=torch.bfloat16)
    state = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    assert state == packed_parameters(LITE)


@pytest.mark.parametrize("config", [LITE, LiteConfig.tiny()], ids=["lite", "tiny"])
def test_read_gives_back_what_was_written(config: LiteConfig, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config.to_json()))
    assert LiteConfig.read(tmp_path) == config
    assert LiteConfig.read(tmp_path / "config.json") == config


def test_aliases_are_the_same_fields() -> None:
    found = changed(
        ngram_vocab_size_ratio=...,
        emb_neighbor_num=...,
        emb_split_num=...,
        dtype=...,
        rope_scaling=...,
        rope_theta=...,
        oe_vocab_size_ratio=78,
        oe_neighbor_num=4,
        oe_split_num=4,
        torch_dtype="bfloat16",
        rope_parameters={**LITE_ROPE, "rope_theta": 5_000_000.0},
    )
    assert LiteConfig.read(found) == LITE


def test_rope_is_taken_from_the_file() -> None:
    plain = LiteConfig.read(changed(rope_scaling=None, rope_theta=1e6))
    assert plain.rope == {"type": "default", "theta": 1e6, "attention_factor": 1.0}
    assert plain.softmax_scale == 192**-0.5
    other = LiteConfig.read(changed(rope_scaling={"type": "yarn", "factor": 4, "mscale": 1.0}))
    assert other.softmax_scale == 192**-0.5, "no mscale_all_dim, no factor on the scores"
    assert other.rope["attention_factor"] == pytest.approx(0.1 * math.log(4) + 1)
    assert other.rope["original_max_position_embeddings"] == 327_680


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "sparse by name": ({"architectures": ["LongcatCausalLM"]}, "LongCat-Flash-Lite-Sparse"),
    "sparse by attention": ({"attention_method": "LSA"}, "LongCat-Flash-Lite-Sparse"),
    "sparse by indexer": ({"index_topk": 2048}, "LongCat-Flash-Lite-Sparse"),
    "next by vocabulary": ({"vocab_size": 282_624}, "LongCat-Next"),
    "next by name": ({"architectures": ["LongcatNextForCausalLM"]}, "LongCat-Next"),
    "2.0 by vocabulary": ({"vocab_size": 163_840}, "LongCat-2.0"),
    "2.0 by order": ({"emb_neighbor_num": 5}, "LongCat-2.0"),
    "flash": ({"architectures": ["LongcatFlashForCausalLM"]}, "LongCat-Flash (no n-gram"),
    "llama": ({"architectures": ["LlamaForCausalLM"]}, "architectures is ['LlamaForCausalLM']"),
    "none": ({"architectures": ...}, "architectures is None"),
    "ignored ids": ({"oe_ignored_token_ids": [131072]}, "oe_ignored_token_ids"),
    "zero experts": ({"zero_expert_type": "copy"}, "zero_expert_type is 'copy'"),
    "normed": ({"norm_topk_prob": True}, "norm_topk_prob is True"),
    "scale": ({"mla_scale_kv_lora": False}, "mla_scale_kv_lora is False"),
    "biased router": ({"router_bias": True}, "router_bias"),
    "biased attention": ({"attention_bias": True}, "attention_bias"),
    "tied": ({"tie_word_embeddings": True}, "tie_word_embeddings"),
    "quantised": ({"quantization_config": {"quant_method": "fp8"}}, "take the bfloat16 checkpoint"),
    "rope": ({"rope_scaling": {"type": "deepseek_yarn", "factor": 120}}, "'deepseek_yarn'"),
    "rope without factor": ({"rope_scaling": {"type": "yarn"}}, "lacks `factor`"),
    "width": ({"hidden_size": 3073}, "no multiple of the 12 n-gram tables"),
    "too many chosen": ({"moe_topk": 400}, "moe_topk 400"),
    "missing": ({"kv_lora_rank": ...}, "lacks kv_lora_rank"),
    "text for a number": ({"num_layers": "14"}, "num_layers is '14'"),
    "truth for a number": ({"num_layers": True}, "num_layers is True"),
    "fraction": ({"num_layers": 13.5}, "num_layers is 13.5"),
    "rope of text": ({"rope_scaling": "yarn"}, "rope_scaling is 'yarn'"),
}


@pytest.mark.parametrize(("changes", "said"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_the_model_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(CheckpointError) as refused:
        LiteConfig.read(changed(**changes))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "said"), [(None, "does not exist"), ("{", "JSON"), ("[]", "no JSON object")]
)
def test_a_broken_file_is_named(content: str | None, said: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(CheckpointError, match=said):
        LiteConfig.read(tmp_path)
    with pytest.raises(CheckpointError, match="no preset 'huge'"):
        LiteConfig.preset("huge")


@pytest.mark.filterwarnings("ignore")
def test_names_and_shapes_are_those_of_transformers_and_the_n_gram_module() -> None:
    import torch
    from transformers import LongcatFlashConfig, LongcatFlashForCausalLM

    tiny = LiteConfig.tiny()
    known = {name: value for name, value in tiny.to_json().items() if name not in ("architectures", "dtype")}
    with torch.device("meta"):
        theirs = LongcatFlashForCausalLM(LongcatFlashConfig(**{**known, "head_dim": tiny.qk_rope_head_dim}))
    found = {name: tuple(tensor.shape) for name, tensor in theirs.state_dict().items()}
    for i, rows in enumerate(tiny.ngram_table_sizes):
        found[f"model.ngram_embeddings.embedders.{i}.weight"] = (rows, 8)
        found[f"model.ngram_embeddings.post_projs.{i}.weight"] = (96, 8)
    assert found == tiny.expected_tensors()
    assert theirs.model.layers[0].self_attn[0].scaling == pytest.approx(tiny.softmax_scale, rel=1e-12)
    assert theirs.model.layers[0].self_attn[0].q_a_layernorm.variance_epsilon == tiny.lora_norm_eps
    assert theirs.model.rotary_emb.attention_scaling == tiny.rope["attention_factor"]
