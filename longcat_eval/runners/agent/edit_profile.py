"""The profile `edit`: a shell, an editor, a search and `finish`; the work tree is what is handed in.

The shape of R2E-Gym (Jain et al. 2025, arXiv 2504.07164: four tools, 100 steps at most), on which the
LongCat-Flash-Thinking-2601 report stands; tools and prompts are our own. Its condensing of the history is not
here: the history stays whole, and what does not fit ends the episode with `context`.
"""

import posixpath
from collections.abc import Sequence
from typing import Any

import msgspec

from longcat_eval.protocols import Sandbox
from longcat_eval.records import Wire
from longcat_eval.runners.agent import faults, observation, prompts
from longcat_eval.runners.agent.editor import EDITOR, Editor
from longcat_eval.runners.agent.faults import NO_SUCH_TOOL, UNKNOWN_TOOL, FormatError
from longcat_eval.runners.agent.limits import AgentLimits
from longcat_eval.runners.agent.observation import Observation, describe
from longcat_eval.runners.agent.replies import NO_TOOL_CALL, tool_calls
from longcat_eval.runners.agent.search import SEARCH, search
from longcat_eval.runners.agent.shell import BASH, run_bash
from longcat_eval.runners.participant import ReadCall, Said

SYSTEM = """\
You are a software engineer at work on a Linux machine. You act through tools, and every reply calls at \
least one of them, after a sentence or two on what it is for: `search` finds code, `editor` shows and \
changes files, `bash` runs commands, `finish` hands in."""
HOW_TO = """\
Every reply must call one of the tools bash, editor, search or finish. If your work is done, call finish."""

FINISH: Wire = {
    "type": "function",
    "function": {
        "name": "finish",
        "description": "Hand in your work, which is the project's folder as it stands. This ends it.",
        "parameters": {"type": "object", "properties": {}},
    },
}


class EditProfile:
    """Four tools on a working directory; implements `profile.Profile`."""

    name = "edit"
    version = 1
    fenced = False
    tools: Sequence[Wire] = (BASH, EDITOR, SEARCH, FINISH)
    system, how_to = SYSTEM, HOW_TO
    limits = AgentLimits(steps=100)

    def __init__(self, workdir: str) -> None:
        self.workdir = posixpath.normpath(workdir)

    @property
    def texts(self) -> tuple[str, ...]:
        """Every text a model may see, less the words of single errors."""
        told = (NO_TOOL_CALL, *faults.TEXTS, *observation.TEXTS)
        first = self.instance("", "", "hints")
        return (self.system, first, self.how_to, msgspec.json.encode(self.tools).decode(), *told)

    def instance(self, problem: str, workdir: str, hints: str = "") -> str:
        """Return the first user message."""
        return prompts.instance(prompts.FINISH, problem, workdir, hints)

    def read(self, said: Said) -> Sequence[ReadCall]:
        """Return the calls of a reply."""
        return tool_calls(said)

    async def act(
        self, sandbox: Sandbox, name: str, arguments: dict[str, Any], limits: AgentLimits
    ) -> Observation:
        """Use one tool; what `finish` hands in is empty, because the work tree is the work."""
        match name:
            case "bash":
                result = await run_bash(sandbox, arguments, self.workdir, limits)
                return describe(result, limits.command_seconds, limits.output_chars)
            case "editor":
                return await Editor(sandbox, self.workdir, limits).act(arguments)
            case "search":
                return await search(sandbox, arguments, self.workdir, limits)
            case "finish":
                return Observation("", submission=b"")
        raise FormatError(UNKNOWN_TOOL, NO_SUCH_TOOL)
