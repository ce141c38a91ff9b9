"""What both transports must do alike, and what the environment may tell them."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from asking import KEY, ask, endpoint
from loopback import FAULTS, FakeEndpoint, Raw, completion, default_text

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.model_backend.transport import environment_proxy
from longcat_eval.protocols import ModelError
from longcat_eval.records import Completion

BOTH = pytest.mark.parametrize("transport", ["aiohttp", "openai"])


async def test_both_transports_send_the_same_bytes_and_read_the_same_reply() -> None:
    request = ask("你好", top_k=4, repetition_penalty=1.06, chat_template_kwargs={"enable_thinking": False})
    replies: list[Completion] = []
    async with FakeEndpoint() as server:
        for transport in ("aiohttp", "openai"):
            model = endpoint(server.base_url + "?api-version=1", transport=transport)
            replies.append(await model.complete(request))
            await model.close()
    first, second = server.requests
    assert first.raw == second.raw == msgspec.json.encode(request.body)
    assert first.path == second.path == "/v1/chat/completions?api-version=1"
    for header in ("authorization", "content-type", "accept", "user-agent"):
        assert first.headers[header] == second.headers[header]
    assert msgspec.structs.replace(replies[0], seconds=0) == msgspec.structs.replace(replies[1], seconds=0)


async def test_openai_takes_no_key_and_no_address_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-another-host")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-secret")
    async with FakeEndpoint() as server:
        for headers in ({}, {"authorization": "Custom x"}):
            model = endpoint(server.base_url, headers, api_key=None, transport="openai")
            await model.complete(ask())
            await model.list_models()
            await model.close()
    assert [r.headers.get("authorization") for r in server.requests] == [None, None, "Custom x", "Custom x"]
    assert not [r for r in server.requests if {"openai-organization", "openai-project"} & set(r.headers)]


@BOTH
@pytest.mark.parametrize("fault", sorted(set(FAULTS) - {"hang", "429-after"}))
async def test_faults_look_alike(transport: str, fault: str) -> None:
    async with FakeEndpoint(faults=[fault] * 2) as server:
        model = endpoint(server.base_url, max_tries=2, transport=transport)
        with pytest.raises(ModelError) as caught:
            await model.complete(ask())
        assert (await model.complete(ask())).text == default_text(ask().body)
        await model.close()
    expected = {
        "drop": "connection_lost",
        "cut": "connection_lost",
        "503": "overloaded",
        "500": "server_error",
    }
    expected |= {"html": "bad_body", "empty": "bad_body", "cut_json": "bad_body", "html-502": "server_error"}
    expected |= {"no_choices": "no_choices", "no_message": "no_choices", "429": "rate_limited"}
    assert caught.value.reason == expected.get(fault, "rate_limited")


@BOTH
async def test_timeouts_cover_the_whole_exchange(transport: str) -> None:
    """A server that drips bytes for ever never lets a read time out."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        try:
            while True:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.02)
        except (ConnectionError, asyncio.CancelledError):
            writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    model = endpoint(f"http://127.0.0.1:{port}/v1", timeout=0.3, max_tries=1, transport=transport)
    with pytest.raises(ModelError) as caught:
        await model.complete(ask())
    await model.close()
    server.close()
    assert caught.value.reason == "timeout"


@BOTH
async def test_errors_without_a_reply(transport: str) -> None:
    async with FakeEndpoint() as server:
        gone, tls = server.base_url, server.base_url.replace("http:", "https:")
        model = endpoint(tls, max_tries=2, transport=transport)
        with pytest.raises(ModelError) as caught:
            await model.complete(ask())
        await model.close()
        assert (caught.value.reason, caught.value.tries) == ("tls", 1)
    model = endpoint(gone, max_tries=2, transport=transport)
    with pytest.raises(ModelError) as caught:
        await model.complete(ask())
    await model.close()
    assert (caught.value.reason, caught.value.tries) == ("connect", 2)


@asynccontextmanager
async def a_proxy() -> AsyncIterator[FakeEndpoint]:
    """A plain http proxy is a server that is asked for whole addresses."""
    async with FakeEndpoint(lambda body: completion("through the proxy", body)) as proxy:
        yield proxy


@BOTH
@pytest.mark.filterwarnings("ignore:BasicAuth is deprecated", "ignore:The 'proxy_auth'")  # inside the SDK
async def test_a_proxy_of_the_environment_is_used(transport: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_proxy() as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://user:pass@127.0.0.1:{proxy.port}")
        model = endpoint("http://model.invalid/v1", transport=transport)
        done = await model.complete(ask())
        await model.close()
    assert done.text == "through the proxy"
    seen = proxy.requests[0]
    assert seen.path == "http://model.invalid/v1/chat/completions"
    assert seen.headers["host"] == "model.invalid"
    assert seen.headers["authorization"] == f"Bearer {KEY}"
    assert seen.headers["proxy-authorization"] == "Basic dXNlcjpwYXNz"


@BOTH
async def test_an_https_endpoint_is_reached_by_a_tunnel(
    transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy refuses to connect, so nothing but its name and the target's must have been sent."""
    async with FakeEndpoint() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        model = endpoint("https://model.invalid/v1", max_tries=1, transport=transport)
        with pytest.raises(ModelError) as caught:
            await model.complete(ask())
        await model.close()
    assert caught.value.reason == "connect"
    assert (proxy.requests[0].method, proxy.requests[0].path) == ("CONNECT", "model.invalid:443")
    assert KEY not in str(proxy.requests)
    assert KEY not in str(caught.value)


def test_which_addresses_go_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    assert environment_proxy("http://model.example/v1") is None
    monkeypatch.setenv("HTTP_PROXY", "http://plain:1")
    monkeypatch.setenv("HTTPS_PROXY", "http://secure:2")
    monkeypatch.setenv("NO_PROXY", "inside.example,.corp.example")
    assert environment_proxy("http://model.example/v1") == "http://plain:1"
    assert environment_proxy("https://model.example/v1") == "http://secure:2"
    assert environment_proxy("https://inside.example:8000/v1") is None
    assert environment_proxy("https://a.corp.example/v1") is None
    for here in ("http://127.0.0.1:8000/v1", "http://localhost:8000/v1", "http://[::1]:8000/v1"):
        assert environment_proxy(here) is None


def test_all_proxy_is_the_fallback_and_socks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://any:3")
    assert environment_proxy("https://model.example/v1") == "http://any:3"
    monkeypatch.setenv("HTTPS_PROXY", "socks5://user:pass@sock:4")
    with pytest.raises(EnvironmentUnusableError, match="HTTPS_PROXY") as caught:
        environment_proxy("https://model.example/v1")
    assert "pass" not in str(caught.value).replace("bypass", "")


def test_without_the_sdk_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(EnvironmentUnusableError, match=r"pip install 'longcat-eval\[openai\]'"):
        endpoint("http://h/v1", transport="openai")


async def test_compressed_replies_are_read() -> None:
    import gzip

    def reply(body: dict[str, Any]) -> Raw:
        packed = gzip.compress(msgspec.json.encode(completion("small", body)))
        return Raw(200, packed, {"Content-Encoding": "gzip"})

    async with FakeEndpoint(reply) as server:
        model = endpoint(server.base_url)
        assert (await model.complete(ask())).text == "small"
        await model.close()


async def test_a_connection_is_kept_and_used_again() -> None:
    async with FakeEndpoint() as server:
        model = endpoint(server.base_url)
        for i in range(5):
            await model.complete(ask(str(i)))
        await model.close()
    assert server.connections == 1
