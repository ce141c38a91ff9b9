"""Errors a user can act on: one line that says what is wrong and what to do, and the exit code."""

from collections.abc import Iterable
from enum import IntEnum


class ExitCode(IntEnum):
    """What the process says to the shell (DESIGN §5)."""

    OK = 0
    GATE_FAILED = 1
    USAGE = 2
    INCOMPLETE = 3
    INCONCLUSIVE = 4
    ENVIRONMENT = 5
    INTERRUPTED = 130


class LongcatEvalError(Exception):
    """Base of every error that the command line prints as one line instead of a traceback."""

    exit_code: ExitCode = ExitCode.ENVIRONMENT


class UsageError(LongcatEvalError):
    """The command, a flag or a file the user typed is wrong; nothing was started."""

    exit_code = ExitCode.USAGE


class EnvironmentUnusableError(LongcatEvalError):
    """Something outside is missing or refuses: endpoint, key, data, disk, an extra."""

    exit_code = ExitCode.ENVIRONMENT


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ` (did you mean 'x'?)` for the closest known word, or an empty string."""
    from difflib import get_close_matches

    close = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" (did you mean {close[0]!r}?)" if close else ""
