"""Replies and calls that mean nothing, and how the arguments of a call are read."""

import posixpath
from typing import Any

EMPTY, CUT, NO_CALL, UNREADABLE, UNKNOWN_TOOL = "empty", "cut", "no_call", "unreadable", "unknown_tool"
WHOLE_REPLIES = {
    EMPTY: "Your reply was empty.",
    CUT: "Your reply was cut off at its length limit before it held anything that can be run: be brief.",
    UNREADABLE: "The tool call in your reply cannot be read.",
}
"""What a model is told whose whole reply is of this kind."""
NO_SUCH_TOOL = "There is no such tool."
NOT_AN_OBJECT = "The arguments of this call are no JSON object."
NOT_RUN = "This call was not run: there are no tools."
NOTHING_SAID = "(empty reply)"
TEXTS = (*WHOLE_REPLIES.values(), NO_SUCH_TOOL, NOT_AN_OBJECT, NOT_RUN, NOTHING_SAID)
LONGEST_PATH, LONGEST_NAME = 4_000, 255
"""Bytes; no file system takes more, and not every sandbox says so kindly."""


class FormatError(Exception):
    """A reply or call that nothing can be done with; `kind` is one of this module's, the text tells why."""

    def __init__(self, kind: str, problem: str) -> None:
        super().__init__(problem)
        self.kind = kind


def text_argument(arguments: dict[str, Any], name: str, default: str | None = None) -> str:
    """Return a string argument; `FormatError` if absent (without a default), no string, or with a NUL."""
    value = arguments.get(name)
    value = default if value is None else value
    if not isinstance(value, str):
        problem = "is missing" if value is None else f"is no string but {type(value).__name__}"
        raise FormatError(UNREADABLE, f"The argument `{name}` {problem}.")
    if "\0" in value:
        raise FormatError(UNREADABLE, f"The argument `{name}` holds a NUL byte.")
    return value


def path_argument(arguments: dict[str, Any], name: str, default: str | None = None) -> str:
    """Return a path that file systems take; `FormatError` for one that none does."""
    path = text_argument(arguments, name, default)
    sizes = [len(part.encode()) for part in path.split("/")]
    too_long = sum(sizes) + len(sizes) > LONGEST_PATH or max(sizes) > LONGEST_NAME
    if too_long or not path.strip():
        raise FormatError(UNREADABLE, f"The argument `{name}` is {'too long' if too_long else 'empty'}.")
    return path


def resolve(path: str, workdir: str) -> str:
    """Return an absolute path without dots."""
    return posixpath.normpath(posixpath.join(workdir, path))


def is_below(path: str, folder: str) -> bool:
    """Return whether a resolved path is a folder or something in it, by its words: links are not followed."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def integer(value: Any, name: str) -> int:
    """Return a whole number, also one written as "3" or 3.0; `FormatError` for anything else."""
    try:
        number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else 0.5
    except (ValueError, OverflowError):
        number = 0.5
    if not number.is_integer():
        raise FormatError(UNREADABLE, f"The argument `{name}` must be made of whole numbers.")
    return int(number)
