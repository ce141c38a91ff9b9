import asyncio
import logging
import time
import traceback
from typing import Any

import msgspec
import pytest
from asking import KEY, ask, endpoint
from loopback import FAULTS, FakeEndpoint, Raw, completion, default_text

from longcat_eval.errors import UsageError
from longcat_eval.model_backend.endpoint import EndpointConfig
from longcat_eval.model_backend.prices import Price
from longcat_eval.model_backend.secrets import Secret
from longcat_eval.protocols import Model, ModelError
from longcat_eval.records import Outcome


async def test_a_reply_comes_back_with_its_price_and_time() -> None:
    async with FakeEndpoint(latency=0.05) as server:
        model: Model = endpoint(server.base_url, price=Price(1.0, 2.0))
        request = ask("What?")
        done = await model.complete(request)
        await model.close()
    assert done.text == default_text(request.body)
    assert done.cost == pytest.approx((done.usage.prompt_tokens + 2 * done.usage.completion_tokens) / 1e6)
    assert 0.05 <= done.seconds < 3
    assert (done.tries, done.cached, done.served_model) == (1, False, "m")


async def test_the_body_travels_byte_for_byte() -> None:
    body: dict[str, Any] = {
        "top_k": 4,
        "repetition_penalty": 1.06,
        "名": "值",
        "nested": {"b": None, "a": 1e-7},
    }
    request = ask("«Grüße» 你好 \u2028", **body)
    async with FakeEndpoint() as server:
        model = endpoint(server.base_url)
        await model.complete(request)
        await model.close()
    assert server.requests[0].raw == msgspec.json.encode(request.body)
    assert server.bodies == [request.body]


async def test_headers_and_key() -> None:
    async with FakeEndpoint() as server:
        for model in (
            endpoint(server.base_url, {"X-Team": "eval"}),
            endpoint(server.base_url, {"authorization": "Custom abcdef"}),
            endpoint(server.base_url, api_key=None),
        ):
            await model.complete(ask())
            await model.close()
    first, own, none = (request.headers for request in server.requests)
    assert (first["authorization"], first["x-team"]) == (f"Bearer {KEY}", "eval")
    assert first["content-type"] == "application/json"
    assert own["authorization"] == "Custom abcdef"
    assert "authorization" not in none
    assert not any("cookie" in headers for headers in (first, own, none))


def test_azure_takes_its_key_in_its_own_header() -> None:
    config = EndpointConfig("m", "https://x.openai.azure.com/openai/deployments/d?api-version=1", Secret(KEY))
    headers = config.wire_headers
    assert headers["api-key"].reveal() == KEY
    assert "Authorization" not in headers


async def test_an_azure_style_address_keeps_its_query() -> None:
    async with FakeEndpoint() as server:
        base = server.base_url.replace("/v1", "/openai/deployments/d%20x?api-version=2024-10-21")
        model = endpoint(base)
        await model.complete(ask())
        await model.list_models()
        await model.close()
    assert [request.path for request in server.requests] == [
        "/openai/deployments/d%20x/chat/completions?api-version=2024-10-21",
        "/openai/deployments/d%20x/models?api-version=2024-10-21",
    ]


@pytest.mark.parametrize("fault", sorted(set(FAULTS) - {"hang", "429-after"}))
async def test_each_fault_is_survived_and_counted(fault: str) -> None:
    async with FakeEndpoint(faults=[fault, fault]) as server:
        model = endpoint(server.base_url)
        done = await model.complete(ask())
        await model.close()
    assert done.text == default_text(ask().body)
    assert done.tries == 3


@pytest.mark.parametrize("fault", sorted(set(FAULTS) - {"hang", "429-after"}))
async def test_each_lasting_fault_is_an_endpoint_error(fault: str) -> None:
    async with FakeEndpoint(faults=[fault] * 3) as server:
        model = endpoint(server.base_url, max_tries=3)
        with pytest.raises(ModelError) as caught:
            await model.complete(ask())
        assert (await model.complete(ask())).tries == 1
        await model.close()
    assert caught.value.outcome is Outcome.ENDPOINT_ERROR
    assert (caught.value.tries, caught.value.alike) == (3, "")
    assert model.limiter.in_flight == 0


async def test_a_hung_request_is_tried_again_after_its_timeout() -> None:
    async with FakeEndpoint(faults=["hang"]) as server:
        model = endpoint(server.base_url, timeout=0.2)
        done = await model.complete(ask())
        await model.close()
    assert done.tries == 2
    assert done.seconds < 0.2


async def test_a_server_that_is_not_there() -> None:
    async with FakeEndpoint() as server:
        gone = server.base_url
    model = endpoint(gone, max_tries=2)
    with pytest.raises(ModelError) as caught:
        await model.complete(ask())
    await model.close()
    assert (caught.value.reason, caught.value.tries) == ("connect", 2)


