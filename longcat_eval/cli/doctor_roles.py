"""Are the other models there, the user simulator and the judges? Asked before anything is paid for."""

import os
from collections.abc import Sequence
from dataclasses import replace

from longcat_eval.cli.roles import find_served, side_options
from longcat_eval.cli.settings import RunSettings
from longcat_eval.errors import EnvironmentUnusableError, LongcatEvalError
from longcat_eval.model_backend.probes import Probe
from longcat_eval.model_backend.resolve import open_model, resolve_model
from longcat_eval.tasks.table import load_task

PROBE_TIMEOUT = 120.0
PROBE_TRIES = 2


async def role_checks(settings: RunSettings, tasks: Sequence[str]) -> list[Probe]:
    """One line for each role beside the agent's that `tasks` have: its model is named, served, has its key.

    A role whose model was not named is a warning: `run` says no without it.
    """
    protocols = [load_task(name).protocol for name in tasks]
    roles = dict.fromkeys(role for protocol in protocols for role in protocol.roles if role != "agent")
    named = {role: model for protocol in protocols for role, model in protocol.role_models.items()}
    return [await _check(settings, role, named.get(role, "")) for role in roles]


async def _check(settings: RunSettings, role: str, official: str) -> Probe:
    try:
        options = side_options(settings, role, official)
    except EnvironmentUnusableError as error:
        return Probe(f"{role} model", "warn", str(error))
    try:
        options = replace(options, timeout=min(options.timeout, PROBE_TIMEOUT), max_tries=PROBE_TRIES)
        resolved = resolve_model(options, role=role, env=os.environ)
        if resolved.kind != "endpoint":
            return Probe(f"{role} model", "ok", f"{resolved.name} ({resolved.kind})")
        model = await open_model(resolved)
        try:
            served = await find_served(model, resolved, trusted=False)
        finally:
            await model.close()
    except LongcatEvalError as error:
        return Probe(f"{role} model", "fail", str(error))
    return Probe(f"{role} model", "ok", f"{served.name} ({resolved.endpoint})")
