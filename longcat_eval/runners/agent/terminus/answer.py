"""What a reply of a Terminus agent asks for, whichever grammar it is written in."""

from dataclasses import dataclass
from typing import NamedTuple

DURATION = 1.0
NO_NEWLINE = (
    "Command {number} does not end with a newline, and another one follows: both are typed on one line."
)
BAD_DURATION = "Command {number}: the duration is no number; {seconds:g} is taken."
NO_DURATION = "Command {number}: no duration; {seconds:g} is taken."
CORRECTED = "Your reply was not well-formed; it was read after this correction: {correction}."


class Command(NamedTuple):
    """Keys to type, and how long to wait for what they do (seconds, as the model wrote it).

    `blocking` (Terminus 1 alone): the shell is waited for, `seconds` at most.
    """

    keystrokes: str
    seconds: float
    blocking: bool = False


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A reply read: with an `error` nothing of it is done.

    `complete`: the model says that the task is done. `several`: it holds more than one block of commands, of
    which the first is taken. `warnings` tell the model what to do better.
    """

    commands: tuple[Command, ...] = ()
    complete: bool = False
    analysis: str = ""
    plan: str = ""
    error: str = ""
    warnings: tuple[str, ...] = ()
    several: bool = False
