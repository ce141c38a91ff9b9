"""A Dockerfile as instructions: lines joined, comments dropped, heredocs taken out.

By the grammar of BuildKit's parser (`frontend/dockerfile/parser`), heredocs included. A heredoc without an
end is none: what BuildKit refuses may be plain text for the classic builder.
"""

import json
import re
from collections.abc import Mapping
from typing import NamedTuple

from longcat_eval.runners.sandbox.dockerfile_words import Expanded, expand, split_words

_DIRECTIVE = re.compile(r"#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.+?)\s*")
_HEREDOC = re.compile(r"\d*<<(-?)([^<]*)", re.DOTALL)
_FLAG = re.compile(r"--[a-z]|--(?=\s|$)")
_WITH_HEREDOCS = ("ADD", "COPY", "RUN")


class Heredoc(NamedTuple):
    """One heredoc: `expands` unless its word was quoted, `chomps` leading tabs with `<<-`."""

    name: str
    content: str
    expands: bool
    chomps: bool

    @property
    def text(self) -> str:
        """The content as it is to be used."""
        return re.sub(r"(?m)^\t+", "", self.content) if self.chomps else self.content


class Instruction(NamedTuple):
    """One instruction. `rest` is its joined line after keyword and flags; `raw` its lines as they stand.

    An instruction behind ONBUILD has `onbuild` set and its own keyword. `line` counts from 1.
    """

    keyword: str
    flags: tuple[str, ...]
    rest: str
    heredocs: tuple[Heredoc, ...]
    raw: str
    line: int
    onbuild: bool = False

    def flag(self, name: str) -> str | None:
        """The value of a flag, empty where it has none; None if it is not there."""
        for flag in self.flags:
            key, _, value = flag.partition("=")
            if key == f"--{name}":
                return value
        return None


class Dockerfile(NamedTuple):
    """What a Dockerfile says; `directives` are those of its first lines, by their names."""

    instructions: tuple[Instruction, ...]
    directives: Mapping[str, str]

    @property
    def escape(self) -> str:
        """The character that joins lines."""
        return "`" if self.directives.get("escape") == "`" else "\\"


class From(NamedTuple):
    """Where a stage begins: `reference` with its variables replaced; `stage` is its name, in lower case.

    `external` is false for `scratch` and for another stage; `position` counts instructions.
    """

    reference: str
    stage: str
    platform: str
    external: bool
    position: int


def parse(text: str) -> Dockerfile:
    """Read a Dockerfile; nothing in it is an error here."""
    lines = text.removeprefix("\ufeff").splitlines(keepends=True)
    lines = _rejoin(lines)
    directives, position = _directives(lines)
    escape = "`" if directives.get("escape") == "`" else "\\"
    joins = re.compile(rf"(?:(?<=[^{re.escape(escape)}])|^){re.escape(escape)}[ \t]*$")
    found: list[Instruction] = []
    while position < len(lines):
        start = position
        joined, position = _logical_line(lines, position, joins)
        if joined:
            heredocs, position = _heredocs(joined, lines, position, escape)
            found.append(_instruction(joined, heredocs, "".join(lines[start:position]), start + 1))
    return Dockerfile(tuple(found), directives)


def _rejoin(lines: list[str]) -> list[str]:
    """`str.splitlines` knows more line ends than a Dockerfile: only a newline is one."""
    return re.findall(r"[^\n]*\n|[^\n]+", "".join(lines))


def _directives(lines: list[str]) -> tuple[dict[str, str], int]:
    """Those of the first lines, and where they end."""
    found: dict[str, str] = {}
    for number, line in enumerate(lines):
        match = _DIRECTIVE.fullmatch(line.strip())
        if (
            match is None
            or match[1].lower() not in ("syntax", "escape", "check")
            or match[1].lower() in found
        ):
            return found, number
        found[match[1].lower()] = match[2]
    return found, len(lines)


def _logical_line(lines: list[str], position: int, joins: re.Pattern[str]) -> tuple[str, int]:
    """The line at `position` joined with those it goes on in, and where the next begins."""
    joined, going = "", False
    while position < len(lines):
        line = lines[position].rstrip("\r\n")
        position += 1
        if line.lstrip().startswith("#") or (going and not line.strip()):
            if not going:
                return "", position
            continue
        line = line if going else line.strip() if not joins.search(line) else line.lstrip()
        going = joins.search(line) is not None
        joined += joins.sub("", line)
        if not going:
            break
    return joined.strip(), position


