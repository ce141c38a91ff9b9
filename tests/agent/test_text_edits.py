"""Edits leave every byte outside of their place as it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longcat_eval.runners.agent.text_edits import (
    EditError,
    decode,
    encode,
    insert_after,
    numbered,
    replace_once,
    split_lines,
)


@pytest.mark.parametrize(
    ("text", "old", "new", "result"),
    [
        ("a\nb\nc\n", "b", "B", "a\nB\nc\n"),
        ("a\nb\nc\n", "b\n", "", "a\nc\n"),
        ("a\r\nb\r\nc\r\n", "a\nb", "x\ny\nz", "x\r\ny\r\nz\r\nc\r\n"),
        ("a\r\nb\r\nc\r\n", "b", "x\ny", "a\r\nx\r\ny\r\nc\r\n"),
        ("a\nb\n", "a\r\nb\r\n", "c\r\n", "c\n"),
        ("a\r\nb\nc\n", "b\nc", "x\ny", "a\r\nx\ny\n"),
        ("a\nb\r\nc\r\nd\r\n", "c\nd", "x", "a\nb\r\nx\r\n"),
        ("no end", "end", "line end\n", "no line end\n"),
        ("\tx = 1\n", "\tx", "  x", "  x = 1\n"),
        ("a\x0cb\u2028c\n", "b\u2028c", "d", "a\x0cd\n"),
    ],
)
def test_one_place_is_replaced(text: str, old: str, new: str, result: str) -> None:
    assert replace_once(text, old, new).text == result


@pytest.mark.parametrize(
    ("text", "old", "new", "said"),
    [
        ("a\nb\na\n", "a", "c", "at lines 1, 3"),
        ("aaa", "aa", "c", "at lines 1, 1"),
        ("a", "b", "c", "not in the file"),
        ("a", "", "c", "empty"),
        ("a\r\nb", "a\nb", "a\nb", "the same"),
        ("x\n" * 50, "x", "c", "at lines 1, 2, 3, 4, 5, 6, 7, 8, 9, 10:"),
    ],
)
def test_what_is_not_one_place_is_refused(text: str, old: str, new: str, said: str) -> None:
    with pytest.raises(EditError, match=said):
        replace_once(text, old, new)


@pytest.mark.parametrize(
    ("text", "line", "new", "result"),
    [
        ("a\nb\n", 0, "x", "x\na\nb\n"),
        ("a\nb\n", 1, "x\ny\n", "a\nx\ny\nb\n"),
        ("a\nb", 2, "x", "a\nb\nx\n"),
        ("a\r\nb\r\n", 1, "x\ny", "a\r\nx\r\ny\r\nb\r\n"),
        ("", 0, "x", "x\n"),
        ("a", 0, "x", "x\na"),
    ],
)
def test_lines_are_inserted(text: str, line: int, new: str, result: str) -> None:
    edit = insert_after(text, line, new)
    assert edit.text == result
    assert "".join(split_lines(result)[edit.first - 1 : edit.last]).split() == new.split()


@pytest.mark.parametrize("line", [-1, 3])
def test_a_line_that_is_not_there_is_refused(line: int) -> None:
    with pytest.raises(EditError, match="has 2 lines"):
        insert_after("a\nb\n", line, "x")


def test_binary_files_are_refused() -> None:
    with pytest.raises(EditError, match="binary"):
        decode(b"\x7fELF\0\0")


@given(st.binary().map(lambda b: b.replace(b"\0", b"")))
def test_text_of_any_encoding_survives(content: bytes) -> None:
    assert encode(decode(content)) == content
    assert "".join(split_lines(decode(content))) == decode(content)


@given(st.text(alphabet="ab\r\n"), st.text(alphabet="ab\r\n"), st.text(alphabet="ab\n"))
def test_an_edit_changes_its_place_alone(before: str, old: str, after: str) -> None:
    text = before + old + after
    try:
        edit = replace_once(text, old, "NEW\nTEXT")
    except EditError:
        return
    put = "NEW\r\nTEXT" if "NEW\r\nTEXT" in edit.text else "NEW\nTEXT"
    head, _, tail = edit.text.partition(put)
    assert text.startswith(head)
    assert text.endswith(tail)
    assert len(text) - len(head) - len(tail) in {
        len(old),
        len(old.replace("\r\n", "\n").replace("\n", "\r\n")),
    } | {len(old.replace("\r\n", "\n"))}
    assert edit.first == head.count("\n") + 1


def test_numbered_lines_are_bounded() -> None:
    text = "".join(f"line {n}\n" for n in range(1, 1001))
    whole = numbered(text, 1, 1000, 1 << 20)
    assert whole.splitlines()[-1] == "  1000\tline 1000"
    part = numbered(text, 10, 1000, 100)
    assert len(part) < 200
    assert part.startswith("    10\tline 10\n")
    assert "to 1000 left out" in part
    assert numbered("x" * 5000, 1, 1, 100).endswith("[... 3000 more characters]")
    assert numbered("a\xff\r\nb", 1, 9, 100) == "     1\ta\xff\n     2\tb"
    assert numbered(decode(b"\xff"), 1, 1, 100) == "     1\t\ufffd"