async def test_https_to_a_plain_server_is_not_retried() -> None:
    async with FakeEndpoint() as server:
        model = endpoint(server.base_url.replace("http:", "https:"))
        with pytest.raises(ModelError) as caught:
            await model.complete(ask())
        await model.close()
    assert (caught.value.reason, caught.value.tries, caught.value.alike) == ("tls", 1, "tls")


@pytest.mark.parametrize("status", [400, 401, 403, 404])
async def test_the_callers_errors_come_back_at_once(status: int) -> None:
    error = msgspec.json.encode({"error": {"message": f"Incorrect API key provided: {KEY}. " + "x" * 999}})
    async with FakeEndpoint(lambda _: Raw(status, error)) as server:
        model = endpoint(server.base_url)
        with pytest.raises(ModelError) as caught:
            await model.complete(ask())
        await model.close()
    assert (caught.value.alike, caught.value.tries) == (f"http {status}", 1)
    assert "Incorrect API key provided: ***." in str(caught.value)
    assert len(str(caught.value)) < 310


async def test_redirects_are_not_followed() -> None:
    async with FakeEndpoint() as other:
        target = {"Location": other.base_url + "/chat/completions"}
        async with FakeEndpoint(lambda _: Raw(307, b"", target)) as server:
            model = endpoint(server.base_url)
            with pytest.raises(ModelError, match="redirects to"):
                await model.complete(ask())
            await model.close()
    assert other.requests == []


@pytest.mark.parametrize("transport", ["aiohttp", "openai"])
async def test_the_key_is_in_no_text(transport: str, caplog: pytest.LogCaptureFixture) -> None:
    """A server that echoes everything it got, as text and as JSON, and a connection that dies."""
    secrets = (KEY, "team-secret-value", "query-secret-value")
    echo = [
        lambda _: Raw(401, " ".join(secrets).encode()),
        lambda _: Raw(200, " ".join(secrets).encode()),
        lambda _: Raw(307, b"", {"Location": f"http://x/?k={KEY}"}),
    ]
    caplog.set_level(logging.DEBUG, "longcat_eval")
    caplog.set_level(logging.DEBUG, "aiohttp")
    shown = []
    async with FakeEndpoint() as server:
        base = server.base_url + "?key=query-secret-value"
        model = endpoint(base, {"X-Team": "team-secret-value"}, max_tries=1, transport=transport)
        shown += [
            repr(model.config),
            str(vars(model)),
            repr(model.config.wire_headers),
            model.config.identity,
        ]
        for server.reply in echo:
            with pytest.raises(ModelError) as caught:
                await model.complete(ask())
            shown.append("".join(traceback.format_exception(caught.value)))
            assert caught.value.__context__ is None
            assert caught.value.__cause__ is None
    with pytest.raises(ModelError) as caught:
        await model.complete(ask())
    await model.close()
    shown += ["".join(traceback.format_exception(caught.value)), caplog.text]
    assert not [text for text in shown for secret in secrets if secret in text]


async def test_retry_after_is_waited_for() -> None:
    async with FakeEndpoint(faults=["429-after"]) as server:
        model = endpoint(server.base_url)
        start = time.monotonic()
        done = await model.complete(ask())
        await model.close()
    assert 1.0 <= time.monotonic() - start < 5
    assert done.tries == 2
    assert done.seconds < 1.0


async def test_retry_after_holds_back_the_whole_endpoint() -> None:
    arrived: list[float] = []
    refused = asyncio.Event()

    def reply(body: dict[str, Any]) -> Raw | str:
        arrived.append(time.monotonic())
        refused.set()
        return Raw(429, b"{}", {"retry-after-ms": "400"}) if len(arrived) == 1 else "ok"

    async with FakeEndpoint(reply) as server:
        model = endpoint(server.base_url)
        first = asyncio.create_task(model.complete(ask("first")))
        await refused.wait()
        await asyncio.sleep(0.05)
        await asyncio.gather(*(model.complete(ask(str(i))) for i in range(5)), first)
        await model.close()
    assert len(arrived) == 7
    assert min(arrived[1:]) - arrived[0] >= 0.4


async def test_the_deadline_ends_a_slow_request() -> None:
    async with FakeEndpoint(latency=5) as server:
        model = endpoint(server.base_url)
        start = time.monotonic()
        with pytest.raises(ModelError) as caught:
            await model.complete(ask(deadline=start + 0.2))
        await model.close()
    assert 0.2 <= time.monotonic() - start < 3
    assert (caught.value.outcome, caught.value.reason) == (Outcome.ENDPOINT_ERROR, "deadline")
    assert model.limiter.limit == 16


