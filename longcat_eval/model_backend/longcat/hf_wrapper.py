"""The model with transformers' habits: `from_pretrained`, `device_map`, `generate`.

    from longcat_eval.model_backend.longcat.hf_wrapper import LongcatLiteForCausalLM

    model = LongcatLiteForCausalLM.from_pretrained(FOLDER, device_map="auto")
    model.generate(**tokenizer(["..."], return_tensors="pt"), max_new_tokens=64)

For inference only; a text of its own for every row of a batch, padded on either side with an attention mask.
The checkpoint's config.json names no model_type, so `AutoModelForCausalLM` knows it only as saved by
`save_pretrained` here, and after `register()`.
"""

import copy
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    GenerationConfig,
    GenerationMixin,
    LogitsProcessor,
    PretrainedConfig,
    PreTrainedModel,
)
from transformers.modeling_outputs import CausalLMOutputWithPast

from longcat_eval.errors import UsageError
from longcat_eval.model_backend.longcat.budget import Place, Weights, free_disk, host_memory, present_gpus
from longcat_eval.model_backend.longcat.config import LiteConfig
from longcat_eval.model_backend.longcat.hf_cache import PAGE, LatentCache
from longcat_eval.model_backend.longcat.local_options import LocalOptions
from longcat_eval.model_backend.longcat.model import LongcatLite
from longcat_eval.model_backend.longcat.open_local import DEFAULT_CONTEXT
from longcat_eval.model_backend.longcat.placement import CPU, Plan, plan
from longcat_eval.model_backend.longcat.quant import Quantisation
from longcat_eval.model_backend.longcat.sampling import uniform
from longcat_eval.model_backend.longcat.step import Step

MODEL_TYPE = "longcat_eval_flash_lite"
# What people pass to from_pretrained that changes nothing here.
IGNORED = ("low_cpu_mem_usage", "use_safetensors", "local_files_only", "attn_implementation")


class LongcatLiteHFConfig(PretrainedConfig):  # type: ignore[misc]
    """The fields of `LiteConfig` as transformers wants them."""

    model_type = MODEL_TYPE
    keys_to_ignore_at_inference = ("past_key_values",)
    attribute_map = {"num_hidden_layers": "kv_layers"}  # noqa: RUF012 - transformers' own convention

    def __init__(self, **fields: Any) -> None:
        own = LiteConfig.lite().to_json() | fields
        known = LiteConfig.read(own)
        rest = {name: value for name, value in fields.items() if name not in known.to_json()}
        for name, value in known.to_json().items():
            setattr(self, name, value)
        self.kv_layers = known.kv_layers
        self.use_cache = rest.pop("use_cache", True)
        super().__init__(
            bos_token_id=known.bos_token_id,
            eos_token_id=known.eos_token_id,
            pad_token_id=known.pad_token_id,
            tie_word_embeddings=False,
            architectures=own["architectures"],
            dtype=known.dtype,
            **{name: value for name, value in rest.items() if name not in ("kv_layers", "model_type")},
        )

    @classmethod
    def of(cls, config: LiteConfig) -> "LongcatLiteHFConfig":
        """The same shape."""
        return cls(**config.to_json())

    @property
    def lite(self) -> LiteConfig:
        """The same shape as this package's own config."""
        names = LiteConfig.lite().to_json()
        found = {name: getattr(self, name) for name in names if name != "dtype"}
        dtype = str(self.dtype).removeprefix("torch.") if self.dtype is not None else "bfloat16"
        return LiteConfig.read(found | {"dtype": dtype})


