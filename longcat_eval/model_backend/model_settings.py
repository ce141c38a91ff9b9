"""Settings of a model: what was said over what its preset recommends, each with its origin."""

from typing import Any

from longcat_eval.errors import UsageError, did_you_mean
from longcat_eval.model_backend.model_options import ModelOptions
from longcat_eval.model_backend.presets import Preset, load_presets
from longcat_eval.model_backend.prices import Price

SAMPLING = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "typical_p",
    "repetition_penalty",
    "repeat_penalty",
    "repeat_last_n",
    "presence_penalty",
    "frequency_penalty",
    "no_repeat_ngram_size",
    "min_tokens",
    "stop",
)


def merge_settings(preset: Preset | None, options: ModelOptions, *, own_endpoint: bool) -> dict[str, Any]:
    """Settings as arguments of `ResolvedModel`; some of a preset hold at its maker's own endpoint only."""
    origins: dict[str, str] = {}
    unsupported = preset.unsupported.value if preset and preset.unsupported and own_endpoint else ()
    sampling = _sampling(options, preset, origins, unsupported)
    settings: dict[str, Any] = {
        "sampling": sampling,
        "unsupported": unsupported,
        "origins": origins,
        "notes": _refused_fields(unsupported),
    }
    for name in ("context_length", "max_tokens", "tool_parser"):
        settings[name], origins[name] = _one(name, options, preset)
    settings["tool_parser"] = settings["tool_parser"] or "none"
    settings["extra_body"] = {
        **(preset.extra_body.value if preset and preset.extra_body else {}),
        **options.extra_body,
    }
    settings["price"], origins["price"] = _price(options, preset if own_endpoint else None)
    if preset is not None and preset.served_name is not None:
        origins["served_name"] = preset_origin(preset.served_name.source)
    for name in ("lenient_tools", "transport", "concurrency", "timeout", "max_tries", "rpm", "tpm"):
        settings[name] = getattr(options, name)
    return settings


def _one(name: str, options: ModelOptions, preset: Preset | None) -> tuple[Any, str]:
    said = getattr(options, name)
    if said is not None:
        if name != "tool_parser" and (not isinstance(said, int) or isinstance(said, bool) or said < 1):
            raise UsageError(f"{name} is {said!r}: it must be a whole number above 0")
        return said, options.origin(name)
    sourced = getattr(preset, name, None)
    return (sourced.value, preset_origin(sourced.source)) if sourced is not None else (None, "unknown")


def _sampling(
    options: ModelOptions, preset: Preset | None, origins: dict[str, str], unsupported: tuple[str, ...]
) -> dict[str, Any]:
    sampling: dict[str, Any] = {}
    for name, sourced in preset.sampling.items() if preset else ():
        sampling[name], origins[f"sampling.{name}"] = sourced.value, preset_origin(sourced.source)
    for name, value in options.sampling.items():
        if name not in SAMPLING:
            hint = did_you_mean(name, SAMPLING)
            raise UsageError(
                f"no sampling parameter {name!r}{hint}; fields of a server's own go by extra_body.{name}"
            )
        if name in unsupported and value is not None:
            raise UsageError(f"the endpoint of {options.model} refuses {name}: leave sampling.{name} out")
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (value is None or number or name == "stop"):
            raise UsageError(f"sampling.{name} is {value!r}: it must be a number, or null to leave it out")
        sampling[name], origins[f"sampling.{name}"] = value, options.origin(f"sampling.{name}")
    return {name: value for name, value in sampling.items() if value is not None}


def _price(options: ModelOptions, preset: Preset | None) -> tuple[Price | None, str]:
    if options.price:
        unknown = set(options.price) - set(Price._fields)
        if unknown or not {"prompt", "completion"} <= set(options.price):
            raise UsageError(
                "price wants price.prompt and price.completion, and may have price.cached_prompt"
            )
        if not all(isinstance(v, int | float) and v >= 0 for v in options.price.values()):
            raise UsageError("a price is a number of US dollars per million tokens, 0 or more")
        return Price(**options.price), options.origin("price")
    if preset is not None and preset.price is not None:
        return preset.price.value, preset_origin(preset.price.source)
    return None, "unknown"


def _refused_fields(unsupported: tuple[str, ...]) -> tuple[str, ...]:
    if "seed" not in unsupported:
        return ()
    return ("this endpoint refuses `seed`: none is sent, and a resumed run cannot repeat a draw",)


def preset_origin(source: str) -> str:
    """How an origin names a source of presets.yaml."""
    return f"preset: {load_presets().sources[source]}"
