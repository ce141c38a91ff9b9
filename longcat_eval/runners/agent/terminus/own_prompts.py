"""Our own words for Terminus 2: the contract of the originals, none of their sentences."""

from collections.abc import Mapping

from longcat_eval.runners.agent.terminus.grammar import GRAMMARS
from longcat_eval.runners.agent.terminus.prompts import Prompts

VERSION = "terminus2-compatible/1"

FIRST = """\
You are at the terminal of a Linux machine, alone, with something to do on it: it stands below, and what the \
terminal shows stands after it. Turn by turn you say what is typed next, and see what came of it. Tests that \
you do not know look at the machine in the end, so what counts is the state you leave it in.

{form}

About typing:
- Keystrokes are typed character by character, exactly as they stand. A command runs when its newline is \
typed: without one at its end, the next keystrokes land on the same line.
- Keystrokes that are, whole, a key's name in tmux's words are that key: C-c to interrupt, C-d to end the \
input, Escape, Up. Each needs an entry of its own.
- The duration is how many seconds pass after typing before anything else is typed, or shown to you: 1 if \
you give none, 60 at most. For what answers at once (cd, ls, cat), 0.1 will do; a compiler or a search over \
files takes a second; builds, downloads and long scripts take what they take. Nothing is stopped when it is \
over: better wait too little, look, and wait on with empty keystrokes and another duration.
- You see what the terminal printed since your last turn, or its screen where it printed nothing; of much \
output, the beginning and the end.

<task>
{{instruction}}
</task>

{{terminal_state}}
"""

JSON_FORM = """\
Each of your replies is one JSON object and nothing else:

{
  "analysis": "what the terminal tells you: what is done, what went wrong, what is missing",
  "plan": "what you type next, why, and what you expect to see",
  "commands": [
    {"keystrokes": "cd /srv/www && ls -l\\n", "duration": 0.1},
    {"keystrokes": "make -j2\\n", "duration": 30}
  ],
  "task_complete": false
}

analysis, plan and commands are needed, in this order; commands may be an empty list. task_complete is true \
once everything is done and you have seen that it is, and may be left out before. Quotes, backslashes and \
line breaks within strings are escaped as JSON wants it."""

XML_FORM = """\
Each of your replies is one <response> and nothing else:

<response>
<analysis>
what the terminal tells you: what is done, what went wrong, what is missing
</analysis>
<plan>
what you type next, why, and what you expect to see
</plan>
<commands>
<keystrokes duration="0.1">cd /srv/www && ls -l
</keystrokes>
<keystrokes duration="30">make -j2
</keystrokes>
</commands>
<task_complete>false</task_complete>
</response>

analysis, plan and commands are needed, once each and in this order; commands may be empty. task_complete is \
true once everything is done and you have seen that it is, and may be left out before. Nothing between the \
tags of keystrokes is decoded: write <, >, & and quotes as they are, never as &lt; and the like, and a \
newline as a line break."""

CONFIRM = """\
{{terminal_state}}

You say that the task is done. If it is, say so once more, with {flag}: your work then ends, nothing can be \
mended any more, and the tests are run. If anything is left to do or to check, go on as before instead."""

SUMMARY = """\
The conversation has become too long, so someone else will go on with the task from here, at the same \
terminal, with no knowledge of it but what you write down. The task:

<task>
{instruction}
</task>

Write down all that they need:
1. What was done: each command of weight, and what came of it.
2. What was found out: where things are, how they are set up, versions, names, error messages.
3. What was difficult, how it was solved, and what was tried in vain.
4. Where things stand: what is done, what is running, what is left, and what you would have done next."""

QUESTIONS = """\
You take over a task that someone else began, at the terminal that they used. The task:

<task>
{instruction}
</task>

They left you this:

<notes>
{summary}
</notes>

The screen of the terminal:
{screen}

You may ask them now, and only now. Put at least five questions, more if there is more to know, on what \
their notes leave open about the state of the work."""

ANSWERS = """\
Whoever takes over asks you this. Answer one question after the other, with all details you have:

{questions}"""

HAND_OVER = """\
The answers to your questions:

{answers}

Nobody can be asked any more. Go on with the task from here, and reply in the form described at the start."""

SHORT = """\
This task is under way:

<task>
{instruction}
</task>

The end of the terminal's screen:
{screen}

Say in two or three sentences what to do next."""

SHORT_OVER = """\
The conversation so far was too long to go on with. The task is still this:

<task>
{instruction}
</task>

What seems to come next: {summary}

Have a look at the state of things first, and reply in the form described at the start."""

LAST_RESORT = """\
The conversation so far was too long to go on with. The task is still this:

<task>
{instruction}
</task>

The end of the terminal's screen:
{screen}

Have a look at the state of things first, and reply in the form described at the start."""

TRUNCATED = """\
Your reply reached its length limit before it was complete, so nothing in it was typed. Be briefer: do less \
in one turn, and write large files in several parts."""

FORMS: Mapping[str, tuple[str, str]] = {
    "json": (JSON_FORM, '"task_complete": true'),
    "xml": (XML_FORM, "<task_complete>true</task_complete>"),
}
"""By grammar: how replies are written, and what says that the task is done."""


def own_prompts(grammar: str) -> Prompts:
    """Return our own words in a grammar (json or xml)."""
    form, flag = FORMS[grammar]
    return Prompts(
        version=VERSION,
        grammar=GRAMMARS[grammar],
        first=FIRST.format(form=form.replace("{", "{{").replace("}", "}}")),
        fresh="New on the terminal:\n{output}",
        screen="The screen of the terminal:\n{output}",
        cut="{head}\n[... {omitted_bytes} bytes left out here ...]\n{tail}",
        unreadable="{feedback}\n\nNothing was typed. Reply again, in the form described at the start.",
        warned="{feedback}\n\n{terminal_state}",
        error_line="Your last reply cannot be used. {error}",
        warnings_below="\nFurther remarks:\n{warnings}",
        warnings_alone="Remarks on your last reply:\n{warnings}",
        confirm=CONFIRM.format(flag=flag),
        truncated=TRUNCATED,
        truncated_warnings="\nRemarks on what there was of it:\n{warnings}",
        summary=SUMMARY,
        questions=QUESTIONS,
        answers=ANSWERS,
        hand_over=HAND_OVER,
        with_pending="{hand_over}\n\n{prompt}",
        short=SHORT,
        short_over=SHORT_OVER,
        last_resort=LAST_RESORT,
    )