class LongcatLiteForCausalLM(PreTrainedModel, GenerationMixin):  # type: ignore[misc]
    """`LongcatLite` behind `forward` and `generate` of transformers 4.57."""

    config_class = LongcatLiteHFConfig
    base_model_prefix = "lite"
    main_input_name = "input_ids"
    _supports_cache_class = True

    def __init__(self, config: LongcatLiteHFConfig, lite: LongcatLite | None = None) -> None:
        """Wrap a loaded model; without one, random weights of that shape (small shapes only)."""
        from longcat_eval.model_backend.longcat.random_weights import random_model

        super().__init__(config)
        self.lite = random_model(config.lite, seed=0) if lite is None else lite
        self.eval()

    @classmethod
    def from_pretrained(cls, path: str | Path, *args: Any, **options: Any) -> "LongcatLiteForCausalLM":
        """Load the checkpoint of a folder.

        `device_map`: None and "cpu", a device, "auto" (and its kin "balanced", "sequential") for the planner
        of this package, or a dict of module names to devices. `dtype` (or `torch_dtype`): "auto" and None are
        config.json's. `quantization`: "none" or "int8", of the experts. `tables` says where the n-gram tables
        lie under "auto", `offload_folder` where layers go that fit nowhere else. Raises `CheckpointError`,
        `PlacementError`, and `UsageError` for other options.
        """
        from longcat_eval.model_backend.longcat.loader import load

        options.pop("config", None)
        if options.pop("trust_remote_code", False):
            raise UsageError("trust_remote_code has no meaning here: the code is longcat-eval's own")
        folder = Path(path).expanduser()
        config = LiteConfig.read(folder)
        first, second = options.pop("dtype", None), options.pop("torch_dtype", None)
        dtype = _dtype_name(first if first is not None else second, config)
        chosen = LocalOptions.read({"quant": options.pop("quantization", "none")})
        weights = Weights(config, dtype, Quantisation(experts=chosen.quant))  # type: ignore[arg-type]
        _ = weights.width  # refuses types that nothing is computed in
        folder_on_disk = options.pop("offload_folder", None)
        offload = None if folder_on_disk is None else Path(folder_on_disk)
        placed = _plan(weights, options.pop("device_map", None), options.pop("tables", "auto"), offload)
        unknown = [n for n, said in options.items() if said is not None and n not in IGNORED]
        if args or unknown:
            what = ", ".join(unknown) or "a second positional argument"
            raise UsageError(f"from_pretrained here does not know {what}")
        model = cls(LongcatLiteHFConfig.of(config), load(folder, placed, offload=offload))
        if (folder / "generation_config.json").is_file():
            model.generation_config = GenerationConfig.from_pretrained(folder)
        model.hf_device_map = {
            "model.embed_tokens": placed.embed,
            **{f"model.layers.{i}": place for i, place in enumerate(placed.layers)},
            "lm_head": placed.head,
        }
        return model

    def save_pretrained(self, save_directory: str | Path, **options: Any) -> None:
        """Write a checkpoint with the released names, and a config.json that names this class's type."""
        from longcat_eval.model_backend.longcat.random_weights import write_checkpoint

        folder = Path(save_directory)
        write_checkpoint(self.lite, folder)
        content = self.lite.config.to_json() | {"model_type": MODEL_TYPE}
        (folder / "config.json").write_text(json.dumps(content, indent=2), encoding="utf-8")
        self.generation_config.save_pretrained(folder)

    @property
    def device(self) -> torch.device:
        """Where inputs are expected: beside the embedding."""
        return self.lite.embedding_device

    @property
    def dtype(self) -> torch.dtype:
        """What is computed in."""
        return self.lite.dtype

    def to(self, *args: Any, **options: Any) -> "LongcatLiteForCausalLM":
        """Stay: weights and tables were placed when they were loaded. Raises `UsageError` for a move."""
        said = [*args, *options.values()]
        moves = [what for what in said if not self._is_here(what)]
        if moves:
            raise UsageError(
                f"a loaded model is not moved to {moves[0]}: give device_map and dtype to from_pretrained"
            )
        return self

    def _is_here(self, what: Any) -> bool:
        if isinstance(what, torch.dtype):
            return what == self.dtype
        if isinstance(what, str | int | torch.device):
            return torch.device(_place(what)) == self.device
        return what is None or isinstance(what, bool)

    @torch.no_grad()
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        past_key_values: LatentCache | None = None,
        use_cache: bool | None = None,
        labels: Tensor | None = None,
        logits_to_keep: int | Tensor = 0,
        return_dict: bool | None = None,
        **others: Any,
    ) -> CausalLMOutputWithPast | tuple[Any, ...]:
        """Logits [B, T or kept, vocabulary], zero at padding; positions are counted over real tokens."""
        for name in ("inputs_embeds", "output_attentions", "output_hidden_states"):
            value = others.get(name)
            if value is not None and value is not False:
                raise ValueError(f"{name} is not supported by {type(self).__name__}")
        if input_ids is None:
            raise ValueError("input_ids are needed: the n-gram embedding reads tokens")
        if past_key_values is not None and not isinstance(past_key_values, LatentCache):
            raise ValueError(f"past_key_values must be a LatentCache, not {type(past_key_values).__name__}")
        rows, columns = input_ids.shape
        cache = past_key_values if past_key_values is not None else self.new_cache(rows, columns)
        kept = _kept_columns(logits_to_keep, columns)
        logits = self._logits(input_ids, _real(input_ids, attention_mask), cache, kept)
        loss = None
        if labels is not None:
            loss = self.loss_function(logits=logits, labels=labels, vocab_size=self.config.vocab_size)
        keep = self.config.use_cache if use_cache is None else use_cache
        out = CausalLMOutputWithPast(loss=loss, logits=logits, past_key_values=cache if keep else None)
        return out if return_dict is not False else out.to_tuple()

    def new_cache(self, rows: int, columns: int = PAGE) -> LatentCache:
        """An empty cache for a batch."""
        return LatentCache(self.lite, rows, columns)

    def _logits(self, ids: Tensor, real: Tensor, cache: LatentCache, kept: list[int]) -> Tensor:
        rows, columns = ids.shape
        whole = kept != [columns - 1]
        pieces = cache.take(ids.cpu(), real, "all" if whole else "last")
        logits = torch.zeros(
            rows, columns if whole else 1, self.lite.config.vocab_size, dtype=self.lite.dtype
        )
        logits = logits.to(ids.device)
        if pieces:
            step = Step.of(pieces, self.lite.hasher, PAGE)
            found = self.lite(step, cache.latents).to(logits)
            owners = [b for b in range(rows) if bool(real[b].any())]
            for b, (first, last) in zip(owners, step.answers, strict=True):
                places = real[b].nonzero().flatten().to(logits.device)
                if whole:
                    logits[b, places] = found[first:last]
                elif bool(real[b, -1]):
                    logits[b, 0] = found[first]
        return logits[:, kept] if whole and len(kept) < columns else logits

    def generate(self, *args: Any, seed: int | None = None, **options: Any) -> Any:
        """As transformers' own; with a `seed` draws are the engine's, choice by choice of each prompt."""
        if seed is not None:
            chosen = options.pop("generation_config", None) or self.generation_config
            options["generation_config"] = copy.deepcopy(chosen)
            options["generation_config"].engine_seed = seed
        return super().generate(*args, **options)

    def _get_logits_processor(self, generation_config: Any, *args: Any, **options: Any) -> Any:
        """transformers' processors, and last the engine's draw where a seed asks for it."""
        found = super()._get_logits_processor(generation_config, *args, **options)
        seed = getattr(generation_config, "engine_seed", None)
        if seed is not None and generation_config.do_sample:
            found.append(SeededDraw(seed, generation_config.num_return_sequences))
        return found

    @classmethod
    def _supports_default_dynamic_cache(cls) -> bool:
        return False


