"""Any OpenAI-compatible endpoint as a Model."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import msgspec

from longcat_eval import __version__
from longcat_eval.errors import UsageError
from longcat_eval.model_backend import urls
from longcat_eval.model_backend.classify import http_failure
from longcat_eval.model_backend.failures import MESSAGE_LIMIT, RequestError
from longcat_eval.model_backend.limits import AdaptiveLimiter, RateLimiter
from longcat_eval.model_backend.prices import Price
from longcat_eval.model_backend.replies import read_completion, read_continuation, read_models
from longcat_eval.model_backend.retries import before, past_deadline, retry
from longcat_eval.model_backend.secrets import Secret, redact
from longcat_eval.model_backend.text_scores import read_scores
from longcat_eval.model_backend.transport import AiohttpTransport, Transport, TransportError
from longcat_eval.protocols import ModelError
from longcat_eval.records import Completion, Request, Wire

Reader = Callable[[bytes], Completion]

GET_TIMEOUT = 30.0
SHORTEST_SECRET = 6


@dataclass(frozen=True)
class EndpointConfig:
    """Where a model answers, and how hard it may be asked.

    `base_url` may carry a query string (Azure: `.../deployments/NAME?api-version=...`) and may end in
    `/chat/completions`, which is cut off. `headers` are added to each request and may replace ours. `timeout`
    (seconds) bounds each try, `max_tries` counts requests, `first_wait` (seconds) comes before the second one
    and doubles. `rpm` and `tpm` are per minute.
    Raises `UsageError` for what cannot work.
    """

    name: str
    base_url: str = field(repr=False)
    api_key: Secret | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout: float = 3600.0
    max_tries: int = 6
    first_wait: float = 0.5
    concurrency: Literal["auto"] | int = "auto"
    rpm: int | None = None
    tpm: int | None = None
    transport: Literal["aiohttp", "openai"] = "aiohttp"
    price: Price | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "base_url", urls.check_base_url(self.base_url))
        for name, secret in self.wire_headers.items():
            if not (secret.reveal().isascii() and secret.reveal().isprintable()):
                raise UsageError(
                    f"the value of the {name} header for {self.name} holds a line break or a"
                    " character no header may hold: check the key"
                )
        for setting in ("timeout", "max_tries", "concurrency", "rpm", "tpm"):
            value = getattr(self, setting)
            if value not in ("auto", None) and value <= 0:
                raise UsageError(f"{setting} of {self.name} is {value}: it must be above 0")
        if self.transport not in ("aiohttp", "openai"):
            raise UsageError(f"unknown transport {self.transport!r}: use aiohttp or openai")

    @property
    def identity(self) -> str:
        """The address for manifests and cache keys; holds no key."""
        return urls.identity(self.base_url)

    @property
    def wire_headers(self) -> dict[str, Secret]:
        """The headers of every request; the user's own win over ours whatever their case."""
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "User-Agent": f"longcat-eval/{__version__}",
        }
        if self.api_key:
            azure = urls.is_azure(self.base_url)
            key = self.api_key.reveal()
            headers["api-key" if azure else "Authorization"] = key if azure else f"Bearer {key}"
        own = {name.lower() for name in self.headers}
        merged = {name: value for name, value in headers.items() if name.lower() not in own}
        return {name: Secret(value) for name, value in (merged | dict(self.headers)).items()}

    @property
    def secrets(self) -> list[Secret]:
        """What must not be in any text: the key, the user's header values, hidden values of the query."""
        values = [*self.headers.values(), *urls.hidden_values(self.base_url)]
        found = [Secret(value) for value in values if len(value) >= SHORTEST_SECRET]
        return [self.api_key, *found] if self.api_key else found


def open_transport(config: EndpointConfig) -> Transport:
    """Return the transport a configuration names; raises `EnvironmentUnusableError` without its extra."""
    if config.transport == "openai":
        from longcat_eval.model_backend.transport_openai import OpenAITransport

        return OpenAITransport(config.base_url, config.wire_headers)
    return AiohttpTransport(config.base_url, config.wire_headers)


