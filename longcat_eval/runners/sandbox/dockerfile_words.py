"""Words of a Dockerfile: splitting and variable substitution, by the rules of BuildKit's `shell.Lex`.

They are a shell's rules for quotes and escapes and a few forms of `${name}`: `:-`, `-`, `:+`, `+`, `:?`, `?`.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

_BRACED = re.compile(r"([A-Za-z_]\w*|\d+|[@*#])(?:(:?[-+?])(.*))?", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_]\w*|\d|[@*#]")


class Expanded(NamedTuple):
    """A text after substitution; `unknown` are names that had no value, `refused` forms without one here."""

    text: str
    unknown: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()


def split_words(line: str, escape: str = "\\") -> list[str]:
    """Split at blanks outside quotes; quotes and escapes stay in the words."""
    words: list[str] = []
    word, quote, position = "", "", 0
    while position < len(line):
        char = line[position]
        if char == escape and quote != "'":
            word += line[position : position + 2]
            position += 2
            continue
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        if char.isspace() and not quote:
            words += [word] if word else []
            word = ""
        else:
            word += char
        position += 1
    return words + ([word] if word else [])


def expand(text: str, values: Mapping[str, str], *, escape: str = "\\", quotes: bool = True) -> Expanded:
    """Substitute variables and drop escapes and, if `quotes`, quotes; an unset variable becomes nothing.

    Without `quotes` they are plain characters, as in the body of an unquoted heredoc.
    """
    out: list[str] = []
    unknown: set[str] = set()
    refused: set[str] = set()
    quote, position = "", 0
    while position < len(text):
        char = text[position]
        if quotes and quote == "'":
            quote = "" if char == "'" else quote
            out += [char] if quote else []
            position += 1
        elif char == escape:
            following = text[position + 1 : position + 2]
            kept = char if quote == '"' and following not in ('"', "$", escape) else ""
            out.append(kept + following)
            position += 2
        elif char == "$":
            value, used, one = _variable(text, position, values, escape)
            out.append(value.text)
            unknown |= value.unknown
            refused |= value.refused | one
            position += used
        elif quotes and char in "'\"" and quote in ("", char):
            quote = "" if quote else char
            position += 1
        else:
            out.append(char)
            position += 1
    return Expanded("".join(out), frozenset(unknown), frozenset(refused))


def _variable(
    text: str, start: int, values: Mapping[str, str], escape: str
) -> tuple[Expanded, int, frozenset[str]]:
    """The value of the variable at `text[start]`, how many characters it takes, and a form not known."""
    if text[start + 1 : start + 2] != "{":
        found = _NAME.match(text, start + 1)
        if found is None:
            return Expanded("$"), 1, frozenset()
        return _look_up(found[0], values), 1 + len(found[0]), frozenset()
    end = _closing(text, start + 2, escape)
    inner = text[start + 2 : end]
    found = _BRACED.fullmatch(inner)
    used = end + 1 - start
    if found is None or end == len(text):
        return Expanded(text[start : end + 1]), used, frozenset({text[start : end + 1]})
    name, operator, word = found[1], found[2] or "", found[3] or ""
    there = name in values and (values[name] != "" or not operator.startswith(":"))
    unknown = frozenset[str]() if name in values else frozenset({name})
    if operator.endswith("?") and not there:
        return Expanded("", unknown), used, frozenset({text[start : end + 1]})
    if operator and operator.endswith("+") == there and not operator.endswith("?"):
        nested = expand(word, values, escape=escape)
        return nested._replace(unknown=nested.unknown | unknown), used, frozenset()
    return Expanded("" if operator.endswith("+") else values.get(name, ""), unknown), used, frozenset()


def _look_up(name: str, values: Mapping[str, str]) -> Expanded:
    return Expanded(values.get(name, ""), frozenset() if name in values else frozenset({name}))


def _closing(text: str, start: int, escape: str) -> int:
    """Where the brace opened before `start` closes; the length of the text if it does not."""
    depth, position = 1, start
    while position < len(text):
        char = text[position]
        if char == escape:
            position += 1
        elif char == "{" and text[position - 1] == "$":
            depth += 1
        elif char == "}":
            depth -= 1
            if not depth:
                return position
        position += 1
    return len(text)
