"""The fixed texts of tau2's agent and user, read out of the package's own source.

The modules that hold them (`tau2/agent/llm_agent.py`, `tau2/user/user_simulator.py`,
`tau2/orchestrator/orchestrator.py`) import an LLM client of a gigabyte, so they are parsed and not imported.
"""

import ast
from functools import cache
from pathlib import Path
from typing import NamedTuple

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.tasks.tau2.source import Tau2Source


class Prompts(NamedTuple):
    """Templates: `agent_prompt` has {agent_instruction} and {domain_policy}, `user_prompt` has
    {global_user_sim_guidelines} and {instructions}; `greeting` is what the agent is taken to have said first.
    """

    agent_instruction: str
    agent_prompt: str
    user_prompt: str
    greeting: str

    def agent(self, policy: str) -> str:
        """The agent's system prompt."""
        return self.agent_prompt.format(agent_instruction=self.agent_instruction, domain_policy=policy)

    def user(self, guidelines: str, scenario: str) -> str:
        """The user simulator's system prompt."""
        return self.user_prompt.format(global_user_sim_guidelines=guidelines, instructions=scenario)


@cache
def read_prompts(source: Tau2Source) -> Prompts:
    """Read the texts; `EnvironmentUnusableError` where this version of tau2 has them elsewhere."""
    folder = source.package / "tau2"
    agent = _constants(folder / "agent" / "llm_agent.py")
    user = _constants(folder / "user" / "user_simulator.py")
    orchestrator = _constants(folder / "orchestrator" / "orchestrator.py")
    try:
        prompts = Prompts(
            agent["AGENT_INSTRUCTION"],
            agent["SYSTEM_PROMPT"],
            user["SYSTEM_PROMPT"],
            orchestrator["DEFAULT_FIRST_AGENT_MESSAGE"],
        )
        prompts.agent("")
        prompts.user("", "")
        return prompts
    except KeyError as name:
        raise EnvironmentUnusableError(
            f"{source.version} has no {name} where tau2 0.2 has it: this version of tau2 is not supported"
        ) from None


def _constants(path: Path) -> dict[str, str]:
    """Module-level texts by name: a literal, `literal.strip()`, or the `content` of a message."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise EnvironmentUnusableError(f"there is no {path}: this is no complete tau2") from None
    found = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            text = _text(node.value)
            if text is not None:
                found[node.targets[0].id] = text
    return found


def _text(node: ast.expr) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if not isinstance(node, ast.Call):
        return None
    if isinstance(node.func, ast.Attribute) and node.func.attr == "strip":
        inner = _text(node.func.value)
        return None if inner is None else inner.strip()
    return next((_text(given.value) for given in node.keywords if given.arg == "content"), None)
