"""The engine that servers and models ask: `core.EngineCore` in a thread of its own."""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from longcat_eval.model_backend.longcat.budget import host_memory
from longcat_eval.model_backend.longcat.core import EngineCore, EngineOptions
from longcat_eval.model_backend.longcat.engine_api import (
    EngineError,
    EngineMetrics,
    GenerationRequest,
    RequestRefusedError,
    TokenEvent,
    TokenScore,
)
from longcat_eval.model_backend.longcat.sequence import Request
from longcat_eval.model_backend.longcat.tokenizer import Tokenizer

if TYPE_CHECKING:
    from longcat_eval.model_backend.longcat.model import LongcatLite

GIB = 1024**3
# What a GPU keeps free for activations beside weights and cache.
ACTIVATIONS = 2 * GIB
# The share of the host's free memory that a planned cache may take: packing and prompts need some, too.
HOST_SHARE = 0.5


class _Ticket:
    """A submitted request between the caller's loop and the engine's thread."""

    def __init__(self, asked: GenerationRequest) -> None:
        self.asked = asked
        self.loop = asyncio.get_running_loop()
        self.arrivals: asyncio.Queue[TokenEvent | Exception] = asyncio.Queue()
        self.request: Request | None = None
        self.dropped = False


class LocalEngine:
    """One model for any number of callers, from any event loop; see `engine_api.Engine`.

    `max_context` bounds a prompt and its continuation, `max_batch` the sequences computed side by side,
    `kv_tokens` (the plan's) the cache; what is None is chosen from the model and the memory there is.
    """

    def __init__(
        self,
        model: "LongcatLite",
        tokenizer: Tokenizer | None,
        *,
        max_context: int | None = None,
        max_batch: int | None = None,
        kv_tokens: int | None = None,
        options: EngineOptions | None = None,
    ) -> None:
        if options is None:
            on_gpu = model.embedding_device.type == "cuda"
            options = EngineOptions(
                kv_tokens=cache_tokens(model, kv_tokens, max_context, max_batch or EngineOptions.max_running),
                step_tokens=4096 if on_gpu else 512,
                pack=has_room_to_pack(model),
            )
        if max_batch is not None:
            options = replace(options, max_running=max_batch)
        self._core = EngineCore(model, tokenizer, options)
        if max_context is not None:
            self._core.max_context = min(self._core.max_context, max_context)
        self.max_context = self._core.max_context
        self.metrics: EngineMetrics = self._core.metrics
        self._changed = threading.Condition()
        self._inbox: deque[_Ticket] = deque()
        self._tickets: list[_Ticket] = []
        self._outbox: dict[asyncio.AbstractEventLoop, list[tuple[_Ticket, TokenEvent | Exception]]] = {}
        self.failure: EngineError | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="longcat-engine", daemon=True)
        self._thread.start()

    async def submit(self, request: GenerationRequest) -> AsyncIterator[TokenEvent]:
        """Yield events as tokens come; closing the iterator cancels the request."""
        self._core.check(request)
        ticket = _Ticket(request)
        self._post(ticket)
        left = request.n
        try:
            while left:
                arrived = await ticket.arrivals.get()
                if isinstance(arrived, Exception):
                    left = 0
                    raise arrived
                left -= arrived.finish_reason is not None
                yield arrived
        finally:
            if left:
                ticket.dropped = True
                self._post(ticket)

    async def score(self, prompt_ids: Sequence[int], top: int = 1) -> list[TokenScore]:
        """How likely each token was after those before it, with the `top` best alternatives there."""
        request = GenerationRequest(tuple(prompt_ids), 0, logprobs=top, echo=True)
        return [
            TokenScore(event.token_id, event.logprob, event.top_logprobs)
            async for event in self.submit(request)
        ]

    def close(self) -> None:
        """End the thread; what is under way ends with `EngineError`."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()
        if self._core.model.tables is not None:
            self._core.model.tables.close()

    def _post(self, ticket: _Ticket) -> None:
        with self._changed:
            if self.failure is not None:
                if ticket.dropped:
                    return
                raise self.failure
            self._inbox.append(ticket)
            self._changed.notify()

    def _run(self) -> None:
        try:
            busy = False
            while self._take_in(busy):
                busy = self._core.step()
                self._send()
            failure = EngineError("the engine was closed")
        except Exception as error:  # noqa: BLE001 - whatever fails here is told to everybody who waits
            failure = EngineError(f"the engine failed: {type(error).__name__}: {error}")
        with self._changed:
            self.failure = failure
            waiting = [*self._tickets, *(ticket for ticket in self._inbox if not ticket.dropped)]
        for ticket in waiting:
            self._outbox.setdefault(ticket.loop, []).append((ticket, failure))
        self._send()

    def _take_in(self, busy: bool) -> bool:
        """Begin and cancel what was posted, waiting for it where nothing is to compute; False to end."""
        with self._changed:
            while not (busy or self._inbox or self._closing):
                self._changed.wait()
            if self._closing:
                return False
            posted = list(self._inbox)
            self._inbox.clear()
        for ticket in posted:
            if not ticket.dropped:
                self._begin(ticket)
            elif ticket in self._tickets:
                self._drop(ticket)
        return True

    def _begin(self, ticket: _Ticket) -> None:
        def sink(event: TokenEvent) -> None:
            self._outbox.setdefault(ticket.loop, []).append((ticket, event))

        self._tickets.append(ticket)
        try:
            ticket.request = self._core.add(ticket.asked, sink)
        except RequestRefusedError as error:
            self._tickets.remove(ticket)
            self._outbox.setdefault(ticket.loop, []).append((ticket, error))

    def _drop(self, ticket: _Ticket) -> None:
        self._tickets.remove(ticket)
        if ticket.request is not None:
            self._core.cancel(ticket.request)

    def _send(self) -> None:
        """Hand over a step's events with one wake-up per loop; who is gone is cancelled."""
        for loop, events in self._outbox.items():
            try:
                loop.call_soon_threadsafe(_arrive, events)
            except RuntimeError:  # the loop is closed
                for ticket in {id(ticket): ticket for ticket, _ in events}.values():
                    if ticket in self._tickets:
                        self._drop(ticket)
        self._outbox.clear()
        self._tickets = [t for t in self._tickets if t.request is not None and t.request.open_choices]


