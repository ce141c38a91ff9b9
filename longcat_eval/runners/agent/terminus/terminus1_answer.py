"""Replies of Terminus 1: one JSON object and nothing else, of exactly these fields.

Values are taken as `terminal_bench/agents/terminus_1.py` 0.2.18 takes them, because the same library reads
them: pydantic, which lets "1.5" be a number and "yes" be true.
"""

from functools import cache
from typing import Any

from longcat_eval.records import Wire
from longcat_eval.runners.agent.terminus.answer import Answer, Command

UNREADABLE = "The reply is not one JSON object of the form asked for: {problem}."
TEXTS = (UNREADABLE,)
ABOUT = {
    "state_analysis": "What the terminal shows, and how far the task is.",
    "explanation": "What the commands are for, in a sentence or two.",
    "commands": "What to type, in this order.",
    "is_task_complete": (
        "Whether the task is done once these commands have run. Have a look at what the last command did "
        "before you say so: true ends your work at once."
    ),
    "keystrokes": (
        "What is typed, character by character. A line runs when its newline is typed. A key without a "
        "character is given by its tmux name (C-c, Escape) as a command of its own."
    ),
    "is_blocking": (
        "Whether to wait until the shell has ended this command. Not for key names, not in programs that "
        "one types into (vim, less, a debugger), only for what ends by itself at a shell prompt."
    ),
    "timeout_sec": "How many seconds to wait for it at most.",
}
"""Our own words for what each field means."""


@cache
def _model() -> Any:
    from pydantic import BaseModel, ConfigDict, Field, create_model

    def field(name: str) -> Any:
        return Field(description=ABOUT[name])

    class Strict(BaseModel):
        model_config = ConfigDict(extra="forbid")

    command = create_model(
        "Command",
        __base__=Strict,
        keystrokes=(str, field("keystrokes")),
        is_blocking=(bool, field("is_blocking")),
        timeout_sec=(float, field("timeout_sec")),
    )
    return create_model(
        "Answer",
        __base__=Strict,
        state_analysis=(str, field("state_analysis")),
        explanation=(str, field("explanation")),
        commands=(list[command], field("commands")),  # type: ignore[valid-type]
        is_task_complete=(bool, field("is_task_complete")),
    )


def answer_schema() -> Wire:
    """Return the JSON schema of an answer, in our own words."""
    schema: Wire = _model().model_json_schema()
    return schema


def read_terminus1(reply: str) -> Answer:
    """Return what a reply asks for; nothing in it raises."""
    from pydantic import ValidationError

    try:
        said = _model().model_validate_json(reply)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"]))
        problem = f"{place}: {first['msg']}" if place else first["msg"]
        return Answer(error=UNREADABLE.format(problem=problem[:200]))
    commands = (Command(one.keystrokes, one.timeout_sec, one.is_blocking) for one in said.commands)
    return Answer(
        commands=tuple(commands),
        complete=said.is_task_complete,
        analysis=said.state_analysis,
        plan=said.explanation,
    )
