"""Who works on a task, by name: Terminus in its versions, the bash agent, and the two without a model."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

from longcat_eval.errors import UsageError
from longcat_eval.records import Wire
from longcat_eval.runners.agent.limits import AgentLimits
from longcat_eval.tasks.terminal.bash_agent import BashAgent
from longcat_eval.tasks.terminal.reference_agents import EmptyAgent, OracleAgent
from longcat_eval.tasks.terminal.terminus_agents import Terminus1, Terminus2
from longcat_eval.tasks.terminal.work import Work

WITHOUT_MODEL = ("oracle", "empty")


class TerminalAgent(Protocol):
    """An agent; `version` goes up with what a model sees, `texts` are all it may be told."""

    name: str
    version: str
    tools: Sequence[Wire]
    texts: tuple[str, ...]
    limits: AgentLimits

    def opening(self, instruction: str) -> Sequence[Wire]:
        """The messages before the first reply, for estimates; none where no model is asked."""
        ...

    async def do(self, work: Work) -> None:
        """Do one step; the deadline may cancel this at any point.

        A `ModelError` that is not the model's doing passes through, and so does a `SandboxError` that is not
        the agent's.
        """
        ...


PROMPTED: Mapping[str, Callable[[str], TerminalAgent]] = {
    "terminus-2": partial(Terminus2, "json"),
    "terminus-2-xml": partial(Terminus2, "xml"),
    "terminus-1": Terminus1,
}
"""Agents with a choice of prompts, made for a source of them (own or installed)."""
OTHERS: Mapping[str, Callable[[], TerminalAgent]] = {
    "bash": BashAgent,
    "bash-text": partial(BashAgent, fenced=True),
    "oracle": OracleAgent,
    "empty": EmptyAgent,
}
AGENTS = (*PROMPTED, *OTHERS)
DEFAULT = AGENTS[0]


def make_agent(name: str, prompts: str = "own") -> TerminalAgent:
    """The agent of that name.

    Raises `UsageError` where it has no such prompts, `EnvironmentUnusableError` where they are not installed.
    """
    if name in PROMPTED:
        return PROMPTED[name](prompts)
    if prompts != "own" and name not in WITHOUT_MODEL:
        raise UsageError(
            f"--prompt-source {prompts}: only {', '.join(PROMPTED)} have other prompts than ours"
        )
    return OTHERS[name]()
