"""The attempts of a page: an index of all of them, and transcripts as far as they are embedded.

Both are JSON, deflated and in base64: no text of a model can end the element that it stands in, and none is
looked at before it is asked for.
"""

import base64
import zlib
from collections.abc import Container, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from longcat_eval.records import AttemptRow, Outcome
from longcat_eval.reports.transcripts import artifact_words, blocks, is_short, leaves
from longcat_eval.runners.store import read_transcript

if TYPE_CHECKING:
    from longcat_eval.runners.store import RunData

CHUNK = 1 << 18
"""Bytes of JSON that are deflated together."""
TEXT_CAP = 100_000
"""Characters of one text in an embedded transcript; of a longer one both ends are kept."""
LEVEL = 4
"""Of zlib: half the time of its default for a tenth more bytes."""
SHORT = 80
"""Characters of an extracted answer in the index."""
GOLDEN = 0.6180339887498949

_encode = msgspec.json.Encoder().encode


class Embedded(NamedTuple):
    """What the page holds: chunks as text, and per attempt (over all runs) its chunk and place, or -1."""

    chunks: list[str]
    chunk: list[int]
    place: list[int]

    @property
    def kept(self) -> int:
        """How many transcripts are in the page."""
        return sum(1 for chunk in self.chunk if chunk >= 0)


def index(
    runs: Sequence["RunData"], labels: Sequence[str], embedded: Embedded | None = None
) -> dict[str, Any]:
    """Columns over the attempts of all runs, one after another; repeated texts are numbers of a list."""
    rows = [(number, row) for number, run in enumerate(runs) for row in run.rows]
    lists: dict[str, dict[str, int]] = {name: {} for name in ("task", "outcome", "reason", "group")}

    def numbered(name: str) -> list[int]:
        known = lists[name]
        return [known.setdefault(str(getattr(row, name)), len(known)) for _, row in rows]

    columns: dict[str, Any] = {name: numbered(name) for name in lists}
    columns |= {
        "run": [number for number, _ in rows],
        "sample": [row.sample for _, row in rows],
        "repeat": [row.repeat for _, row in rows],
        "value": [row.value for _, row in rows],
        "extracted": [_short(row.extracted) for _, row in rows],
        "tokens": [row.prompt_tokens + row.completion_tokens for _, row in rows],
        "seconds": [round(row.seconds, 2) for _, row in rows],
    }
    if embedded is not None:
        columns |= {"chunk": embedded.chunk, "place": embedded.place}
    return {
        "runs": [{"label": label, "path": str(run.path)} for label, run in zip(labels, runs, strict=True)],
        "valid": [outcome.value for outcome in Outcome if outcome.valid],
        "lists": {name: list(known) for name, known in lists.items()},
        "columns": columns,
    }


def _short(text: str | None) -> str | None:
    return text if text is None or len(text) <= SHORT else text[: SHORT - 1] + "…"


def shown(path: Path, row: AttemptRow, cap: int | None = None) -> dict[str, Any]:
    """One attempt as the page reads it; `cap` cuts the middle out of longer texts.

    `blocks` are [kind, who, text], `artifacts` [label, text], `facts` [what, value]. A transcript that is not
    there or not readable is an `error` of its own, and the facts of the row stand all the same.
    """
    page: dict[str, Any] = {"facts": list(_facts(row)), "blocks": [], "artifacts": [], "error": row.error}
    if not row.length:
        return page | {"error": row.error or "no transcript was kept"}
    try:
        transcript = read_transcript(path, row)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one frame, the others can be read
        return page | {"error": f"the transcript cannot be read: {error}"}
    page["blocks"] = [[kind, who, _cut(text, cap)] for kind, who, text in blocks(transcript)]
    page["kept"] = _cut(" · ".join(artifact_words(transcript.artifacts)), cap)
    page["artifacts"] = [
        [label, _cut(text, cap)]
        for name, value in transcript.artifacts.items()
        if isinstance(value, list | dict) or (isinstance(value, str) and not is_short(value))
        for label, text in leaves(name, value)
    ]
    page["error"] = (row.unjudged and transcript.unjudged) or transcript.error or row.error
    return page


