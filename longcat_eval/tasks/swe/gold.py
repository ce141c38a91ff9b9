"""An agent that knows the gold patch: it applies it with its shell and hands in, in every profile's words."""

import base64

import msgspec

from longcat_eval.records import Message, ToolCall
from longcat_eval.runners.agent.prompts import SUBMIT_COMMAND

END = "END_OF_GOLD_PATCH"


def gold_messages(patch: str, profile: str) -> list[Message]:
    """Return what the agent says in its two turns."""
    if profile == "bash-text":
        # A block of text has lines; a patch may hold characters that some take for their ends.
        encoded = base64.encodebytes(patch.encode()).decode()
        apply = f"base64 -d <<'{END}' | git apply -\n{encoded}{END}"
        return [Message("assistant", f"```bash\n{command}\n```") for command in (apply, SUBMIT_COMMAND)]
    newline = "" if patch.endswith("\n") else "\n"
    apply = f"git apply - <<'{END}'\n{patch}{newline}{END}"
    last = _call(1, "finish", {}) if profile == "edit" else _call(1, "bash", {"command": SUBMIT_COMMAND})
    return [_call(0, "bash", {"command": apply}), last]


def _call(number: int, name: str, arguments: dict[str, str]) -> Message:
    written = msgspec.json.encode(arguments).decode()
    return Message("assistant", tool_calls=(ToolCall(f"gold_{number}", name, written),))
