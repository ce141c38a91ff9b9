"""The engine: runs attempts concurrently, keeps each one when it ends, and stops cleanly for any reason.

It knows tasks and models by their protocols only. One failing attempt never touches another.
"""

import asyncio
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from msgspec import structs

from longcat_eval.errors import EnvironmentUnusableError, LongcatEvalError
from longcat_eval.model_backend.role import Role
from longcat_eval.protocols import ModelError, SandboxError, Sandboxes, Workers
from longcat_eval.records import OUTCOMES, AttemptRow, Call, Outcome, Score, Transcript
from longcat_eval.runners.budget import Budget
from longcat_eval.runners.context import Context, RequestListener
from longcat_eval.runners.events import AttemptFinished, Listener
from longcat_eval.runners.judging import NULL_VERDICT
from longcat_eval.runners.plan import WorkItem
from longcat_eval.runners.store import LostTranscriptError, RunWriter, read_transcript

ALIKE_FAILURES = 20
NOT_JUDGED = "not_judged"
GRACE_SECONDS = 30.0


@dataclass
class Breaker:
    """Stops a run whose requests all fail alike (`ModelError.alike`): a wrong key, a wrong model name."""

    limit: int = ALIKE_FAILURES
    alike: str = ""
    message: str = ""
    samples: set[str] = field(default_factory=set)

    def succeeded(self) -> None:
        """Forget the failures: something works."""
        self.alike, self.samples = "", set()

    def failed(self, item: WorkItem, error: ModelError) -> None:
        """Count a failure by its sample; another kind of failure starts the count anew."""
        if error.alike != self.alike:
            self.alike, self.samples = error.alike, set()
        if error.alike:
            self.message = str(error)
            self.samples.add(f"{item.key.task}/{item.key.sample}")

    @property
    def open(self) -> bool:
        """Whether the run must stop."""
        return bool(self.alike) and len(self.samples) >= self.limit

    def error(self) -> EnvironmentUnusableError:
        """The one line to end with."""
        return EnvironmentUnusableError(
            f"{len(self.samples)} different samples in a row failed alike ({self.alike}): {self.message}"
        )