async def test_no_retry_sleeps_past_the_deadline() -> None:
    async with FakeEndpoint(faults=["429-after"]) as server:
        model = endpoint(server.base_url)
        start = time.monotonic()
        with pytest.raises(ModelError) as caught:
            await model.complete(ask(deadline=start + 0.9))
        await model.close()
    assert time.monotonic() - start < 0.9
    assert (caught.value.reason, caught.value.tries) == ("rate_limited", 1)


async def test_the_deadline_also_ends_waiting_for_a_slot() -> None:
    async with FakeEndpoint(latency=0.5) as server:
        model = endpoint(server.base_url, concurrency=1)
        holder = asyncio.create_task(model.complete(ask("holds the slot")))
        await asyncio.sleep(0.05)
        with pytest.raises(ModelError) as caught:
            await model.complete(ask(deadline=time.monotonic() + 0.1))
        assert (await holder).text
        assert caught.value.reason == "deadline"
        assert (model.limiter.in_flight, model.limiter.waiting) == (0, 0)
        await model.close()
    assert len(server.requests) == 1


async def test_a_passed_deadline_sends_nothing() -> None:
    async with FakeEndpoint() as server:
        model = endpoint(server.base_url)
        with pytest.raises(ModelError, match="deadline"):
            await model.complete(ask(deadline=time.monotonic() - 1))
        await model.close()
    assert server.requests == []


async def test_a_cancelled_request_gives_its_slot_back() -> None:
    async with FakeEndpoint(latency=5) as server:
        model = endpoint(server.base_url, concurrency=1)
        tasks = [asyncio.create_task(model.complete(ask(str(i)))) for i in range(3)]
        await asyncio.sleep(0.05)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert (model.limiter.in_flight, model.limiter.waiting) == (0, 0)
        await model.close()


async def test_a_fixed_concurrency_is_a_bound() -> None:
    async with FakeEndpoint(latency=0.02) as server:
        model = endpoint(server.base_url, concurrency=3)
        await asyncio.gather(*(model.complete(ask(str(i))) for i in range(20)))
        await model.close()
    assert server.most_in_flight == 3


async def test_a_refusal_and_a_cut_reply_are_completions() -> None:
    def reply(body: dict[str, Any]) -> dict[str, Any]:
        whole = completion({"role": "assistant", "content": None, "refusal": "no"}, body)
        if body["messages"][0]["content"] == "long":
            whole = completion("cut her", body)
            whole["choices"][0]["finish_reason"] = "length"
        return whole

    async with FakeEndpoint(reply) as server:
        model = endpoint(server.base_url)
        assert (await model.complete(ask("bad"))).finish_reason == "content_filter"
        assert (await model.complete(ask("long"))).finish_reason == "length"
        await model.close()


async def test_the_model_list() -> None:
    async with FakeEndpoint(models=("a", "b")) as server:
        model = endpoint(server.base_url)
        assert [entry["id"] for entry in await model.list_models()] == ["a", "b"]
        await model.close()
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    with pytest.raises(ModelError) as caught:
        await model.list_models()
    await model.close()
    assert caught.value.reason == "connect"


async def test_requests_per_minute_are_kept() -> None:
    async with FakeEndpoint() as server:
        model = endpoint(server.base_url, rpm=1200)
        start = time.monotonic()
        await asyncio.gather(*(model.complete(ask(str(i))) for i in range(30)))
        took = time.monotonic() - start
        await model.close()
    assert (30 - 20) / 20 * 0.9 < took < 3


@pytest.mark.parametrize("setting", ["timeout", "max_tries", "concurrency", "rpm", "tpm"])
def test_settings_that_cannot_work(setting: str) -> None:
    with pytest.raises(UsageError, match=f"{setting} of m is 0"):
        EndpointConfig("m", "http://h/v1", **{setting: 0})


def test_a_key_with_a_line_break_is_refused_without_showing_it() -> None:
    with pytest.raises(UsageError, match="Authorization") as caught:
        EndpointConfig("m", "http://h/v1", Secret("sk-abc\n"))
    assert "sk-abc" not in str(caught.value)


async def test_a_thousand_requests_against_a_server_that_draws_every_fault() -> None:
    faults = {"429-after-ms": 0.04, "500": 0.03, "503": 0.03, "drop": 0.03, "cut": 0.03}
    faults |= {"html": 0.02, "empty": 0.02, "no_choices": 0.02, "cut_json": 0.02, "hang": 0.01}
    async with FakeEndpoint(faults=faults, seed=7, record=False) as server:
        model = endpoint(server.base_url, timeout=0.5, max_tries=12, concurrency=64)
        requests = [ask(str(i), seed=i) for i in range(1000)]
        replies = await asyncio.gather(*(model.complete(request) for request in requests))
        await model.close()
    assert [done.text for done in replies] == [default_text(request.body) for request in requests]
    assert sum(done.tries for done in replies) == server.served > 1200
