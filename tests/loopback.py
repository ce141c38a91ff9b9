"""A fake OpenAI-compatible endpoint on loopback: deterministic replies, scripted faults, no framework.

In a test:       async with FakeEndpoint(faults={"429": 0.1}) as server: ... server.base_url ...
As a process:    python tests/loopback.py --port 0 --latency 0        (prints its base URL, then serves)

The HTTP side is a bare asyncio.Protocol, because benchmarks and a thousand requests in flight need a server
that costs less than the client under test.
"""

import argparse
import asyncio
import hashlib
import inspect
import random
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

Body = dict[str, Any]


class Raw(NamedTuple):
    """A whole HTTP reply, for a `reply` that wants to answer with a status or bytes of its own."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = {}


Reply = str | Body | Raw | Awaitable[str | Body | Raw]

TLS_HANDSHAKE = 0x16
JSON_ERROR = b'{"error":{"message":"%s","type":"fault","code":null}}'
FAULTS: dict[str, Raw | None] = {
    "429": Raw(429, JSON_ERROR % b"slow down"),
    "429-after": Raw(429, JSON_ERROR % b"slow down", {"Retry-After": "1"}),
    "429-after-ms": Raw(429, JSON_ERROR % b"slow down", {"retry-after-ms": "50"}),
    "500": Raw(500, JSON_ERROR % b"internal"),
    "503": Raw(503, JSON_ERROR % b"overloaded"),
    "html": Raw(200, b"<html><body>502 Bad Gateway</body></html>", {"Content-Type": "text/html"}),
    "html-502": Raw(502, b"<html><body>502 Bad Gateway</body></html>", {"Content-Type": "text/html"}),
    "empty": Raw(200, b""),
    "no_choices": Raw(200, b'{"id":"x","object":"chat.completion","choices":[]}'),
    "no_message": Raw(200, b'{"id":"x","object":"chat.completion","choices":[{"index":0}]}'),
    "cut_json": Raw(200, b'{"id":"x","choices":[{"index":0,"message":{"role":"assi'),
    "drop": None,
    "cut": None,
    "hang": None,
}
"""Faults by name. `drop` closes without a byte, `cut` closes inside the body, `hang` never answers."""


class Received(NamedTuple):
    """One request as it came in; header names are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> Body:
        decoded: Body = msgspec.json.decode(self.raw)
        return decoded


def default_text(body: Body) -> str:
    """A text that depends on (messages, seed) and nothing else, with a letter and a boxed number in it."""
    digest = hashlib.sha256(msgspec.json.encode([body.get("messages"), body.get("seed")])).digest()
    return f"Draw {digest[:4].hex()}. The answer is \\boxed{{{digest[4]}}}\nAnswer: {'ABCD'[digest[5] % 4]}"


def completion(message: str | Body, body: Body | None = None, **extra: Any) -> Body:
    """Wrap a text or an assistant message as a chat completion reply; `extra` replaces top-level fields."""
    if isinstance(message, str):
        message = {"role": "assistant", "content": message}
    body = body or {}
    asked = len(msgspec.json.encode([body.get("messages"), body.get("tools")])) // 4
    said = len(message.get("content") or "") // 4 + 1
    finish = "tool_calls" if message.get("tool_calls") else "stop"
    return {
        "id": "chatcmpl-loopback",
        "object": "chat.completion",
        "created": 0,
        "model": body.get("model", "loopback"),
        "system_fingerprint": "fp_loopback",
        "choices": [{"index": 0, "message": message, "finish_reason": finish, "logprobs": None}],
        "usage": {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said},
        **extra,
    }


class FaultScript:
    """Which request fails how: names in order (then none), or name -> probability, drawn with a seed."""

    def __init__(self, faults: Mapping[str, float] | Iterable[str | None] = (), seed: int = 0) -> None:
        self._random = random.Random(seed)
        self._table = dict(faults) if isinstance(faults, Mapping) else {}
        self._sequence = [] if isinstance(faults, Mapping) else list(faults)
        unknown = {name for name in (*self._table, *self._sequence) if name} - set(FAULTS)
        if unknown:
            raise ValueError(f"unknown faults {sorted(unknown)}; known: {sorted(FAULTS)}")

    def draw(self) -> str | None:
        """The fault of the next request, None for none."""
        if self._sequence:
            return self._sequence.pop(0)
        if not self._table:
            return None
        point = self._random.random()
        for name, probability in self._table.items():
            point -= probability
            if point < 0:
                return name
        return None


