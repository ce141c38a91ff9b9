"""The profiles of the agent loop: what the model is told, which tools it has, and what they do."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from longcat_eval.protocols import Sandbox
from longcat_eval.records import Wire
from longcat_eval.runners.agent.bash_profile import BashProfile
from longcat_eval.runners.agent.edit_profile import EditProfile
from longcat_eval.runners.agent.limits import AgentLimits
from longcat_eval.runners.agent.observation import Observation
from longcat_eval.runners.participant import ReadCall, Said

__all__ = ["PROFILES", "Observation", "Profile"]


class Profile(Protocol):
    """One way of working; `version` goes up with every change of what a model sees or what a tool does.

    `tools` are declared to the model as OpenAI functions. A `fenced` profile has none: its commands stand in
    the text of the replies, and what they gave comes back as user messages. `how_to` is what a model is told
    after a useless reply. `limits` are those of its protocol.
    """

    name: str
    version: int
    fenced: bool
    tools: Sequence[Wire]
    system: str
    how_to: str
    limits: AgentLimits

    @property
    def texts(self) -> tuple[str, ...]:
        """Every prompt text, for the prompt hash."""
        ...

    def instance(self, problem: str, workdir: str, hints: str = "") -> str:
        """Return the first user message: the task, the machine, and how to hand in."""
        ...

    def read(self, said: Said) -> Sequence[ReadCall]:
        """Return the calls of a reply, at least one; raises `FormatError`."""
        ...

    async def act(
        self, sandbox: Sandbox, name: str, arguments: dict[str, Any], limits: AgentLimits
    ) -> Observation:
        """Do what one call asks for.

        Raises `FormatError` for a call that means nothing, and `SandboxError`.
        """
        ...


PROFILES: Mapping[str, Callable[[str], Profile]] = {
    "bash": BashProfile,
    "bash-text": partial(BashProfile, fenced=True),
    "edit": EditProfile,
}
"""By name, made for a working directory."""
