"""Terminus 1: as Terminus 2, but commands may be waited for, and the first claim that all is done ends it.

The protocol of terminal-bench 0.2.18 (`agents/terminus_1.py`, Apache-2.0): the visible screen is all that is
seen; a reply that cannot be read is asked for again with the same words, three times in all; a reply that is
cut off, and a history too long for the model, end it. What differs: keys that are not waited for get
`SETTLE_SECONDS` to show, where the original's own slowness gave them some, and a shell that is gone ends it.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from longcat_eval.protocols import AttemptContext, ModelError, SandboxError
from longcat_eval.runners.agent import episode as ends
from longcat_eval.runners.agent.account import SANDBOX_ENDS, Account, read_failure
from longcat_eval.runners.agent.deadline import Deadline
from longcat_eval.runners.agent.episode import Episode
from longcat_eval.runners.agent.faults import EMPTY, UNREADABLE
from longcat_eval.runners.agent.limits import AgentLimits
from longcat_eval.runners.agent.terminus.answer import Answer, Command
from longcat_eval.runners.agent.terminus.conversation import Conversation
from longcat_eval.runners.agent.terminus.note import note
from longcat_eval.runners.agent.terminus.prompts1 import Prompts1, command_words
from longcat_eval.runners.agent.terminus.terminus1_answer import read_terminus1
from longcat_eval.runners.terminal.session import Terminal

SETTLE_SECONDS = 0.1
LONGEST_WAIT = 7 * 24 * 3600.0
NEVER_WAITED_FOR = ("EOF", "&")
"""At the end of keys: a document that goes on, and a command in the background."""


@dataclass(frozen=True, kw_only=True)
class Terminus1Settings:
    """How a Terminus 1 works; `constrained` asks the server to hold replies to the schema.

    The original does so where its client library says that a server can; many cannot.
    """

    prompts: Prompts1
    constrained: bool = False


async def run_terminus1(
    ctx: AttemptContext,
    terminal: Terminal,
    instruction: str,
    *,
    settings: Terminus1Settings,
    limits: AgentLimits,
    deadline: Deadline,
    episode: Episode,
) -> None:
    """Run one episode into `episode`, as `run_terminus2` does; `limits.steps` counts turns and not tries."""
    run = Run(ctx, terminal, settings, limits, deadline, episode)
    try:
        shown = await run.screen()
        run.prompt = settings.prompts.opening(instruction, shown)
        while not episode.end:
            episode.end = run.limit_reached() or await run.step()
    except SandboxError as error:
        if error.reason not in SANDBOX_ENDS:
            raise
        episode.end = SANDBOX_ENDS[error.reason]


class Run:
    """An episode under way: `prompt` is what is said next, `turns` those whose reply could be read."""

    def __init__(
        self,
        ctx: AttemptContext,
        terminal: Terminal,
        settings: Terminus1Settings,
        limits: AgentLimits,
        deadline: Deadline,
        episode: Episode,
    ) -> None:
        self.ctx, self.terminal, self.prompts = ctx, terminal, settings.prompts
        self.limits, self.deadline, self.episode = limits, deadline, episode
        tries = limits.steps * max(1, limits.format_errors)
        self.account = Account(ctx, episode, limits._replace(steps=tries))
        self.talk = Conversation(ctx, self.account, 0, merged=False)
        self.overrides = response_format(self.prompts.schema) if settings.constrained else {}
        self.prompt = ""
        self.faults: list[str] = []
        self.turns = 0

    def limit_reached(self) -> str:
        """The limit that forbids another turn, or ''."""
        return ends.STEPS if self.turns >= self.limits.steps else self.account.limit_reached()

    async def screen(self) -> str:
        """What is seen of the terminal."""
        shown = await self.terminal.screen()
        return shown if self.prompts.plain else shown.rstrip()

    async def step(self) -> str:
        """One reply and what it asks for; return the end it is, or ''."""
        self.episode.steps += 1
        try:
            reply = await self.talk.ask(self.prompt, **self.overrides)
        except ModelError as error:
            end, kind = read_failure(error, timed=self.ctx.deadline is not None)
            self.episode.failure = error if end else None
            return end or self._useless(kind)
        if reply.finish_reason == "length":
            return ends.LENGTH
        self.talk.keep(self.prompt, reply.text, reply.usage)
        answer = read_terminus1(reply.text)
        if answer.error:
            refused = reply.finish_reason == "content_filter"
            return ends.REFUSED if refused else self._useless(UNREADABLE if reply.text.strip() else EMPTY)
        self.faults.clear()
        self.turns += 1
        return await self._do(answer)

    def _useless(self, kind: str) -> str:
        self.episode.format_errors += 1
        self.faults.append(kind)
        return self.account.given_up(self.faults)

    async def _do(self, answer: Answer) -> str:
        late = None
        for command in answer.commands:
            if self.account.seconds_left <= 0:
                return ends.WALL_CLOCK
            if not await self._type(command):
                late = command
                break
        shown = await self.screen()
        if answer.commands:
            self.episode.commands[-1]["output_chars"] = len(shown)
        if answer.complete:
            return ends.SUBMITTED
        if not await self.terminal.alive():
            return ends.TERMINAL_GONE
        self.prompt = shown if late is None else self._timed_out(late, shown)
        return ""

    def _timed_out(self, command: Command, shown: str) -> str:
        words = command_words(command) if self.prompts.plain else command.keystrokes.rstrip("\r\n")
        return self.prompts.timed_out.format(
            timeout_sec=command.seconds if self.prompts.plain else f"{command.seconds:g}",
            command=words,
            terminal_state=shown,
        )

    async def _type(self, command: Command) -> bool:
        """Type, and wait for what is to be waited for; False if that took too long."""
        began, ended = time.monotonic(), True
        keys = command.keystrokes
        line = keys.rstrip("\r\n")
        if command.blocking and line and line != keys and not keys.strip().endswith(NEVER_WAITED_FOR):
            patience = command.seconds if command.seconds > 0 else 0.0
            left = min(self.deadline.left, self.account.seconds_left, LONGEST_WAIT)
            ended = await self.terminal.run(line, max(0.0, min(patience, left)))
        elif keys:
            await self.terminal.send([keys])
            await asyncio.sleep(SETTLE_SECONDS)
        note(
            self.episode, "terminal", keys, time.monotonic() - began, **({} if ended else {"timed_out": True})
        )
        return ended


def response_format(schema: str) -> Mapping[str, Any]:
    """The request field that holds a server's replies to a JSON schema."""
    import msgspec

    named = {"name": "answer", "schema": msgspec.json.decode(schema), "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": named}}