def _heredocs(joined: str, lines: list[str], position: int, escape: str) -> tuple[tuple[Heredoc, ...], int]:
    """The heredocs that a line opens, and where the next instruction begins; none if one has no end."""
    first, rest = first_word(joined)
    if first.upper() == "ONBUILD":
        first, _ = first_word(rest)
    if first.upper() not in _WITH_HEREDOCS or "<<" not in joined:
        return (), position
    found: list[Heredoc] = []
    end = position
    for word in split_words(joined, escape):
        opened = heredoc_word(word)
        if opened is None:
            continue
        name, expands, chomps = opened
        content: list[str] = []
        while end < len(lines):
            line = lines[end]
            end += 1
            bare = line.rstrip("\r\n")
            if (bare.lstrip("\t") if chomps else bare) == name:
                break
            content.append(line)
        else:
            return (), position
        found.append(Heredoc(name, "".join(content), expands, chomps))
    return tuple(found), end


def heredoc_word(word: str) -> tuple[str, bool, bool] | None:
    """(name, whether it expands, whether it chomps) of a word such as `<<-"EOF"`, or None."""
    match = _HEREDOC.fullmatch(word)
    if match is None or len(split_words(match[2])) != 1:
        return None
    name = expand(match[2], {}).text
    return (name, name == match[2], match[1] == "-") if name else None


def _instruction(joined: str, heredocs: tuple[Heredoc, ...], raw: str, line: int) -> Instruction:
    keyword, rest = first_word(joined)
    onbuild = keyword.upper() == "ONBUILD"
    if onbuild:
        keyword, rest = first_word(rest)
    flags: list[str] = []
    while _FLAG.match(rest):
        flag, rest = first_word(rest)
        if flag == "--":
            break
        flags.append(flag)
    return Instruction(keyword.upper(), tuple(flags), rest, heredocs, raw, line, onbuild)


def first_word(text: str) -> tuple[str, str]:
    """A text's first word and what follows it."""
    parts = text.split(None, 1)
    return (parts[0] if parts else "", parts[1] if len(parts) > 1 else "")


def stages(dockerfile: Dockerfile, args: Mapping[str, str]) -> list[From]:
    """Its FROM instructions; `args` are build arguments, over the defaults of ARGs before the first FROM."""
    found: list[From] = []
    values: dict[str, str] = {}
    names: set[str] = set()
    for index, one in enumerate(dockerfile.instructions):
        if one.keyword == "ARG" and not found:
            declare(values, one.rest, args, dockerfile.escape)
        if one.keyword != "FROM":
            continue
        words = [expand(word, {**args, **values}, escape=dockerfile.escape).text for word in one.rest.split()]
        reference = words[0] if words else ""
        stage = words[2].lower() if len(words) == 3 and words[1].upper() == "AS" else ""
        external = bool(reference) and reference != "scratch" and reference.lower() not in names
        platform = expand(one.flag("platform") or "", {**args, **values}, escape=dockerfile.escape).text
        found.append(From(reference, stage, platform, external, index))
        names |= {stage} - {""}
    return found


def external_images(dockerfile: Dockerfile, args: Mapping[str, str]) -> tuple[str, ...]:
    """Every image that it takes from outside: of FROM, and of `COPY --from` where that is no stage."""
    begun = stages(dockerfile, args)
    names = {stage.stage for stage in begun} | {str(number) for number in range(len(begun))}
    found = [stage.reference for stage in begun if stage.external]
    for one in dockerfile.instructions:
        source = one.flag("from") if one.keyword in ("COPY", "ADD") else None
        if source and source.lower() not in names:
            found.append(source)
    return tuple(dict.fromkeys(found))


def declare(
    values: dict[str, str],
    rest: str,
    args: Mapping[str, str],
    escape: str,
    outer: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> frozenset[str]:
    """Add what one ARG instruction declares to `values`; return the names whose defaults are not known.

    Without a default an argument has its value among `outer`, the ARGs before the first FROM.
    """
    vague: set[str] = set()
    for word in split_words(rest, escape):
        name, given, default = word.partition("=")
        value = expand(default, {**values, **(environment or {})}, escape=escape)
        if name in args:
            values[name] = args[name]
        elif given:
            values[name] = value.text
            vague |= {name} if value.unknown or value.refused else set()
        elif outer and name in outer:
            values[name] = outer[name]
    return frozenset(vague)


def assign(rest: str, values: Mapping[str, str], escape: str) -> dict[str, Expanded]:
    """What one ENV instruction sets, in either of its forms; all its words see the `values` before it."""
    words = split_words(rest, escape)
    if words and "=" not in words[0]:
        pairs = [first_word(rest)]
    else:
        pairs = [(word.partition("=")[0], word.partition("=")[2]) for word in words]
    return {name: expand(value, values, escape=escape) for name, value in pairs}


def json_words(rest: str) -> list[str] | None:
    """The words of the exec form, or None if this is the shell form."""
    if not rest.startswith("["):
        return None
    try:
        words = json.loads(rest)
    except ValueError:
        return None
    return words if isinstance(words, list) and all(isinstance(word, str) for word in words) else None
