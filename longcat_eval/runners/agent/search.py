"""The tool `search`: lines that match a pattern, of a file or a whole tree, in bounded number and length."""

from typing import Any

from longcat_eval.protocols import Sandbox
from longcat_eval.records import Wire
from longcat_eval.runners.agent.faults import (
    UNREADABLE,
    FormatError,
    is_below,
    path_argument,
    resolve,
    text_argument,
)
from longcat_eval.runners.agent.limits import AgentLimits
from longcat_eval.runners.agent.observation import TIMED_OUT, Observation, shown

MATCHES, LINE_BYTES, LONGEST_PATTERN = 100, 300, 1_000

SEARCH: Wire = {
    "type": "function",
    "function": {
        "name": "search",
        "description": (
            "Find lines that match an extended regular expression (grep -E), in all text files below a "
            f"folder or in one file. Returns `path:line number:line`, at most {MATCHES} of them."
        ),
        "parameters": {
            "type": "object",
            "properties": {
                "pattern": {"type": "string"},
                "path": {
                    "type": "string",
                    "description": "File or folder; the project's folder if left out.",
                },
                "glob": {"type": "string", "description": "Only files with such a name, as in *.h"},
            },
            "required": ["pattern"],
        },
    },
}

GREP = rf"""
grep -HrnIE --exclude-dir=.git ${{LCEVAL_GLOB:+--include="$LCEVAL_GLOB"}} -e "$LCEVAL_PATTERN" \
  -- ${{LCEVAL_PATH:+"$LCEVAL_PATH"}} 2>&1 | cut -b 1-{LINE_BYTES} | head -n {MATCHES + 1}
"""


async def search(
    sandbox: Sandbox, arguments: dict[str, Any], workdir: str, limits: AgentLimits
) -> Observation:
    """Search as one call asks for; raises `FormatError` and `SandboxError`."""
    pattern, glob = text_argument(arguments, "pattern"), text_argument(arguments, "glob", "")
    if not pattern or len(pattern) + len(glob) > LONGEST_PATTERN:
        raise FormatError(UNREADABLE, f"`pattern` is {'too long' if pattern else 'empty'}.")
    path = resolve(path_argument(arguments, "path", "."), workdir)
    where = path.removeprefix(workdir).lstrip("/") if is_below(path, workdir) else path
    result = await sandbox.exec(
        GREP,
        timeout=limits.command_seconds,
        cwd=workdir,
        env={"LCEVAL_PATTERN": pattern, "LCEVAL_GLOB": glob, "LCEVAL_PATH": where, "LC_ALL": "C.UTF-8"},
    )
    lines = shown(result.output, len(result.output) + 1).splitlines()
    if result.timed_out:
        lines.append(TIMED_OUT.format(seconds=limits.command_seconds))
    elif len(lines) > MATCHES:
        lines[MATCHES:] = [f"[... more than {MATCHES} matches: search for something rarer, or in one folder]"]
    text = "\n".join(lines) or f"No line matches below {path}."
    return Observation(shown(text.encode(), limits.output_chars), text.startswith("grep: "))
