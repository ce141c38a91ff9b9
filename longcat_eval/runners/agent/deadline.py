"""An agent's time on the clock, and its end that nothing outruns."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from longcat_eval.protocols import AttemptContext


@dataclass
class Deadline:
    """`seconds` from the start of the work, 0 without limit; `grace` more where a protocol gives it.

    terminal-bench 0.2.x lets an agent go on for up to 300 s past its limit, because the thread that it runs
    in is waited for (`asyncio.run` shuts down its executor): published numbers have that time in them.
    `grace` is that, by name; 0 enforces the limit. `expired` says that the end came by the clock, `overran`
    that the limit was passed, by the clock or within the grace.
    """

    seconds: float
    grace: float = 0.0
    expired: bool = field(default=False, init=False)
    _began: float = field(default=0.0, init=False)
    _ended: float = field(default=0.0, init=False)

    @property
    def used(self) -> float:
        """Seconds since the start, to the end if it came; 0 before."""
        return (self._ended or time.monotonic()) - self._began if self._began else 0.0

    @property
    def overran(self) -> bool:
        """Whether the limit itself was passed."""
        return bool(self.seconds) and self.used >= self.seconds

    @property
    def left(self) -> float:
        """Seconds until the end is forced."""
        return self.seconds + self.grace - self.used if self.seconds else float("inf")

    @asynccontextmanager
    async def enforced(self, ctx: AttemptContext) -> AsyncIterator[None]:
        """Work under the clock: at the end whatever is under way is cancelled, requests included."""
        self._began, outer = time.monotonic(), ctx.deadline
        allowed = self.seconds + self.grace if self.seconds else None
        if allowed is not None:
            ctx.deadline = min(self._began + allowed, float("inf") if outer is None else outer)
        try:
            async with asyncio.timeout(allowed) as clock:
                yield
        except TimeoutError:
            if not clock.expired():
                raise
            self.expired = True
        finally:
            self._ended, ctx.deadline = time.monotonic(), outer
