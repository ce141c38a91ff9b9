r"""Decide whether two LaTeX answers are equal, with math-verify in a process that can be killed.

math-verify (github.com/huggingface/Math-Verify) parses with latex2sympy and compares with sympy. Its
verdicts depend on the versions of all of these (with antlr 4.11 `5\%` does not parse, with 4.13 it equals
5), so they are part of the grader's name, and an antlr other than 4.13 is refused.
"""

import re
import time
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.protocols import WorkerError, Workers
from longcat_eval.tasks.math_answers import LONGEST_ANSWER, settle

RULES = "last-boxed/1"
ANTLR = "4.13"
STEP_SECONDS = 5
_PACKAGES = ("math-verify", "latex2sympy2_extended", "sympy", "antlr4-python3-runtime")

_DOLLAR = re.compile(r"(?<!\\)\$")
_TYPED_PI = re.compile(r"(?<![a-zA-Z\\])pi(?![a-zA-Z])")


class Verdict(NamedTuple):
    """Whether the answer is right (None: no verdict), and why not where a limit decided."""

    right: bool | None
    reason: str = ""


def grader_version() -> str:
    """Return the extraction rules and the version of every package that can change a verdict."""
    return " ".join([RULES, *(f"{name}={_installed(name) or 'absent'}" for name in _PACKAGES)])


def require_math_verify() -> None:
    """Raise `EnvironmentUnusableError` unless math-verify is installed with the antlr it is known with."""
    absent = [name for name in _PACKAGES if _installed(name) is None]
    if absent:
        raise EnvironmentUnusableError(
            f"grading math needs {', '.join(absent)}: pip install 'longcat-eval[math]'"
        )
    antlr = _installed(_PACKAGES[3]) or ""
    if not antlr.startswith(f"{ANTLR}."):
        raise EnvironmentUnusableError(
            f"antlr4-python3-runtime {antlr} changes what math-verify calls equal (known: {ANTLR}): "
            "pip install 'longcat-eval[math]'"
        )


async def judge(gold: str, answer: str, workers: Workers | None) -> Verdict:
    """Return whether `answer` equals `gold`; without `workers` only what needs no algebra can be equal.

    An answer that breaks a limit of the grader is wrong: `answer_too_long`, `grader_timeout`,
    `grader_memory`, `grader_crash`. A grader that fails by itself gives no verdict: `grader_error`.
    """
    if len(answer) > LONGEST_ANSWER:
        return Verdict(False, "answer_too_long")
    plain = settle(gold, answer)
    if plain is not None or workers is None:
        return Verdict(bool(plain))
    try:
        equal = await workers.call(f"{__name__}:equivalent", gold, answer)
    except WorkerError as error:
        return Verdict(None if error.reason == "error" else False, f"grader_{error.reason}")
    return Verdict(False, "grader_timeout") if equal is None else Verdict(bool(equal))


def equivalent(gold: str, answer: str) -> bool | None:
    r"""Return math-verify's verdict on two LaTeX answers, None if it ran out of time; runs in a worker
    process.

    Both are wrapped as `\boxed{}`: 51 of the 500 MATH500 answers do not parse bare. Its own alarms end each
    step after 5 s (and need the main thread); the caller's wall limit stands behind them.
    """
    from math_verify import parse, verify

    started = time.monotonic()
    try:
        left, right = (
            parse(f"\\boxed{{{_repaired(text)}}}", parsing_timeout=STEP_SECONDS) for text in (gold, answer)
        )
        equal = bool(left and right and verify(left, right, timeout_seconds=STEP_SECONDS))
    except Exception:  # noqa: BLE001 - an answer that breaks the parser is wrong; a broken install fails above
        return False
    return None if not equal and time.monotonic() - started >= STEP_SECONDS else equal


def _repaired(answer: str) -> str:
    r"""Write a typed `pi` as `\pi` and drop dollars: math-verify takes what stands between two alone."""
    return _TYPED_PI.sub(r"\\pi", _DOLLAR.sub("", answer))


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
