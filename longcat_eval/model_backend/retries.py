"""When to send a failed request again (tenacity does the looping)."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from longcat_eval.model_backend.failures import RequestError
from longcat_eval.records import Completion

T = TypeVar("T")

LONGEST_WAIT = 60.0


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds a server asks to wait: `retry-after-ms`, or `Retry-After` (seconds or HTTP date).

    At most 60 and at least 0; None where it asks for nothing or for something unreadable.
    """
    for name, unit in (("retry-after-ms", 1e-3), ("Retry-After", 1.0)):
        value = headers.get(name)
        if value is not None:
            seconds = read_wait(value.strip(), unit)
            if seconds is not None:
                return min(max(seconds, 0.0), LONGEST_WAIT)
    return None


def read_wait(value: str, unit: float) -> float | None:
    """Return seconds from a number of `unit`s or from an HTTP date."""
    try:
        seconds = float(value) * unit
        return seconds if seconds == seconds else None
    except ValueError:
        pass
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return (when - datetime.now(UTC)).total_seconds()


def backoff(tries: int, first_wait: float) -> float:
    """Return the seconds before the next try: `first_wait`, doubling to 60, less up to half by chance."""
    step = min(LONGEST_WAIT, first_wait * 2.0 ** (tries - 1))
    return step * random.uniform(0.5, 1.0)


async def retry(
    first: RequestError,
    again: Callable[[], Awaitable[Completion]],
    *,
    max_tries: int,
    first_wait: float,
    deadline: float | None,
) -> Completion:
    """Go on after a `first` failed try until a reply, a failure that is not retried, or `max_tries` requests.

    Waits as long as the server asks, else exponentially with jitter; gives up rather than sleep past the
    `deadline` (on `time.monotonic`). Raises the last `RequestError`.
    """
    from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

    def failure(state: RetryCallState) -> RequestError:
        error = state.outcome.exception() if state.outcome else None
        assert isinstance(error, RequestError)
        return error

    def wait(state: RetryCallState) -> float:
        asked = failure(state).retry_after
        pause = backoff(state.attempt_number, first_wait)
        return pause if asked is None else min(LONGEST_WAIT, asked + 0.1 * pause)

    def stop(state: RetryCallState) -> bool:
        late = deadline is not None and time.monotonic() + state.upcoming_sleep >= deadline
        return late or state.attempt_number >= max_tries

    replay: RequestError | None = first

    async def attempt() -> Completion:
        nonlocal replay
        if replay is not None:
            failed, replay = replay, None
            raise failed
        return await again()

    retrying = AsyncRetrying(
        wait=wait,
        stop=stop,
        retry=retry_if_exception(lambda error: isinstance(error, RequestError) and error.rule.retried),
        reraise=True,
    )
    return await retrying(attempt)


async def before(deadline: float | None, waiting: Awaitable[T]) -> T:
    """Await something, but only until the deadline (on `time.monotonic`, which is the loop's clock)."""
    if deadline is None:
        return await waiting
    try:
        async with asyncio.timeout_at(deadline):
            return await waiting
    except TimeoutError:
        raise past_deadline() from None


def past_deadline() -> RequestError:
    """The failure of a request whose attempt ran out of time."""
    return RequestError("deadline", "the deadline of the attempt passed before a reply came")
