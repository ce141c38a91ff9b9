"""The profiles `bash` and `bash-text`: a shell and nothing else, handed in by a line that it prints.

The protocol of mini-swe-agent 2 (SWE-agent/mini-swe-agent, MIT), so that results stand beside those of the
public bash-only board: one tool `bash(command)`, each command in a fresh shell in the working directory; an
output whose first line is the sentinel, with exit code 0, hands in the rest of it as the patch. 250 steps and
60 s a command are its limits too; there is none on dollars. Prompts and observations are our own.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from longcat_eval.protocols import ExecResult, Sandbox
from longcat_eval.records import Wire
from longcat_eval.runners.agent import faults, observation, prompts
from longcat_eval.runners.agent.faults import NO_SUCH_TOOL, UNKNOWN_TOOL, FormatError
from longcat_eval.runners.agent.limits import AgentLimits
from longcat_eval.runners.agent.observation import Observation, describe
from longcat_eval.runners.agent.replies import NO_TOOL_CALL, NOT_ONE_BLOCK, fenced_command, tool_calls
from longcat_eval.runners.agent.shell import BASH, run_bash
from longcat_eval.runners.participant import ReadCall, Said

SYSTEM = """\
You are a software engineer at work in the shell of a Linux machine. You act through one tool, `bash`: every \
reply calls it at least once, after a sentence or two on what the command is for."""
HOW_TO = f"""\
Every reply must call the tool `bash` with the argument `command`. If your work is done, the command is: \
{prompts.SUBMIT_COMMAND}"""

TEXT_SYSTEM = f"""\
You are a software engineer at work in the shell of a Linux machine. Every reply is a sentence or two on \
what you want to do, and then exactly one command for the shell, in a block like this one:

{prompts.FENCE_EXAMPLE}

You are then shown its exit code and what it printed. A block may have several lines. If one of them begins \
with three backticks, open and close the block with four."""
TEXT_HOW_TO = f"""\
Every reply must hold exactly one block, like this one:

{prompts.FENCE_EXAMPLE}

If your work is done, its command is: {prompts.SUBMIT_COMMAND}"""


class BashProfile:
    """A shell in `workdir`; `fenced` for endpoints without tool calls. Implements `profile.Profile`."""

    version = 1
    limits = AgentLimits()

    def __init__(self, workdir: str, *, fenced: bool = False) -> None:
        self.workdir, self.fenced = workdir, fenced
        self.name = "bash-text" if fenced else "bash"
        self.tools: Sequence[Wire] = () if fenced else (BASH,)
        self.system, self.how_to = (TEXT_SYSTEM, TEXT_HOW_TO) if fenced else (SYSTEM, HOW_TO)

    @property
    def texts(self) -> tuple[str, ...]:
        """Every text a model may see."""
        told = (NO_TOOL_CALL, NOT_ONE_BLOCK, *faults.TEXTS, *observation.TEXTS)
        first = self.instance("", "", "hints")
        return (self.system, first, self.how_to, msgspec.json.encode(self.tools).decode(), *told)

    def instance(self, problem: str, workdir: str, hints: str = "") -> str:
        """Return the first user message."""
        return prompts.instance(prompts.SUBMIT, problem, workdir, hints)

    def read(self, said: Said) -> Sequence[ReadCall]:
        """Return the calls of a reply; a fenced one has exactly one."""
        return fenced_command(said) if self.fenced else tool_calls(said)

    async def act(
        self, sandbox: Sandbox, name: str, arguments: dict[str, Any], limits: AgentLimits
    ) -> Observation:
        """Run one command, and see whether it hands in."""
        if name != "bash":
            raise FormatError(UNKNOWN_TOOL, NO_SUCH_TOOL)
        result = await run_bash(sandbox, arguments, self.workdir, limits)
        seen = describe(result, limits.command_seconds, limits.output_chars)
        return seen._replace(submission=submission_of(result))


def submission_of(result: ExecResult) -> bytes | None:
    """Return what a command handed in, None if it did not.

    Nothing (`b""`) where the sandbox kept only the two ends of it: the work tree has the whole.
    """
    first, _, rest = result.output.lstrip().partition(b"\n")
    if result.exit_code != 0 or first.strip() != prompts.SUBMIT_LINE.encode():
        return None
    return b"" if result.truncated_bytes else rest
