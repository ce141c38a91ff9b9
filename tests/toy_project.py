"""A task of our own in PRDBench's format, small enough for tests: things to do, with its solution."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PRD = "# Things to do\n\nA menu: add a thing, list all, export them as CSV into todo.csv, quit.\n"
MAIN = """\
import sys
from todo import Todo


def main():
    todo = Todo()
    while True:
        print("1) add  2) list  3) export  0) quit")
        choice = input("choice: ")
        if choice == "1":
            todo.add(input("what: "))
            print("added")
        elif choice == "2":
            print("\\n".join(f"{n}. {thing}" for n, thing in enumerate(todo.things, 1)) or "nothing to do")
        elif choice == "3":
            todo.export("todo.csv")
            print("exported")
        elif choice == "0":
            print("bye")
            return 0
        else:
            print("invalid input")


sys.exit(main())
"""
TODO = """\
class Todo:
    def __init__(self):
        self.things = []

    def add(self, thing):
        self.things.append(thing)

    def export(self, name):
        with open(name, "w") as file:
            file.write("number,thing\\n")
            for number, thing in enumerate(self.things, 1):
                file.write(f"{number},{thing}\\n")
"""
TESTS = """\
import sys
sys.path.insert(0, "src")


def test_add():
    from todo import Todo
    todo = Todo()
    todo.add("milk")
    assert todo.things == ["milk"]
"""
CSV = "number,thing\n1,milk\n"
SOLUTION: Mapping[str, str] = {
    "src/main.py": MAIN,
    "src/todo.py": TODO,
    "src/README.md": "# Things to do\n\nStart it with `python src/main.py`.\n",
}


def metric(name: str, kind: str, *cases: tuple[str | None, str | None], **more: Any) -> dict[str, Any]:
    """One entry of a plan, with the official fields."""
    entry: dict[str, Any] = {
        "metric": name,
        "description": f"1. **Act:** {name}.\n2. **Assert:** it does.",
        "type": kind,
        "testcases": [{"test_command": command, "test_input": typed} for command, typed in cases],
        "input_files": None,
        "expected_output_files": None,
        "expected_output": f"{name} works",
    }
    return entry | more


MENU, PYTEST = "python src/main.py", "pytest evaluation/tests/test_todo.py::test_add"
PLAN = [
    metric("0.1 README", "file_comparison", (None, None)),
    metric("1.1 Add and list", "shell_interaction", (MENU, "evaluation/add.in")),
    metric("1.2 Invalid input", "shell_interaction", (MENU, "9\n0")),
    metric(
        "2.1 Export", "file_comparison", (MENU, "export.in"), expected_output_files="evaluation/expected.csv"
    ),
    metric("3.1 Unit test", "unit_test", (PYTEST, None)),
]


def write_task(
    folder: Path, plan: list[dict[str, Any]] | None = None, solution: Mapping[str, str] | None = SOLUTION
) -> Path:
    """Write the task into a folder; `solution` None is a task without one, as the official ones are."""
    files = {
        "src/PRD.md": PRD,
        "evaluation/detailed_test_plan.json": json.dumps(PLAN if plan is None else plan),
        "evaluation/metric.json": "[]",
        "evaluation/add.in": "1\nmilk\n2\n0\n",
        "evaluation/inputs/export.in": "1\nmilk\n3\n0\n",
        "evaluation/expected.csv": CSV,
        "evaluation/tests/test_todo.py": TESTS,
    }
    files |= {f"reference/{name}": text for name, text in (solution or {}).items()}
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder
