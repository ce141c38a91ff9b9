"""Bodies of the OpenAI-compatible API: what is accepted, and the error that says why a body is not."""

import re
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from longcat_eval.errors import did_you_mean
from longcat_eval.model_backend.longcat.engine_api import FilterOrder, PenaltyScope, SamplingParams
from longcat_eval.records import Wire

MOST_CHOICES = 128
MOST_TOP_LOGPROBS = 20
MOST_STOPS = 16
MOST_PROMPTS = 1024
LEAST_TEMPERATURE = 1e-5
"""Anything colder is greedy: scores divided by it leave the range of float32."""

Count = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Choices = Annotated[int, msgspec.Meta(ge=1, le=MOST_CHOICES)]
TopLogprobs = Annotated[int, msgspec.Meta(ge=0, le=MOST_TOP_LOGPROBS)]
Temperature = Annotated[float, msgspec.Meta(ge=0)]
TopP = Annotated[float, msgspec.Meta(gt=0, le=1)]
TopK = Annotated[int, msgspec.Meta(ge=-1)]
Penalty = Annotated[float, msgspec.Meta(ge=0.01, le=100)]


class ApiError(Exception):
    """A request that gets no reply, in OpenAI's shape: `status`, and what `body` holds."""

    def __init__(
        self, message: str, *, status: int = 400, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.param, self.code = status, param, code

    @property
    def body(self) -> Wire:
        """The JSON of the error."""
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        return {"error": {"message": str(self), "type": kind, "param": self.param, "code": self.code}}


class StreamOptions(msgspec.Struct, forbid_unknown_fields=True):
    """What a stream holds beside its deltas."""

    include_usage: bool = False
    include_obfuscation: bool = False


class Drawing(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The fields that chat and text completions share.

    `top_k` 0 and -1 filter nothing. `penalty_scope` and `filter_order` are of this server (docs/model.md),
    `ignore_eos`, `stop_token_ids`, `top_k` and `repetition_penalty` are spelled as in vLLM and SGLang. What
    is accepted at its neutral value alone is in `NEUTRAL`, what changes nothing here is ignored.
    """

    model: str
    temperature: Temperature | None = None
    top_p: TopP | None = None
    top_k: TopK | None = None
    repetition_penalty: Penalty | None = None
    penalty_scope: PenaltyScope = "prompt+output"
    filter_order: FilterOrder = "sequential"
    seed: int | None = None
    n: Choices | None = None
    stop: str | list[str] | None = None
    stop_token_ids: list[int] | None = None
    ignore_eos: bool = False
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    min_p: float | None = None
    min_tokens: int | None = None
    logit_bias: dict[str, float] | None = None
    user: str | None = None

    @property
    def choices(self) -> int:
        """How many continuations are wanted."""
        return self.n or 1

    @property
    def stops(self) -> tuple[str, ...]:
        """The stop strings."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())

    @property
    def sampling(self) -> SamplingParams:
        """How tokens are drawn; what was left out is neutral."""
        return SamplingParams(
            temperature=1.0 if self.temperature is None else _temperature(self.temperature),
            top_k=max(0, self.top_k or 0),
            top_p=1.0 if self.top_p is None else self.top_p,
            repetition_penalty=1.0 if self.repetition_penalty is None else self.repetition_penalty,
            penalty_scope=self.penalty_scope,
            filter_order=self.filter_order,
            seed=self.seed,
        )


class ChatBody(Drawing, kw_only=True, forbid_unknown_fields=True):
    """POST /v1/chat/completions."""

    messages: list[Wire]
    max_tokens: Positive | None = None
    max_completion_tokens: Positive | None = None
    logprobs: bool | None = None
    top_logprobs: TopLogprobs | None = None
    tools: list[Wire] | None = None
    tool_choice: Literal["none", "auto", "required"] | Wire | None = None
    parallel_tool_calls: bool | None = None
    response_format: Wire | None = None
    metadata: Wire | None = None
    store: bool | None = None
    service_tier: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None

    @property
    def most_tokens(self) -> int | None:
        """The completion limit under either name."""
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens


class TextBody(Drawing, kw_only=True, forbid_unknown_fields=True):
    """POST /v1/completions; a prompt is text or token ids, or a list of such."""

    prompt: str | list[Any]
    max_tokens: Count | None = 16
    logprobs: TopLogprobs | None = None
    echo: bool = False
    best_of: int | None = None
    suffix: str | None = None
    add_special_tokens: bool = True


NEUTRAL = {"frequency_penalty": 0, "presence_penalty": 0, "min_p": 0, "min_tokens": 0, "logit_bias": {}}
"""Fields of the API that this engine does not have, and the values at which they do nothing."""


def read_chat(raw: bytes | Wire) -> ChatBody:
    """Return a checked chat body; raises `ApiError`."""
    body = _read(raw, ChatBody)
    if body.top_logprobs is not None and not body.logprobs:
        raise ApiError("top_logprobs needs logprobs to be true", param="top_logprobs")
    kind = body.response_format.get("type") if body.response_format is not None else "text"
    if kind != "text":
        raise ApiError(
            f"response_format {kind!r} is not supported: replies are free text", param="response_format.type"
        )
    for i, tool in enumerate(body.tools or ()):
        function = tool.get("function")
        if tool.get("type") != "function" or not isinstance(function, dict):
            raise ApiError("a tool must be of type function and have one", param=f"tools[{i}].type")
        if not isinstance(function.get("name"), str) or not function["name"]:
            raise ApiError("a function needs a name", param=f"tools[{i}].function.name")
        if not isinstance(function.get("parameters") or {}, dict):
            raise ApiError("parameters must be a JSON Schema", param=f"tools[{i}].function.parameters")
    _check_choice(body)
    return body


def read_text(raw: bytes | Wire) -> TextBody:
    """Return a checked text completion body; raises `ApiError`."""
    body = _read(raw, TextBody)
    if body.suffix:
        raise ApiError("suffix is not supported: the model only continues", param="suffix")
    if body.best_of not in (None, body.choices):
        raise ApiError("best_of is not supported beyond n: ask for n choices", param="best_of")
    return body


def _temperature(said: float) -> float:
    return said if said >= LEAST_TEMPERATURE else 0.0


def forced_tool(body: ChatBody) -> str | None:
    """The name that `tool_choice` demands, '' for any, None where nothing is demanded."""
    if isinstance(body.tool_choice, dict):
        name: str = body.tool_choice["function"]["name"]
        return name
    return "" if body.tool_choice == "required" else None


def _check_choice(body: ChatBody) -> None:
    choice = body.tool_choice
    if choice in (None, "none", "auto"):
        return
    if not body.tools:
        raise ApiError("tool_choice needs tools", param="tool_choice")
    if isinstance(choice, dict):
        function = choice.get("function")
        name = function.get("name") if isinstance(function, dict) else None
        known = [tool["function"]["name"] for tool in body.tools]
        if choice.get("type") != "function" or not isinstance(name, str):
            raise ApiError("tool_choice must be a word or name a function", param="tool_choice.function.name")
        if name not in known:
            raise ApiError(
                f"tool_choice names {name!r}, which is not among the tools{did_you_mean(name, known)}",
                param="tool_choice.function.name",
            )


Body = TypeVar("Body", ChatBody, TextBody)


def _read(raw: bytes | Wire, kind: type[Body]) -> Body:
    try:
        found = msgspec.json.decode(raw) if isinstance(raw, bytes) else raw
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ApiError("the body is not JSON", code="invalid_json") from None
    if not isinstance(found, dict):
        raise ApiError("the body must be a JSON object", code="invalid_json")
    try:
        body = msgspec.convert(found, kind)
    except msgspec.ValidationError as error:
        raise _explained(str(error), kind) from None
    for name, neutral in NEUTRAL.items():
        if getattr(body, name) not in (None, neutral):
            raise ApiError(
                f"{name} is not supported here: leave it out or {neutral}", param=name, code="unsupported"
            )
    _check_stops(body)
    return body


def _check_stops(body: Drawing) -> None:
    if len(body.stops) > MOST_STOPS:
        raise ApiError(f"at most {MOST_STOPS} stop strings are read", param="stop")
    if "" in body.stops:
        raise ApiError("a stop string cannot be empty", param="stop")
    if body.stream_options is not None and not body.stream:
        raise ApiError("stream_options needs stream to be true", param="stream_options")
    if body.seed is not None and not -(1 << 63) <= body.seed < 1 << 63:
        raise ApiError("seed must fit 64 bits", param="seed")


def _explained(problem: str, kind: type[msgspec.Struct]) -> ApiError:
    """msgspec's words with the field as OpenAI names it."""
    what, _, path = problem.partition(" - at ")
    param = path.strip("`").removeprefix("$.").removeprefix("$") or None
    field = re.search(r"field `([^`]+)`", what)
    if "unknown field" in what and field:
        hint = did_you_mean(field[1], kind.__struct_fields__)
        name = f"{param}.{field[1]}" if param else field[1]
        return ApiError(f"unknown field {name!r}{hint}", param=name, code="unknown_parameter")
    if "missing required field" in what and field:
        return ApiError(
            f"the field {field[1]!r} is required", param=field[1], code="missing_required_parameter"
        )
    return ApiError(f"{param}: {what}" if param else what, param=param, code="invalid_value")
