r"""Find the last `\boxed` answer of a solution and settle the comparisons that need no algebra."""

import re
from typing import NamedTuple

from longcat_eval.tasks.replies import visible_text

LONGEST_ANSWER = 2_000

_BOX = "\\boxed"
_OPENING = re.compile(r"\s*\{")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_BARE = re.compile(r"\s+([^\s$\\{}][^\s$]*)")
_INTEGER = re.compile(r"([+-]?)(\d{1,3}(?:(?:,|\{,\}|\\,|\\!|,\\!)\d{3})+|\d+)(?:\.0*)?", re.ASCII)
_NEGATIVE_SPACE = re.compile(r"\\!")
_SPACES = re.compile(r"(?:\\[,;: ]|\\q?quad(?![a-zA-Z])|~|\s)+")
_SPACE_OF_NO_LIST = re.compile(r"(?<!\d) | (?!\d)")
_DELIMITER_SIZE = re.compile(r"\\(?:left|right)(?![a-zA-Z])")
_FRACTION_SIZE = re.compile(r"\\[dt]frac(?![a-zA-Z])")


class BoxedAnswer(NamedTuple):
    """The content of the last box, or None, and the rule that found it or what stands there instead."""

    answer: str | None
    rule: str


def extract_boxed(text: str) -> BoxedAnswer:
    r"""Return the content of the last `\boxed{...}` by matching braces; `\boxed 5` is read as 5.

    Rules: `boxed`, `boxed_bare`; without an answer `no_box`, `unclosed_box`, `empty_box`. An unclosed last
    box is no answer even after a closed one, because the reply went on from that one; `\fbox` is no box.
    The last box alone is taken since math-verify joins several (`\boxed{203} ... \boxed{204}` became
    203204).
    """
    text = visible_text(text)
    start = text.rfind(_BOX)
    while start >= 0 and text[start + len(_BOX) : start + len(_BOX) + 1].isalpha():
        start = text.rfind(_BOX, 0, start)
    if start < 0:
        return BoxedAnswer(None, "no_box")
    after = start + len(_BOX)
    opening = _OPENING.match(text, after)
    if opening is None:
        bare = _BARE.match(text, after)
        content, rule = (bare[1].rstrip(".,;:!)") if bare else ""), "boxed_bare"
    else:
        inside = _braced(text, opening.end())
        if inside is None:
            return BoxedAnswer(None, "unclosed_box")
        content, rule = inside.strip(), "boxed"
    return BoxedAnswer(content, rule) if content else BoxedAnswer(None, "empty_box")


def _braced(text: str, start: int) -> str | None:
    r"""Return the text from `start`, just after a brace, to that brace's partner; `\{` and `\}` are none."""
    depth = 1
    for brace in _BRACE.finditer(text, start):
        depth += {"{": 1, "}": -1}.get(brace[0], 0)
        if depth == 0:
            return text[start : brace.start()]
    return None


def normal_form(answer: str) -> str:
    """Return `answer` less what never changes its meaning: dollars, spacing, sizes, a final dot.

    A space between two digits stays, because `1 2` is not 12.
    """
    short = _FRACTION_SIZE.sub(r"\\frac", _DELIMITER_SIZE.sub("", _undecorated(answer)))
    short = _SPACES.sub(" ", _NEGATIVE_SPACE.sub("", short))
    return _SPACE_OF_NO_LIST.sub("", short).removesuffix(".")


def as_integer(answer: str) -> str | None:
    r"""Return an integer in canonical digits (of `025`, `10{,}080`, `70.0`, `+7`), None if it is none."""
    found = _INTEGER.fullmatch(_undecorated(answer))
    if found is None:
        return None
    digits = re.sub(r"\D", "", found[2]).lstrip("0") or "0"
    return f"-{digits}" if found[1] == "-" and digits != "0" else digits


def settle(gold: str, answer: str) -> bool | None:
    """Return whether `answer` equals `gold` if that is plain to see, None if it takes algebra.

    Equal normal forms are equal; two integers are compared as such (AIME writes 025 and 70.0).
    """
    if normal_form(gold) == normal_form(answer):
        return True
    left, right = as_integer(gold), as_integer(answer)
    return left == right if left is not None and right is not None else None


def _undecorated(answer: str) -> str:
    return answer.strip().removeprefix("$").removesuffix("$").strip()
