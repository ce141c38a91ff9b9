"""`longcat-eval show`: transcripts one can read, in the terminal.

A dialogue is printed as it went on: of every call only what its role has not seen in an earlier one, and what
another role just said is not repeated.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longcat_eval.cli.terminal import visible
from longcat_eval.errors import ExitCode, UsageError, did_you_mean
from longcat_eval.records import AttemptRow, Call, Outcome, Transcript, Wire
from longcat_eval.runners.store import read_run, read_transcript

if TYPE_CHECKING:
    from rich.console import Console

DIM, PROMPT, REPLY, FAILED = "dim", "bold cyan", "bold green", "red"
SHORT_TEXT = 60


def show_transcripts(
    path: Path,
    sample: str | None,
    repeat: int | None,
    outcome: str | None,
    limit: int,
    artifact: str | None = None,
) -> int:
    """Print the chosen attempts, without a choice the first few; with `artifact` that one alone, whole."""
    from rich.console import Console

    if outcome is not None and outcome not in list(Outcome):
        raise UsageError(f"no outcome {outcome!r}{did_you_mean(outcome, Outcome)}: {', '.join(Outcome)}")
    rows = [
        row
        for row in read_run(path).rows
        if (sample is None or sample in f"{row.task}/{row.sample}")
        and repeat in (None, row.repeat)
        and outcome in (None, row.outcome)
    ]
    if not rows:
        raise UsageError(f"no attempt in {path} matches")
    printer = Printer(Console())
    for row in rows[:limit]:
        transcript = read_transcript(path, row)
        if artifact is None:
            printer.attempt(row, transcript)
        else:
            printer.artifact(row, transcript, artifact)
    if len(rows) > limit:
        printer.line(f"… and {len(rows) - limit} more; --limit shows more")
    return ExitCode.OK


class Printer:
    """Prints attempts; nothing in them is markup, and nothing steers the terminal."""

    def __init__(self, console: "Console") -> None:
        self.console = console

    def attempt(self, row: AttemptRow, transcript: Transcript) -> None:
        """One attempt: its calls, how it ended, and its verdict."""
        self.console.rule()
        self.line(str(row.key), "bold")
        before: dict[str, Call] = {}
        heard: Call | None = None
        for call in transcript.calls:
            self._call(call, before.get(call.role), heard)
            before[call.role] = heard = call
        if kept := " · ".join(artifact_words(transcript.artifacts)):
            self.line(kept, DIM)
        self._verdict(row)
        if error := transcript.error or row.error:
            self.line(error, FAILED)
        self.console.print()

    def artifact(self, row: AttemptRow, transcript: Transcript, name: str) -> None:
        """One artifact of an attempt, whole."""
        if name not in transcript.artifacts:
            hint = did_you_mean(name, transcript.artifacts)
            raise UsageError(f"{row.key} has no artifact {name!r}{hint}: {', '.join(transcript.artifacts)}")
        self.console.rule()
        self.line(str(row.key), "bold")
        for label, text in leaves(name, transcript.artifacts[name]):
            self.text(label, text, PROMPT)

    def _verdict(self, row: AttemptRow) -> None:
        from rich.text import Text

        said = [f"{row.outcome}" + (f" ({row.reason})" if row.reason else "")]
        if row.extracted is not None or row.rule is not None:
            said.append(f"extracted {row.extracted!r} by rule {row.rule}")
        said += [f"{name} {value:g}" for name, value in row.metrics.items()]
        value = "no score" if row.value is None else f"score {row.value:g}"
        self.console.print(Text.assemble((value, "bold"), visible(f" · {' · '.join(said)}")))

    def _call(self, call: Call, before: Call | None, heard: Call | None) -> None:
        again = ", asked again" if before is not None and before.turn == call.turn else ""
        settings = _settings(call.request, before.request if before else {})
        shown = f": {settings}" if settings else ""
        self.line(f"{call.role}, turn {call.turn}{again}{shown}", DIM)
        for tool in call.request.get("tools", []):
            self.line(f"tool {_signature(tool.get('function', {}))}", DIM)
        names = _call_names(before)
        for message in _unseen(call, before, heard):
            self._message(message, names)
        self._reply(call)

    def _message(self, message: Wire, names: dict[str, str]) -> None:
        """A message of a prompt; `names` are those of the tools by the id of their call.

        A tool result that begins with `Error` is marked as one: on the wire nothing else tells.
        """
        role, text = str(message["role"]), str(message.get("content") or "")
        if role == "tool":
            name = names.get(str(message.get("tool_call_id")), "")
            failed = text.startswith("Error")
            label = f"tool result{' of ' if name else ''}{name}{': an error' if failed else ''}"
            self.text(label, text, FAILED if failed else PROMPT)
            return
        if text or not message.get("tool_calls"):
            self.text(role, text, PROMPT)
        self._calls(role, message, PROMPT)

    def _reply(self, call: Call) -> None:
        reply = call.completion
        if reply.message.reasoning:
            self.text(f"{call.role} reasons", reply.message.reasoning, REPLY)
        wire = {"content": reply.text, **reply.message.wire()}
        if reply.text or not wire.get("tool_calls"):
            self.text(f"{call.role} replies", reply.text, REPLY)
        self._calls(call.role, wire, REPLY)
        tokens = f"{reply.usage.prompt_tokens} + {reply.usage.completion_tokens} tokens"
        cached = " · from the cache" if reply.cached else ""
        self.line(f"{reply.finish_reason} · {tokens} · {reply.seconds:.2f} s{cached}", DIM)

    def _calls(self, who: str, message: Wire, style: str) -> None:
        for call in message.get("tool_calls") or []:
            function = call["function"]
            self.text(f"{who} calls", f"{function['name']}({function['arguments']})", style)

    def text(self, who: str, text: str, style: str) -> None:
        """A heading and the text below it."""
        self.line(who, style)
        self.line(text)

    def line(self, text: str, style: str = "") -> None:
        """Text as it is, with what would steer the terminal made visible."""
        self.console.print(visible(text), style=style, markup=False, highlight=False, soft_wrap=True)


def leaves(label: str, value: Any) -> Iterator[tuple[str, str]]:
    """Texts of several lines by where they stand (`tested[0].log`), and all else as JSON above them."""
    import msgspec

    if isinstance(value, str) and "\n" in value:
        yield label, value
        return
    within = {f".{n}": v for n, v in value.items()} if isinstance(value, dict) else {}
    within |= {f"[{n}]": v for n, v in enumerate(value)} if isinstance(value, list) else {}
    found = {where: list(leaves(f"{label}{where}", inner)) for where, inner in within.items()}
    if not any("\n" in text for texts in found.values() for _, text in texts):
        yield label, msgspec.json.encode(value).decode()
        return
    for texts in found.values():
        yield from texts


def artifact_words(artifacts: dict[str, Any]) -> Iterator[str]:
    """`steps 12` for numbers and short texts, `trajectory (24 kept)` for what is larger."""
    large = []
    for name, value in artifacts.items():
        if isinstance(value, list | dict):
            large.append(f"{name} ({len(value)} kept)")
        elif isinstance(value, str) and len(value) > SHORT_TEXT:
            large.append(f"{name} ({len(value)} characters kept)")
        elif value not in (None, ""):
            yield f"{name} {value}"
    yield from large


def _settings(request: Wire, before: Wire) -> dict[str, Any]:
    """What a call was asked at, less what is as in the role's call before."""
    own = {name: value for name, value in request.items() if name not in ("messages", "tools")}
    return {name: value for name, value in own.items() if name not in before or before[name] != value}


def _unseen(call: Call, before: Call | None, heard: Call | None) -> list[Wire]:
    """The messages that are not printed yet: without the role's own last reply, and what it just heard."""
    messages: list[Wire] = call.request["messages"]
    if before is not None and call.shared and messages and messages[0] == before.completion.message.wire():
        messages = messages[1:]
    if heard is not None and heard.role != call.role and messages:
        last = messages[-1]
        if last["role"] == "user" and last.get("content") == heard.completion.text:
            messages = messages[:-1]
    return messages


def _call_names(before: Call | None) -> dict[str, str]:
    """The tools of the calls that the role made last, by the id its results come back under."""
    calls = before.completion.message.tool_calls if before is not None else ()
    return {call.id: call.name for call in calls}


def _signature(function: Wire) -> str:
    """`cancel(id, reason): first line of the description`."""
    known = function.get("parameters") or {}
    parameters = ", ".join((known.get("properties") or {}) if isinstance(known, dict) else ())
    lines = str(function.get("description") or "").strip().splitlines()
    return f"{function.get('name')}({parameters})" + (f": {lines[0]}" if lines else "")
