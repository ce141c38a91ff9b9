"""The Terminus agents on a terminal task: the loops of `runners/agent/terminus` at a desk's terminal."""

from collections.abc import Sequence
from typing import Literal

from longcat_eval.records import Wire
from longcat_eval.runners.agent.terminus.conversation import user
from longcat_eval.runners.agent.terminus.installed_prompts import installed_prompts, installed_prompts1
from longcat_eval.runners.agent.terminus.loop1 import Terminus1Settings, run_terminus1
from longcat_eval.runners.agent.terminus.loop2 import run_terminus2
from longcat_eval.runners.agent.terminus.own_prompts import own_prompts
from longcat_eval.runners.agent.terminus.prompts1 import own_prompts1
from longcat_eval.runners.agent.terminus.settings import (
    TERMINUS1_LIMITS,
    TERMINUS2_LIMITS,
    TerminusSettings,
)
from longcat_eval.tasks.terminal.work import Work

OWN = "own"


class Terminus2:
    """Terminus 2 in one grammar, in the words of a source; implements `agents.TerminalAgent`.

    Raises `UsageError` and `EnvironmentUnusableError` for words that are not at hand.
    """

    tools: Sequence[Wire] = ()
    limits = TERMINUS2_LIMITS

    def __init__(self, grammar: Literal["json", "xml"], source: str) -> None:
        prompts = own_prompts(grammar) if source == OWN else installed_prompts(grammar, source)
        self._settings = TerminusSettings(prompts=prompts)
        self.name = "terminus-2" if grammar == "json" else "terminus-2-xml"
        self.version = self._settings.prompts.version
        self.texts = self._settings.prompts.texts

    def opening(self, instruction: str) -> Sequence[Wire]:
        """The first message, at an empty screen."""
        return [user(self._settings.prompts.first.format(instruction=instruction, terminal_state=""))]

    async def do(self, work: Work) -> None:
        """Work until it says twice that it is done."""
        await run_terminus2(
            work.ctx,
            await work.desk.terminal(),
            work.step.instruction,
            settings=self._settings,
            limits=work.limits,
            deadline=work.deadline,
            episode=work.episode,
        )


class Terminus1:
    """Terminus 1 in the words of a source; implements and raises as `Terminus2` does."""

    name = "terminus-1"
    tools: Sequence[Wire] = ()
    limits = TERMINUS1_LIMITS

    def __init__(self, source: str) -> None:
        prompts = own_prompts1() if source == OWN else installed_prompts1(source)
        self._settings = Terminus1Settings(prompts=prompts)
        self.version, self.texts = prompts.version, prompts.texts

    def opening(self, instruction: str) -> Sequence[Wire]:
        """The first message, at an empty screen."""
        return [user(self._settings.prompts.opening(instruction, ""))]

    async def do(self, work: Work) -> None:
        """Work until it says that it is done."""
        await run_terminus1(
            work.ctx,
            await work.desk.terminal(),
            work.step.instruction,
            settings=self._settings,
            limits=work.limits,
            deadline=work.deadline,
            episode=work.episode,
        )