class FakeEndpoint:
    """The server. `requests` keeps what came in (unless `record=False`), `in_flight` counts open ones.

    `reply(body)` may return a text, an assistant message, a whole reply (has "choices"), a `Raw`, or an
    awaitable of one. `latency` is in seconds. More than `capacity` requests at once get a 429.
    """

    def __init__(
        self,
        reply: Callable[[Body], Reply] | None = None,
        *,
        faults: Mapping[str, float] | Iterable[str | None] = (),
        seed: int = 0,
        latency: float = 0.0,
        capacity: int | None = None,
        models: tuple[str, ...] = ("loopback",),
        port: int = 0,
        record: bool = True,
    ) -> None:
        self.reply = reply or default_text
        self.faults = FaultScript(faults, seed)
        self.latency, self.capacity, self.models, self.port, self.record = (
            latency,
            capacity,
            models,
            port,
            record,
        )
        self.requests: list[Received] = []
        self.served = self.in_flight = self.most_in_flight = self.connections = 0
        self.tasks: set[asyncio.Task[None]] = set()
        self.open: set[Connection] = set()
        self._server: asyncio.Server | None = None

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def bodies(self) -> list[Body]:
        """The chat bodies received so far."""
        return [request.body for request in self.requests if request.method == "POST"]

    async def __aenter__(self) -> "FakeEndpoint":
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self), "127.0.0.1", self.port, backlog=1024
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self.tasks:
            task.cancel()
        for connection in list(self.open):
            connection.transport.abort()
        await self._server.wait_closed()
        await asyncio.sleep(0)

    def answer(self, body: Body) -> Raw | Awaitable[Any]:
        """The reply to one chat request."""
        reply = self.reply(body)
        return reply if inspect.isawaitable(reply) else self.pack(reply, body)

    @staticmethod
    def pack(reply: str | Body | Raw, body: Body) -> Raw:
        """Turn what a `reply` returned into bytes."""
        if isinstance(reply, Raw):
            return reply
        whole = reply if isinstance(reply, dict) and "choices" in reply else completion(reply, body)
        return Raw(200, msgspec.json.encode(whole))

    def model_list(self) -> Raw:
        """The reply to GET /models."""
        data = [{"id": name, "object": "model", "max_model_len": 8192} for name in self.models]
        return Raw(200, msgspec.json.encode({"object": "list", "data": data}))


class Connection(asyncio.Protocol):
    """One keep-alive connection; requests on it are answered one after the other."""

    transport: asyncio.Transport

    def __init__(self, server: FakeEndpoint) -> None:
        self.server, self.buffer, self.busy = server, b"", False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.server.open.add(self)
        self.server.connections += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self.server.open.discard(self)
        if self.busy:
            self.busy = False
            self.server.in_flight -= 1

    def data_received(self, data: bytes) -> None:
        self.buffer = self.buffer + data if self.buffer else data
        if self.buffer[0] == TLS_HANDSHAKE:
            self.transport.write(b"HTTP/1.1 400 X\r\nContent-Length: 0\r\n\r\n")
            self.transport.close()
        elif not self.busy:
            self._next()

    def _next(self) -> None:
        """Take one whole request off the buffer, if there is one, and start answering it."""
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        request_line, *lines = self.buffer[:end].decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        start, length = end + 4, int(headers.get("content-length", 0))
        if len(self.buffer) < start + length:
            return
        method, path, _ = request_line.split(" ", 2)
        request = Received(method, path, headers, self.buffer[start : start + length])
        self.buffer, self.busy = self.buffer[start + length :], True
        self._serve(request)

    def _serve(self, request: Received) -> None:
        server = self.server
        server.served += 1
        server.in_flight += 1
        server.most_in_flight = max(server.most_in_flight, server.in_flight)
        if server.record:
            server.requests.append(request)
        if request.method == "GET":
            return self._finish(server.model_list())
        if request.method == "CONNECT":
            return self._finish(Raw(403))
        if server.capacity is not None and server.in_flight > server.capacity:
            return self._finish(FAULTS["429"])
        fault = server.faults.draw()
        if fault is None:
            return self._reply(request)
        if fault == "hang":
            return None
        if server.latency:
            asyncio.get_running_loop().call_later(server.latency, self._fail, fault)
            return None
        return self._fail(fault)

    def _reply(self, request: Received) -> None:
        body = request.body
        reply = self.server.answer(body)
        if isinstance(reply, Raw):
            if self.server.latency:
                asyncio.get_running_loop().call_later(self.server.latency, self._finish, reply)
            else:
                self._finish(reply)
            return
        task = asyncio.ensure_future(self._later(reply, body))
        self.server.tasks.add(task)
        task.add_done_callback(self.server.tasks.discard)

    async def _later(self, reply: Awaitable[str | Body | Raw], body: Body) -> None:
        answer = await reply
        await asyncio.sleep(self.server.latency)
        self._finish(self.server.pack(answer, body))

    def _fail(self, fault: str) -> None:
        if fault == "drop":
            self.transport.abort()
        elif fault == "cut":
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n" + b'{"choices":[{"mes')
            self.transport.close()
        else:
            self._finish(FAULTS[fault])

    def _finish(self, reply: Raw | None) -> None:
        assert reply is not None
        if not self.busy or self.transport.is_closing():
            return
        self.busy = False
        self.server.in_flight -= 1
        kind = "" if "Content-Type" in reply.headers else "Content-Type: application/json\r\n"
        extra = "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items())
        head = f"HTTP/1.1 {reply.status} X\r\n{kind}{extra}Content-Length: {len(reply.body)}\r\n\r\n"
        self.transport.write(head.encode("latin-1") + reply.body)
        if self.buffer:
            self._next()


async def _serve_forever(options: argparse.Namespace) -> None:
    faults = {name: float(p) for name, _, p in (item.partition("=") for item in options.fault)}
    reply = (lambda _: options.text) if options.text is not None else None
    async with FakeEndpoint(
        reply,
        faults=faults,
        seed=options.seed,
        latency=options.latency,
        capacity=options.capacity,
        port=options.port,
        record=False,
    ) as server:
        sys.stdout.write(server.base_url + "\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve a fake OpenAI-compatible endpoint on loopback.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each reply")
    parser.add_argument("--capacity", type=int, help="answer 429 above this many requests at once")
    parser.add_argument("--text", help="reply with this text instead of a hash of (messages, seed)")
    parser.add_argument("--fault", action="append", default=[], metavar="NAME=PROBABILITY")
    parser.add_argument("--seed", type=int, default=0, help="seed of the fault draws")
    asyncio.run(_serve_forever(parser.parse_args()))


if __name__ == "__main__":
    main()
