"""A Terminus agent from a script at a terminal made of lists."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from agent_play import Said, ScriptedAgent, context

from longcat_eval.protocols import ModelError
from longcat_eval.records import Completion, Message, Outcome, Usage
from longcat_eval.runners.agent.deadline import Deadline
from longcat_eval.runners.agent.episode import Episode
from longcat_eval.runners.agent.limits import AgentLimits
from longcat_eval.runners.agent.terminus.loop1 import Terminus1Settings, run_terminus1
from longcat_eval.runners.agent.terminus.loop2 import run_terminus2
from longcat_eval.runners.agent.terminus.own_prompts import own_prompts
from longcat_eval.runners.agent.terminus.prompts import Prompts
from longcat_eval.runners.agent.terminus.prompts1 import Prompts1, own_prompts1
from longcat_eval.runners.agent.terminus.settings import TERMINUS1_LIMITS, TERMINUS2_LIMITS, TerminusSettings
from longcat_eval.runners.context import Context

ROWS = 40
TASK = "Count to {three}."
OVERFLOW = ModelError(Outcome.LENGTH_LIMIT, "context", "maximum context length is 8192 tokens")


class ListTerminal:
    """Echoes what is typed; `answers` makes what a whole line prints. `exit` ends it, `raises` comes once."""

    kind = "list"

    def __init__(self, answers: Callable[[str], str] = lambda line: "", ended: bool = True) -> None:
        self.text, self.answers, self.ended = "$", answers, ended
        self.sent: list[str] = []
        self.ran: list[tuple[str, float]] = []
        self.gone = False
        self.raises: Exception | None = None

    def _type(self, keys: str) -> None:
        if self.raises is not None:
            raise self.raises
        if self.gone:
            return
        line = keys.rstrip("\n")
        self.text += f" {line}\n"
        if line == "exit":
            self.gone = True
        elif answer := self.answers(line):
            self.text += f"{answer}\n"
        self.text += "$"

    async def send(self, keys: Sequence[str]) -> None:
        (one,) = keys
        self.sent.append(one)
        self._type(one)

    async def screen(self) -> str:
        lines = self.text.split("\n")[-ROWS:]
        return "\n".join([*lines, *[""] * (ROWS - len(lines))]) + "\n"

    async def history(self) -> str:
        lines = self.text.split("\n")
        return "\n".join([*lines, *[""] * (ROWS - len(lines))]) + "\n"

    async def run(self, command: str, timeout: float) -> bool:
        self.ran.append((command, timeout))
        self._type(command)
        return self.ended

    async def alive(self) -> bool:
        return not self.gone

    async def freeze(self) -> None:
        self.gone = True

    async def end_foreground(self) -> bool:
        return True

    async def close(self) -> None:
        self.gone = True


def types(*keys: str, done: bool = False, seconds: float = 0.0, **more: Any) -> str:
    """A reply in JSON that types."""
    commands = [{"keystrokes": one, "duration": seconds} for one in keys]
    return json.dumps({"analysis": "a", "plan": "p", "commands": commands, "task_complete": done, **more})


def tags(*keys: str, done: bool = False, seconds: float = 0.0) -> str:
    """The same in tags."""
    commands = "\n".join(f'<keystrokes duration="{seconds}">{one}</keystrokes>' for one in keys)
    said = "true" if done else "false"
    return (
        "<response>\n<analysis>a</analysis>\n<plan>p</plan>\n"
        f"<commands>\n{commands}\n</commands>\n<task_complete>{said}</task_complete>\n</response>"
    )


def types1(*keys: str, done: bool = False, blocking: bool = True, seconds: float = 5.0) -> str:
    """A reply of Terminus 1 that types."""
    commands = [{"keystrokes": one, "is_blocking": blocking, "timeout_sec": seconds} for one in keys]
    said = {"state_analysis": "s", "explanation": "e", "commands": commands, "is_task_complete": done}
    return json.dumps(said)


DONE, TAGS_DONE = types(done=True), tags(done=True)


def cut(text: str) -> Completion:
    """A reply that reached its length limit."""
    return Completion(Message("assistant", text), "length", Usage(100, 1000), cost=0.25)


def sized(text: str, prompt: int, completion: int = 10) -> Completion:
    """A reply whose request was so many tokens long, as the server says."""
    return Completion(Message("assistant", text), "stop", Usage(prompt, completion), cost=0.25)


class Played:
    """An episode with all that took part."""

    def __init__(self, episode: Episode, agent: ScriptedAgent, terminal: ListTerminal, ctx: Context) -> None:
        self.episode, self.agent, self.terminal, self.ctx = episode, agent, terminal, ctx

    def prompt(self, request: int = -1) -> str:
        """The last message of a request."""
        text: str = self.agent.history(request)[-1]["content"]
        return text

    @property
    def roles(self) -> list[str]:
        """The roles of the last request, by their first letters."""
        return [message["role"][0] for message in self.agent.history()]


async def play2(
    *lines: Said,
    terminal: ListTerminal | None = None,
    prompts: Prompts | str = "json",
    seconds: float = 60.0,
    context_length: int | None = None,
    limits: AgentLimits = TERMINUS2_LIMITS,
    **settings: Any,
) -> Played:
    """An episode of Terminus 2."""
    agent, terminal, episode = ScriptedAgent(lines), terminal or ListTerminal(), Episode()
    ctx, deadline = context(agent, context_length=context_length), Deadline(seconds)
    chosen = own_prompts(prompts) if isinstance(prompts, str) else prompts
    async with deadline.enforced(ctx):
        await run_terminus2(
            ctx,
            terminal,
            TASK,
            settings=TerminusSettings(prompts=chosen, **settings),
            limits=limits,
            deadline=deadline,
            episode=episode,
        )
    if deadline.expired:
        episode.end = "wall_clock"
    return Played(episode, agent, terminal, ctx)


async def play1(
    *lines: Said,
    terminal: ListTerminal | None = None,
    prompts: Prompts1 | None = None,
    seconds: float = 60.0,
    limits: AgentLimits = TERMINUS1_LIMITS,
    constrained: bool = False,
) -> Played:
    """An episode of Terminus 1."""
    agent, terminal, episode = ScriptedAgent(lines), terminal or ListTerminal(), Episode()
    ctx, deadline = context(agent), Deadline(seconds)
    async with deadline.enforced(ctx):
        await run_terminus1(
            ctx,
            terminal,
            TASK,
            settings=Terminus1Settings(prompts=prompts or own_prompts1(), constrained=constrained),
            limits=limits,
            deadline=deadline,
            episode=episode,
        )
    if deadline.expired:
        episode.end = "wall_clock"
    return Played(episode, agent, terminal, ctx)


def plain(prompts: Prompts) -> Prompts:
    """Our own words, sent as installed ones are."""
    return replace(prompts, plain=True)


async def hang(request: Any) -> str:
    """A server that does not answer."""
    await asyncio.sleep(60)
    return ""
