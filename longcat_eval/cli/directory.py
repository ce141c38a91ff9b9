"""The run directory of a start: its name, its manifest, and what of the command line may be written down."""

import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from longcat_eval.cli.role_settings import public_line, public_roles
from longcat_eval.cli.roles import role_record
from longcat_eval.cli.settings import Resolved, RunSettings
from longcat_eval.model_backend import urls
from longcat_eval.model_backend.resolve import ResolvedModel
from longcat_eval.model_backend.role import Role
from longcat_eval.runners.manifest import Manifest
from longcat_eval.runners.plan import PlannedTask, Shard
from longcat_eval.runners.provenance import invocation
from longcat_eval.runners.session import Session

SECRET_FLAGS = ("--header", "--base-url", "--user-base-url", "--judge-base-url", "--role")


def open_session(
    resolved: Resolved,
    planned: list[PlannedTask],
    not_run: dict[str, str],
    models: Mapping[str, ResolvedModel],
    roles: Mapping[str, Role],
) -> Session:
    """Open the run directory with this start's manifest."""
    settings = resolved.settings
    agent = models["agent"]
    label = agent.name if agent.served_name else roles["agent"].served_name.rpartition("/")[2]
    manifest = Manifest(
        model=label,
        suite=settings.suite,
        seed=settings.seed,
        roles={name: role_record(models[name], role) for name, role in roles.items()},
        tasks={part.task.name: part.record() for part in planned},
        not_run=not_run,
        sample_ids=settings.sample_id,
        shard=settings.shard,
        invocations=[invocation(public_argv(), recorded_settings(resolved, models))],
    )
    session = Session(settings.output or default_output(settings, label), manifest, shard_of(settings))
    try:
        session.open()
    except BaseException:
        session.close()
        raise
    return session


def recorded_settings(resolved: Resolved, models: Mapping[str, ResolvedModel]) -> dict[str, Any]:
    """This start's settings that are not defaults, less headers and addresses, which may hold secrets."""
    chosen = {k: v for k, v in asdict(resolved.settings).items() if v not in (None, [], {}, False, "")}
    for secret in ("header", "base_url", "user_base_url", "judge_base_url"):
        chosen.pop(secret, None)
    if "roles" in chosen:
        chosen["roles"] = public_roles(chosen["roles"])
    return {
        **{k: str(v) if isinstance(v, Path) else v for k, v in chosen.items()},
        "origins": resolved.origins,
        "endpoints": {name: model.endpoint for name, model in models.items()},
    }


def public_argv() -> list[str]:
    """The command line without what may be secret: header values, and keys within addresses."""
    shown, hide = [], ""
    for word in sys.argv[1:]:
        flag, equals, value = word.partition("=")
        if hide:
            shown.append(_public(hide, word))
        elif equals and flag in SECRET_FLAGS:
            shown.append(f"{flag}={_public(flag, value)}")
        else:
            shown.append(word)
        hide = word if not hide and word in SECRET_FLAGS else ""
    return shown


def _public(flag: str, value: str) -> str:
    if flag == "--role":
        return public_line(value)
    return "(hidden)" if flag == "--header" else urls.identity(value)


def default_output(settings: RunSettings, model: str) -> Path:
    """runs/<time>-<model>-<suite>."""
    what = settings.suite or "+".join(settings.task)
    name = f"{datetime.now():%Y%m%d-%H%M%S}-{model}-{what}"
    path = Path("runs") / "".join(c if c.isalnum() or c in "-+._" else "-" for c in name)[:120]
    names = (path, *(path.with_name(f"{path.name}-{n}") for n in range(2, 1000)))
    return next(free for free in names if not free.exists())


def shard_of(settings: RunSettings) -> Shard | None:
    """The part of the run that is ours, None for all of it."""
    return Shard.parse(settings.shard) if settings.shard else None
