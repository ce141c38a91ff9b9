"""Replies of Terminus 2 in tags, read as `terminus_xml_plain_parser.py` of harbor 0.24.0 reads them.

These are tags in a text and no XML: what is between them is typed as it stands, and `task_complete` counts
wherever in the response it is. A response without its closing tag goes on to the end of the reply. The first
block of commands is taken, all others are told of.

The original raises on a tag of nothing but spaces (`cat < a > b < > c`), which ends its trial; here it is
one more unknown tag.
"""

import re
from collections.abc import Iterator, Mapping

from longcat_eval.runners.agent.terminus.answer import (
    BAD_DURATION,
    DURATION,
    NO_DURATION,
    NO_NEWLINE,
    Answer,
    Command,
)

OPEN, CLOSE = "<response>", "</response>"
SECTIONS = ("analysis", "plan", "commands")
NO_RESPONSE = "The reply holds no <response>."
NO_COMMANDS = "The response has no <commands>."
TEXT_BEFORE, TEXT_AFTER = "There is text before <response>.", "There is text after </response>."
ONE_RESPONSE = "Send one <response> at a time: of your {count}, only the first was read."
ONE_BLOCK = "Send one <commands> at a time: of your {count}, only the first was read."
MISSING = "The response has no <{section}>."
REPEATED = "The response has <{section}> more than once."
UNKNOWN = "The tag <{tag}> means nothing at the top of a response."
ORDER = "The sections should come in this order: analysis, plan, commands."
NOTHING_TO_DO = "<commands> is empty, so nothing was typed. To wait, send empty keystrokes with a duration."
UNQUOTED = 'Command {number}: the value of {name} should be in quotes, as in {name}="0.5".'
SINGLE_QUOTES = "Command {number}: the value of {name} should be in double quotes."
ATTRIBUTE = "Command {number}: the attribute {name} means nothing."
ENTITY = (
    "{entity} was typed as these {length} characters: nothing is decoded, write {meant} if you mean that."
)
RETURNS = "Write line ends as a line break alone; \\r is not needed."
TEXTS = (
    *(NO_RESPONSE, NO_COMMANDS, TEXT_BEFORE, TEXT_AFTER, ONE_RESPONSE, ONE_BLOCK, MISSING, REPEATED, UNKNOWN),
    *(ORDER, NOTHING_TO_DO, UNQUOTED, SINGLE_QUOTES, ATTRIBUTE, ENTITY, RETURNS, NO_NEWLINE),
    *(BAD_DURATION, NO_DURATION),
)
"""Everything a model may be told about its reply."""

ENTITIES: Mapping[str, str] = {"&lt;": "<", "&gt;": ">", "&amp;": "&", "&quot;": '"', "&apos;": "'"}
COMPLETE = re.compile(r"<task_complete>\s*true\s*</task_complete>", re.IGNORECASE)
LONGEST_ATTRIBUTES = 1_000


def read_xml(reply: str) -> Answer:
    """Return what a reply asks for; nothing in it raises."""
    warnings, several = _around(reply)
    _, opened, rest = reply.partition(OPEN)
    content = rest.partition(CLOSE)[0].strip()
    if not opened or not content:
        return Answer(error=NO_RESPONSE, warnings=tuple(warnings), several=several)
    complete = COMPLETE.search(content) is not None
    sections = {name: text for name in SECTIONS if (text := _section(content, name)) is not None}
    warnings += [MISSING.format(section=name) for name in SECTIONS if name not in sections]
    warnings += [UNKNOWN.format(tag=tag) for tag in dict.fromkeys(_top_tags(content)) if not _known(tag)]
    warnings += _repeated(content)
    several = several or len(_openings(content, "commands")) > 1
    if not _in_order(content):
        warnings.append(ORDER)
    commands: tuple[Command, ...] = ()
    error = "" if "commands" in sections or complete else NO_COMMANDS
    if sections.get("commands"):
        commands = tuple(_commands(sections["commands"], warnings))
    elif not error and not complete:
        warnings.append(NOTHING_TO_DO)
    return Answer(
        commands=commands,
        complete=complete,
        analysis=sections.get("analysis", ""),
        plan=sections.get("plan", ""),
        error=error,
        warnings=tuple(warnings),
        several=several,
    )


def salvage_xml(reply: str) -> str:
    """Return the part of a reply that was cut off which is an answer by itself, '' if there is none."""
    commands_end = reply.find("</commands>")
    end = reply.find(CLOSE, commands_end) if commands_end >= 0 else -1
    whole = reply[: end + len(CLOSE)] if end >= 0 else ""
    if not whole:
        return ""
    answer = read_xml(whole)
    return "" if answer.error or answer.several else whole


