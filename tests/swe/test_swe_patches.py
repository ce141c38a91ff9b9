"""Patches as bytes: told from other text, taken apart by file, and put together without some of them."""

import subprocess
from pathlib import Path

import pytest
import toy_repair
from hypothesis import given
from hypothesis import strategies as st

from longcat_eval.tasks.swe.patches import as_text, file_patches, is_patch, touched_files, without_files

PLAIN = b"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"
PART = "diff --git a/{0} b/{0}\n--- a/{0}\n+++ b/{0}\n@@ -1 +1 @@\n-a\n+b\n"


@pytest.mark.parametrize(
    ("content", "is_one"),
    [
        (toy_repair.GOLD.encode(), True),
        (b"Here is my patch:\n\n" + toy_repair.GOLD.encode(), True),
        (toy_repair.GOLD.replace("\n", "\r\n").encode(), True),
        (PLAIN, True),
        (b"", False),
        (b"\n", False),
        (b"I changed --- a lot\n+++ and more\n", False),
        (b"diff --git\n", False),
        (b" diff --git a/x b/x\n", False),
        (b"\xff\xfe\x00", False),
    ],
)
def test_what_is_a_patch(content: bytes, is_one: bool) -> None:
    assert is_patch(content) is is_one


def test_every_form_git_writes_names_its_files(tmp_path: Path) -> None:
    """Names with spaces, quotes, tabs and umlauts; renamed, empty, binary, deleted, mode changes, new."""

    def git(*words: str) -> bytes:
        return subprocess.run(["git", "-C", tmp_path, *words], capture_output=True, check=True).stdout

    git("init", "-q")
    git("config", "user.name", "x")
    git("config", "user.email", "x@y")
    files = {"a b.txt": b"1\n2\n3\n4\n", "old name": b"".join(b"%d\n" % i for i in range(50)), "gone": b"x\n"}
    files |= {
        "bin": bytes(range(256)),
        "tab\there": b"t\n",
        'quo"te': b"q\n",
        "umläut": b"u\n",
        "d/e": b"e\n",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    git("add", "-A")
    git("commit", "-qm", "x")
    for name in ("a b.txt", "tab\there", 'quo"te', "umläut"):
        (tmp_path / name).write_bytes(files[name] + b"more\n--- a/fake\n+++ b/fake\n")
    (tmp_path / "bin").write_bytes(bytes(reversed(range(256))))
    (tmp_path / "gone").unlink()
    (tmp_path / "old name").rename(tmp_path / "new name")
    (tmp_path / "d/e").chmod(0o755)
    (tmp_path / "empty file").touch()
    git("add", "-A")
    patch = git("diff", "--cached", "--binary", "-M")
    expected = {*files, "new name", "empty file"}
    assert touched_files(patch) == expected
    names = git("diff", "--cached", "--name-only", "--no-renames", "-z").decode().split("\0")[:-1]
    assert set(names) == expected
    for name in sorted(expected):
        rest, left_out = without_files(patch, frozenset({name}))
        assert left_out == [name]
        assert name not in touched_files(rest)
        subprocess.run(["git", "-C", tmp_path, "apply", "--check", "--reverse"], input=rest, check=True)


@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans()), unique_by=lambda one: one[0], max_size=6)
)
def test_what_is_left_out_is_whole_files(parts: list[tuple[str, bool]]) -> None:
    patch = "".join(PART.format(name) for name, _ in parts).encode()
    dropped = frozenset(name for name, drop in parts if drop)
    rest, left_out = without_files(patch, dropped)
    assert rest == "".join(PART.format(name) for name, drop in parts if not drop).encode()
    assert left_out == sorted(dropped)
    assert len(list(file_patches(patch))) == len(parts)


def test_nothing_and_patches_that_are_not_gits_stay_as_they_are() -> None:
    assert without_files(b"", frozenset({"x"})) == (b"", [])
    assert without_files(PLAIN, frozenset({"x"})) == (PLAIN, [])
    with_words = b"My patch:\n" + PART.format("x").encode()
    assert without_files(with_words, frozenset({"y"})) == (with_words, [])
    assert without_files(with_words, frozenset({"x"})) == (b"", ["x"])


def test_text_tells_what_it_lost() -> None:
    assert as_text("ü\r\n".encode()) == ("ü\r\n", True)
    assert as_text(b"+\xe4\n") == ("+\ufffd\n", False)
