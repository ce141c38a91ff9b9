"""A model with everything settled, and how it is opened."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.model_backend import scripted
from longcat_eval.model_backend.model_options import Concurrency, ToolParser, Transport
from longcat_eval.model_backend.prices import Price
from longcat_eval.model_backend.secrets import Secret
from longcat_eval.protocols import Model

if TYPE_CHECKING:
    from longcat_eval.model_backend.endpoint import EndpointModel
    from longcat_eval.model_backend.longcat.local_options import LocalOptions

Kind = Literal["endpoint", "embedded", "local", "scripted"]


@dataclass(frozen=True, kw_only=True)
class ResolvedModel:
    """Everything needed to open a model.

    `name` labels its column; `served_name` is its name on the wire, None where the server has to be asked;
    `endpoint` is the address as it may be recorded. `unsupported` are fields the endpoint refuses.
    """

    name: str
    kind: Kind
    preset: str | None = None
    served_name: str | None = None
    endpoint: str = ""
    base_url: str = field(default="", repr=False)
    api_key: Secret | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    sampling: Mapping[str, Any] = field(default_factory=dict)
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    unsupported: tuple[str, ...] = ()
    context_length: int | None = None
    max_tokens: int | None = None
    tool_parser: ToolParser = "none"
    lenient_tools: bool = False
    price: Price | None = None
    transport: Transport = "aiohttp"
    concurrency: Concurrency = "auto"
    timeout: float = 3600.0
    max_tries: int = 6
    rpm: int | None = None
    tpm: int | None = None
    script: scripted.Script | None = field(default=None, repr=False)
    weights: Path | None = None
    local: "LocalOptions | None" = None
    origins: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    capabilities: frozenset[str] = frozenset({"chat", "tools"})

    @property
    def price_record(self) -> dict[str, float] | None:
        """The price as the manifest holds it."""
        if self.price is None:
            return None
        return {name: value for name, value in self.price._asdict().items() if value is not None}


async def open_model(
    resolved: ResolvedModel,
    references: scripted.References | None = None,
    cache: tuple[Path, str] | None = None,
) -> Model:
    """Open a model for use, starting the embedded server where it is the one; `close` ends all of it.

    `references` are a task's lines for `scripted/oracle` or `scripted/null`, `cache` the file and namespace
    of a response cache.
    Wrappers from the outside in: fields left out, tools in the prompt, cache, endpoint.
    """
    from longcat_eval.model_backend.cache import CachedModel
    from longcat_eval.model_backend.omit import OmitFields
    from longcat_eval.model_backend.tool_client import with_tool_parser

    model = await _open_bare(resolved, references)
    try:
        if cache is not None and resolved.kind != "scripted":
            path, namespace = cache
            model = CachedModel(model, path, identity=resolved.endpoint, namespace=namespace)
        model = with_tool_parser(model, resolved.tool_parser, lenient=resolved.lenient_tools)
        return OmitFields(model, resolved.unsupported) if resolved.unsupported else model
    except BaseException:
        await model.close()
        raise


async def _open_bare(resolved: ResolvedModel, references: scripted.References | None) -> Model:
    if resolved.kind == "scripted":
        if resolved.script is not None:
            return scripted.ScriptedModel(resolved.name, resolved.script)
        if references is None and resolved.name == scripted.ORACLE:
            raise EnvironmentUnusableError("scripted/oracle has no reference answers here")
        return scripted.ScriptedModel(resolved.name, scripted.Lines(references))
    if resolved.kind == "embedded":
        return await _open_embedded(resolved)
    if resolved.kind == "local":
        return await _open_local(resolved)
    return _endpoint_model(resolved, resolved.base_url)


async def _open_embedded(resolved: ResolvedModel) -> Model:
    from longcat_eval.model_backend.demo_model import fetch_demo_model
    from longcat_eval.model_backend.embedded import SLOTS, EmbeddedModel, EmbeddedServer, need_xllamacpp

    need_xllamacpp()
    weights = resolved.weights
    if weights is None:
        weights = await asyncio.to_thread(fetch_demo_model)
    server = await EmbeddedServer.start(weights, resolved.served_name or resolved.name, SLOTS)
    try:
        return EmbeddedModel(_endpoint_model(resolved, server.base_url), server)
    except BaseException:
        await server.stop()
        raise


async def _open_local(resolved: ResolvedModel) -> Model:
    from longcat_eval.model_backend.longcat.local import LocalModel
    from longcat_eval.model_backend.longcat.local_options import LocalOptions
    from longcat_eval.model_backend.longcat.open_local import open_served

    served = await asyncio.to_thread(
        open_served,
        resolved.weights,
        resolved.local or LocalOptions(),
        resolved.served_name or resolved.name,
        lenient_tools=resolved.lenient_tools,
    )
    return LocalModel(served, name=resolved.name, price=resolved.price, timeout=resolved.timeout)


def _endpoint_model(resolved: ResolvedModel, base_url: str) -> "EndpointModel":
    from longcat_eval.model_backend.embedded import SLOTS
    from longcat_eval.model_backend.endpoint import EndpointConfig, EndpointModel

    own = resolved.kind == "embedded" and resolved.concurrency == "auto"
    return EndpointModel(
        EndpointConfig(
            name=resolved.name,
            base_url=base_url,
            api_key=resolved.api_key,
            headers=resolved.headers,
            timeout=resolved.timeout,
            max_tries=resolved.max_tries,
            concurrency=SLOTS if own else resolved.concurrency,
            rpm=resolved.rpm,
            tpm=resolved.tpm,
            transport=resolved.transport,
            price=resolved.price,
        )
    )
