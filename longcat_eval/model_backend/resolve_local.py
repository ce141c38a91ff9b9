"""`local:PATH` and `local:tiny`: a model that is computed in this process."""

import hashlib
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from longcat_eval.errors import EnvironmentUnusableError, UsageError
from longcat_eval.model_backend.longcat.config import LiteConfig
from longcat_eval.model_backend.longcat.local_options import TINY, LocalOptions
from longcat_eval.model_backend.model_options import ModelOptions
from longcat_eval.model_backend.model_settings import merge_settings
from longcat_eval.model_backend.opening import ResolvedModel
from longcat_eval.model_backend.presets import Preset, load_presets
from longcat_eval.model_backend.prices import Price

PREFIX = "local:"
PRESET = "longcat-flash-lite"
NEEDED = ("torch", "transformers", "safetensors")
TINY_TOKENS = 128
"""Completion limit of random weights: more of what means nothing only takes time."""
RANDOM = "random weights (seed {seed}): every score of them is chance"


def resolve_local(options: ModelOptions, flag: str) -> ResolvedModel:
    """Resolve a local model without loading it; `flag` is that of the role's base URL.

    It is asked at the sampling of the preset longcat-flash-lite, and the engine itself reads tool calls.
    Raises `UsageError` for what is typed wrongly, `EnvironmentUnusableError` without the extra and for a
    folder that is no checkpoint of this model.
    """
    where = (options.model or "").removeprefix(PREFIX)
    if not where:
        raise UsageError(f"{PREFIX} wants the folder of a checkpoint, or {PREFIX}{TINY}")
    if options.base_url:
        raise UsageError(f"{options.model} is computed here and takes no {flag}")
    chosen = LocalOptions.read(options.local)
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise EnvironmentUnusableError(
            f"{options.model} needs {', '.join(missing)}: pip install 'longcat-eval[local]'"
        )
    tiny = where == TINY
    folder = None if tiny else Path(where).expanduser()
    config = LiteConfig.tiny() if folder is None else LiteConfig.read(folder)
    name = f"longcat-{TINY}" if folder is None else folder.resolve().name
    settings = _settings(options, load_presets().presets[PRESET], config, chosen, tiny)
    if tiny:
        settings["notes"] += (RANDOM.format(seed=chosen.seed),)
    return ResolvedModel(
        name=name,
        kind="local",
        preset=None if tiny else PRESET,
        served_name=options.served_model_name or name,
        endpoint=f"local/{name}-{_digest(config, chosen, folder)}",
        weights=folder,
        local=chosen,
        capabilities=frozenset({"chat", "tools", "loglikelihood"}),
        **settings,
    )


def _settings(
    options: ModelOptions, preset: Preset, config: LiteConfig, chosen: LocalOptions, tiny: bool
) -> dict[str, Any]:
    settings = merge_settings(preset, options, own_endpoint=False)
    origins = settings["origins"]
    origins["endpoint"] = options.origin("model")
    origins.pop("served_name", None)
    if options.tool_parser is None:
        settings["tool_parser"], origins["tool_parser"] = "none", "the engine reads calls itself"
    if options.context_length is None:
        limits = [config.max_position_embeddings, *([chosen.context] if chosen.context else [])]
        if not tiny and settings["context_length"]:
            limits.append(settings["context_length"])
        settings["context_length"], origins["context_length"] = min(limits), "config.json"
    if tiny and options.max_tokens is None:
        settings["max_tokens"], origins["max_tokens"] = TINY_TOKENS, "random weights"
    if settings["price"] is None:
        settings["price"], origins["price"] = Price(0.0, 0.0), "computed on this machine"
    return settings


def _digest(config: LiteConfig, chosen: LocalOptions, folder: Path | None) -> str:
    """Tells apart what would answer differently, in the response cache and in records."""
    kept = hashlib.sha256(json.dumps([config.to_json(), chosen.computed], sort_keys=True).encode())
    if folder is not None:
        for name in ("model.safetensors.index.json", "tokenizer_config.json", "chat_template.jinja"):
            file = folder / name
            kept.update(file.read_bytes() if file.is_file() else b"-")
        for shard in sorted(folder.glob("*.safetensors")):
            about = shard.stat()
            kept.update(f"{shard.name} {about.st_size} {about.st_mtime_ns}".encode())
    return kept.hexdigest()[:12]
