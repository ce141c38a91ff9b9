"""What a user can say about a model."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

ToolParser = Literal["longcat_xml", "hermes", "none"]
Transport = Literal["aiohttp", "openai"]
Concurrency = Literal["auto"] | int

GIVEN = "given"


@dataclass(frozen=True)
class ModelOptions:
    """What was said about one model; None and empty mean not said.

    `sampling` overrides go by their names on the wire, None takes a preset's value off it. `price` has
    prompt, completion and perhaps cached_prompt, US dollars per million tokens. `local` says how a model is
    computed in this process (`longcat/local_options.py`). `origins` says where each
    setting was said (flag, environment, file), by its name or `sampling.NAME`.
    """

    model: str | None = None
    base_url: str | None = field(default=None, repr=False)
    served_model_name: str | None = None
    api_key_env: str | None = field(default=None, repr=False)
    tool_parser: ToolParser | None = None
    lenient_tools: bool = False
    transport: Transport = "aiohttp"
    sampling: Mapping[str, Any] = field(default_factory=dict)
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    local: Mapping[str, Any] = field(default_factory=dict)
    max_tokens: int | None = None
    context_length: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    price: Mapping[str, float] | None = None
    concurrency: Concurrency = "auto"
    timeout: float = 3600.0
    max_tries: int = 6
    rpm: int | None = None
    tpm: int | None = None
    origins: Mapping[str, str] = field(default_factory=dict)

    def origin(self, name: str) -> str:
        """Where a setting was said."""
        return self.origins.get(name, GIVEN)