def _facts(row: AttemptRow) -> Iterator[tuple[str, str]]:
    yield "score", "none" if row.value is None else f"{row.value:g}"
    yield "outcome", f"{row.outcome}" + (f" ({row.reason})" if row.reason else "")
    if row.extracted is not None:
        yield "extracted", row.extracted
    if row.rule is not None:
        yield "rule", row.rule
    for name, value in row.metrics.items():
        yield name, f"{value:g}"
    yield "tokens", f"{row.prompt_tokens:,} in, {row.completion_tokens:,} out"
    yield "model time", f"{row.seconds:.2f} s in {row.calls} call{'s' * (row.calls != 1)}"
    if row.cost is not None:
        yield "cost", f"${row.cost:.4f}"
    if row.tries > 1:
        yield "execution", str(row.tries)


def _cut(text: str, cap: int | None) -> str:
    if cap is None or len(text) <= cap:
        return text
    half = cap // 2
    return f"{text[:half]}\n[… {len(text) - 2 * half:,} characters are not in this page …]\n{text[-half:]}"


def embed(runs: Sequence["RunData"], cap: int, first: Container[tuple[str, str]] = ()) -> Embedded:
    """Transcripts until their chunks have `cap` bytes of text, each benchmark of each run with an equal part.

    What a small benchmark leaves goes to larger ones; where one does not fit whole, its attempts are taken
    evenly spread over its questions, those of the (task, question) in `first` before the others.
    """
    starts, members = [0], dict[tuple[int, str], list[int]]()
    for number, run in enumerate(runs):
        for position, row in enumerate(run.rows):
            members.setdefault((number, row.task), []).append(position)
        starts.append(starts[-1] + len(run.rows))
    found = Embedded([], [-1] * starts[-1], [-1] * starts[-1])
    left = cap
    ordered = sorted(members.items(), key=lambda item: (len(item[1]), item[0]))
    for done, ((number, _), positions) in enumerate(ordered):
        run, share = runs[number], left // (len(ordered) - done)
        spread = _spread(run.rows, positions, first)
        texts = ((position, _encode(shown(run.path, run.rows[position], TEXT_CAP))) for position in spread)
        for chunk in _chunks(texts):
            kept, text = _fitting(chunk, share)
            if kept:
                for place, position in enumerate(kept):
                    found.chunk[starts[number] + position] = len(found.chunks)
                    found.place[starts[number] + position] = place
                found.chunks.append(text)
            share, left = share - len(text), left - len(text)
            if len(kept) < len(chunk):
                break
    return found


def _spread(
    rows: Sequence[AttemptRow], positions: Sequence[int], first: Container[tuple[str, str]]
) -> list[int]:
    """Positions in an order of which any beginning is spread evenly, after those that come first."""

    def rank(number: int) -> tuple[bool, float]:
        row = rows[positions[number]]
        return (row.task, row.sample) not in first, number * GOLDEN % 1

    return [positions[number] for number in sorted(range(len(positions)), key=rank)]


def _chunks(texts: Iterable[tuple[int, bytes]]) -> Iterator[list[tuple[int, bytes]]]:
    chunk, size = list[tuple[int, bytes]](), 0
    for position, text in texts:
        chunk.append((position, text))
        size += len(text)
        if size >= CHUNK:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _fitting(chunk: list[tuple[int, bytes]], room: int) -> tuple[list[int], str]:
    """As much of a chunk as fits, by halves: its positions and its text."""
    while chunk:
        text = packed(b"[" + b",".join(text for _, text in chunk) + b"]")
        if len(text) <= room:
            return [position for position, _ in chunk], text
        chunk = chunk[: len(chunk) // 2]
    return [], ""


def packed(content: bytes) -> str:
    """Deflated and in base64, whose letters mean nothing in HTML."""
    return base64.b64encode(zlib.compress(content, LEVEL)).decode("ascii")


def packed_json(value: Any) -> str:
    """A JSON value, packed."""
    return packed(_encode(value))
