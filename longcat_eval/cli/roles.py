"""From settings to the models of a run: one per role, each with its own settings, endpoint and key."""

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from longcat_eval.cli.settings import Resolved, RunSettings
from longcat_eval.errors import EnvironmentUnusableError, UsageError, did_you_mean
from longcat_eval.model_backend.probes import served_context
from longcat_eval.model_backend.resolve import ModelOptions, ResolvedModel, open_model, resolve_model
from longcat_eval.model_backend.role import Rewriter, Role
from longcat_eval.model_backend.scripted import PREFIX, Lines
from longcat_eval.model_backend.text_scores import scorer
from longcat_eval.protocols import Model, ModelError
from longcat_eval.records import AttemptKey, Message, RequestMeta
from longcat_eval.runners.manifest import RoleRecord
from longcat_eval.runners.plan import PlannedTask

NO_MODEL_LIST = ("not_found", "bad_request", "bad_body", "redirect", "server_error")

References = Callable[[AttemptKey], Mapping[str, Sequence[Message]]]


def agent_options(settings: RunSettings, origins: Mapping[str, str] | None = None) -> ModelOptions:
    """The agent's part of the settings."""
    sampling = dict(settings.sampling)
    return ModelOptions(
        model=settings.model,
        base_url=settings.base_url,
        served_model_name=settings.served_model_name,
        api_key_env=settings.api_key_env,
        tool_parser=settings.tool_parser,
        lenient_tools=settings.lenient_tools,
        max_tokens=sampling.pop("max_tokens", None),
        sampling=sampling,
        extra_body=settings.extra_body,
        local=settings.local,
        context_length=settings.context_length,
        headers=_headers(settings.header),
        price=settings.price or None,
        origins={**origins, "max_tokens": origins.get("sampling.max_tokens", "given")} if origins else {},
        **_shared(settings),
    )


def side_options(settings: RunSettings, role: str, named: str = "", by: Sequence[str] = ()) -> ModelOptions:
    """The user's or a judge's part; nothing of the agent's sampling is in it.

    What --role says of it stands over the flags: --user-…, and --judge-… for all that are no user. Without
    either a scripted agent plays the other roles too; `named` is the model the authors use, `by` the tasks
    that have the role. Where the flags name a model, their address and key are its own and go to no other.
    """
    flags = "user" if role == "user" else "judge"
    said = {name: getattr(settings, f"{flags}_{name}") for name in ("model", "base_url", "api_key_env")}
    own = settings.roles.get(role, {})
    if "base_url" in own or ("model" in own and said["model"] is not None):
        said = {"model": said["model"] if "model" not in own else None, "base_url": None, "api_key_env": None}
    said |= {"tool_parser": settings.user_tool_parser} if role == "user" else {}
    said |= own
    if said["model"] is None and said["base_url"] is None and (settings.model or "").startswith(PREFIX):
        said["model"] = settings.model
    if said["model"] is None and said["base_url"] is None:
        official = f" (its authors use {named})" if named else ""
        more = "" if role == flags else f" or --role {role}.model=…"
        who, verb = (", ".join(by), "need" if len(by) > 1 else "needs") if by else ("this run", "needs")
        article = "an" if role[0] in "aeio" else "a"
        raise EnvironmentUnusableError(
            f"{who} {verb} {article} {role} model; give --{flags}-model{more}{official}, and "
            f"--{flags}-base-url where it is served"
        )
    origins = dict.fromkeys([*own, *(f"sampling.{name}" for name in own.get("sampling", {}))], "--role")
    return ModelOptions(**said, lenient_tools=settings.lenient_tools, origins=origins, **_shared(settings))


def check_role_names(given: Collection[str], needed: Collection[str]) -> None:
    """Raise `UsageError` where --role names a role that no task of the run has."""
    others = [role for role in needed if role != "agent"]
    for role in given:
        if role not in others:
            there = f"they have {', '.join(others)}" if others else "they have none beside the agent's"
            raise UsageError(
                f"--role {role}.…: no task of this run has it{did_you_mean(role, others)}; {there}"
            )


def resolve_roles(
    given: Resolved, needed: Mapping[str, str], by: Mapping[str, Sequence[str]] | None = None
) -> dict[str, ResolvedModel]:
    """Resolve the agent and the other roles needed.

    `needed` has the model that the authors use in each, `by` the tasks that have it, for the error.
    """
    settings = given.settings
    if settings.grade_only is not None:
        return {"agent": of_predictions(settings, settings.grade_only)}
    found = {"agent": resolve_model(agent_options(settings, given.origins), role="agent", env=os.environ)}
    for role, named in needed.items():
        if role != "agent":
            found[role] = resolve_side(settings, role, named, (by or {}).get(role, ()))
    return found


def resolve_side(settings: RunSettings, role: str, named: str, by: Sequence[str] = ()) -> ResolvedModel:
    """Resolve the model of a role beside the agent's."""
    return resolve_model(side_options(settings, role, named, by), role=role, env=os.environ)


def of_predictions(settings: RunSettings, file: Path) -> ResolvedModel:
    """Stands for the model whose predictions are graded; it is never asked."""
    if settings.base_url is not None:
        raise UsageError("--grade-only asks no model: leave --base-url out (--model names the column)")
    name = settings.model or file.stem
    return ResolvedModel(name=name, kind="scripted", served_name=name, endpoint="predictions", script=Lines())


