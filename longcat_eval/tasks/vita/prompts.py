"""The fixed texts of VitaBench's user, agent and judge, read out of the checkout.

The templates are YAML files by language. Greeting and the judge's input stand inside modules that import an
LLM client, so these are parsed and not imported.
"""

import ast
from pathlib import Path
from typing import Any, NamedTuple

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.tasks.vita.source import VitaSource

TEMPLATES = ("agent_system_prompt", "user_system_prompt", "sliding_window_eval_template")


class Prompts(NamedTuple):
    """Templates of one language: `agent` has {time}, `user` {persona} and {instructions}, `judge` {env_info},
    {user_instruction}, {window_idx} and {total_windows}, `judge_input` {window_content} and
    {current_rubrics_str}. `greeting` is what the agent is taken to have said first.
    """

    agent: str
    user: str
    judge: str
    judge_input: str
    greeting: str


def read_prompts(source: VitaSource, language: str) -> Prompts:
    """Read the texts; `EnvironmentUnusableError` where this version has them elsewhere."""
    package = source.package / "vita"
    agent, user, judge = (_template(package / "prompts" / f"{name}.yaml", language) for name in TEMPLATES)
    evaluator = _tree(package / "evaluator" / "evaluator_traj.py")
    orchestrator = _tree(package / "orchestrator" / "orchestrator.py")
    written = _assigned(evaluator, "_evaluate_window", "user_prompt")
    greeting = _assigned(orchestrator, "get_default_first_agent_message", "content")
    try:
        prompts = Prompts(agent, user, judge, _joined(written), _choice(greeting, language))
        prompts.agent.format(time="")
        prompts.user.format(persona="", instructions="")
        prompts.judge.format(env_info="", user_instruction="", window_idx=1, total_windows=1)
        prompts.judge_input.format(window_content="", current_rubrics_str="")
    except (TypeError, KeyError, IndexError, ValueError):
        raise EnvironmentUnusableError(
            f"{source.version} has no texts where vitabench@96f3b85 has them: this version is not supported"
        ) from None
    return prompts


def _template(path: Path, language: str) -> str:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return str(yaml.load(path.read_text(encoding="utf-8"), Loader=loader)[language])
    except FileNotFoundError:
        raise EnvironmentUnusableError(f"there is no {path}: this is no complete vitabench") from None
    except (yaml.YAMLError, KeyError, TypeError):
        raise EnvironmentUnusableError(f"{path} has no {language} text") from None


def _tree(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise EnvironmentUnusableError(f"there is no {path}: this is no complete vitabench") from None


def _assigned(tree: ast.Module, function: str, variable: str) -> ast.expr | None:
    """What a function assigns to a variable of its own."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == function:
            for inner in ast.walk(node):
                if isinstance(inner, ast.Assign) and getattr(inner.targets[0], "id", "") == variable:
                    return inner.value
    return None


def _joined(value: ast.expr | None) -> str:
    """An f-string of plain names, as a template for `str.format`."""
    if not isinstance(value, ast.JoinedStr):
        raise TypeError
    return "".join(_part(part) for part in value.values)


def _part(part: Any) -> str:
    if isinstance(part, ast.Constant):
        return str(part.value).replace("{", "{{").replace("}", "}}")
    return f"{{{part.value.id}}}" if isinstance(part.value, ast.Name) else ""


def _choice(value: ast.expr | None, language: str) -> str:
    """One text for the language it is compared with, else the other."""
    if not isinstance(value, ast.IfExp) or not isinstance(value.test, ast.Compare):
        raise TypeError
    compared = ast.literal_eval(value.test.comparators[0])
    return str(ast.literal_eval(value.body if compared == language else value.orelse))
