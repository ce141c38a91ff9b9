"""The agent loop: a model works in a sandbox until it submits, gives up, or a limit is reached.

The history is linear: system prompt, task, then each message of the model as it came, followed by what its
calls gave. A step is one message with all its calls, in order. The shape is that of mini-swe-agent 2
(`minisweagent/agents/default.py`, MIT) and R2E-Gym (Jain et al. 2025, arXiv 2504.07164); the words are ours.
"""

import time
from collections.abc import Sequence

from longcat_eval.protocols import AttemptContext, ModelError, Sandbox, SandboxError
from longcat_eval.records import Completion, Wire
from longcat_eval.runners.agent import episode as ends
from longcat_eval.runners.agent.account import SANDBOX_ENDS, Account, read_failure
from longcat_eval.runners.agent.episode import Episode
from longcat_eval.runners.agent.faults import (
    CUT,
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
from longcat_eval.runners.participant import Participant, ReadCall, Said

KEPT_INPUT = 1_000


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
            run.episode.end = run.account.limit_reached() or await run.step()
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
        self.account = Account(ctx, episode, limits)

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
            self.account.count(asked)
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
            if self.account.seconds_left <= 0:
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
        return self.account.given_up(self.faults)

    async def _act(self, call: ReadCall) -> Observation:
        if call.arguments is None:
            raise FormatError(UNREADABLE, NOT_AN_OBJECT)
        limits = self.limits._replace(
            command_seconds=min(self.limits.command_seconds, self.account.seconds_left)
        )
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
        end, kind = read_failure(error, timed=self.ctx.deadline is not None)
        end = end or self._unusable(kind, error.completion)
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
        return self.account.given_up(self.faults)

    def _correction(self, kind: str, problem: str) -> str:
        """What a model is told about something useless, which is counted."""
        self.episode.format_errors += 1
        return f"{WHOLE_REPLIES[CUT] if kind == CUT else problem} {self.profile.how_to}"

    def _show(self, call: ReadCall, text: str) -> None:
        if self.profile.fenced:
            self.agent.hear(text)
        else:
            self.agent.see(call, text)

    def _refuse(self, calls: Sequence[ReadCall]) -> None:
        """Answer calls of tools that were never offered: servers refuse a history with a call unanswered."""
        for call in calls:
            self.agent.see(call, NOT_RUN)


def _kind(fault: FormatError, said: Said) -> str:
    """What is wrong with a reply or a call: that it was cut off, if it was."""
    return CUT if said.finish_reason == "length" else fault.kind


def _input(call: ReadCall) -> str:
    """What a call was given: its one text, or all arguments as written."""
    values = list((call.arguments or {}).values())
    return values[0] if len(values) == 1 and isinstance(values[0], str) else call.written
