"""Replies of a Terminus agent from a seed: good ones, and good ones with something wrong."""

import json
import random
from collections.abc import Callable
from typing import Any

TEXTS = (
    "",
    "ok",
    "I look.",
    'a "quoted" word',
    "{",
    "}",
    "a {b} c",
    "back\\slash",
    "ünï — 日本\n",
    "<b>",
    "\t",
)
KEYS = (
    "ls\n",
    "ls",
    "",
    "C-c",
    "echo '{}'\n",
    "cat <<E\n<plan>\nE\n",
    'echo "a\\n"\n',
    "a && b < c > d\n",
    "\\",
)
DURATIONS: tuple[Any, ...] = (0.1, 1, 10.0, 600, -1, True, "5", None, [], 1e400, 0, "x", 10**30)
COMPLETE: tuple[Any, ...] = (True, False, "true", "Yes", "1", "no", None, 1, 0, [], [0], {})
ODD: tuple[Any, ...] = (None, 3, [], {}, "text", True, ["ls"], [None], [{}], [{"keystrokes": 1}])


def json_reply(rng: random.Random) -> str:
    """A reply in the JSON grammar of Terminus 2, or nearly."""
    data: dict[str, Any] = {
        "analysis": rng.choice(TEXTS),
        "plan": rng.choice(TEXTS),
        "commands": [_json_command(rng) for _ in range(rng.randrange(4))],
    }
    if rng.random() < 0.5:
        data["task_complete"] = rng.choice(COMPLETE) if rng.random() < 0.5 else True
    if rng.random() < 0.2:
        data[rng.choice([*data, "thoughts"])] = rng.choice(ODD)
    if rng.random() < 0.15:
        del data[rng.choice(list(data))]
    names = list(data)
    if rng.random() < 0.2:
        rng.shuffle(names)
    text = json.dumps({name: data[name] for name in names}, indent=rng.choice((None, 2)))
    if rng.random() < 0.3:
        text = rng.choice(("```json\n", "Sure: ", "} ", '"', "{ } ", "\\", '{"a": 1}\n')) + text
    if rng.random() < 0.3:
        text += rng.choice(("\n```", " That is it.", "}", "}}", '{"a": {"b": {}}}', text, "\n"))
    return _damaged(rng, text) if rng.random() < 0.4 else text


def _json_command(rng: random.Random) -> Any:
    if rng.random() < 0.05:
        return rng.choice(ODD)
    command: dict[str, Any] = {"keystrokes": rng.choice(KEYS)}
    if rng.random() < 0.8:
        command["duration"] = rng.choice(DURATIONS) if rng.random() < 0.4 else 0.5
    if rng.random() < 0.1:
        command[rng.choice(("wait", "is_blocking", "keystroke"))] = True
    if rng.random() < 0.05:
        del command["keystrokes"]
    return command


def xml_reply(rng: random.Random) -> str:
    """A reply in the tags of Terminus 2, or nearly."""
    parts = [
        _section(rng, "analysis", rng.choice(TEXTS)),
        _section(rng, "plan", rng.choice(TEXTS)),
        _section(rng, "commands", "\n".join(_xml_command(rng) for _ in range(rng.randrange(4)))),
    ]
    if rng.random() < 0.5:
        said = rng.choice(("true", "false", "", " TRUE ", "yes", "true\n"))
        parts.append(rng.choice((f"<task_complete>{said}</task_complete>", "<task_complete/>")))
    if rng.random() < 0.2:
        parts.append(
            rng.choice((parts[0], parts[2], "<note>x</note>", "loose text", "<!-- x -->", "<?x?>", "< >"))
        )
    if rng.random() < 0.2:
        rng.shuffle(parts)
    if rng.random() < 0.15:
        parts.pop(rng.randrange(len(parts)))
    text = "<response>\n" + "\n".join(parts) + ("\n</response>" if rng.random() < 0.9 else "")
    if rng.random() < 0.25:
        text = rng.choice(("```xml\n", "Sure: ", "</response>", "\n")) + text
    if rng.random() < 0.25:
        text += rng.choice(("\n```", " That is it.", "\n" + text, "<response>", "</response>"))
    return _damaged(rng, text) if rng.random() < 0.4 else text


def _section(rng: random.Random, name: str, text: str) -> str:
    shapes = (f"<{name}>{text}</{name}>", f"<{name}>\n{text}\n</{name}>")
    odd = (
        f"<{name}/>",
        f"<{name} />",
        f"<{name}></{name}>",
        f"<{name}>{text}",
        f'<{name} a="1">{text}</{name}>',
    )
    return rng.choice(odd if rng.random() < 0.15 else shapes)


def _xml_command(rng: random.Random) -> str:
    keys = rng.choice((*KEYS, "a &lt; b\n", "x &amp;&amp; y\n", "a\\r\\n", "\r\n"))
    attributes = ' duration="0.5"'
    if rng.random() < 0.4:
        odd = ("", " duration='1'", " duration=3", ' duration="x"', ' Duration="1"', ' duration = "1e3"')
        attributes = rng.choice((*odd, ' duration="1" wait="2"', ' duration="nan"', ' duration=""', " x"))
    return f"<keystrokes{attributes}>{keys}</keystrokes>"


def terminus1_reply(rng: random.Random) -> str:
    """A reply of Terminus 1, or nearly."""
    data: dict[str, Any] = {
        "state_analysis": rng.choice(TEXTS),
        "explanation": rng.choice(TEXTS),
        "commands": [_terminus1_command(rng) for _ in range(rng.randrange(4))],
        "is_task_complete": rng.random() < 0.5,
    }
    if rng.random() < 0.3:
        data[rng.choice([*data, "thoughts"])] = rng.choice((*ODD, *COMPLETE))
    if rng.random() < 0.1:
        del data[rng.choice(list(data))]
    text = json.dumps(data)
    if rng.random() < 0.1:
        text = rng.choice(("```json\n", " ", "Sure: ")) + text + rng.choice(("", "\n```"))
    return _damaged(rng, text) if rng.random() < 0.3 else text


def _terminus1_command(rng: random.Random) -> Any:
    command: dict[str, Any] = {
        "keystrokes": rng.choice(KEYS),
        "is_blocking": rng.choice(COMPLETE) if rng.random() < 0.3 else True,
        "timeout_sec": rng.choice(DURATIONS) if rng.random() < 0.5 else 5,
    }
    if rng.random() < 0.1:
        del command[rng.choice(list(command))]
    return command


def _damaged(rng: random.Random, text: str) -> str:
    """One to three small damages: cut off, or a piece lost, doubled or replaced."""
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(text) + 1)
        length = rng.choice((1, 1, 2, 10))
        piece = text[at : at + length]
        put = rng.choice(("", piece * 2, *'{}[]"<>/\\,:\n ', "</response>", "</commands>", "<plan>"))
        text = text[:at] if rng.random() < 0.25 else text[:at] + put + text[at + length :]
    return text


GRAMMARS: dict[str, Callable[[random.Random], str]] = {
    "json": json_reply,
    "xml": xml_reply,
    "terminus-1": terminus1_reply,
}