@dataclass
class Engine:
    """Runs work items at `concurrency` and keeps their rows in `store`; `stop()` ends it cleanly.

    As many more attempts as `judging` says may be with their judges meanwhile. `kept` counts the valid ones.
    """

    roles: Mapping[str, Role]
    store: RunWriter
    workers: Workers
    sandboxes: Sandboxes
    seed: int
    concurrency: int
    budget: Budget
    emit: Listener
    on_request: Callable[[str], RequestListener]
    judging: int = 0
    stopped: str = ""
    kept: int = 0
    breaker: Breaker = field(default_factory=Breaker)
    _retries: deque[WorkItem] = field(default_factory=deque)
    _running: set[asyncio.Task[None]] = field(default_factory=set)
    _fatal: BaseException | None = None
    _slots: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self._slots = asyncio.Semaphore(self.concurrency)

    async def run(self, items: Iterable[WorkItem]) -> str:
        """Work everything off; return why it stopped early, or an empty string.

        Raises `LongcatEvalError` where going on makes no sense (disk full, every request refused alike).
        """
        feed = iter(items)
        loops = [asyncio.create_task(self._work(feed)) for _ in range(self.concurrency + self.judging)]
        self._running = set(loops)
        try:
            await self._watch(loops)
        finally:
            for loop in loops:
                loop.cancel()
            ends = await asyncio.gather(*loops, return_exceptions=True)
        for end in [self._fatal, *ends]:
            if end is not None and not isinstance(end, asyncio.CancelledError):
                raise end
        if self.breaker.alike.endswith(NULL_VERDICT):
            return self.stopped  # a judge that cannot decide a few leaves them without a verdict
        if self.breaker.alike and self.kept == 0 and not self.stopped:
            raise self.breaker.error()
        return self.stopped

    def stop(self, why: str, *, now: bool = False) -> None:
        """Start nothing more; with `now`, drop the attempts in flight too (they are made again on resume)."""
        self.stopped = self.stopped or why
        if now:
            for loop in self._running:
                loop.cancel()

    async def _watch(self, loops: list[asyncio.Task[None]]) -> None:
        """Wait for the workers; a time budget also ends attempts that hang on past its grace."""
        waiting = set(loops)
        while waiting:
            _, waiting = await asyncio.wait(waiting, timeout=1.0)
            if why := self.budget.exhausted():
                self.stop(why)
                if self.budget.overdue(GRACE_SECONDS):
                    self.stop(why, now=True)

    def _next(self, feed: Iterator[WorkItem]) -> WorkItem | None:
        """First everything once, then what failed for reasons that are not the model's."""
        item = next(feed, None)
        return self._retries.popleft() if item is None and self._retries else item

    async def _work(self, feed: Iterator[WorkItem]) -> None:
        more = True
        while more:
            async with AsyncExitStack() as slot:
                await slot.enter_async_context(self._slots)
                item = None if self.stopped else self._next(feed)
                more = item is not None
                if item is None:
                    continue
                try:
                    item, kept = self._found(item)
                    self._keep(item, *await self._attempt(item, kept, slot))
                except LongcatEvalError as error:
                    self._fatal = self._fatal or error
                    self.stop(str(error), now=True)

    async def _attempt(
        self, item: WorkItem, kept: Transcript | None, slot: AsyncExitStack
    ) -> tuple[Transcript, Score, bool]:
        """Make one attempt; the flag says whether trying it again now makes sense.

        The `slot` is free for the next one as soon as only judges are left to ask.
        """
        context = Context(
            item.key,
            self.roles,
            item.task.protocol,
            self.seed,
            self.workers,
            self.on_request(item.key.task),
            self.sandboxes,
            tries=item.tries,
            kept=kept,
        )
        again, whole = True, kept is not None
        try:
            transcript = context.transcript() if kept else await item.task.attempt(item.sample, context)
            if item.task.protocol.judges and not whole:
                self._keep_unjudged(item, transcript)
                whole = True
            if whole:
                await slot.aclose()
            score = await item.task.score(item.sample, transcript, context)
        except ModelError as error:
            transcript = context.transcript()
            score = self._failure(transcript, whole, error.outcome, error.reason, str(error))
            self.breaker.failed(item, error)
            again = not error.alike
        except SandboxError as error:
            transcript = context.transcript()
            score = self._failure(transcript, whole, Outcome.SANDBOX_ERROR, error.reason, str(error))
        except LongcatEvalError:
            raise
        except Exception as error:  # noqa: BLE001 - the one net: a bug in one attempt must not end a run of hours
            transcript = context.transcript()
            where = "".join(traceback.format_exception(error)[-3:])
            score = self._failure(transcript, whole, Outcome.HARNESS_ERROR, type(error).__name__, where)
        else:
            self.breaker.succeeded()
        return transcript, score, again and OUTCOMES[score.outcome].retried and not item.again

    def _found(self, item: WorkItem) -> tuple[WorkItem, Transcript | None]:
        """The item with the whole attempt that it goes on from, unless a power failure took that."""
        try:
            return item, read_transcript(self.store.path, item.kept) if item.kept else None
        except LostTranscriptError:
            return replace(item, kept=None), None

    def _keep_unjudged(self, item: WorkItem, transcript: Transcript) -> None:
        """Keep an attempt before its judges are asked, so that a kill loses nothing of it."""
        transcript.unjudged = "its judges had not been asked when the run ended"
        score = Score(None, Outcome.JUDGE_ERROR, NOT_JUDGED)
        self.store.append(make_row(item, transcript, score), transcript)
        transcript.unjudged = ""

    @staticmethod
    def _failure(transcript: Transcript, whole: bool, outcome: Outcome, reason: str, message: str) -> Score:
        """What a failure makes of an attempt; a whole one stays as it ended, and lacks its verdict alone."""
        if whole:
            transcript.unjudged = message
        else:
            transcript.outcome, transcript.reason, transcript.error = outcome, reason, message
        return Score(0.0 if outcome.valid else None, outcome, reason)

    def _keep(self, item: WorkItem, transcript: Transcript, score: Score, retry: bool) -> None:
        row = self.store.append(make_row(item, transcript, score), transcript)
        self.kept += score.outcome.valid
        self.budget.spend(row, item.kept)
        if retry:
            kept = row if row.unjudged else None
            self._retries.append(replace(item, tries=item.tries + 1, again=True, kept=kept))
        self.emit(AttemptFinished(row, retry))
        if self.breaker.open and self._fatal is None:
            self._fatal = self.breaker.error()
            self.stop(str(self._fatal), now=True)
        elif why := self.budget.exhausted():
            self.stop(why)


def make_row(item: WorkItem, transcript: Transcript, score: Score) -> AttemptRow:
    """The line of samples.jsonl for one attempt."""
    completions = [call.completion for call in transcript.calls]
    roles = list(dict.fromkeys(call.role for call in transcript.calls))
    last = transcript.last
    return AttemptRow(
        task=item.key.task,
        sample=item.key.sample,
        repeat=item.key.repeat,
        tries=item.tries,
        group=item.sample.group,
        **structs.asdict(score),
        prompt_tokens=sum(c.usage.prompt_tokens for c in completions),
        completion_tokens=sum(c.usage.completion_tokens for c in completions),
        cost=cost_of(transcript.calls),
        role_costs={role: cost_of(c for c in transcript.calls if c.role == role) for role in roles}
        if len(roles) > 1
        else {},
        seconds=round(sum(c.seconds for c in completions), 6),
        finish_reason=last.finish_reason if last else "",
        calls=len(completions),
        cached=sum(c.cached for c in completions),
        error=(transcript.unjudged or transcript.error)[:500],
        time=datetime.now(UTC).isoformat(),
        unjudged=bool(transcript.unjudged),
    )


def cost_of(calls: Iterable[Call]) -> float | None:
    """What calls cost in US dollars together, None if there are none or one of them has no price."""
    costs = [call.completion.cost for call in calls]
    known = [cost for cost in costs if cost is not None]
    return sum(known) if known and len(known) == len(costs) else None
