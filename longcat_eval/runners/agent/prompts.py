"""What a model is told at the start of an episode; no words about any programming language."""

REQUEST = """\
The folder {workdir} is a checkout of a software project. Its maintainers were asked for this:

<request>
{problem}
</request>
{hints}
Change the source of the project so that the request is met, and met in general, not only for the examples \
it gives. Tests that you do not see decide whether it is, together with those the project has; existing \
tests need no change.

About the machine:
- {shell}
- What the project depends on is installed. Do not count on a network.
- Nothing can be typed into a command that runs, so start nothing that asks or that opens an editor. A \
command that takes too long is stopped, and of a long output you see the beginning and the end.

How to go about it: find the code that is concerned and read it; make the problem show itself, with a small \
script or with tests of the project; change the code; see that the problem is gone and that the tests near \
it pass; think of the cases at the edges; remove the files that you made only for yourself.

"""

HINTS = """
From the discussion of the request:

<discussion>
{hints}
</discussion>
"""

FRESH_SHELL = (
    "Each command runs in a new shell that starts in {workdir}: files stay, but a change of folder or of "
    "variables does not. Join with && what belongs together."
)

SUBMIT_LINE = "COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"
SUBMIT_COMMAND = f"echo {SUBMIT_LINE} && git add -A && git diff --cached --binary"

SUBMIT = f"""\
When all is done, hand in with this command, alone:

    {SUBMIT_COMMAND}

What it prints after the first line is taken as your patch and ends your work. The patch must hold the whole \
change, so make no commits.
"""

FINISH = """\
When all is done, call `finish`. Your work is then the folder as it stands, against the commit it was \
checked out from.
"""

FENCE_EXAMPLE = """\
```bash
git log --oneline | head -n 3
```"""


def instance(ending: str, problem: str, workdir: str, hints: str) -> str:
    """Return the first user message, which ends with how to hand in."""
    return (
        REQUEST.format(
            workdir=workdir,
            problem=problem.strip(),
            hints=HINTS.format(hints=hints.strip()) if hints.strip() else "",
            shell=FRESH_SHELL.format(workdir=workdir),
        )
        + ending
    )
