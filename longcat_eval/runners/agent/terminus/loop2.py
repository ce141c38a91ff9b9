"""Terminus 2: a model types into a terminal, waits, looks, and says twice that it is done.

The protocol of terminal-bench 0.2.18 and harbor 0.24.0 (`agents/terminus_2/terminus_2.py`, Apache-2.0),
beside whose results these may stand with installed prompts. Where the two differ this is harbor, and where
either loses a trial this goes on:

- what was salvaged of a cut-off reply is in the history (the originals leave it out, harbor then fails);
- a hand-off that loses the question whether the task is done makes the next claim the first again;
- after an overflow the history is shortened by one pair of messages at least, also where the model's context
  is unknown, and hand-offs are bounded in number;
- a reply without words, or refused, counts or ends as in the agent loop of this house.
"""

import asyncio
import time

from longcat_eval.protocols import AttemptContext, ModelError, SandboxError
from longcat_eval.records import Completion, Usage
from longcat_eval.runners.agent import episode as ends
from longcat_eval.runners.agent.account import SANDBOX_ENDS, Account, is_overflow, read_failure
from longcat_eval.runners.agent.deadline import Deadline
from longcat_eval.runners.agent.episode import Episode
from longcat_eval.runners.agent.faults import CUT, EMPTY, UNREADABLE
from longcat_eval.runners.agent.limits import AgentLimits
from longcat_eval.runners.agent.terminus.answer import Answer, Command
from longcat_eval.runners.agent.terminus.conversation import Conversation
from longcat_eval.runners.agent.terminus.hand_off import (
    NothingSaidError,
    forget,
    hand_off,
    short_hand_off,
)
from longcat_eval.runners.agent.terminus.note import note
from longcat_eval.runners.agent.terminus.settings import TerminusSettings
from longcat_eval.runners.agent.terminus.view import View
from longcat_eval.runners.terminal.session import Terminal


async def run_terminus2(
    ctx: AttemptContext,
    terminal: Terminal,
    instruction: str,
    *,
    settings: TerminusSettings,
    limits: AgentLimits,
    deadline: Deadline,
    episode: Episode,
) -> None:
    """Run one episode into `episode`, which is right whenever this is cancelled; `deadline` is under way.

    `limits.command_seconds` bounds a wait, `limits.output_chars` an observation, in bytes. A `ModelError`
    that is not the model's doing passes through, and so does a `SandboxError` unless the agent used up what
    the sandbox gives.
    """
    run = Run(ctx, terminal, instruction, settings, limits, deadline, episode)
    try:
        while not episode.end:
            episode.end = run.account.limit_reached() or await run.step()
    except EpisodeOverError as over:
        episode.end, episode.failure = over.end, over.failure
    except SandboxError as error:
        if error.reason not in SANDBOX_ENDS:
            raise
        episode.end = SANDBOX_ENDS[error.reason]


class EpisodeOverError(Exception):
    """The end of an episode, from wherever it is noticed."""

    def __init__(self, end: str, failure: ModelError | None = None) -> None:
        super().__init__(end)
        self.end, self.failure = end, failure


