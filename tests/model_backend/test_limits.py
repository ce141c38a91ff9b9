"""The limiter against a simulated server on a simulated clock, and on the real loop."""

import asyncio
import heapq
import time
from collections.abc import Callable

import pytest
from asking import ask, endpoint
from hypothesis import given
from hypothesis import strategies as st
from loopback import FakeEndpoint

from longcat_eval.model_backend.limits import AdaptiveLimiter, RateLimiter


def simulate(
    limiter: AdaptiveLimiter, requests: int, capacity: Callable[[float], int], latency: float = 1.0
) -> list[tuple[float, int, bool]]:
    """Send as fast as the limiter lets, to a server that refuses what is above its capacity at once.

    Returns (time, limit after, whether refused) for every reply; a refused request is sent again.
    """
    now, left, order = 0.0, requests, 0
    replies: list[tuple[float, int, int, bool]] = []
    log: list[tuple[float, int, bool]] = []
    busy = 0
    while left or replies:
        while left and (ticket := limiter.try_acquire()) is not None:
            left, order = left - 1, order + 1
            refused = busy >= capacity(now)
            busy += not refused
            heapq.heappush(replies, (now + (0.01 if refused else latency), order, ticket, refused))
        now, _, ticket, refused = heapq.heappop(replies)
        busy -= not refused
        left += refused
        limiter.release(ticket, ok=not refused, congested=refused)
        log.append((now, limiter.limit, refused))
    return log


def test_slow_start_doubles_per_round_trip() -> None:
    log = simulate(AdaptiveLimiter(), 16 + 32 + 64 + 128, lambda _: 10_000)
    ends = {round(now): limit for now, limit, _ in log}
    assert [ends[1], ends[2], ends[3]] == [32, 64, 128]


def test_it_never_goes_above_the_most() -> None:
    log = simulate(AdaptiveLimiter(), 6000, lambda _: 10_000)
    assert max(limit for _, limit, _ in log) == 512


def test_it_settles_near_the_capacity() -> None:
    log = simulate(AdaptiveLimiter(), 20_000, lambda _: 100)
    steady = [limit for now, limit, _ in log if now > 20]
    assert 65 <= min(steady) <= max(steady) <= 110
    refused = sum(refused for now, _, refused in log if now > 20)
    assert refused / len(steady) < 0.02
    assert 20_000 / log[-1][0] > 75


def test_it_follows_a_capacity_that_falls_and_rises() -> None:
    log = simulate(AdaptiveLimiter(), 40_000, lambda now: 200 if now < 60 or now > 200 else 40)
    after_fall = [limit for now, limit, _ in log if 80 < now < 200]
    late = [limit for now, limit, _ in log if now > 350]
    assert max(after_fall) < 60
    assert min(late) > 120


def test_after_congestion_it_grows_by_one_per_round_trip() -> None:
    limiter = AdaptiveLimiter(start=100)
    tickets = [limiter.try_acquire() for _ in range(100)]
    assert all(tickets)
    limiter.release(tickets.pop() or 0, congested=True)
    for ticket in tickets:
        limiter.release(ticket or 0)
    assert limiter.limit == 70
    log = simulate(limiter, 700, lambda _: 10_000)
    ends = {round(now): limit for now, limit, _ in log}
    assert [ends[i] for i in (1, 2, 3, 4)] == [pytest.approx(70 + i, abs=1) for i in (1, 2, 3, 4)]


def test_a_burst_of_refusals_cuts_once() -> None:
    limiter = AdaptiveLimiter(start=100)
    tickets = [limiter.try_acquire() or 0 for _ in range(100)]
    for ticket in tickets:
        limiter.release(ticket, congested=True)
    assert limiter.limit == 70
    later = [limiter.try_acquire() or 0 for _ in range(70)]
    limiter.release(later[0], congested=True)
    assert limiter.limit == 49


def test_the_cut_is_taken_from_what_was_in_flight() -> None:
    limiter = AdaptiveLimiter(start=100)
    tickets = [limiter.try_acquire() or 0 for _ in range(10)]
    limiter.release(tickets[0], congested=True)
    assert limiter.limit == 7


def test_it_does_not_grow_while_something_else_holds_back() -> None:
    limiter = AdaptiveLimiter()
    for _ in range(100):
        ticket = limiter.try_acquire()
        assert ticket is not None
        limiter.release(ticket, ok=True)
    assert limiter.limit == 16


