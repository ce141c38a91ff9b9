"""The bash agent of `runners/agent` on a terminal task: each command in a shell of its own, no screen."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from longcat_eval.protocols import ExecResult, Sandbox
from longcat_eval.runners.agent import prompts
from longcat_eval.runners.agent.bash_profile import BashProfile
from longcat_eval.runners.agent.limits import AgentLimits
from longcat_eval.runners.agent.loop import run_agent
from longcat_eval.tasks.terminal.desk import Desk
from longcat_eval.tasks.terminal.work import Work

FINISH = f"echo {prompts.SUBMIT_LINE}"
REQUEST = """\
This is what is asked of you:

<task>
{task}
</task>

You work on a Linux machine that was set up for it. Tests that you do not see look at the state of the \
machine when you are done, so what counts is that state: files where the task wants them, services that run.

About the machine:
- Each command runs in a new shell that starts in {workdir}: files stay, and so do processes that you put in \
the background, but a change of folder or of variables does not. Join with && what belongs together.
- Nothing can be typed into a command that runs, so start nothing that asks or that opens an editor. A \
command that takes too long is stopped, and of a long output you see the beginning and the end.

When all is done, run this command, alone; it ends your work:

    {finish}
"""
HOW_TO = """\
Every reply must call the tool `bash` with the argument `command`. If your work is done, the command is: """
TEXT_HOW_TO = """\
Every reply must hold exactly one block, like this one:

{example}

If your work is done, its command is: {finish}"""
START_FOLDER = "the folder it was set up with"


class TerminalBash(BashProfile):
    """The bash profile with the words of a task instead of a repository's."""

    version = 1
    limits = AgentLimits(seconds=0.0)

    def __init__(self, *, fenced: bool = False) -> None:
        super().__init__("", fenced=fenced)
        text = TEXT_HOW_TO.format(example=prompts.FENCE_EXAMPLE, finish=FINISH)
        self.how_to = text if fenced else HOW_TO + FINISH

    def instance(self, problem: str, workdir: str, hints: str = "") -> str:
        """Return the first user message."""
        return REQUEST.format(task=problem.strip(), workdir=workdir or START_FOLDER, finish=FINISH)


@dataclass
class At:
    """A sandbox seen by one user in one folder: as much of it as the bash tool uses."""

    sandbox: Sandbox
    desk: Desk

    async def exec(
        self,
        command: str,
        *,
        timeout: float,
        user: str | None = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> ExecResult:
        """Run a command as the desk's user, in its folder."""
        user, cwd = user or self.desk.user or None, cwd or self.desk.workdir or None
        return await self.sandbox.exec(
            command, timeout=timeout, user=user, cwd=cwd, env={**self.desk.env, **(env or {})}
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sandbox, name)


class BashAgent:
    """Implements `agents.TerminalAgent` with the agent loop of `runners/agent`."""

    def __init__(self, *, fenced: bool = False) -> None:
        self._profile = TerminalBash(fenced=fenced)
        self.name, self.version = self._profile.name, str(self._profile.version)
        self.tools, self.texts, self.limits = self._profile.tools, self._profile.texts, self._profile.limits

    def opening(self, instruction: str) -> list[dict[str, Any]]:
        """The messages before the first reply."""
        first = self._profile.instance(instruction, "")
        return [{"role": "system", "content": self._profile.system}, {"role": "user", "content": first}]

    async def do(self, work: Work) -> None:
        """Run the loop until the agent says that it is done."""
        first = self._profile.instance(work.step.instruction, work.desk.workdir)
        sandbox: Any = At(work.desk.sandbox, work.desk)
        await run_agent(work.ctx, sandbox, self._profile, first, work.limits, work.episode)