class Run:
    """An episode under way: `prompt` is what is said next, '' at the start.

    `faults` are the kinds of the latest useless replies, since the last good one; `claimed`: the model has
    said that the task is done.
    """

    def __init__(
        self,
        ctx: AttemptContext,
        terminal: Terminal,
        instruction: str,
        settings: TerminusSettings,
        limits: AgentLimits,
        deadline: Deadline,
        episode: Episode,
    ) -> None:
        self.ctx, self.terminal, self.instruction, self.settings = ctx, terminal, instruction, settings
        self.limits, self.deadline, self.episode = limits, deadline, episode
        self.prompts = settings.prompts
        self.account = Account(ctx, episode, limits)
        self.talk = Conversation(ctx, self.account, settings.context_limit, merged=not self.prompts.plain)
        self.view = View(terminal, self.prompts, limits.output_chars)
        self.prompt = ""
        self.faults: list[str] = []
        self.claimed, self.handed_over = False, 0

    async def step(self) -> str:
        """One reply and what it asks for; return the end it is, or ''."""
        if not await self.terminal.alive():
            return ends.TERMINAL_GONE
        if not self.prompt:
            shown = await self.view.look()
            self.prompt = self.prompts.first.format(instruction=self.instruction, terminal_state=shown)
        await self._hand_off_in_time()
        self.episode.steps += 1
        try:
            reply = await self._reply()
        except ModelError as error:
            end, kind = read_failure(error, timed=self.ctx.deadline is not None)
            if end:
                raise EpisodeOverError(end, error) from None
            bad = error.completion
            self.talk.keep(self.prompt, bad.text if bad else "", bad.usage if bad else Usage())
            return self._useless(kind, self.prompts.grammar.read(""))
        return await self._take(reply)

    async def _take(self, reply: Completion) -> str:
        said = reply.text
        if reply.finish_reason == "length":
            said = self.prompts.grammar.salvage(reply.text)
            if not said:
                self.talk.keep(self.prompt, reply.text, reply.usage)
                return self._useless(CUT, self.prompts.grammar.read(reply.text))
        self.talk.keep(self.prompt, said, reply.usage)
        answer = self.prompts.grammar.read(said)
        if not answer.error:
            self.faults.clear()
            return await self._do(answer)
        if reply.finish_reason == "content_filter":
            return ends.REFUSED
        return self._useless(UNREADABLE if said.strip() else EMPTY, answer)

    def _useless(self, kind: str, answer: Answer) -> str:
        """Say what is wrong with a reply; return the end if it was one too many."""
        self.episode.format_errors += 1
        self.faults.append(kind)
        if kind == CUT:
            remarks = "- " + "\n- ".join(answer.warnings)
            self.prompt = self.prompts.truncated
            if answer.warnings:
                self.prompt += self.prompts.truncated_warnings.format(warnings=remarks)
        else:
            self.prompt = self.prompts.unreadable.format(feedback=self.prompts.feedback(answer))
        return self.account.given_up(self.faults)

    async def _do(self, answer: Answer) -> str:
        for command in answer.commands:
            if self.account.seconds_left <= 0:
                return ends.WALL_CLOCK
            await self._type(command)
        shown = await self.view.look()
        if answer.commands:
            self.episode.commands[-1]["output_chars"] = len(shown)
        if answer.complete and self.claimed:
            return ends.SUBMITTED
        self.claimed = answer.complete
        if answer.complete:
            self.prompt = self.prompts.confirm.format(terminal_state=shown)
            return ""
        shown = self.view.limited(shown) if self.prompts.plain else shown
        feedback = self.prompts.feedback(answer)
        self.prompt = (
            self.prompts.warned.format(feedback=feedback, terminal_state=shown) if feedback else shown
        )
        return ""

    async def _type(self, command: Command) -> None:
        """Type and wait; a duration that is no number of seconds to wait is none."""
        began = time.monotonic()
        if command.keystrokes:
            await self.terminal.send([command.keystrokes])
        seconds = min(command.seconds, self.limits.command_seconds) if command.seconds > 0 else 0.0
        note(self.episode, "terminal", command.keystrokes, seconds)
        rest = seconds - (time.monotonic() - began)
        await asyncio.sleep(max(0.0, min(rest, self.deadline.left, self.account.seconds_left)))

    async def _reply(self) -> Completion:
        """Ask, handing over as often as the history is too long for the server; raises `ModelError`."""
        again = False
        while True:
            try:
                return await self.talk.ask(self.prompt)
            except ModelError as error:
                if not is_overflow(error):
                    raise
                if len(self.talk.messages) <= 1:
                    raise  # nothing is left to hand over
                overflow = error
            await self._make_room(overflow, again=again)
            again = True

    async def _hand_off_in_time(self) -> None:
        """Hand over before the history is too long; if that fails, it may yet do."""
        talk = self.talk
        free = min(self.settings.free_tokens, talk.limit // 4)
        if not talk.messages or not free or not talk.is_short_of(free, self.prompt):
            return
        if (prompt := await self._hand_over("full")) is not None:
            self.prompt, self.claimed = prompt, False

    async def _make_room(self, overflow: ModelError, *, again: bool) -> None:
        """After an overflow: the history is unwound and handed over in the first way that works."""
        self.talk.unwind(self.prompt, self.settings.unwound_tokens)
        full = None if again else await self._hand_over("full", overflow)
        if full is not None:
            self.claimed &= "{prompt}" in self.prompts.with_pending
            self.prompt = self.prompts.with_pending.format(hand_over=full, prompt=self.prompt)
            return
        short = await self._hand_over("short", overflow)
        if short is None:
            short = await self._hand_over("none", overflow)
        self.prompt, self.claimed = short or "", False

    async def _hand_over(self, way: str, overflow: ModelError | None = None) -> str | None:
        """Hand over in one way; None if the model could not."""
        if way == "full" and self.handed_over >= self.settings.hand_offs:
            raise EpisodeOverError(ends.CONTEXT, overflow)
        self.handed_over += way == "full"
        began = time.monotonic()
        ways = {"full": hand_off, "short": short_hand_off, "none": forget}
        prompt: str | None
        try:
            screen = await self.view.screen()
            prompt = await ways[way](self.talk, self.prompts, self.instruction, screen)
        except NothingSaidError:
            prompt = None
        except ModelError as error:
            end, _ = read_failure(error, timed=self.ctx.deadline is not None)
            if end == ends.WALL_CLOCK:
                raise EpisodeOverError(end, error) from None
            prompt = None
        seconds = time.monotonic() - began
        note(self.episode, "hand_off", way, seconds, error=prompt is None, output_chars=len(prompt or ""))
        return prompt