def test_it_never_falls_below_one() -> None:
    limiter = AdaptiveLimiter()
    for _ in range(50):
        ticket = limiter.try_acquire()
        assert ticket is not None
        limiter.release(ticket, congested=True)
    assert limiter.limit == 1


def test_a_number_is_a_plain_bound() -> None:
    limiter = AdaptiveLimiter(40)
    tickets = [limiter.try_acquire() or 0 for _ in range(40)]
    assert limiter.try_acquire() is None
    for i, ticket in enumerate(tickets):
        limiter.release(ticket, ok=i % 2 == 0, congested=i % 2 == 1)
    assert limiter.limit == 40


async def test_waiters_are_served_in_order_and_bounded() -> None:
    limiter = AdaptiveLimiter(4)
    order: list[int] = []
    most = 0

    async def one(i: int) -> None:
        nonlocal most
        ticket = await limiter.acquire()
        order.append(i)
        most = max(most, limiter.in_flight)
        await asyncio.sleep(0)
        limiter.release(ticket, ok=True)

    await asyncio.gather(*(one(i) for i in range(1000)))
    assert order == list(range(1000))
    assert (most, limiter.in_flight, limiter.waiting) == (4, 0, 0)


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=60), st.integers(1, 5))
def test_cancelled_waiters_lose_no_slot(steps: list[tuple[int, bool]], limit: int) -> None:
    """Whatever is cancelled, and whenever, every slot can be taken again afterwards."""

    async def run() -> None:
        limiter = AdaptiveLimiter(limit)

        async def one(turns: int) -> None:
            ticket = await limiter.acquire()
            try:
                for _ in range(turns % 4):
                    await asyncio.sleep(0)
            finally:
                limiter.release(ticket)

        tasks = [asyncio.create_task(one(turns)) for turns, _ in steps]
        for task, (turns, cancel) in zip(tasks, steps, strict=True):
            if cancel:
                for _ in range(turns % 3):
                    await asyncio.sleep(0)
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert (limiter.in_flight, limiter.waiting) == (0, 0)
        assert all(limiter.try_acquire() for _ in range(limit))

    asyncio.run(run())


async def test_a_pause_holds_everyone_and_the_longest_counts() -> None:
    limiter = AdaptiveLimiter(10)
    start = time.monotonic()
    limiter.pause(0.2)
    limiter.pause(0.05)
    assert limiter.try_acquire() is None
    await asyncio.gather(*(limiter.acquire() for _ in range(10)))
    assert 0.19 <= time.monotonic() - start < 3
    limiter.pause(30)
    limiter.close()


async def test_waiting_is_cheap_with_a_thousand_in_the_queue() -> None:
    """A slot that comes free wakes one waiter, not all: 1,000 waiters behind 1 slot stay linear."""
    limiter = AdaptiveLimiter(1)
    wake_ups = 0

    async def one() -> None:
        nonlocal wake_ups
        ticket = await limiter.acquire()
        wake_ups += 1
        limiter.release(ticket)

    start = time.process_time()
    await asyncio.gather(*(one() for _ in range(1000)))
    assert wake_ups == 1000
    assert time.process_time() - start < 0.5


async def test_it_finds_the_capacity_of_a_real_server() -> None:
    async with FakeEndpoint(latency=0.01, capacity=24, record=False) as server:
        model = endpoint(server.base_url, max_tries=50, first_wait=0.01)
        await asyncio.gather(*(model.complete(ask(str(i))) for i in range(1500)))
        assert 8 <= model.limiter.limit <= 40
        assert server.served < 1500 * 1.5
        await model.close()


async def test_requests_are_spread_over_the_minute() -> None:
    limiter = RateLimiter(rpm=600)
    times = []
    start = time.monotonic()
    for _ in range(15):
        await limiter.acquire(100, 10)
        times.append(time.monotonic() - start)
    assert times[9] < 0.3
    assert 0.45 < times[14] < 3


async def test_tokens_are_counted_with_the_mean_completion() -> None:
    limiter = RateLimiter(tpm=60_000)
    assert limiter.estimate(4000, 32_768) == 2000
    assert limiter.estimate(4000, 16) == 1016
    assert limiter.estimate(4000, None) == 2000
    for _ in range(500):
        limiter.saw(200)
    assert limiter.estimate(4000, 32_768) == pytest.approx(1200, abs=1)


async def test_a_request_larger_than_the_quota_still_goes_out() -> None:
    limiter = RateLimiter(tpm=1000)
    await asyncio.wait_for(limiter.acquire(40_000, 32_768), 0.5)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(limiter.acquire(400, 100), 0.1)
