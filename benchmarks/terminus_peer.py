"""The original parsers on replies, in their own environment: JSON lists in, a JSON line for each reply out.

usage: python terminus_peer.py (terminal_bench|harbor) (json|xml|terminus-1) < replies.json
"""

import importlib
import json
import sys
from typing import Any

PARSERS = {
    "terminal_bench": "terminal_bench.agents.terminus_2",
    "harbor": "harbor.agents.terminus_2",
}
CLASSES = {"json": "TerminusJSONPlainParser", "xml": "TerminusXMLPlainParser"}


def of_terminus2(package: str, grammar: str, replies: list[str]) -> None:
    module = importlib.import_module(f"{PARSERS[package]}.terminus_{grammar}_plain_parser")
    parser = getattr(module, CLASSES[grammar])()
    for reply in replies:
        try:
            read = parser.parse_response(reply)
            said: dict[str, Any] = {
                "commands": [[repr(c.keystrokes), repr(c.duration)] for c in read.commands],
                "complete": bool(read.is_task_complete),
                "error": bool(read.error),
                "warning": bool(read.warning),
            }
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            said = {"raised": repr(error)[:200]}
        if grammar == "xml":
            said["salvaged"] = parser.salvage_truncated_response(reply)[0]
        print(json.dumps(said))


def of_terminus1(replies: list[str]) -> None:
    from pydantic import ValidationError
    from terminal_bench.agents.terminus_1 import CommandBatchResponse

    for reply in replies:
        try:
            read = CommandBatchResponse.model_validate_json(reply)
        except ValidationError:
            print(json.dumps({"commands": [], "complete": False, "error": True}))
            continue
        commands = [[repr(c.keystrokes), repr(c.timeout_sec), c.is_blocking] for c in read.commands]
        print(json.dumps({"commands": commands, "complete": read.is_task_complete, "error": False}))


if __name__ == "__main__":
    package, grammar = sys.argv[1:]
    replies = json.load(sys.stdin)
    if grammar == "terminus-1":
        of_terminus1(replies)
    else:
        of_terminus2(package, grammar, replies)
