"""Requests and endpoint models for tests, in one line each."""

from collections.abc import Mapping
from typing import Any

from longcat_eval.model_backend.endpoint import EndpointConfig, EndpointModel
from longcat_eval.model_backend.secrets import Secret
from longcat_eval.records import AttemptKey, Request, RequestMeta, Wire

KEY = "sk-very-secret-0123456789"


def ask(
    text: str = "hello", *, repeat: int = 0, deadline: float | None = None, sample: str = "s", **body: Any
) -> Request:
    """A request with one user message; keywords go into its body."""
    wire: Wire = {"model": "m", "messages": [{"role": "user", "content": text}], "max_tokens": 64, "seed": 1}
    return Request(wire | body, RequestMeta(AttemptKey("t", sample, repeat), deadline=deadline))


def endpoint(base_url: str, headers: Mapping[str, str] | None = None, **settings: Any) -> EndpointModel:
    """An endpoint model with a key and short waits."""
    settings = {"first_wait": 0.02, "api_key": Secret(KEY)} | settings
    return EndpointModel(EndpointConfig("m", base_url, headers=headers or {}, **settings))
