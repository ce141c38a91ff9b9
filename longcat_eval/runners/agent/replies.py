"""From a reply to its calls: tool calls, or one command in a fenced block of its text."""

from collections.abc import Sequence

from longcat_eval.runners.agent.faults import NO_CALL, FormatError
from longcat_eval.runners.participant import ReadCall, Said

NO_TOOL_CALL = "Your reply calls no tool."
NOT_ONE_BLOCK = "Your reply holds {count} complete blocks that begin with ```bash."


def tool_calls(said: Said) -> Sequence[ReadCall]:
    """Return the tool calls of a reply; `FormatError` if it has none."""
    if not said.calls:
        raise FormatError(NO_CALL, NO_TOOL_CALL)
    return said.calls


def fenced_command(said: Said) -> Sequence[ReadCall]:
    """Return the one command of a reply, as a call of `bash`; `FormatError` if there is not exactly one."""
    found = fenced_blocks(said.text)
    if len(found) != 1:
        raise FormatError(NO_CALL, NOT_ONE_BLOCK.format(count=len(found)))
    return (ReadCall("", "bash", {"command": found[0]}, found[0]),)


def fenced_blocks(text: str) -> list[str]:
    """Return what stands in the complete ```bash blocks of a Markdown text.

    A block ends at a line of as many backticks as opened it, or more; blocks of other languages are skipped.
    """
    blocks: list[str] = []
    fence, wanted, lines = "", False, list[str]()
    for line in text.replace("\r\n", "\n").split("\n"):
        bare = "" if line.startswith("    ") else line.strip()
        ticks = bare[: len(bare) - len(bare.lstrip("`"))]
        language = bare[len(ticks) :].strip()
        if not fence:
            if len(ticks) >= 3 and "`" not in language:
                fence, wanted, lines = ticks, language == "bash", []
        elif len(ticks) >= len(fence) and not language:
            if wanted:
                blocks.append("\n".join(lines))
            fence = ""
        else:
            lines.append(line)
    return blocks
