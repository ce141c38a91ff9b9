"""One step's work, as it is given to an agent."""

from dataclasses import dataclass

from longcat_eval.protocols import AttemptContext
from longcat_eval.runners.agent.deadline import Deadline
from longcat_eval.runners.agent.episode import Episode
from longcat_eval.runners.agent.limits import AgentLimits
from longcat_eval.tasks.terminal.desk import Desk
from longcat_eval.tasks.terminal.records import Step


@dataclass(frozen=True)
class Work:
    """What is asked (`step`), where (`desk`), within what (`limits`, and `deadline`, which is under way).

    `episode` is filled in place, because the deadline may cancel at any point.
    """

    ctx: AttemptContext
    desk: Desk
    step: Step
    episode: Episode
    limits: AgentLimits
    deadline: Deadline
