"""Looking at and changing text files, byte by byte the same outside the place that is changed."""

from typing import NamedTuple

CONTEXT_LINES = 4
LONGEST_LINE = 2_000
MATCHES_NAMED = 10


class EditError(Exception):
    """An edit that cannot be made; the text tells the model why."""


class Edit(NamedTuple):
    """A changed text, and the numbers (from 1) of the first and the last line that are new."""

    text: str
    first: int
    last: int


def decode(content: bytes) -> str:
    """Return a file's text, with line ends as they are; bytes that are no UTF-8 survive in `encode`.

    Raises `EditError` for binary content.
    """
    if b"\0" in content:
        raise EditError("This is a binary file: it holds NUL bytes.")
    return content.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    """Return the bytes of a text that `decode` gave."""
    return text.encode("utf-8", "surrogateescape")


def printable(text: str) -> str:
    """Return a text that can be sent: what was no UTF-8 is U+FFFD."""
    return encode(text).decode("utf-8", "replace")


def split_lines(text: str) -> list[str]:
    """Return the lines with their ends; as in every tool that numbers lines, only a line feed ends one."""
    lines = [line + "\n" for line in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


def numbered(text: str, first: int, last: int, chars: int) -> str:
    """Return lines `first` to `last` (from 1) with their numbers, about `chars` characters at most."""
    lines = split_lines(text)
    last, used, shown = min(last, len(lines)), 0, list[str]()
    for number in range(first, last + 1):
        line = printable(lines[number - 1].rstrip("\r\n"))
        cut = f" [... {len(line) - LONGEST_LINE} more characters]" if len(line) > LONGEST_LINE else ""
        entry = f"{number:6}\t{line[:LONGEST_LINE]}{cut}"
        used += len(entry) + 1
        if used > chars and shown:
            shown.append(f"[... lines {number} to {last} left out: ask for fewer with view_range]")
            break
        shown.append(entry)
    return "\n".join(shown)


def replace_once(text: str, old: str, new: str) -> Edit:
    """Replace the one place that holds `old`; line ends may differ, and those of the place are kept."""
    if not old:
        raise EditError("`old_str` is empty: it must be the text to replace.")
    forms = dict.fromkeys((old, with_line_ends(old, "\n"), with_line_ends(old, "\r\n")))
    found = next((form for form in forms if form in text), None)
    if found is None:
        raise EditError("`old_str` is not in the file. It must agree with it in every character, blanks too.")
    places = _places(text, found)
    if len(places) > 1:
        lines = ", ".join(str(text.count("\n", 0, at) + 1) for at in places)
        raise EditError(f"`old_str` is in the file more than once, at lines {lines}: take in more around it.")
    ends = "\r\n" if "\r\n" in found else "\n" if "\n" in found else line_end_of(text)
    at, put = places[0], with_line_ends(new, ends)
    if put == found:
        raise EditError("`new_str` is the same as `old_str`.")
    first = text.count("\n", 0, at) + 1
    return Edit(text[:at] + put + text[at + len(found) :], first, first + put.count("\n"))


def insert_after(text: str, line: int, new: str) -> Edit:
    """Insert whole lines after line number `line`; 0 is the beginning of the file."""
    lines, end = split_lines(text), line_end_of(text)
    if not 0 <= line <= len(lines):
        raise EditError(f"`insert_line` is {line}: the file has {len(lines)} lines.")
    put = with_line_ends(new, end)
    if not put.endswith("\n"):
        put += end
    if 0 < line == len(lines) and not lines[-1].endswith("\n"):
        lines[-1] += end
    whole = "".join(lines[:line]) + put + "".join(lines[line:])
    return Edit(whole, line + 1, line + put.count("\n"))


def line_end_of(text: str) -> str:
    """Return the line end that most lines have."""
    return "\r\n" if 2 * text.count("\r\n") > text.count("\n") else "\n"


def with_line_ends(text: str, end: str) -> str:
    """Return a text whose lines all end alike."""
    return text.replace("\r\n", "\n").replace("\n", end)


def _places(text: str, part: str) -> list[int]:
    """Where a part begins, also where it overlaps itself; the first few."""
    places, at = list[int](), text.find(part)
    while at >= 0 and len(places) < MATCHES_NAMED:
        places.append(at)
        at = text.find(part, at + 1)
    return places
