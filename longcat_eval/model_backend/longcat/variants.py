"""Models that look like LongCat-Flash-Lite and are not: each is refused by name.

The differences come from public ports of the siblings (docs/model.md); computing one model with another's
formulas gives fluent nonsense, so nothing unknown passes.
"""

from collections.abc import Mapping
from typing import Any

from longcat_eval.model_backend.longcat.errors import CheckpointError
from longcat_eval.model_backend.longcat.fp8 import block_size

ARCHITECTURES = ("LongcatFlashNgramForCausalLM", "LongcatLiteForCausalLM")
# Names of the same fields in ports of this model and in later transformers.
ALIASES = {
    "oe_vocab_size_ratio": "ngram_vocab_size_ratio",
    "oe_neighbor_num": "emb_neighbor_num",
    "oe_split_num": "emb_split_num",
    "torch_dtype": "dtype",
    "num_experts_per_tok": "moe_topk",
    "intermediate_size": "ffn_hidden_size",
    "moe_intermediate_size": "expert_ffn_hidden_size",
}
# What the forward pass takes for granted; any other value is another model.
FIXED: dict[str, tuple[Any, ...]] = {
    "attention_method": ("MLA",),
    "zero_expert_type": ("identity",),
    "hidden_act": ("silu",),
    "mla_scale_q_lora": (True,),
    "mla_scale_kv_lora": (True,),
    "norm_topk_prob": (False,),
    "router_bias": (False,),
    "attention_bias": (False,),
    "tie_word_embeddings": (False,),
    "n_shared_experts": (0, None),
    "oe_ignored_token_ids": ([], None),
    "emb_neighbor_num": (4,),
}
SPARSE_KEYS = ("index_topk", "index_n_heads", "index_head_dim", "lsa_config")
NEXT_KEYS = ("visual_tokenizer_config", "audio_tokenizer_config", "visual_config", "audio_config")


def canonical(found: Mapping[str, Any]) -> dict[str, Any]:
    """The same fields under config.json's own names; the own name wins over an alias."""
    named = {ALIASES[name]: value for name, value in found.items() if name in ALIASES}
    rope = found.get("rope_parameters")
    if isinstance(rope, Mapping):
        named["rope_scaling"] = {k: v for k, v in rope.items() if k != "rope_theta"} or None
        if "rope_theta" in rope:
            named["rope_theta"] = rope["rope_theta"]
    return {**named, **{name: value for name, value in found.items() if name not in ALIASES}}


def refuse_variants(found: Mapping[str, Any]) -> None:
    """Raise `CheckpointError` with one line where the config is of another model."""
    sibling = _sibling(found)
    if sibling:
        raise CheckpointError(f"config.json: {sibling}; only LongCat-Flash-Lite is implemented here")
    named = found.get("architectures")
    if not isinstance(named, list) or not set(named) & set(ARCHITECTURES):
        raise CheckpointError(
            f"config.json: architectures is {named!r}, expected [{ARCHITECTURES[0]!r}]; "
            "only LongCat-Flash-Lite is implemented here"
        )
    values = canonical(found)
    for name, allowed in FIXED.items():
        if name in values and values[name] not in allowed:
            raise CheckpointError(
                f"config.json: {name} is {values[name]!r} where LongCat-Flash-Lite has {allowed[0]!r}; "
                "this is a variant that is not implemented here"
            )
    block_size(found)  # a quantisation that cannot be read is refused here


def _sibling(found: Mapping[str, Any]) -> str | None:
    """What a config of a known sibling says it is."""
    named = found.get("architectures") or []
    names = [str(name) for name in named] if isinstance(named, list) else []
    sparse_keys = [name for name in SPARSE_KEYS if name in found]
    next_keys = [name for name in NEXT_KEYS if name in found]
    vocabulary = found.get("vocab_size")
    if "LongcatCausalLM" in names or found.get("attention_method") == "LSA" or sparse_keys:
        return "this is LongCat-Flash-Lite-Sparse (sparse attention, another n-gram fusion)"
    if vocabulary == 282_624 or next_keys or any("Next" in name for name in names):
        return "this is LongCat-Next (282,624 tokens, ignored n-gram ids, plain rope)"
    if vocabulary == 163_840 or found.get("emb_neighbor_num") == 5:
        return "this is LongCat-2.0 (n-grams up to 5 over 163,840 tokens)"
    if "LongcatFlashForCausalLM" in names:
        return "this is LongCat-Flash (no n-gram embedding)"
    return None
