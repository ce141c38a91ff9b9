"""The shape of LongCat-Flash-Lite, under the field names of the checkpoint's config.json.

Sources: the public ports of the checkpoint and transformers 4.57.6 `LongcatFlashConfig`, which names the same
fields; docs/model.md says which value comes from where and which is unverified.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from longcat_eval.model_backend.longcat.errors import CheckpointError
from longcat_eval.model_backend.longcat.variants import canonical, refuse_variants

Json = Mapping[str, Any]


@dataclass(frozen=True)
class LiteConfig:
    """Every number that the forward pass needs; the defaults are those of LongCat-Flash-Lite."""

    vocab_size: int = 131072
    hidden_size: int = 3072
    num_layers: int = 14
    num_attention_heads: int = 32
    q_lora_rank: int = 1536
    kv_lora_rank: int = 512
    qk_nope_head_dim: int = 128
    qk_rope_head_dim: int = 64
    v_head_dim: int = 128
    ffn_hidden_size: int = 6144
    expert_ffn_hidden_size: int = 1024
    n_routed_experts: int = 256
    zero_expert_num: int = 128
    moe_topk: int = 12
    routed_scaling_factor: float = 6.0
    ngram_vocab_size_ratio: float = 78
    emb_neighbor_num: int = 4
    emb_split_num: int = 4
    rms_norm_eps: float = 1e-5
    lora_norm_eps: float = 1e-6  # the class default in transformers' layers, not rms_norm_eps
    rope_theta: float = 5_000_000.0
    rope_scaling: dict[str, Any] | None = field(default_factory=lambda: dict(LITE_ROPE), hash=False)
    max_position_embeddings: int = 327_680
    bos_token_id: int = 1
    eos_token_id: int = 2
    pad_token_id: int | None = 3
    dtype: str = "bfloat16"

    def __post_init__(self) -> None:
        """Refuse shapes that the architecture does not have."""
        tables = self.ngram_tables
        wrong = [
            (self.emb_neighbor_num < 2, f"emb_neighbor_num {self.emb_neighbor_num} is below 2"),
            (self.emb_split_num < 1, f"emb_split_num {self.emb_split_num} is below 1"),
            (
                tables < 1 or self.hidden_size % max(tables, 1),
                f"hidden_size {self.hidden_size} is no multiple of the {tables} n-gram tables",
            ),
            (
                self.moe_topk > self.all_experts,
                f"moe_topk {self.moe_topk} is more than the {self.all_experts} experts",
            ),
            (self.qk_rope_head_dim % 2, f"qk_rope_head_dim {self.qk_rope_head_dim} is odd"),
            (
                not 0 <= self.eos_token_id < self.vocab_size,
                f"eos_token_id {self.eos_token_id} is not in the vocabulary of {self.vocab_size}",
            ),
        ]
        for is_wrong, what in wrong:
            if is_wrong:
                raise CheckpointError(f"config.json: {what}; this is not a LongCat-Flash-Lite")
        _ = self.rope  # a rope_scaling that is not understood is refused here

    @classmethod
    def read(cls, source: str | Path | Json) -> "LiteConfig":
        """Read a checkpoint folder, a config.json, or its parsed content; look-alike models are refused."""
        found = source if isinstance(source, Mapping) else read_json(source)
        refuse_variants(found)
        known = canonical(found)
        missing = [name for name in REQUIRED if name not in known]
        if missing:
            raise CheckpointError(
                f"config.json lacks {', '.join(missing)}; take the config.json of the checkpoint unchanged"
            )
        return cls(**{name: _value(name, known[name]) for name in FIELDS if name in known})

    @classmethod
    def preset(cls, name: str) -> "LiteConfig":
        """`lite` (the real shape) or `tiny` (the same architecture, a few megabytes)."""
        presets = {"lite": cls.lite, "tiny": cls.tiny}
        if name not in presets:
            raise CheckpointError(f"no preset {name!r}; there are {', '.join(presets)}")
        return presets[name]()

    @classmethod
    def lite(cls) -> "LiteConfig":
        """The shape of the released checkpoint."""
        return cls()

    @classmethod
    def tiny(cls) -> "LiteConfig":
        """Every part of the architecture in about a million parameters; its tokenizer is of bytes."""
        return cls(
            vocab_size=320,
            hidden_size=96,
            num_layers=2,
            num_attention_heads=4,
            q_lora_rank=48,
            kv_lora_rank=32,
            qk_nope_head_dim=16,
            qk_rope_head_dim=8,
            v_head_dim=16,
            ffn_hidden_size=192,
            expert_ffn_hidden_size=64,
            n_routed_experts=8,
            zero_expert_num=4,
            moe_topk=3,
            ngram_vocab_size_ratio=4,
            rope_theta=10_000.0,
            rope_scaling={**LITE_ROPE, "factor": 4.0, "original_max_position_embeddings": 8192},
            max_position_embeddings=32_768,
            dtype="float32",
        )

    def to_json(self) -> dict[str, Any]:
        """The content of a config.json that `read` gives back unchanged."""
        return {
            "architectures": ["LongcatFlashNgramForCausalLM"],
            **asdict(self),
            "attention_method": "MLA",
            "zero_expert_type": "identity",
            "mla_scale_q_lora": True,
            "mla_scale_kv_lora": True,
            "norm_topk_prob": False,
            "router_bias": False,
            "attention_bias": False,
            "tie_word_embeddings": False,
            "hidden_act": "silu",
        }

    @property
    def kv_layers(self) -> int:
        """Layers of the KV cache: two attention sublayers per logical layer."""
        return 2 * self.num_layers

    @property
    def kv_width(self) -> int:
        """Elements cached per token and KV layer: the latent and the shared roped key."""
        return self.kv_lora_rank + self.qk_rope_head_dim

    @property
    def qk_head_dim(self) -> int:
        """Width of a query head: the part without and the part with positions."""
        return self.qk_nope_head_dim + self.qk_rope_head_dim

    @property
    def real_experts(self) -> int:
        """Experts that compute."""
        return self.n_routed_experts

    @property
    def all_experts(self) -> int:
        """Classes of the router: experts that compute, then the zero-computation (identity) ones."""
        return self.n_routed_experts + self.zero_expert_num

    @property
    def ngram_tables(self) -> int:
        """K tables for every order from 2 to N."""
        return self.emb_split_num * (self.emb_neighbor_num - 1)

    @property
    def ngram_dim(self) -> int:
        """Width of a table's rows."""
        return self.hidden_size // self.ngram_tables

    @property
    def ngram_context_size(self) -> int:
        """Ids that the N-gram Cache keeps per sequence."""
        return self.emb_neighbor_num - 1

    @property
    def ngram_table_sizes(self) -> tuple[int, ...]:
        """Rows of each table: M_i = int(ratio * V) + 2i + 1, odd numbers, not primes."""
        base = int(self.ngram_vocab_size_ratio * self.vocab_size)
        return tuple(base + 2 * i + 1 for i in range(self.ngram_tables))

    @property
    def q_lora_scale(self) -> float:
        """Factor on the whole query after its low-rank projection."""
        return math.sqrt(self.hidden_size / self.q_lora_rank)

    @property
    def kv_lora_scale(self) -> float:
        """Factor on the normalised latent; the roped key has none."""
        return math.sqrt(self.hidden_size / self.kv_lora_rank)

    @property
    def rope(self) -> dict[str, float | str]:
        """The resolved rotation: `type` default or yarn, `theta`, and for yarn all of its numbers.

        `attention_factor` multiplies cos and sin; as in transformers 4.57.6 `_compute_yarn_parameters`.
        """
        scaling = self.rope_scaling or {}
        kind = scaling.get("rope_type", scaling.get("type", "default"))
        if kind == "default":
            return {"type": "default", "theta": self.rope_theta, "attention_factor": 1.0}
        if kind != "yarn":
            raise CheckpointError(
                f"config.json: rope_scaling of type {kind!r} is not LongCat-Flash-Lite's (yarn or none)"
            )
        if "factor" not in scaling:
            raise CheckpointError("config.json: rope_scaling lacks `factor`; take the file unchanged")
        factor = float(scaling["factor"])
        mscale, all_dim = scaling.get("mscale"), scaling.get("mscale_all_dim")
        attention = scaling.get("attention_factor")
        if attention is None and mscale and all_dim:
            attention = yarn_mscale(factor, mscale) / yarn_mscale(factor, all_dim)
        elif attention is None:
            attention = yarn_mscale(factor)
        original = scaling.get("original_max_position_embeddings") or self.max_position_embeddings
        return {
            "type": "yarn",
            "theta": self.rope_theta,
            "factor": factor,
            "original_max_position_embeddings": float(original),
            "beta_fast": float(scaling.get("beta_fast") or 32),
            "beta_slow": float(scaling.get("beta_slow") or 1),
            "truncate": bool(scaling.get("truncate", True)),
            "mscale": float(mscale or 0),
            "mscale_all_dim": float(all_dim or 0),
            "attention_factor": float(attention),
        }

    @property
    def softmax_scale(self) -> float:
        """qk_head_dim^-0.5, times the square of YaRN's mscale where `mscale_all_dim` is given."""
        rope = self.rope
        all_dim = float(rope.get("mscale_all_dim", 0))
        mscale = yarn_mscale(float(rope["factor"]), all_dim) if all_dim else 1.0
        return math.pow(self.qk_head_dim, -0.5) * mscale * mscale

    def expected_tensors(self) -> dict[str, tuple[int, ...]]:
        """Every tensor of the checkpoint by name, with its shape (11,143 for `lite`)."""
        from longcat_eval.model_backend.longcat.names import checkpoint_tensors

        return checkpoint_tensors(self)

    def param_count(self) -> int:
        """Parameters of the whole model (68,562,465,024 for `lite`)."""
        return sum(math.prod(shape) for shape in self.expected_tensors().values())