def _arrive(events: list[tuple[_Ticket, TokenEvent | Exception]]) -> None:
    for ticket, event in events:
        ticket.arrivals.put_nowait(event)


def has_room_to_pack(model: "LongcatLite") -> bool:
    """Whether the CPU's forms of the weights fit beside them: those of a disk tier would be read in."""
    on_cpu = sum(weight.nbytes for weight in model.parameters() if weight.device.type == "cpu")
    return 2 * on_cpu < host_memory()


def cache_tokens(model: "LongcatLite", planned: int | None, context: int | None, batch: int) -> int:
    """Tokens of the cache: what the plan counted and memory still gives, but one context at least.

    More than a context for each of `batch` sequences is of no use. Without a plan, and with no layer on a
    GPU, it is `EngineOptions`' default.
    """
    most = model.config.max_position_embeddings
    free = room(model)
    if free is None and planned is None:
        free = EngineOptions.kv_tokens
    elif free is None:
        free = int(HOST_SHARE * host_memory()) // (model.config.kv_layers * per_layer(model))
    tokens = min(free, planned or free, batch * (context or most))
    return max(tokens, context or min(32_768, most))


def per_layer(model: "LongcatLite") -> int:
    """Bytes of a token in one KV layer."""
    return model.config.kv_width * model.dtype.itemsize


def room(model: "LongcatLite") -> int | None:
    """Tokens that the free memory of the GPUs has a cache for; None where no layer lies on one."""
    layers: dict[torch.device, int] = {}
    for layer in model.layers:
        if layer.device.type == "cuda":
            layers[layer.device] = layers.get(layer.device, 0) + 1
    found = [
        max(0, torch.cuda.mem_get_info(device)[0] - ACTIVATIONS) // (2 * count * per_layer(model))
        for device, count in layers.items()
    ]
    return min(found) if found else None
