"""The tensors of a LongCat-Flash-Lite checkpoint: names and shapes as the released files have them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from longcat_eval.model_backend.longcat.config import LiteConfig

Shape = tuple[int, ...]
# The draft head of speculative decoding; it takes no part in the target model.
SKIPPED_PREFIX = "model.mtp."


def table_name(i: int) -> str:
    """The checkpoint's name of n-gram table i."""
    return f"model.ngram_embeddings.embedders.{i}.weight"


def checkpoint_tensors(config: "LiteConfig") -> dict[str, Shape]:
    """Every tensor by name with its shape, in the order of the forward pass."""
    hidden, vocabulary = config.hidden_size, config.vocab_size
    tensors: dict[str, Shape] = {"model.embed_tokens.weight": (vocabulary, hidden)}
    for i, rows in enumerate(config.ngram_table_sizes):
        tensors[table_name(i)] = (rows, config.ngram_dim)
    for i in range(config.ngram_tables):
        tensors[f"model.ngram_embeddings.post_projs.{i}.weight"] = (hidden, config.ngram_dim)
    for layer in range(config.num_layers):
        tensors |= {f"model.layers.{layer}.{name}": shape for name, shape in _layer(config).items()}
    tensors["model.norm.weight"] = (hidden,)
    tensors["lm_head.weight"] = (vocabulary, hidden)
    return tensors


def _layer(config: "LiteConfig") -> dict[str, Shape]:
    hidden = config.hidden_size
    tensors: dict[str, Shape] = {}
    for sub in (0, 1):
        tensors[f"input_layernorm.{sub}.weight"] = (hidden,)
        tensors |= {f"self_attn.{sub}.{name}.weight": shape for name, shape in _attention(config).items()}
        tensors[f"post_attention_layernorm.{sub}.weight"] = (hidden,)
        tensors |= {f"mlps.{sub}.{name}": shape for name, shape in _mlp(hidden, config.ffn_hidden_size)}
    tensors["mlp.router.classifier.weight"] = (config.all_experts, hidden)
    tensors["mlp.router.e_score_correction_bias"] = (config.all_experts,)
    for expert in range(config.real_experts):
        expert_mlp = _mlp(hidden, config.expert_ffn_hidden_size)
        tensors |= {f"mlp.experts.{expert}.{name}": shape for name, shape in expert_mlp}
    return tensors


def _attention(config: "LiteConfig") -> dict[str, Shape]:
    hidden, heads = config.hidden_size, config.num_attention_heads
    return {
        "q_a_proj": (config.q_lora_rank, hidden),
        "q_a_layernorm": (config.q_lora_rank,),
        "q_b_proj": (heads * config.qk_head_dim, config.q_lora_rank),
        "kv_a_proj_with_mqa": (config.kv_width, hidden),
        "kv_a_layernorm": (config.kv_lora_rank,),
        "kv_b_proj": (heads * (config.qk_nope_head_dim + config.v_head_dim), config.kv_lora_rank),
        "o_proj": (hidden, heads * config.v_head_dim),
    }


def _mlp(hidden: int, inner: int) -> list[tuple[str, Shape]]:
    return [
        ("gate_proj.weight", (inner, hidden)),
        ("up_proj.weight", (inner, hidden)),
        ("down_proj.weight", (hidden, inner)),
    ]
