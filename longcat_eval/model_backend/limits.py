"""How many requests may be open at once, and how many may start per minute."""

import asyncio
from collections import deque
from contextlib import suppress

AUTO_START = 16
AUTO_MOST = 512
BACK_OFF = 0.7


class AdaptiveLimiter:
    """Bounds requests in flight to one endpoint; waiters are served first come, first served.

    `limit=None` adapts by additive increase, multiplicative decrease (Chiu and Jain 1989; slow start as in
    TCP): from 16 it doubles per round trip until the first congestion, then grows by 1 per round trip, and is
    multiplied by 0.7 at most once per round trip; never above `most`. It grows only while it is what holds
    requests back. A number is a plain bound. `pause` holds back every new request of the endpoint.
    """

    def __init__(self, limit: int | None = None, *, start: int = AUTO_START, most: int = AUTO_MOST) -> None:
        self.adaptive = limit is None
        self._limit = float(min(start, most) if limit is None else limit)
        self._most = most
        self._slow_start = True
        self._started = 0
        self._last_cut = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._wake_up: asyncio.TimerHandle | None = None
        self.in_flight = 0

    @property
    def limit(self) -> int:
        """The bound of the moment."""
        return int(self._limit)

    @property
    def waiting(self) -> int:
        """How many requests wait for a slot."""
        return len(self._waiting)

    def try_acquire(self) -> int | None:
        """Return a ticket if a slot is free now and nobody waits for it, else None."""
        if self._waiting or self._wake_up is not None or self.in_flight >= self.limit:
            return None
        return self._take()

    async def acquire(self) -> int:
        """Wait for a slot and return its ticket, to be given back with `release`."""
        ticket = self.try_acquire()
        if ticket is not None:
            return ticket
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            self._give_up(turn)
            raise
        return self._started_ticket()

    def release(self, ticket: int, *, ok: bool = False, congested: bool = False) -> None:
        """Give a slot back; `ok` lets the limit grow, `congested` cuts it."""
        if self.adaptive:
            if congested:
                self._cut(ticket)
            elif ok and self.in_flight >= self.limit:
                self._limit = min(self._most, self._limit + (1 if self._slow_start else 1 / self._limit))
        self.in_flight -= 1
        self._serve()

    def pause(self, seconds: float) -> None:
        """Start nothing for `seconds`, because the server asked for it; the longest pause holds."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        if self._wake_up is not None:
            if self._wake_up.when() >= until:
                return
            self._wake_up.cancel()
        self._wake_up = loop.call_at(until, self._resume)

    def close(self) -> None:
        """Drop the timer of a pause."""
        if self._wake_up is not None:
            self._wake_up.cancel()
            self._wake_up = None

    def _resume(self) -> None:
        self._wake_up = None
        self._serve()

    def _take(self) -> int:
        self.in_flight += 1
        return self._started_ticket()

    def _started_ticket(self) -> int:
        self._started += 1
        return self._started

    def _serve(self) -> None:
        """Hand free slots to the longest waiting, one wake-up per slot."""
        while self._waiting and self._wake_up is None and self.in_flight < self.limit:
            turn = self._waiting.popleft()
            if not turn.done():
                self.in_flight += 1
                turn.set_result(None)

    def _give_up(self, turn: asyncio.Future[None]) -> None:
        """A waiter was cancelled: leave the queue, or pass on the slot it had just been given."""
        if turn.done() and not turn.cancelled():
            self.in_flight -= 1
            self._serve()
        else:
            with suppress(ValueError):
                self._waiting.remove(turn)

    def _cut(self, ticket: int) -> None:
        """Cut once per round trip: a request that started before the last cut says nothing new."""
        self._slow_start = False
        if ticket > self._last_cut:
            self._last_cut = self._started
            self._limit = max(1.0, min(self._limit, self.in_flight) * BACK_OFF)


class RateLimiter:
    """Requests and tokens per minute, on leaky buckets (aiolimiter).

    Requests are spread evenly: at most one second's worth leaves in a burst. Tokens of a request are
    estimated as its bytes / 4 plus the mean completion seen so far (at first 1,000, never more than its
    max_tokens): max_tokens itself, 32,768 in most protocols here, would leave most of the quota unused. A
    server that counts max_tokens answers 429, which is waited out. Tokens may burst by a minute's worth.
    """

    def __init__(self, rpm: int | None = None, tpm: int | None = None) -> None:
        from aiolimiter import AsyncLimiter

        burst = max(1.0, rpm / 60) if rpm else 1.0
        self._requests = AsyncLimiter(burst, burst * 60 / rpm) if rpm else None
        self._tokens = AsyncLimiter(tpm, 60) if tpm else None
        self._turn = asyncio.Lock()
        self._mean_completion = 1000.0

    def estimate(self, prompt_bytes: int, max_tokens: int | None) -> float:
        """Return the tokens a request is expected to use."""
        return prompt_bytes / 4 + min(self._mean_completion, max_tokens or self._mean_completion)

    async def acquire(self, prompt_bytes: int, max_tokens: int | None) -> None:
        """Wait until one more request of this size may start; first come, first served."""
        async with self._turn:
            if self._requests is not None:
                await self._requests.acquire()
            if self._tokens is not None:
                tokens = self.estimate(prompt_bytes, max_tokens)
                await self._tokens.acquire(min(tokens, self._tokens.max_rate))

    def saw(self, completion_tokens: int) -> None:
        """Learn from a finished completion how long completions are."""
        self._mean_completion += (completion_tokens - self._mean_completion) / 50
