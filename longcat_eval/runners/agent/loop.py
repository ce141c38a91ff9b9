"""The agent loop: a model works in a sandbox until it submits, gives up, or a limit is reached.

The history is linear: system prompt, task, then each message of the model as it came, followed by what its
calls gave. A step is one message with all its calls, in order. The shape is that of mini-swe-agent 2
(`minisweagent/agents/default.py`, MIT) and R2E-Gym (Jain et al. 2025, arXiv 2504.07164); the words are ours.
"""

import time
from collections.abc import Sequence

from longcat_eval.protocols import AttemptContext, ModelError, Sandbox, SandboxError
from longcat_eval.records import Completion, Outcome, Wire
from longcat_eval.runners.agent import episode as ends
from longcat_eval.runners.agent.episode import Episode
from longcat_eval.runners.agent.faults import (
    CUT,
    EMPTY,
    NOT_AN_OBJECT,
    NOT_RUN,
    NOTHING_SAID,
    UNREADABLE,
    WHOLE_REPLIES,
    FormatError,
)
from longcat_eval.runners.agent.limits import AgentLimits
from longcat_eval.runners.agent.observation import Observation
from longcat_eval.runners.agent.profile import Profile
from longcat_eval.runners.participant import EMPTY_REPLY, UNREADABLE_TOOL_CALL, Participant, ReadCall, Said

KEPT_INPUT = 1_000
SANDBOX_ENDS = {"disk_budget": ends.DISK, "deadline": ends.WALL_CLOCK}
"""Failures of a sandbox that are the doing of what ran in it."""
GAVE_UP = {EMPTY: ends.EMPTY_REPLY, CUT: ends.LENGTH}


async def run_agent(
    ctx: AttemptContext,
    sandbox: Sandbox,
    profile: Profile,
    first: str,
    limits: AgentLimits,
    episode: Episode | None = None,
) -> Episode:
    """Run one episode; `first` is the task, as `profile.instance` words it.

    Whatever the model does ends in an `Episode`; the one given is filled as it goes, for who may cancel this.
    A `ModelError` that is not its doing passes through, and so does a `SandboxError`, unless the agent used
    up what the sandbox gives.
    """
    run = Run(ctx, sandbox, profile, first, limits, episode or Episode())
    outer, started = ctx.deadline, time.monotonic()
    if limits.seconds:
        ctx.deadline = min(started + limits.seconds, float("inf") if outer is None else outer)
    try:
        while not run.episode.end:
            run.episode.end = run.limit_reached() or await run.step()
    except SandboxError as error:
        if error.reason not in SANDBOX_ENDS:
            raise
        run.episode.end = SANDBOX_ENDS[error.reason]
    finally:
        ctx.deadline = outer
    run.episode.seconds = time.monotonic() - started
    return run.episode


