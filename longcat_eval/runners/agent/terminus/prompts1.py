"""What a Terminus 1 is told, as templates for `str.format`, and our own words for it."""

from dataclasses import dataclass

from longcat_eval.runners.agent.terminus.answer import Command

VERSION = "terminus1-compatible/1"

FIRST = """\
You are at the terminal of a Linux machine, alone, with something to do on it: it stands below, and what the \
terminal shows stands after it. Turn by turn you say what is typed next, and are shown the screen that comes \
of it. Tests that you do not know look at the machine in the end, so what counts is the state you leave it in.

Each of your replies is one JSON object and nothing else, no Markdown around it either. This is its schema:

{response_schema}

Keystrokes are typed exactly as they stand, into a tmux session: a command runs when the newline at its end \
is typed, and keys without a character have their tmux names (C-c, Escape), each as a command of its own. \
Wait (is_blocking) only for what ends by itself and gives the shell back. In programs that one types into, \
an editor, a pager, a debugger, just type.

<task>
{instruction}
</task>

The screen:
{terminal_state}
"""

TIMED_OUT = """\
This was not over after {timeout_sec} seconds, and what you had planned after it was not typed:

{command}

It may still be running: then wait for it, or interrupt it. Or it may be a program that waits for keys. The \
screen:
{terminal_state}"""


@dataclass(frozen=True, kw_only=True)
class Prompts1:
    """The words of one source; `version` names it in results, `schema` is that of an answer, as JSON text.

    `first` holds {response_schema} {instruction} {history} {terminal_state}, `timed_out` {timeout_sec}
    {command} {terminal_state}. `plain`: screens are shown with the blank lines at their end, and a command in
    the words of the original's own library.
    """

    version: str
    first: str
    timed_out: str
    schema: str
    plain: bool = False

    def opening(self, instruction: str, terminal_state: str) -> str:
        """The first message."""
        return self.first.format(
            response_schema=self.schema, instruction=instruction, history="", terminal_state=terminal_state
        )

    @property
    def texts(self) -> tuple[str, ...]:
        """Every text a model may see."""
        return (self.first, self.timed_out, self.schema)


def own_prompts1() -> Prompts1:
    """Return our own words."""
    import json

    from longcat_eval.runners.agent.terminus.terminus1_answer import answer_schema

    schema = json.dumps(answer_schema(), indent=2)
    return Prompts1(version=VERSION, first=FIRST, timed_out=TIMED_OUT, schema=schema)


def command_words(command: Command) -> str:
    """Return a command as pydantic prints one of the original's."""
    keys, blocking, seconds = command.keystrokes, command.blocking, command.seconds
    return f"keystrokes={keys!r} is_blocking={blocking!r} timeout_sec={seconds!r}"
