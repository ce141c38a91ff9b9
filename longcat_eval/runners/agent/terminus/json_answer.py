"""Replies of Terminus 2 in JSON, read as `terminus_json_plain_parser.py` of harbor 0.24.0 reads them.

The answer is the first object whose braces balance, quotes minded from the beginning of the reply on. Failing
that, two corrections are tried in turn: braces that are missing at the end, then the first object in the
reply, at most one level deep, that is JSON. Where the task is complete, commands that cannot be read are a
warning. terminal-bench 0.2.18 reads the same, but warns of an empty command for its missing newline too. That
there is no object is an error here, and not the same words once more as a warning.

The original raises on numbers and nestings that Python refuses and on durations beyond a float, which end its
trial; here the first are errors that the model is told, and the last are as long as can be.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from longcat_eval.runners.agent.terminus.answer import (
    BAD_DURATION,
    CORRECTED,
    DURATION,
    NO_DURATION,
    NO_NEWLINE,
    Answer,
    Command,
)

FIELDS = ("analysis", "plan", "commands")
NO_OBJECT = "The reply holds no complete JSON object."
NOT_JSON = "The JSON object cannot be read: {problem}."
MISSING = "The JSON object lacks {fields}."
NO_LIST = "`commands` must be an array."
TEXT_BEFORE, TEXT_AFTER = "There is text before the JSON object.", "There is text after the JSON object."
NO_TEXT = "`{field}` should be a string."
ORDER = "The fields should come in this order: analysis, plan, commands."
NO_BOOLEAN = "`task_complete` should be true or false."
NO_COMMAND = "Command {number} must be an object."
NO_KEYSTROKES = "Command {number} has no `keystrokes`."
KEYSTROKES_NO_TEXT = "`keystrokes` of command {number} must be a string."
UNKNOWN = "Command {number} has fields that mean nothing: {fields}."
ADDED_BRACES, TAKEN_OUT = "closing braces were added", "the first JSON object was taken out of the text"
TEXTS = (
    *(NO_OBJECT, NOT_JSON, MISSING, NO_LIST, TEXT_BEFORE, TEXT_AFTER, NO_TEXT, ORDER, NO_BOOLEAN),
    *(NO_COMMAND, NO_KEYSTROKES, KEYSTROKES_NO_TEXT, UNKNOWN, ADDED_BRACES, TAKEN_OUT, NO_NEWLINE),
    *(BAD_DURATION, NO_DURATION, CORRECTED),
)
"""Everything a model may be told about its reply."""

SHALLOW = re.compile(r"\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}")
MARK = re.compile(r'\\.|["{}]', re.DOTALL)


def read_json(reply: str) -> Answer:
    """Return what a reply asks for; nothing in it raises."""
    answer, unreadable = _read(reply)
    if not answer.error:
        return answer
    for correction, corrected in _corrections(reply, unreadable):
        mended, _ = _read(corrected)
        if not mended.error:
            told = CORRECTED.format(correction=correction)
            return Answer(**{**vars(mended), "warnings": (told, *mended.warnings)})
    return answer


def _corrections(reply: str, unreadable: bool) -> Iterator[tuple[str, str]]:
    missing = reply.count("{") - reply.count("}")
    if unreadable and missing > 0:
        yield ADDED_BRACES, reply + "}" * missing
    for found in SHALLOW.finditer(reply):
        if _loaded(found[0]) is not None:
            yield TAKEN_OUT, found[0]
            return


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def balanced_object(reply: str) -> tuple[int, int] | None:
    """Return where the first object begins and ends whose braces balance, or None.

    Quotes count outside of objects too, and a closing brace too many before is one too few later: that is
    how the original looks.
    """
    depth, quoted, begin = 0, False, -1
    for mark in MARK.finditer(reply):
        if mark[0] == '"':
            quoted = not quoted
        elif mark[0] == "{" and not quoted:
            begin = mark.start() if depth == 0 else begin
            depth += 1
        elif mark[0] == "}" and not quoted:
            depth -= 1
            if depth == 0 and begin >= 0:
                return begin, mark.end()
    return None


def _read(reply: str) -> tuple[Answer, bool]:
    """Read a reply as it stands; also whether it is no JSON at all, which braces may mend."""
    place = balanced_object(reply)
    if place is None:
        return Answer(error=NO_OBJECT), True
    begin, end = place
    written = reply[begin:end]
    warnings = [TEXT_BEFORE] if reply[:begin].strip() else []
    warnings += [TEXT_AFTER] if reply[end:].strip() else []
    try:
        data = json.loads(written)
    except (ValueError, RecursionError) as problem:
        return Answer(error=NOT_JSON.format(problem=_words(problem)), warnings=tuple(warnings)), True
    return _answer(data, written, warnings), False


def _words(problem: ValueError | RecursionError) -> str:
    return "it is nested too deeply" if isinstance(problem, RecursionError) else str(problem)[:200]


def _answer(data: dict[str, Any], written: str, warnings: list[str]) -> Answer:
    missing = [f"`{name}`" for name in FIELDS if name not in data]
    if missing:
        return Answer(error=MISSING.format(fields=", ".join(missing)), warnings=tuple(warnings))
    warnings += [NO_TEXT.format(field=name) for name in FIELDS[:2] if not isinstance(data[name], str)]
    if not isinstance(data["commands"], list):
        return Answer(error=NO_LIST, warnings=tuple(warnings))
    if not _in_order(written):
        warnings.append(ORDER)
    said = data.get("task_complete")
    if said is not None and not isinstance(said, bool | str):
        warnings.append(NO_BOOLEAN)
    complete = said.lower() in ("true", "1", "yes") if isinstance(said, str) else bool(said)
    commands, error = _commands(data["commands"], warnings)
    if error and complete:
        warnings.append(error)
        error = ""
    return Answer(
        commands=commands,
        complete=complete and not error,
        analysis=data["analysis"] if isinstance(data["analysis"], str) else "",
        plan=data["plan"] if isinstance(data["plan"], str) else "",
        error=error,
        warnings=tuple(warnings),
    )


def _in_order(written: str) -> bool:
    found = [re.search(rf'"{name}"\s*:', written) for name in FIELDS]
    places = [match.start() for match in found if match]
    return places == sorted(places)


def _commands(entries: list[Any], warnings: list[str]) -> tuple[tuple[Command, ...], str]:
    """Return the commands, or what is wrong with the first that cannot be read."""
    commands = []
    for number, entry in enumerate(entries, 1):
        if not isinstance(entry, dict):
            return (), NO_COMMAND.format(number=number)
        if "keystrokes" not in entry:
            return (), NO_KEYSTROKES.format(number=number)
        keys = entry["keystrokes"]
        if not isinstance(keys, str):
            return (), KEYSTROKES_NO_TEXT.format(number=number)
        warning, seconds = _duration(entry)
        if warning:
            warnings.append(warning.format(number=number, seconds=seconds))
        if unknown := [name for name in entry if name not in ("keystrokes", "duration")]:
            warnings.append(UNKNOWN.format(number=number, fields=", ".join(unknown)))
        if number < len(entries) and keys and not keys.endswith("\n"):
            warnings.append(NO_NEWLINE.format(number=number))
        commands.append(Command(keys, seconds))
    return tuple(commands), ""


def _duration(entry: dict[str, Any]) -> tuple[str, float]:
    """Return what to say about a duration, if anything, and the duration."""
    if "duration" not in entry:
        return NO_DURATION, DURATION
    said = entry["duration"]
    if not isinstance(said, int | float):
        return BAD_DURATION, DURATION
    try:
        return "", float(said)
    except OverflowError:
        return "", float("inf") if said > 0 else 0.0