class Run:
    """An episode under way. `faults` are the kinds of the latest useless replies, since the last good one."""

    def __init__(
        self,
        ctx: AttemptContext,
        sandbox: Sandbox,
        profile: Profile,
        first: str,
        limits: AgentLimits,
        episode: Episode,
    ) -> None:
        self.ctx, self.sandbox, self.profile, self.limits = ctx, sandbox, profile, limits
        opening: list[Wire] = [
            {"role": "system", "content": profile.system},
            {"role": "user", "content": first},
        ]
        self.agent = Participant("agent", opening, profile.tools)
        self.episode = episode
        self.faults: list[str] = []
        self._calls_before = self._calls_seen = len(ctx.transcript().calls)
        self._told_cost, self._priced = 0.0, True

    def limit_reached(self) -> str:
        """The limit that forbids another step, or ''."""
        episode, limits = self.episode, self.limits
        if episode.steps >= limits.steps:
            return ends.STEPS
        if limits.tokens and episode.tokens >= limits.tokens:
            return ends.TOKENS
        if limits.cost and self._told_cost >= limits.cost:
            return ends.COST
        return ends.WALL_CLOCK if self._seconds_left <= 0 else ""

    async def step(self) -> str:
        """One message and its calls; return the end it is, or ''."""
        self.agent.turn = self.episode.steps
        self.episode.steps += 1
        asked = time.monotonic()
        try:
            said = await self.agent.speak(self.ctx, self.ctx.seed(self.agent.turn), resamples=0)
        except ModelError as error:
            return self._without_reply(error)
        finally:
            self.episode.model_seconds += time.monotonic() - asked
            self._count()
        if self.profile.fenced:
            self._refuse(said.calls)
        try:
            calls = self.profile.read(said)
        except FormatError as fault:
            if said.finish_reason == "content_filter":
                return ends.REFUSED
            return self._useless(_kind(fault, said), str(fault))
        return await self._run_calls(said, calls)

    async def _run_calls(self, said: Said, calls: Sequence[ReadCall]) -> str:
        useless = []
        for call in calls:
            if self._seconds_left <= 0:
                return ends.WALL_CLOCK
            try:
                seen = await self._act(call)
            except FormatError as fault:
                useless.append(_kind(fault, said))
                self._show(call, self._correction(useless[-1], str(fault)))
                continue
            self._show(call, seen.text)
            if seen.submission is not None:
                self.episode.submission = seen.submission
                return ends.SUBMITTED
        if len(useless) < len(calls):
            self.faults.clear()
            return ""
        self.faults.append(useless[0])
        return self._given_up()

    async def _act(self, call: ReadCall) -> Observation:
        if call.arguments is None:
            raise FormatError(UNREADABLE, NOT_AN_OBJECT)
        limits = self.limits._replace(command_seconds=min(self.limits.command_seconds, self._seconds_left))
        started = time.monotonic()
        seen = await self.profile.act(self.sandbox, call.name, call.arguments, limits)
        self.episode.commands.append(
            {
                "step": self.episode.steps,
                "tool": call.name,
                "input": _input(call)[:KEPT_INPUT],
                "input_chars": len(_input(call)),
                "error": seen.error,
                "seconds": round(time.monotonic() - started, 3),
                "output_chars": len(seen.text),
                **seen.facts,
            }
        )
        return seen

    def _without_reply(self, error: ModelError) -> str:
        """What becomes of a request that brought no message to go on from."""
        if error.reason == "deadline" and self.ctx.deadline is not None:
            end = ends.WALL_CLOCK
        elif error.outcome is Outcome.LENGTH_LIMIT and error.reason == "context":
            end = ends.CONTEXT
        elif error.outcome is Outcome.REFUSED:
            end = ends.REFUSED
        elif error.reason == UNREADABLE_TOOL_CALL:
            end = self._unusable(UNREADABLE, error.completion)
        elif error.reason == EMPTY_REPLY:
            end = self._unusable(CUT if error.outcome is Outcome.LENGTH_LIMIT else EMPTY, error.completion)
        else:
            raise error
        self.episode.failure = error if end else None
        return end

    def _unusable(self, kind: str, reply: Completion | None) -> str:
        """Keep in the history what came instead of a message; servers want some words in it."""
        message: Wire = reply.message.wire() if reply else {"role": "assistant"}
        said = reply is not None and bool(reply.text.strip())
        self.agent.history.append(message if said else message | {"content": NOTHING_SAID})
        return self._useless(kind, WHOLE_REPLIES[kind])

    def _useless(self, kind: str, problem: str) -> str:
        """Tell the model about a reply without a call; return the end if it was one too many."""
        self.faults.append(kind)
        self.agent.hear(self._correction(kind, problem))
        return self._given_up()

    def _correction(self, kind: str, problem: str) -> str:
        """What a model is told about something useless, which is counted."""
        self.episode.format_errors += 1
        return f"{WHOLE_REPLIES[CUT] if kind == CUT else problem} {self.profile.how_to}"

    def _given_up(self) -> str:
        """The end that the latest useless replies are, or ''."""
        if len(self.faults) < self.limits.format_errors:
            return ""
        kind = self.faults[0] if len(set(self.faults)) == 1 else ""
        if kind == CUT and self._context_is_full():
            return ends.CONTEXT
        return GAVE_UP.get(kind, ends.FORMAT_ERRORS)

    def _context_is_full(self) -> bool:
        """Whether the replies had less room than the first one, because the history left them no more."""
        calls = self.ctx.transcript().calls[self._calls_before :]
        room = [call.request.get("max_tokens") or 0 for call in calls]
        return bool(room and room[-1] < room[0])

    def _show(self, call: ReadCall, text: str) -> None:
        if self.profile.fenced:
            self.agent.hear(text)
        else:
            self.agent.see(call, text)

    def _refuse(self, calls: Sequence[ReadCall]) -> None:
        """Answer calls of tools that were never offered: servers refuse a history with a call unanswered."""
        for call in calls:
            self.agent.see(call, NOT_RUN)

    def _count(self) -> None:
        """Add up what the newest replies took, unreadable ones too."""
        calls = self.ctx.transcript().calls
        for call in calls[self._calls_seen :]:
            self.episode.tokens += call.completion.usage.total
            self._priced &= call.completion.cost is not None
            self._told_cost += call.completion.cost or 0.0
        self._calls_seen = len(calls)
        self.episode.cost = self._told_cost if self._priced and calls else None

    @property
    def _seconds_left(self) -> float:
        return float("inf") if self.ctx.deadline is None else self.ctx.deadline - time.monotonic()


def _kind(fault: FormatError, said: Said) -> str:
    """What is wrong with a reply or a call: that it was cut off, if it was."""
    return CUT if said.finish_reason == "length" else fault.kind


def _input(call: ReadCall) -> str:
    """What a call was given: its one text, or all arguments as written."""
    values = list((call.arguments or {}).values())
    return values[0] if len(values) == 1 and isinstance(values[0], str) else call.written
