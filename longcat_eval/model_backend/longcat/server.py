"""The OpenAI-compatible server: routes, errors, streams, and clients that go away.

Starlette and uvicorn; what is answered is in `chat_service` and `text_service`. Bound to loopback unless a
key is required (`longcat-eval serve`).
"""

import asyncio
import hmac
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from longcat_eval.model_backend.longcat.chat_service import answer_chat, prepare_chat, stream_chat
from longcat_eval.model_backend.longcat.server_metrics import HttpCounts, render_metrics
from longcat_eval.model_backend.longcat.server_schema import ApiError, read_chat, read_text
from longcat_eval.model_backend.longcat.serving import ServedModel
from longcat_eval.model_backend.longcat.text_service import answer_text, prepare_text, stream_text
from longcat_eval.records import Wire

LARGEST_BODY = 64 << 20
CLIENT_LEFT = 499

T = TypeVar("T")
log = logging.getLogger(__name__)


class Server:
    """The application over one served model; `api_key` is asked of every request but /health."""

    def __init__(self, served: ServedModel, api_key: str | None = None) -> None:
        self.served, self.api_key, self.counts = served, api_key, HttpCounts()
        self.app = Starlette(
            routes=[
                Route("/health", self.health),
                Route("/metrics", self._guarded(self.metrics)),
                Route("/v1/models", self._guarded(self.models)),
                Route("/v1/models/{name:path}", self._guarded(self.model)),
                Route("/v1/chat/completions", self._guarded(self.chat), methods=["POST"]),
                Route("/v1/completions", self._guarded(self.text), methods=["POST"]),
            ],
            exception_handlers={HTTPException: _http_error},
        )

    async def health(self, request: Request) -> Response:
        """200 while the engine computes, 503 once it cannot go on."""
        failure = self.served.engine.failure
        if failure is not None:
            return JSONResponse({"status": "failed", "reason": str(failure)}, 503)
        return JSONResponse({"status": "ok"})

    async def metrics(self, request: Request) -> Response:
        """Counters in Prometheus' text format."""
        text = render_metrics(self.served.engine.metrics, self.counts)
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")

    async def models(self, request: Request) -> Response:
        """The one model."""
        return _json({"object": "list", "data": [self._entry()]})

    async def model(self, request: Request) -> Response:
        """The one model by its name."""
        self.served.check_name(request.path_params["name"])
        return _json(self._entry())

    async def chat(self, request: Request) -> Response:
        """POST /v1/chat/completions."""
        body = read_chat(await _body(request))
        job = await asyncio.to_thread(prepare_chat, self.served, body)
        if job.body.stream:
            return self._stream(stream_chat(self.served, job))
        return _json(await _while_connected(request, answer_chat(self.served, job)))

    async def text(self, request: Request) -> Response:
        """POST /v1/completions."""
        body = read_text(await _body(request))
        job = await asyncio.to_thread(prepare_text, self.served, body)
        if job.body.stream:
            return self._stream(stream_text(self.served, job))
        return _json(await _while_connected(request, answer_text(self.served, job)))

    def _entry(self) -> Wire:
        served = self.served
        return {
            "id": served.name,
            "object": "model",
            "created": served.created,
            "owned_by": "longcat-eval",
            "max_model_len": served.engine.max_context,
            "facts": dict(served.facts),
        }

    def _stream(self, chunks: AsyncGenerator[Wire, None]) -> Response:
        return StreamingResponse(
            self._lines(chunks), media_type="text/event-stream", headers={"Cache-Control": "no-cache"}
        )

    async def _lines(self, chunks: AsyncGenerator[Wire, None]) -> AsyncGenerator[bytes, None]:
        """Chunks as server-sent events; an error after the first one is an event too."""
        async with aclosing(chunks):
            try:
                async for chunk in chunks:
                    yield b"data: " + msgspec.json.encode(chunk) + b"\n\n"
            except ApiError as error:
                self.counts.stream_errors += 1
                yield b"data: " + msgspec.json.encode(error.body) + b"\n\n"
                return
            except Exception:
                log.exception("a stream failed")
                self.counts.stream_errors += 1
                yield b"data: " + msgspec.json.encode(INTERNAL.body) + b"\n\n"
                raise
        yield b"data: [DONE]\n\n"

    def _guarded(
        self, handler: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """The handler behind the key, with its errors in OpenAI's shape and its replies counted."""

        async def handle(request: Request) -> Response:
            try:
                self._check_key(request)
                response = await handler(request)
            except ApiError as error:
                response = _json(error.body, error.status)
            except ClientDisconnect:
                response = Response(status_code=CLIENT_LEFT)
            except Exception:
                log.exception("a request failed")
                response = _json(INTERNAL.body, INTERNAL.status)
            self.counts.answered(request.url.path, response.status_code)
            return response

        return handle

    def _check_key(self, request: Request) -> None:
        if self.api_key is None:
            return
        given = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        if not hmac.compare_digest(given.encode(), self.api_key.encode()):
            raise ApiError("the API key is missing or wrong", status=401, code="invalid_api_key")


INTERNAL = ApiError("the server failed; its log says how", status=500, code="internal_error")


async def _body(request: Request) -> bytes:
    """The whole body; JSON has to be declared, so that no web page can send it unasked."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise ApiError(
            f"the content type must be application/json, not {kind or 'left out'}",
            status=415,
            code="unsupported_media_type",
        )
    parts, size = [], 0
    async for part in request.stream():
        parts.append(part)
        size += len(part)
        if size > LARGEST_BODY:
            raise ApiError(f"the body is larger than {LARGEST_BODY >> 20} MiB", status=413, code="too_large")
    return b"".join(parts)


async def _while_connected(request: Request, work: Awaitable[T]) -> T:
    """The result of `work`; it is cancelled when the client goes away, and `ClientDisconnect` raised."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _http_error(request: Request, error: Exception) -> Response:
    """Starlette's own refusals (no such path, wrong method) in OpenAI's shape."""
    assert isinstance(error, HTTPException)
    said = {
        404: f"there is nothing at {request.url.path}",
        405: f"{request.method} is not allowed at {request.url.path}",
    }
    message = said.get(error.status_code, str(error.detail))
    return _json(ApiError(message, status=error.status_code, code="not_found").body, error.status_code)


def _json(content: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")
