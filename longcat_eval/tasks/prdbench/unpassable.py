"""Unit tests of a plan that nobody can pass: their file is not in the task's folder, or is no Python.

Of the official tasks some were translated by machine, program text included.
"""

import ast
import re
import warnings
from collections.abc import Mapping

from longcat_eval.tasks.prdbench.data import PrdTask
from longcat_eval.tasks.prdbench.plan import Metric
from longcat_eval.tasks.prdbench.tree import EVALUATION

NAMED = 8
_TEST_FILE = re.compile(r"[\w./-]+\.py")


def unpassable(task: PrdTask) -> dict[str, str]:
    """The names of such metrics, each with its file and what is wrong with it."""
    parsed: dict[str, str] = {}
    found = {}
    for metric in task.plan:
        for name in _test_files(metric):
            if name not in parsed:
                parsed[name] = _problem(task, name)
            if parsed[name]:
                found[metric.name] = f"{name}: {parsed[name]}"
    return found


def remark(tasks: Mapping[str, PrdTask]) -> str:
    """One line for reports; empty where every unit test can be passed."""
    found = {name: len(unpassable(task)) for name, task in tasks.items()}
    found = {name: count for name, count in found.items() if count}
    if not found:
        return ""
    metrics = sum(len(task.plan) for task in tasks.values())
    named = ", ".join(f"{name} ({count})" for name, count in list(found.items())[:NAMED])
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return (
        f"{sum(found.values())} of {metrics:,} metrics cannot be passed, because their test file is missing "
        f"or no Python: tasks {named}{more}"
    )


def _test_files(metric: Metric) -> list[str]:
    """The files of the evaluation folder that a unit test's commands name, as paths in the task's folder."""
    if metric.kind != "unit_test":
        return []
    names = []
    for case in metric.cases:
        inside = f"{EVALUATION}/" if re.match(rf"cd {EVALUATION}\b", case.command) else ""
        names += [inside + name.removeprefix("./") for name in _TEST_FILE.findall(case.command)]
    return [name for name in names if name.startswith(f"{EVALUATION}/")]


def _problem(task: PrdTask, name: str) -> str:
    path = task.folder / name
    if not path.is_file():
        return "missing"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of their strings
            ast.parse(path.read_bytes())
    except (SyntaxError, ValueError) as error:
        return f"no Python ({type(error).__name__})"
    return ""