class SeededDraw(LogitsProcessor):  # type: ignore[misc]
    """Leaves one token, the one that the engine draws for this seed, choice and position."""

    def __init__(self, seed: int, choices: int) -> None:
        self.seed, self.choices, self.position = seed, choices, 0

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """[B, vocabulary] of filtered scores to the same with one finite entry a row."""
        numbers = [uniform(self.seed, row % self.choices, self.position) for row in range(len(scores))]
        self.position += 1
        kept = torch.full_like(scores, -torch.inf)
        for row, number in enumerate(numbers):
            token = draw(scores[row], number)
            kept[row, token] = 0.0
        return kept


def draw(scores: Tensor, number: float) -> int:
    """The token at a number in [0, 1): best first where tokens were filtered out, by id where none was."""
    cut = bool(torch.isinf(scores).any())
    ids = scores.argsort(descending=True, stable=True) if cut else torch.arange(len(scores))
    totals = torch.softmax(scores[ids], dim=-1).to(torch.float64).cumsum(-1)
    place = int(torch.searchsorted(totals, number * totals[-1], right=True))
    return int(ids[min(place, int(torch.isfinite(scores).sum()) - 1)])


def register() -> None:
    """Make AutoConfig and AutoModelForCausalLM know the type."""
    AutoConfig.register(MODEL_TYPE, LongcatLiteHFConfig, exist_ok=True)
    AutoModelForCausalLM.register(LongcatLiteHFConfig, LongcatLiteForCausalLM, exist_ok=True)


