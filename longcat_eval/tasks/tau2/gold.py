"""Scripts for both sides of a dialogue: the gold actions in their order, and doing nothing at all."""

import msgspec

from longcat_eval.records import Message, ToolCall, Wire

OPENING = "Hello, I need your help."
GOODBYE = "Thank you. ###STOP###"
OVER_TO_YOU = {"agent": "Please go on.", "user": "I did that."}
IDLE = {"agent": ("I cannot help you with that.",), "user": (OPENING, "###STOP###")}

Scripts = dict[str, list[Message]]


def gold_scripts(raw: Wire) -> Scripts:
    """The user opens, each gold action is a call of its own side, the agent says what must be said, the user
    stops; a side that has nothing to call for the moment hands over with a sentence.
    """
    criteria = raw["evaluation_criteria"] or {}
    script = _Script()
    script.say("user", OPENING)
    for number, action in enumerate(criteria.get("actions") or ()):
        script.call("user" if action.get("requestor") == "user" else "agent", number, action)
    script.turn_to("agent")
    script.say("agent", "\n".join(["That is all.", *(criteria.get("communicate_info") or ())]))
    script.say("user", GOODBYE)
    return script.messages


def idle_scripts() -> Scripts:
    """An agent that says it cannot help, and a user who gives up."""
    return {role: [Message("assistant", text) for text in texts] for role, texts in IDLE.items()}


class _Script:
    """Both sides' messages, and whose turn it is."""

    def __init__(self) -> None:
        self.messages: Scripts = {"agent": [], "user": []}
        self._turn = "user"

    def say(self, role: str, text: str) -> None:
        self.messages[role].append(Message("assistant", text))
        self._turn = "agent" if role == "user" else "user"

    def call(self, role: str, number: int, action: Wire) -> None:
        self.turn_to(role)
        arguments = msgspec.json.encode(action["arguments"]).decode()
        call = ToolCall(f"gold_{number}", action["name"], arguments)
        self.messages[role].append(Message("assistant", tool_calls=(call,)))

    def turn_to(self, role: str) -> None:
        if self._turn != role:
            self.say(self._turn, OVER_TO_YOU[self._turn])
