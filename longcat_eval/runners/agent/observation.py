"""What an agent gets to see of what it did."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from longcat_eval.protocols import ExecResult
from longcat_eval.records import Wire

TIMED_OUT = "The command ran longer than {seconds:g} s and was stopped, with everything it had started."
OUT_OF_MEMORY = "The machine ran out of memory while this ran: a process was killed for it."
LEFT_OUT = "\n[... {chars} characters left out here ...]\n"
EXIT_CODE = "exit code {code}"
NO_OUTPUT = "(no output)"
TEXTS = (TIMED_OUT, OUT_OF_MEMORY, LEFT_OUT, EXIT_CODE, NO_OUTPUT)


class Observation(NamedTuple):
    """What a call gave; a `submission` ends the episode. `facts` go into the record and not to the model."""

    text: str
    error: bool = False
    submission: bytes | None = None
    facts: Mapping[str, Any] = {}


def describe(result: ExecResult, seconds: float, output_chars: int) -> Observation:
    """Return how a command ended and what it printed; `seconds` is the time it had."""
    lines = [EXIT_CODE.format(code=result.exit_code)]
    if result.timed_out:
        lines.append(TIMED_OUT.format(seconds=seconds))
    if result.out_of_memory:
        lines.append(OUT_OF_MEMORY)
    lines.append(shown(result.output, output_chars, result.truncated_bytes).rstrip("\n") or NO_OUTPUT)
    facts: Wire = {
        "exit_code": result.exit_code,
        "command_seconds": round(result.seconds, 3),
        "output_bytes": len(result.output) + result.truncated_bytes,
    }
    facts |= {name: True for name in ("timed_out", "out_of_memory") if getattr(result, name)}
    return Observation("\n".join(lines), result.exit_code != 0, facts=facts)


def shown(output: bytes, output_chars: int, lost: int = 0) -> str:
    """Return bytes as text of at most `output_chars`, head and tail halves with a line between them.

    That line says how many characters are missing; `lost` more bytes were missing in the middle before.
    Bytes that are no UTF-8, and NUL, which some servers refuse, become U+FFFD.
    """
    text = output.decode("utf-8", "replace").replace("\0", "\ufffd")
    if len(text) <= output_chars:
        return text
    head, tail = output_chars - output_chars // 2, output_chars // 2
    left_out = LEFT_OUT.format(chars=len(text) - output_chars + lost)
    return text[:head] + left_out + (text[-tail:] if tail else "")
