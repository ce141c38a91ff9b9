"""Patches as bytes: whether something is one, what files it touches, and which of them are left out."""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

GIT_HEADER = b"diff --git "
_BODY = (b"@@ ", b"GIT binary patch", b"Binary files ")
_PATH_LINE = re.compile(rb"(?:--- |\+\+\+ |rename (?:from|to) |copy (?:from|to) )(.*)")
_PLAIN_HEADER = re.compile(rb"^--- \S.*\n\+\+\+ \S.*\n@@ -\d", re.MULTILINE)
_ESCAPE = re.compile(rb"\\([0-7]{3}|.)")
_ESCAPES = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}


class FilePatch(NamedTuple):
    """The part of a git patch about one file; `paths` are its names before and after."""

    paths: frozenset[str]
    content: bytes


def is_patch(content: bytes) -> bool:
    """Whether these bytes hold a patch, of git or of plain diff."""
    content = b"\n" + content.replace(b"\r\n", b"\n")
    return b"\n" + GIT_HEADER in content or bool(_PLAIN_HEADER.search(content))


def touched_files(patch: bytes) -> frozenset[str]:
    """The files of a git patch, by their names before and after."""
    return frozenset(path for part in file_patches(patch) for path in part.paths)


def without_files(patch: bytes, files: frozenset[str]) -> tuple[bytes, list[str]]:
    """Return the patch less what it does to `files`, and which of them that were.

    A patch that is not in git's form is returned as it is. What stands before the first file goes with it
    if nothing else stays.
    """
    parts = list(file_patches(patch))
    kept = [part for part in parts if not part.paths & files]
    left_out = sorted({path for part in parts for path in part.paths & files})
    if not left_out:
        return patch, []
    head = patch[: _starts(patch)[0]]
    return (head if kept else b"") + b"".join(part.content for part in kept), left_out


def file_patches(patch: bytes) -> Iterator[FilePatch]:
    """The parts of a patch in git's form, in order; no line of a hunk can look like the header of one."""
    starts = [*_starts(patch), len(patch)]
    for start, end in pairwise(starts):
        content = patch[start:end]
        yield FilePatch(frozenset(_paths(content)), content)


def as_text(content: bytes) -> tuple[str, bool]:
    """Return bytes as text, and whether nothing was lost: sources that are no UTF-8 lose their odd bytes."""
    try:
        return content.decode("utf-8"), True
    except UnicodeDecodeError:
        return content.decode("utf-8", "replace"), False


def _starts(patch: bytes) -> list[int]:
    return [found.start() for found in re.finditer(rb"^diff --git ", patch, re.MULTILINE)]


def _paths(content: bytes) -> Iterator[str]:
    """The names in the header of one file's part."""
    first, *lines = content.splitlines()
    named = False
    for line in lines:
        if line.startswith(_BODY):
            break
        if found := _PATH_LINE.fullmatch(line):
            named = True
            # git ends a name with a space in it by a tab.
            name = _unquoted(found[1].rstrip(b"\t"))
            if name != "/dev/null":
                yield name if line.startswith((b"rename", b"copy")) else name.partition("/")[2]
    if not named:
        yield from _header_paths(first.removeprefix(GIT_HEADER))


def _header_paths(names: bytes) -> Iterator[str]:
    """The name in `a/x b/x`, where nothing else names it: an empty or a binary file, of one name."""
    if names.startswith(b'"'):
        yield _unquoted(names.partition(b'" ')[0] + b'"').partition("/")[2]
    else:
        yield names[: len(names) // 2].decode("utf-8", "replace").partition("/")[2]


def _unquoted(name: bytes) -> str:
    """A name as git prints it, in quotes where it holds something odd."""
    if len(name) > 1 and name.startswith(b'"') and name.endswith(b'"'):
        name = _ESCAPE.sub(_meant, name[1:-1])
    return name.decode("utf-8", "replace")


def _meant(escape: re.Match[bytes]) -> bytes:
    code = escape[1]
    return bytes([int(code, 8) & 255]) if len(code) == 3 else _ESCAPES.get(code, code)