LITE_ROPE: dict[str, Any] = {
    "rope_type": "yarn",
    "factor": 10.0,
    "original_max_position_embeddings": 32_768,
    "beta_fast": 32.0,
    "beta_slow": 1.0,
    "mscale": 1.0,
    "mscale_all_dim": 1.0,
}
FIELDS = {f.name: f for f in fields(LiteConfig)}
REQUIRED = [
    name
    for name in FIELDS
    if name not in ("rope_scaling", "lora_norm_eps", "dtype", "bos_token_id", "eos_token_id", "pad_token_id")
]


def read_json(path: str | Path) -> dict[str, Any]:
    """The parsed config.json of a checkpoint folder, or of the file itself."""
    file = Path(path).expanduser()
    file = file / "config.json" if file.is_dir() else file
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{file} does not exist; name the folder of the checkpoint") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{file} cannot be read as JSON: {error}; fetch the file again") from None
    if not isinstance(found, dict):
        raise CheckpointError(f"{file} holds no JSON object; fetch the file again")
    return found


def yarn_mscale(factor: float, mscale: float = 1.0) -> float:
    """YaRN's attention temperature: 0.1 * mscale * ln(factor) + 1 (arXiv:2309.00071, §3.4)."""
    return 1.0 if factor <= 1 else 0.1 * mscale * math.log(factor) + 1.0


def _value(name: str, found: Any) -> Any:
    """A value of the field's own type, or a refusal that names it."""
    kind = FIELDS[name].type
    number = isinstance(found, int | float) and not isinstance(found, bool)
    if kind in (int, int | None) and number and int(found) == found:
        return int(found)
    if kind is float and number:
        return found
    fits = {
        str: isinstance(found, str),
        int | None: found is None,
        dict[str, Any] | None: found is None or isinstance(found, dict),
    }
    if fits.get(kind, False):  # type: ignore[arg-type]
        return found
    raise CheckpointError(
        f"config.json: {name} is {found!r}; take the config.json of the checkpoint unchanged"
    )