def _real(ids: Tensor, mask: Tensor | None) -> Tensor:
    """[B, T] bool on the CPU: which of the new columns hold a token."""
    if mask is None:
        return torch.ones(ids.shape, dtype=torch.bool)
    if mask.ndim != 2:
        raise ValueError(f"attention_mask must be [batch, columns], this has {mask.ndim} dimensions")
    return mask[:, -ids.shape[1] :].bool().cpu()


def _kept_columns(logits_to_keep: int | Tensor, columns: int) -> list[int]:
    """Which columns' logits are asked for; 0 means all."""
    if isinstance(logits_to_keep, Tensor):
        return [int(i) % columns for i in logits_to_keep]
    return list(range(columns))[-logits_to_keep:] if logits_to_keep else list(range(columns))


def _dtype_name(said: Any, config: LiteConfig) -> str:
    """`torch.bfloat16`, "bfloat16", "auto" and None as the planner names types."""
    if said in (None, "auto"):
        return config.dtype
    return str(said).removeprefix("torch.")


def _plan(weights: Weights, device_map: Any, tables: str, offload: Path | None) -> Plan:
    """The placement that a `device_map` asks for."""
    if isinstance(device_map, dict):
        return _given(weights, device_map)
    if device_map in ("auto", "balanced", "balanced_low_0", "sequential"):
        context = min(DEFAULT_CONTEXT, weights.config.max_position_embeddings)
        disk = None if offload is None else free_disk(offload)
        return plan(weights, present_gpus(), host_memory(), tables=tables, context=context, disk=disk)
    return Plan.single(weights, _place(CPU if device_map is None else device_map))


def _given(weights: Weights, device_map: dict[str, Any]) -> Plan:
    """A dict from module names, or beginnings of them, to devices; the longest that fits decides."""

    def of(name: str) -> str:
        fits = [key for key in device_map if key == "" or name == key or name.startswith(f"{key}.")]
        if not fits:
            raise UsageError(f"device_map says nothing of {name}; add an entry '' for all the rest")
        return _place(device_map[max(fits, key=len)])

    layers = tuple(of(f"model.layers.{i}") for i in range(weights.config.num_layers))
    embed, head = of("model.embed_tokens"), of("lm_head")
    tables = tuple(of(f"model.ngram_embeddings.embedders.{i}") for i in range(weights.config.ngram_tables))
    places = tuple(Place(name, None) for name in dict.fromkeys([embed, *layers, head, *tables]))
    return Plan(weights, places, embed, layers, head, tables, "given", 0)


def _place(device: Any) -> str:
    """`0`, "cuda", "cuda:1", "cpu", `torch.device(...)` as the planner names places."""
    name = f"cuda:{device}" if isinstance(device, int) else str(device)
    return "cuda:0" if name == "cuda" else name
