"""The tool `bash`: one command in a shell of its own."""

from typing import Any

from longcat_eval.protocols import ExecResult, Sandbox
from longcat_eval.records import Wire
from longcat_eval.runners.agent.faults import text_argument
from longcat_eval.runners.agent.limits import AgentLimits

ENVIRONMENT = {
    "BASH_ENV": "${LCEVAL_RC::$((LCEVAL_RC_READ++ ? 0 : 99))}",
    "LCEVAL_RC": "/root/.bashrc",
    "LCEVAL_RC_READ": "0",
    "PAGER": "cat",
    "GIT_PAGER": "cat",
    "MANPAGER": "cat",
    "GIT_EDITOR": "true",
}
"""The official images of SWE-bench activate their environment in `/root/.bashrc`, which a shell that is not
interactive reads only when told to. Only the outermost one reads it here, as bash expands BASH_ENV and shells
within inherit the count: a `.bashrc` that runs bash itself (pyenv's) would start itself without end. And
nothing may wait for a key."""

BASH: Wire = {
    "type": "function",
    "function": {
        "name": "bash",
        "description": "Run a command in a new bash shell and return its exit code and what it printed.",
        "parameters": {
            "type": "object",
            "properties": {
                "command": {"type": "string", "description": "What to run; may have several lines."}
            },
            "required": ["command"],
        },
    },
}


async def run_bash(
    sandbox: Sandbox, arguments: dict[str, Any], workdir: str, limits: AgentLimits
) -> ExecResult:
    """Run the command of a call; raises `FormatError` where there is none, and `SandboxError`."""
    command = text_argument(arguments, "command")
    return await sandbox.exec(command, timeout=limits.command_seconds, cwd=workdir, env=ENVIRONMENT)