class EndpointModel:
    """A Model behind an OpenAI-compatible API; bodies travel byte for byte as the caller made them."""

    capabilities = frozenset({"chat", "tools", "loglikelihood"})
    """Whether an endpoint gives log-likelihoods, the first request for one tells."""

    def __init__(self, config: EndpointConfig) -> None:
        self.name, self.config = config.name, config
        self.limiter = AdaptiveLimiter(None if config.concurrency == "auto" else config.concurrency)
        self._rate = RateLimiter(config.rpm, config.tpm) if config.rpm or config.tpm else None
        self._transport = open_transport(config)
        self._secrets = config.secrets

    async def complete(self, request: Request) -> Completion:
        """Answer one request, with retries; raises `ModelError` classified by `failures.FAILURES`.

        A body with a `prompt` instead of messages is a text to continue: POST /completions.
        When `request.meta.deadline` passes, waiting ends with reason `deadline` and outcome endpoint_error: a
        runner whose protocol has a time limit says agent_budget instead.
        """
        if "prompt" in request.body:
            return await self._answer(request, urls.TEXT_PATH, read_continuation)
        return await self._answer(request, urls.CHAT_PATH, read_completion)

    async def loglikelihood(self, request: Request, start: int) -> Completion:
        """Have the end of a prompt scored by POST /completions; raises `ModelError` like `complete`."""
        read = partial(read_scores, prompt=request.body["prompt"], start=start)
        return await self._answer(request, urls.TEXT_PATH, read)

    async def _answer(self, request: Request, path: str, read: Reader) -> Completion:
        body = msgspec.json.encode(request.body)
        tries = 0

        async def attempt() -> Completion:
            nonlocal tries
            tries += 1
            return await self._try(request, body, path, read)

        try:
            return await attempt()
        except RequestError as error:
            failed = error
        try:
            done = await retry(
                failed,
                attempt,
                max_tries=self.config.max_tries,
                first_wait=self.config.first_wait,
                deadline=request.meta.deadline,
            )
            return msgspec.structs.replace(done, tries=tries)
        except RequestError as error:
            failed = error
        # Raised outside the handler: the unredacted failure must not hang on as its context.
        raise self._error(failed, tries)

    async def list_models(self) -> list[Wire]:
        """Return the entries of GET /models; raises `ModelError` at the first failure."""
        try:
            answer = await self._transport.get("/models", min(GET_TIMEOUT, self.config.timeout))
            if answer.status // 100 != 2:
                raise http_failure(answer, {})
            return read_models(answer.body)
        except TransportError as error:
            failed = RequestError(error.kind, str(error))
        except RequestError as error:
            failed = error
        raise self._error(failed, 1)

    async def close(self) -> None:
        """Close the connections."""
        self.limiter.close()
        await self._transport.close()

    async def _try(self, request: Request, body: bytes, path: str, read: Reader) -> Completion:
        """Send one request within the limits and read the reply; raises `RequestError`."""
        deadline = request.meta.deadline
        if self._rate is not None:
            most = request.body.get("max_completion_tokens") or request.body.get("max_tokens")
            await before(deadline, self._rate.acquire(len(body), most))
        ticket = self.limiter.try_acquire()
        if ticket is None:
            ticket = await before(deadline, self.limiter.acquire())
        answered = congested = False
        try:
            done = await self._exchange(request, body, path, read)
            answered = True
        except RequestError as failure:
            congested = failure.rule.congestion
            if congested and failure.retry_after:
                self.limiter.pause(failure.retry_after)
            raise
        finally:
            self.limiter.release(ticket, ok=answered, congested=congested)
        return done

    async def _exchange(self, request: Request, body: bytes, path: str, read: Reader) -> Completion:
        start = time.monotonic()
        deadline = request.meta.deadline
        timeout = self.config.timeout if deadline is None else min(self.config.timeout, deadline - start)
        if timeout <= 0:
            raise past_deadline()
        try:
            answer = await self._transport.post(path, body, timeout)
        except TransportError as error:
            if error.kind == "timeout" and timeout < self.config.timeout:
                raise past_deadline() from None
            raise RequestError(error.kind, str(error)) from None
        if answer.status // 100 != 2:
            raise http_failure(answer, request.body)
        done = read(answer.body)
        if self._rate is not None:
            self._rate.saw(done.usage.completion_tokens)
        price = self.config.price
        return msgspec.structs.replace(
            done, seconds=time.monotonic() - start, cost=price.cost(done.usage) if price else None
        )

    def _error(self, failure: RequestError, tries: int) -> ModelError:
        said = redact(str(failure), self._secrets)
        said = said if len(said) <= MESSAGE_LIMIT else said[: MESSAGE_LIMIT - 1] + "…"
        return ModelError(
            failure.rule.outcome,
            failure.rule.reason,
            f"{self.name}: {said}",
            alike=failure.alike,
            tries=tries,
        )
