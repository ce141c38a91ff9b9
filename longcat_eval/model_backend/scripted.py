"""Models that answer from a script: gold replies, nothing, or recorded replies."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec

from longcat_eval.errors import UsageError, did_you_mean
from longcat_eval.model_backend.failures import RequestError
from longcat_eval.model_backend.replies import read_message
from longcat_eval.model_backend.text_scores import scored
from longcat_eval.protocols import ModelError
from longcat_eval.records import AttemptKey, Completion, Message, Outcome, Request, RequestMeta, Wire

PREFIX = "scripted/"
ORACLE, NULL = f"{PREFIX}oracle", f"{PREFIX}null"

References = Callable[[AttemptKey], Mapping[str, Sequence[Message]]]


class Script(Protocol):
    """What to say to a request."""

    def reply(self, meta: RequestMeta) -> Completion:
        """Return the reply, or raise `ModelError` where the script has none."""
        ...


class ScriptedModel:
    """A model that follows a script; it counts no tokens, because it has none."""

    capabilities = frozenset({"chat", "tools", "loglikelihood"})

    def __init__(self, name: str, script: Script) -> None:
        self.name, self.script = name, script

    async def complete(self, request: Request) -> Completion:
        """Answer one request from its key, role and turn; the body plays no part."""
        await asyncio.sleep(0)  # a model that never waits would starve Ctrl-C and the display
        return self.script.reply(request.meta)

    async def loglikelihood(self, request: Request, start: int) -> Completion:
        """The script's line as a number, 0 being certain; without one each character has probability 1/e."""
        said = (await self.complete(request)).text
        try:
            total = float(said)
        except ValueError:
            total = -float(len(request.body["prompt"]) - start)
        return scored(total, total == 0, 0)

    async def close(self) -> None:
        """Nothing to release."""


class Lines:
    """`scripted/oracle` and `scripted/null`: a task's own lines for a sample, by role and turn.

    The oracle's are the gold replies, null's what an agent that does nothing says: nothing at all, unless the
    task says otherwise. An empty reply once they are used up.
    """

    def __init__(self, lines: References | None = None) -> None:
        self.lines = lines

    def reply(self, meta: RequestMeta) -> Completion:
        """Return line number `turn` of the role."""
        said = self.lines(meta.key).get(meta.role, ()) if self.lines else ()
        message = said[meta.turn] if meta.turn < len(said) else Message("assistant", content="")
        return Completion(message, finish_reason="tool_calls" if message.tool_calls else "stop")


class RecordedReply(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of a replies file: what to say, and to which requests; a field left out fits all."""

    task: str | None = None
    sample: str | None = None
    repeat: int | None = None
    role: str | None = None
    turn: int | None = None
    content: str | None = None
    message: Wire | None = None
    finish_reason: str | None = None


class Pattern(NamedTuple):
    """The requests a line is for; None fits all. Of equal numbers of fields the leftmost decide."""

    sample: str | None
    repeat: int | None
    turn: int | None
    role: str | None
    task: str | None

    def masked(self, shape: "Shape") -> "Pattern":
        """The pattern with the fields outside `shape` open."""
        return Pattern._make(value if kept else None for value, kept in zip(self, shape, strict=True))

    @property
    def shape(self) -> "Shape":
        """Which fields are given."""
        return tuple(value is not None for value in self)


Shape = tuple[bool, ...]


class Recorded:
    """`scripted/FILE.jsonl`: of the lines that fit a request, the one with most fields answers it."""

    def __init__(self, path: Path, replies: Mapping[Pattern, Completion]) -> None:
        self.path, self.replies = path, replies
        shapes = {pattern.shape for pattern in replies}
        self._shapes = sorted(shapes, key=lambda shape: (-sum(shape), [not given for given in shape]))

    def reply(self, meta: RequestMeta) -> Completion:
        """Return the most specific line; raises `ModelError` (endpoint_error, no_recorded_reply)."""
        asked = Pattern(meta.key.sample, meta.key.repeat, meta.turn, meta.role, meta.key.task)
        for shape in self._shapes:
            found = self.replies.get(asked.masked(shape))
            if found is not None:
                return found
        what = f"{meta.key}, role {meta.role}, turn {meta.turn}"
        raise ModelError(Outcome.ENDPOINT_ERROR, "no_recorded_reply", f"{self.path} has no reply for {what}")


def read_replies(path: Path) -> Recorded:
    """Read a replies file, JSON by line; raises `UsageError` with the line number."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from None
    replies: dict[Pattern, Completion] = {}
    first: dict[Pattern, int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        pattern, reply = _read_line(f"{path} line {number}", line)
        if pattern in replies:
            raise UsageError(f"{path} line {number} is for the same requests as line {first[pattern]}")
        replies[pattern], first[pattern] = reply, number
    if not replies:
        raise UsageError(f"{path} holds no replies")
    return Recorded(path, replies)


def _read_line(where: str, line: bytes) -> tuple[Pattern, Completion]:
    try:
        entry = msgspec.json.decode(line, type=RecordedReply)
    except msgspec.ValidationError as error:
        field = str(error).partition("unknown field `")[2].partition("`")[0]
        hint = did_you_mean(field, RecordedReply.__struct_fields__) if field else ""
        raise UsageError(f"{where}: {error}{hint}") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise UsageError(f"{where} is not JSON") from None
    if (entry.content is None) == (entry.message is None):
        raise UsageError(f"{where} wants `content` or `message`, and not both")
    pattern = Pattern(entry.sample, entry.repeat, entry.turn, entry.role, entry.task)
    return pattern, _completion(where, entry)


def _completion(where: str, entry: RecordedReply) -> Completion:
    wire: dict[str, Any] = entry.message or {"content": entry.content}
    try:
        message = read_message({"role": "assistant", **wire})
    except RequestError as error:
        raise UsageError(f"{where}: {error}") from None
    finish = entry.finish_reason or ("tool_calls" if message.tool_calls else "stop")
    return Completion(message, finish_reason=finish)


def script_named(name: str) -> Script | None:
    """Return the script of a `scripted/...` name; None for oracle and null, which need a task's lines."""
    what = name.removeprefix(PREFIX)
    if name in (ORACLE, NULL):
        return None
    if not what.endswith(".jsonl"):
        hint = did_you_mean(what, ("oracle", "null"))
        raise UsageError(f"no scripted model {what!r}{hint}; there are oracle, null and FILE.jsonl")
    return read_replies(Path(what))
