"""What of a project is kept, and how it goes into a transcript."""

import base64
from pathlib import Path

from longcat_eval.protocols import ExecResult
from longcat_eval.tasks.prdbench.evidence import changed_files, expected_files, seen
from longcat_eval.tasks.prdbench.plan import Metric
from longcat_eval.tasks.prdbench.tree import Tree, reference_tree, take_tree, tree_record


class Project:
    """A sandbox whose project folder holds these files."""

    image_id = "fake"

    def __init__(self, files: dict[str, bytes] | OSError, listed: bytes = b"") -> None:
        self.files, self.listed = files, listed

    async def exec(self, command: str, **how: object) -> ExecResult:
        return ExecResult(0, self.listed, False, False)

    async def get_tree(self, path: str, *, max_bytes: int) -> dict[str, bytes]:
        if isinstance(self.files, OSError):
            raise self.files
        return self.files


async def test_what_was_made_is_what_differs_from_the_task() -> None:
    own: dict[str, bytes | Path] = {"src/PRD.md": b"prd", "src/data.csv": b"1", "evaluation/x.in": b"1\n"}
    project = Project(
        {
            "src/PRD.md": b"prd",
            "src/main.py": b"print(1)",
            "src/__pycache__/main.pyc": b"\0",
            "evaluation/x.in": b"changed",
            "reports/round1.json": b"[]",
            "run.sh": b"#!/bin/sh\n",
        },
        b"./run.sh\n./evaluation/y.sh\n",
    )
    tree = await take_tree(project, own)  # type: ignore[arg-type] - as much of a sandbox as is used
    assert dict(tree.files) == {"run.sh": b"#!/bin/sh\n", "src/main.py": b"print(1)"}
    assert tree.gone == ("src/data.csv",)
    assert tree.executable == ("run.sh",)
    assert not tree.empty


async def test_a_tree_too_large_is_none() -> None:
    tree = await take_tree(Project(OSError("more than 64 MiB")), {})  # type: ignore[arg-type] - as above
    assert tree.empty
    assert tree.problem == "more than 64 MiB"


def test_a_tree_in_a_transcript() -> None:
    record = tree_record(Tree({"a.txt": "ä".encode(), "b.bin": b"\xff\0"}, ("c",), ("a.txt",)))
    assert record["files"] == {"a.txt": "ä"}
    assert base64.b64decode(record["binary"]["b.bin"]) == b"\xff\0"
    assert (record["gone"], record["executable"], record["problem"]) == (["c"], ["a.txt"], "")


def test_the_solution_of_a_task(tasks: Path) -> None:
    folder = tasks / "toy" / "reference"
    (folder / "evaluation").mkdir()
    (folder / "evaluation" / "x").write_text("no part of a project")
    (folder / "src" / "main.py").chmod(0o755)
    tree = reference_tree(folder)
    assert list(tree.files) == ["src/README.md", "src/main.py", "src/todo.py"]
    assert tree.executable == ("src/main.py",)


async def test_changed_files_as_they_are_listed() -> None:
    lines = [
        b"todo.csv\t20\t" + base64.b64encode(b"number,thing\n"),
        b"a.bin\t3\t" + base64.b64encode(b"\1\0\2"),
        b"2",
    ]
    found = await changed_files(Project({}, b"\n".join(lines) + b"\n"))  # type: ignore[arg-type] - as above
    assert found.files == (seen("todo.csv", 20, b"number,thing\n"), seen("a.bin", 3, b"\1\0\2"))
    assert found.count == 2
    assert found.files[1].what == "binary"
    assert (await changed_files(Project({}, b"find: nonsense"))).count == 0  # type: ignore[arg-type] - as above


def test_files_to_compare_with(tasks: Path) -> None:
    folder = tasks / "toy"
    (tasks / "outside").write_text("secret")

    def names(*paths: str) -> list[str]:
        metric = Metric("m", "", "file_comparison", "", (), expected_files=paths)
        return [file.path for file in expected_files(folder, metric)]

    assert names("evaluation/expected.csv") == ["evaluation/expected.csv"]
    assert names("./evaluation/*.csv", "evaluation/gone") == ["evaluation/expected.csv"]
    assert names("../outside", "/etc/passwd") == []
