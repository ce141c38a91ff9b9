"""The tools of the profile `edit` on real files, in a sandbox without walls."""

import os
from pathlib import Path
from typing import Any

import pytest
from local_sandbox import LocalSandbox

from longcat_eval.runners.agent.faults import FormatError
from longcat_eval.runners.agent.limits import AgentLimits
from longcat_eval.runners.agent.observation import Observation
from longcat_eval.runners.agent.profile import PROFILES

LIMITS = AgentLimits(command_seconds=20)


class Tree:
    """A work tree with a few files, and the tools on it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "work"
        (self.root / "src" / "deep").mkdir(parents=True)
        self.sandbox = LocalSandbox(folder)
        self.profile = PROFILES["edit"](str(self.root))
        self.write("src/main.c", b"int main(void)\n{\n\treturn 1;\n}\n")
        self.write("src/deep/notes.txt", b"find me\nand me\n")
        self.write(".git/config", b"find me not\n")

    def write(self, path: str, content: bytes) -> Path:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_bytes(content)
        return self.root / path

    async def __call__(self, tool: str, **arguments: Any) -> Observation:
        return await self.profile.act(self.sandbox, tool, arguments, LIMITS)

    async def edit(self, command: str, path: str, **arguments: Any) -> Observation:
        return await self("editor", command=command, path=path, **arguments)


def leftovers() -> list[Path]:
    return list(Path("/tmp").glob(".lceval-edit-*"))


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


async def test_view_shows_lines_with_numbers(tree: Tree) -> None:
    seen = await tree.edit("view", "src/main.c")
    assert seen.text == (
        f"{tree.root}/src/main.c: 4 lines\n"
        "     1\tint main(void)\n     2\t{\n     3\t\treturn 1;\n     4\t}"
    )
    assert not seen.error
    by_absolute_path = await tree.edit("view", str(tree.root / "src/main.c"))
    assert by_absolute_path == seen


@pytest.mark.parametrize(
    ("wanted", "first", "last"), [([2, 3], 2, 3), ([3, -1], 3, 4), (["2", 2.0], 2, 2), ([0, 99], 1, 4)]
)
async def test_view_shows_a_range(tree: Tree, wanted: list[Any], first: int, last: int) -> None:
    shown = (await tree.edit("view", "src/main.c", view_range=wanted)).text.splitlines()[1:]
    assert [int(line.split("\t")[0]) for line in shown] == list(range(first, last + 1))


async def test_view_tells_what_cannot_be_seen(tree: Tree) -> None:
    tree.write("a", b"x\r\ny")
    assert "2 lines, lines end in CRLF, no line end after the last" in (await tree.edit("view", "a")).text
    tree.write("empty", b"")
    assert (await tree.edit("view", "empty")).text.endswith("empty: 0 lines\n")


async def test_view_lists_folders(tree: Tree) -> None:
    listed = await tree.edit("view", ".")
    assert not listed.error
    assert listed.text.splitlines()[1:] == ["src", "src/deep", "src/main.c"]
    for n in range(300):
        tree.write(f"many/{n:03}", b"")
    listed = await tree.edit("view", "many")
    assert len(listed.text.splitlines()) == 202
    assert listed.text.endswith("[... more than 200 entries]")


@pytest.mark.parametrize(
    ("command", "path", "more", "said"),
    [
        ("view", "nothing", {}, "no such file"),
        ("view", "src/main.c", {"view_range": [9, 12]}, "has 4 lines"),
        ("view", "src/main.c", {"view_range": [3, 2]}, "has 4 lines"),
        ("view", "blob", {}, "binary"),
        ("str_replace", "blob", {"old_str": "E", "new_str": "F"}, "binary"),
        ("str_replace", "nothing", {"old_str": "E"}, "no such file"),
        ("str_replace", "src", {"old_str": "E"}, "cannot be read"),
        ("str_replace", "src/main.c", {"old_str": "return 2"}, "not in the file"),
        ("insert", "src/main.c", {"insert_line": 5, "new_str": "x"}, "has 4 lines"),
        ("create", "src/main.c", {"file_text": "x"}, "exists already"),
        ("create", "src", {"file_text": "x"}, "exists already"),
        ("create", "src/main.c/x", {"file_text": "x"}, "cannot be written"),
        ("create", "/etc/lceval-never", {"file_text": "x"}, "outside"),
        ("create", "../" * 20 + "usr/lceval-never", {"file_text": "x"}, "outside"),
        ("str_replace", "/etc/passwd", {"old_str": "root", "new_str": "toor"}, "outside"),
        ("insert", "/etc/passwd", {"insert_line": 0, "new_str": "x"}, "outside"),
    ],
)
async def test_what_cannot_be_done_is_said(
    tree: Tree, command: str, path: str, more: dict[str, Any], said: str
) -> None:
    tree.write("blob", b"\x7fELF\0")
    seen = await tree.edit(command, path, **more)
    assert seen.error
    assert said in seen.text


async def test_files_outside_can_be_viewed(tree: Tree) -> None:
    assert "root" in (await tree.edit("view", "/etc/passwd")).text


async def test_replace_keeps_bytes_mode_and_links(tree: Tree) -> None:
    file = tree.write("run.sh", b"#!/bin/sh\r\nna\xefve '$HOME' \"`x`\"\r\necho 1\r\n")
    file.chmod(0o751)
    (tree.root / "link").symlink_to("run.sh")
    os.link(file, tree.root / "second")
    seen = await tree.edit("str_replace", "link", old_str="sh\nna", new_str="bash\n# $HOME `x` 'y'\nna")
    assert not seen.error, seen.text
    assert file.read_bytes() == b"#!/bin/bash\r\n# $HOME `x` 'y'\r\nna\xefve '$HOME' \"`x`\"\r\necho 1\r\n"
    assert file.stat().st_mode & 0o777 == 0o751
    assert (tree.root / "link").is_symlink()
    assert (tree.root / "second").read_bytes() == file.read_bytes()
    assert seen.text.endswith(
        "     1\t#!/bin/bash\n     2\t# $HOME `x` 'y'\n     3\tna\ufffdve '$HOME' \"`x`\"\n     4\techo 1"
    )
    assert not leftovers()


async def test_replace_without_a_new_text_deletes(tree: Tree) -> None:
    await tree.edit("str_replace", "src/main.c", old_str="\treturn 1;\n")
    assert (tree.root / "src/main.c").read_bytes() == b"int main(void)\n{\n}\n"


async def test_insert(tree: Tree) -> None:
    seen = await tree.edit("insert", "src/main.c", insert_line="2", new_str="\tint x;")
    assert (tree.root / "src/main.c").read_bytes() == b"int main(void)\n{\n\tint x;\n\treturn 1;\n}\n"
    assert "     3\t\tint x;" in seen.text


async def test_create_makes_folders(tree: Tree) -> None:
    seen = await tree.edit("create", 'new/it\'s a "folder" $(x)/-f', file_text="a\nb")
    assert not seen.error, seen.text
    assert (tree.root / 'new/it\'s a "folder" $(x)/-f').read_bytes() == b"a\nb"
    assert "2 lines, no line end" in seen.text


async def test_create_may_fill_an_empty_file(tree: Tree) -> None:
    tree.write("empty", b"")
    assert not (await tree.edit("create", "empty", file_text="a\n")).error


async def test_search_finds_lines_in_text_files(tree: Tree) -> None:
    tree.write("blob", b"find me\0")
    seen = await tree("search", pattern="(find|and) me")
    assert seen.text.splitlines() == ["src/deep/notes.txt:1:find me", "src/deep/notes.txt:2:and me"]
    seen = await tree("search", pattern="me", path="src/deep/notes.txt")
    assert len(seen.text.splitlines()) == 2
    seen = await tree("search", pattern="int|me", glob="*.c")
    assert seen.text == "src/main.c:1:int main(void)"
    outside = await tree("search", pattern="^root:", path="/etc/passwd")
    assert outside.text.startswith("/etc/passwd:")


async def test_a_search_quotes_nothing(tree: Tree) -> None:
    tree.write("odd", b"a '$HOME' \"b\" `id` -e --\n-n\n")
    for pattern in ("'[$]HOME' \"b\" `id` -e --", "-n$", "^-"):
        assert (await tree("search", pattern=pattern)).text.startswith("odd:"), pattern


async def test_a_search_without_result_and_one_that_is_wrong(tree: Tree) -> None:
    nothing = await tree("search", pattern="not there")
    assert (nothing.error, "No line matches" in nothing.text) == (False, True)
    wrong = await tree("search", pattern="(")
    assert (wrong.error, wrong.text.startswith("grep: ")) == (True, True)
    gone = await tree("search", pattern="x", path="nowhere")
    assert gone.error


async def test_a_search_is_bounded(tree: Tree) -> None:
    tree.write("min.js", b"x" * 2_000_000 + b"\n")
    tree.write("many", b"y x\n" * 5000)
    seen = await tree("search", pattern="x")
    assert len(seen.text) < 10_500
    assert "more than 100 matches" in seen.text
    assert len((await tree("search", pattern="x", path="min.js")).text) <= 300


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("editor", {}),
        ("editor", {"command": "view"}),
        ("editor", {"command": "delete", "path": "x"}),
        ("editor", {"command": ["view"], "path": "x"}),
        ("editor", {"command": "view", "path": "a\0b"}),
        ("editor", {"command": "view", "path": " "}),
        ("editor", {"command": "view", "path": "a" * 256}),
        ("editor", {"command": "view", "path": "a/" * 3000}),
        ("editor", {"command": "view", "path": "src/main.c", "view_range": "1-2"}),
        ("editor", {"command": "view", "path": "src/main.c", "view_range": [1]}),
        ("editor", {"command": "view", "path": "src/main.c", "view_range": [1, "end"]}),
        ("editor", {"command": "create", "path": "x"}),
        ("editor", {"command": "str_replace", "path": "src/main.c", "new_str": "x"}),
        ("editor", {"command": "str_replace", "path": "src/main.c", "old_str": 5}),
        ("editor", {"command": "insert", "path": "src/main.c", "new_str": "x"}),
        ("editor", {"command": "insert", "path": "src/main.c", "insert_line": 1.5, "new_str": "x"}),
        ("editor", {"command": "insert", "path": "src/main.c", "insert_line": True, "new_str": "x"}),
        ("editor", {"command": "insert", "path": "src/main.c", "insert_line": 1}),
        ("search", {}),
        ("search", {"pattern": ""}),
        ("search", {"pattern": "x" * 5000}),
        ("search", {"pattern": "x", "path": {"a": 1}}),
        ("bash", {}),
        ("bash", {"command": None}),
        ("bash", {"command": "ls\0"}),
        ("grep", {"pattern": "x"}),
    ],
)
async def test_calls_that_mean_nothing(tree: Tree, tool: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        await tree(tool, **arguments)
    assert not tree.sandbox.commands
