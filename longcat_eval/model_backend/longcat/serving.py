"""What chat and text completions share: the model that is served, and tokens as the API shows them."""

import hashlib
import json
import secrets
import time
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from longcat_eval.model_backend.longcat.engine_api import (
    Engine,
    EngineError,
    GenerationRequest,
    RequestRefusedError,
    TokenEvent,
    TokenScore,
)
from longcat_eval.model_backend.longcat.server_schema import ApiError, Drawing
from longcat_eval.model_backend.longcat.tokenizer import Tokenizer
from longcat_eval.records import Wire


@dataclass(frozen=True)
class ServedModel:
    """One model behind the API. `facts` say how it is computed: dtype, quantisation, placement, weights."""

    name: str
    engine: Engine
    tokenizer: Tokenizer
    lenient_tools: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def fingerprint(self) -> str:
        """Equal for servers that compute alike."""
        text = json.dumps([self.name, dict(self.facts)], sort_keys=True, default=str)
        return f"fp_{hashlib.sha256(text.encode()).hexdigest()[:12]}"

    def check_name(self, asked: str) -> None:
        """Raise `ApiError` (404) for any other model."""
        if asked != self.name:
            raise ApiError(
                f"the model {asked!r} does not exist; this server has {self.name!r}",
                status=404,
                param="model",
                code="model_not_found",
            )

    def room(self, prompt: int, wanted: int | None, param: str, *, cut: bool = False) -> int:
        """The completion limit: as wanted, or all that is left; raises `ApiError` where it does not fit.

        `cut` takes what is left where it is less than what is wanted.
        """
        most = self.engine.max_context
        if cut and wanted is not None and prompt < most:
            wanted = min(wanted, most - prompt)
        if prompt + (wanted or 0) > most or (wanted is None and prompt >= most):
            raise ApiError(
                f"This model's maximum context length is {most} tokens. However, you requested "
                f"{prompt + (wanted or 0)} tokens ({prompt} in the {param}, {wanted or 0} in the "
                "completion). Please reduce the length of either.",
                param=param,
                code="context_length_exceeded",
            )
        return most - prompt if wanted is None else wanted

    def stop_ids(self, body: Drawing) -> frozenset[int]:
        """The ids that end a reply: the end of text, unless it is ignored, and the request's own."""
        own = frozenset(body.stop_token_ids or ())
        wrong = [i for i in own if not 0 <= i < self.tokenizer.vocab_size]
        if wrong:
            raise ApiError(
                f"{wrong[0]} is no token of a vocabulary of {self.tokenizer.vocab_size}",
                param="stop_token_ids",
            )
        return own if body.ignore_eos else own | {self.tokenizer.eos_id}

    async def events(self, request: GenerationRequest) -> AsyncGenerator[TokenEvent, None]:
        """The engine's events; raises `ApiError`. Closing it cancels the request."""
        stream = self.engine.submit(request)
        try:
            async for event in stream:
                yield event
        except (RequestRefusedError, EngineError) as error:
            raise of_engine(error) from None
        finally:
            close = getattr(stream, "aclose", None)
            if close is not None:
                await close()

    async def score(self, ids: Sequence[int], top: int) -> list[TokenScore]:
        """The engine's scores of a text; raises `ApiError`."""
        try:
            return await self.engine.score(ids, top)
        except (RequestRefusedError, EngineError) as error:
            raise of_engine(error) from None

    def ends_silently(self, event: TokenEvent, stops: frozenset[int]) -> bool:
        """Whether an event's token is the end of the reply and no part of it."""
        return event.finish_reason == "stop" and event.token_id in stops

    def token_text(self, token: int) -> str:
        """A token as a JSON string; bytes that are no text of their own as OpenAI shows them."""
        return shown(self.tokenizer.token_bytes(token))


def of_engine(error: Exception) -> ApiError:
    """The API's error for one of the engine's."""
    if isinstance(error, RequestRefusedError):
        return ApiError(str(error))
    return ApiError(f"the engine failed: {error}", status=500, code="engine_error")


def shown(raw: bytes) -> str:
    """Bytes as text, or as `bytes:\\xe4` where they are none."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in raw)


def new_id(prefix: str) -> str:
    """An id for one reply."""
    return f"{prefix}-{secrets.token_hex(12)}"


def usage_of(prompt: int, completion: int) -> Wire:
    """Counts of tokens; the end of text counts as generated."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def pairs(tops: Iterable[tuple[int, float]], count: int | None) -> list[tuple[int, float]]:
    """The first `count` alternatives."""
    return list(tops)[: count or 0]
