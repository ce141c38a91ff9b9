"""`longcat-eval serve`: a local model behind the OpenAI-compatible API, until a signal ends it."""

import os
import sys
import time
from contextlib import suppress
from typing import Any, NamedTuple

from longcat_eval.errors import EnvironmentUnusableError, ExitCode, UsageError
from longcat_eval.model_backend.resolve import LOCAL_PREFIX, ModelOptions, resolve_model

SERVER_MODULES = ("starlette", "uvicorn")


class ServeOptions(NamedTuple):
    """What was typed; `local` holds the settings that `--set local.…` of `run` has."""

    model: str
    host: str
    port: int
    api_key_env: str | None
    served_model_name: str | None
    lenient_tools: bool
    local: dict[str, Any]


def serve(options: ServeOptions) -> int:
    """Load the model, print the address, and serve; return the exit code."""
    from importlib.util import find_spec

    if not options.model.startswith(LOCAL_PREFIX):
        raise UsageError(
            f"serve has local models: give --model {LOCAL_PREFIX}{options.model} (the folder of a "
            f"checkpoint), or {LOCAL_PREFIX}tiny"
        )
    if missing := [name for name in SERVER_MODULES if find_spec(name) is None]:
        raise EnvironmentUnusableError(f"serve needs {', '.join(missing)}: pip install 'longcat-eval[local]'")
    from longcat_eval.model_backend.longcat.listening import address_of, bind, check_host, make_uvicorn

    key = _key(options.api_key_env)
    check_host(options.host, has_key=key is not None)
    chosen = {name: value for name, value in options.local.items() if value is not None}
    resolved = resolve_model(
        ModelOptions(
            model=options.model,
            served_model_name=options.served_model_name,
            lenient_tools=options.lenient_tools,
            local=chosen,
        )
    )
    bound = bind(options.host, options.port)  # before minutes of loading
    try:
        from longcat_eval.model_backend.longcat.local_options import LocalOptions
        from longcat_eval.model_backend.longcat.open_local import open_served
        from longcat_eval.model_backend.longcat.server import Server

        name = resolved.served_name or resolved.name
        served = open_served(
            resolved.weights,
            resolved.local or LocalOptions(),
            name,
            lenient_tools=options.lenient_tools,
            progress=Loading(),
        )
        try:
            sys.stdout.write(f"{name} at {address_of(bound)}\n")
            facts = {**served.facts["computed"], "placement": served.facts["placement"]}
            for fact, value in facts.items():
                sys.stdout.write(f"  {fact}: {value}\n")
            sys.stdout.flush()
            with suppress(KeyboardInterrupt):  # how a server is ended, after open replies
                make_uvicorn(Server(served, key)).run(sockets=[bound])
        finally:
            served.engine.close()
    finally:
        bound.close()
    return ExitCode.OK


class Loading:
    """Says on stderr how far loading is, now and then, if it takes long."""

    def __init__(self, every: float = 5.0) -> None:
        self.every, self.last = every, time.monotonic()

    def __call__(self, done: int, count: int) -> None:
        """So many tensors of so many are in place."""
        if time.monotonic() - self.last >= self.every:
            self.last = time.monotonic()
            sys.stderr.write(f"loading: {done:,} of {count:,} tensors\n")


def _key(variable: str | None) -> str | None:
    """The key that clients must send."""
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise EnvironmentUnusableError(f"--api-key-env {variable}: the variable is not set")
    return key
