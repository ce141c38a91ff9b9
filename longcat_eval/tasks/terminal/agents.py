"""Who works on a task, by name: Terminus in its versions, the bash agent, and the two without a model."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from longcat_eval.protocols import AttemptContext
from longcat_eval.runners.agent.bash_profile import BashProfile
from longcat_eval.runners.agent.deadline import Deadline
from longcat_eval.runners.agent.episode import Episode
from longcat_eval.runners.agent.limits import AgentLimits
from longcat_eval.runners.agent.loop import run_agent
from longcat_eval.tasks.terminal.desk import Desk
from longcat_eval.tasks.terminal.records import Step
from longcat_eval.tasks.terminal.reference_agents import EmptyAgent, OracleAgent