def _around(reply: str) -> tuple[list[str], bool]:
    """What is wrong outside of the response, and whether there are several."""
    before, opened, _ = reply.partition(OPEN)
    _, _, after = reply.partition(CLOSE)
    if not opened:
        return [], False
    warnings = [TEXT_BEFORE] if before.strip() else []
    if not after.strip():
        return warnings, False
    count = reply.count(OPEN)
    warnings += [TEXT_AFTER, *([ONE_RESPONSE.format(count=count)] if count > 1 else [])]
    return warnings, count > 1


def _section(content: str, name: str) -> str | None:
    """The text of a section, empty for a closed tag, None if it is not there."""
    _, opened, rest = content.partition(f"<{name}>")
    text, closed, _ = rest.partition(f"</{name}>")
    if opened and closed:
        return text.strip()
    return "" if re.search(rf"<{name}\s*/>", content) else None


def _openings(content: str, name: str) -> list[int]:
    return [found.start() for found in re.finditer(rf"<{name}(?:\s|>|/>)", content)]


def _repeated(content: str) -> Iterator[str]:
    for name in (*SECTIONS, "task_complete"):
        if (count := len(_openings(content, name))) > 1:
            yield ONE_BLOCK.format(count=count) if name == "commands" else REPEATED.format(section=name)


def _in_order(content: str) -> bool:
    places = [found[0] for name in SECTIONS if (found := _openings(content, name))]
    return places == sorted(places)


def _top_tags(content: str) -> Iterator[str]:
    """The names of the tags that are in no other, counted as if every `<` began one."""
    depth = 0
    for inside in _tags(content):
        if inside.startswith(("!", "?")):
            continue
        if inside.startswith("/"):
            depth -= 1
            continue
        if depth == 0:
            first = inside.split()[:1] if " " in inside else [inside]
            yield (first or [""])[0].removesuffix("/")
        depth += not inside.endswith("/")


def _tags(content: str) -> Iterator[str]:
    """What is between each `<` and the next `>`, one after the other."""
    start = content.find("<")
    while start >= 0 and (end := content.find(">", start)) >= 0:
        yield content[start + 1 : end]
        start = content.find("<", end)


def _known(tag: str) -> bool:
    return tag in (*SECTIONS, "task_complete")


def _commands(block: str, warnings: list[str]) -> Iterator[Command]:
    found = list(_keystrokes(block))
    for number, (attributes, keys) in enumerate(found, 1):
        warnings += _attribute_problems(attributes, number)
        warning, seconds = _duration(attributes)
        if warning:
            warnings.append(warning.format(number=number, seconds=seconds))
        if number < len(found) and not keys.endswith("\n"):
            warnings.append(NO_NEWLINE.format(number=number))
        yield Command(keys, seconds)
    warnings += [
        ENTITY.format(entity=entity, length=len(entity), meant=meant)
        for entity, meant in ENTITIES.items()
        if entity in block
    ]
    if "\\r\\n" in block:
        warnings.append(RETURNS)


def _keystrokes(block: str) -> Iterator[tuple[str, str]]:
    """The attributes and the content of each element that ends."""
    opening, closing = "<keystrokes", "</keystrokes>"
    start = block.find(opening)
    while start >= 0 and (close := block.find(">", start)) >= 0:
        end = block.find(closing, close)
        if end < 0:
            return
        attributes = block[start + len(opening) : close]
        yield attributes[:LONGEST_ATTRIBUTES], block[close + 1 : end]
        start = block.find(opening, end + len(closing))


def _duration(attributes: str) -> tuple[str, float]:
    found = re.search(r"""duration\s*=\s*["']([^"']*)["']""", attributes)
    if not found:
        return NO_DURATION, DURATION
    try:
        return "", float(found[1])
    except ValueError:
        return BAD_DURATION, DURATION


def _attribute_problems(attributes: str, number: int) -> Iterator[str]:
    for name, _ in re.findall(r"""(\w+)\s*=\s*([^"'\s>]+)""", attributes):
        yield UNQUOTED.format(number=number, name=name)
    for name in re.findall(r"(\w+)\s*=\s*'[^']*'", attributes):
        yield SINGLE_QUOTES.format(number=number, name=name)
    for name in re.findall(r"(\w+)\s*=", attributes):
        if name != "duration":
            yield ATTRIBUTE.format(number=number, name=name)
