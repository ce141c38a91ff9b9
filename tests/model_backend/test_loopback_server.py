"""The fake endpoint is a tool of many tests, so it has its own."""

import asyncio
import signal
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from asking import ask, endpoint
from loopback import FakeEndpoint, FaultScript, default_text

LOOPBACK = Path(__file__).parents[1] / "loopback.py"


async def post(url: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(url + "/chat/completions", json=body) as reply,
    ):
        return reply.status, await reply.json()


async def test_replies_depend_on_messages_and_seed_alone() -> None:
    message = [{"role": "user", "content": "x"}]
    async with FakeEndpoint() as server:
        texts = [
            (await post(server.base_url, body))[1]["choices"][0]["message"]["content"]
            for body in (
                {"messages": message, "seed": 1},
                {"messages": message, "seed": 1, "temperature": 1},
                {"messages": message, "seed": 2},
                {"messages": [*message, *message], "seed": 1},
            )
        ]
    assert texts[0] == texts[1] == default_text({"messages": message, "seed": 1})
    assert len(set(texts)) == 3


async def test_prompt_tokens_count_the_tools() -> None:
    async with FakeEndpoint() as server:
        counts = [
            (await post(server.base_url, {"messages": [], **extra}))[1]["usage"]["prompt_tokens"]
            for extra in ({}, {"seed": 5}, {"tools": [{"function": {"name": "f"}}]})
        ]
    assert counts[0] == counts[1] < counts[2]


def test_fault_draws_are_reproducible_and_near_their_probability() -> None:
    table = {"429": 0.1, "drop": 0.05}
    one, two = FaultScript(table, seed=3), FaultScript(table, seed=3)
    drawn = [one.draw() for _ in range(10_000)]
    assert drawn == [two.draw() for _ in range(10_000)]
    assert drawn.count("429") / 10_000 == pytest.approx(0.1, abs=0.01)
    assert drawn.count("drop") / 10_000 == pytest.approx(0.05, abs=0.01)
    with pytest.raises(ValueError, match="unknown faults"):
        FaultScript(["teapot"])


async def test_replies_that_take_their_time() -> None:
    async def slow(body: dict[str, Any]) -> str:
        await asyncio.sleep(0.05)
        return body["messages"][0]["content"] + "!"

    async with FakeEndpoint(slow, latency=0.02) as server:
        model = endpoint(server.base_url)
        replies = await asyncio.gather(*(model.complete(ask(str(i))) for i in range(10)))
        await model.close()
    assert [done.text for done in replies] == [f"{i}!" for i in range(10)]
    assert min(done.seconds for done in replies) >= 0.07


async def test_capacity_refuses_what_is_too_much() -> None:
    async with FakeEndpoint(latency=0.1, capacity=2) as server:
        statuses = [
            status for status, _ in await asyncio.gather(*(post(server.base_url, {}) for _ in range(5)))
        ]
        assert server.in_flight == 0
    assert sorted(statuses) == [200, 200, 429, 429, 429]


async def test_it_runs_as_a_process_of_its_own() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(LOOPBACK), "--text", "fixed", "--fault", "500=1.0"),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        url = (await process.stdout.readline()).decode().strip()
        assert url.startswith("http://127.0.0.1:")
        assert (await post(url, {"messages": []}))[0] == 500
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()