def for_conversations(
    models: Mapping[str, ResolvedModel], settings: RunSettings
) -> Mapping[str, ResolvedModel]:
    """The models as tasks of many turns want them: the embedded one keeps what it has read of a prompt.

    For single questions it does not, because a warm cache rounds differently; reading a whole dialogue again
    at every turn would take minutes. What the user says of it (extra_body.cache_prompt) stands.
    """
    warm = {"cache_prompt": True}
    if "cache_prompt" in settings.extra_body:
        return models
    note = "reads only what is new of a prompt (cache_prompt), so that requests do not repeat exactly"
    return {
        role: replace(model, extra_body={**model.extra_body, **warm}, notes=(*model.notes, note))
        if model.kind == "embedded"
        else model
        for role, model in models.items()
    }


async def open_role(resolved: ResolvedModel, settings: RunSettings, references: References) -> Role:
    """Open the model, see that it is there, and find its name on the wire and its context length."""
    cache = (settings.cache, settings.cache_namespace) if settings.cache else None
    model = await open_model(resolved, references=references, cache=cache)
    try:
        served = Served(resolved.served_name or resolved.name, None)
        if resolved.kind in ("endpoint", "local"):
            served = await find_served(model, resolved, trusted=settings.served_model_name is not None)
        contexts = [n for n in (resolved.context_length, served.context_length) if n is not None]
        return make_role(model, resolved, served.name, min(contexts, default=None))
    except BaseException:
        await model.close()
        raise


def make_role(model: Model, resolved: ResolvedModel, served_name: str, context_length: int | None) -> Role:
    """The role of an open model at its resolved settings."""
    return Role(
        model=model,
        served_name=served_name,
        sampling=resolved.sampling,
        extra_body=resolved.extra_body,
        context_length=context_length,
        max_tokens=resolved.max_tokens,
        rewriter=model if isinstance(model, Rewriter) else None,
    )


async def require_likelihoods(planned: Sequence[PlannedTask], role: Role, model: ResolvedModel) -> None:
    """Have one text scored where a task will have many: not every endpoint can, and none says so before.

    Raises `EnvironmentUnusableError`.
    """
    wanted = next((part.task.name for part in planned if "loglikelihood" in part.task.needs), None)
    if wanted is None or model.kind != "endpoint":
        return
    request = role.text_request("One and one is two.", RequestMeta(AttemptKey(wanted, "")))
    try:
        await scorer(role.model).loglikelihood(request, len("One and one is"))
    except ModelError as error:
        raise EnvironmentUnusableError(
            f"{wanted} needs log probabilities of prompts (POST /completions with echo and logprobs): {error}"
        ) from None


class Served(NamedTuple):
    """A model as its server lists it; the context length (tokens) is None where the server does not say."""

    name: str
    context_length: int | None


async def find_served(model: Model, resolved: ResolvedModel, *, trusted: bool) -> Served:
    """The flag's name, else the preset's, else the only id of /v1/models; checked against that list.

    A server without such a list (Azure) is believed, and so is the flag (`trusted`); a server that cannot be
    reached or refuses the key is exit 5.
    """
    wanted = resolved.served_name
    try:
        listed = {str(entry["id"]): entry for entry in await list_models(model)}
    except ModelError as error:
        if error.reason in NO_MODEL_LIST and wanted:
            return Served(wanted, None)
        raise EnvironmentUnusableError(f"{error} ({resolved.endpoint})") from None
    if wanted is None and len(listed) == 1:
        wanted = next(iter(listed))
    found = next((name for name in listed if name == wanted or name.endswith(f"/{wanted}")), None)
    if wanted is not None and (found or not listed or trusted):
        return Served(wanted, served_context(listed[found]) if found else None)
    missing = (
        f"does not serve {wanted!r}{did_you_mean(wanted, listed)}" if wanted else "serves several models"
    )
    raise EnvironmentUnusableError(
        f"{resolved.endpoint} {missing}; it lists {', '.join([*listed][:8]) or 'none'}: "
        f"say which one with --served-model-name"
    )


async def list_models(model: Any) -> list[dict[str, Any]]:
    """Ask the endpoint what it serves, through any wrappers."""
    models: list[dict[str, Any]] = await innermost(model).list_models()
    return models


def innermost(model: Any) -> Any:
    """The model inside its wrappers (cache, tools in the prompt)."""
    while hasattr(model, "model"):
        model = model.model
    return model


def role_record(resolved: ResolvedModel, role: Role) -> RoleRecord:
    """The role's part of the manifest: everything but secrets."""
    origins, facts = dict(resolved.origins), getattr(innermost(role.model), "facts", {})
    if role.context_length != resolved.context_length:
        origins["context_length"] = "the server's list of models"
    return RoleRecord(
        name=resolved.name,
        kind=resolved.kind,
        preset=resolved.preset,
        served_name=role.served_name,
        endpoint=resolved.endpoint,
        sampling={**resolved.sampling, **resolved.extra_body},
        context_length=role.context_length,
        max_tokens=resolved.max_tokens,
        tool_parser=resolved.tool_parser,
        lenient_tools=resolved.lenient_tools,
        computed=dict(facts.get("computed", {})),
        placement=facts.get("placement", ""),
        price=resolved.price_record,
        origins=origins,
        notes=tuple(resolved.notes),
    )


def _shared(settings: RunSettings) -> dict[str, Any]:
    return {
        "transport": settings.transport,
        "concurrency": parse_concurrency(settings.concurrency),
        "timeout": settings.timeout,
        "max_tries": settings.max_tries,
        "rpm": settings.rpm,
        "tpm": settings.tpm,
    }


def parse_concurrency(text: str) -> "int | str":
    """`auto` or a positive number."""
    if text == "auto":
        return text
    if not text.isdigit() or int(text) < 1:
        raise UsageError(f"--concurrency {text!r} is neither auto nor a number from 1")
    return int(text)


def _headers(lines: Sequence[str]) -> dict[str, str]:
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise UsageError("--header wants `Name: value`")
        headers[name.strip()] = value.strip()
    return headers
