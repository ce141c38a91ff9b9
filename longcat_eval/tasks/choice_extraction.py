r"""Find the option a reply settles on, in English or Chinese, for labels A to J.

Four rules in order of priority, each taking its last match:

1. `marker`     an explicit marker (`Answer:`, `Final answer`, `答案`, `答案是`, `故选`, `选`) and a label,
                bare or wrapped in `( [ $ \boxed{ \text{ \mathbf{`. The only rule for lower case.
2. `boxed`      `\boxed{}` around a bare label
3. `answer_is`  "the answer is (X)" and its kin
4. `last_line`  a last line that is only a label

Reasoning is dropped, full-width forms are narrowed and markdown emphasis is removed first. Several labels
("B, C") are no answer. There is no fall-back to the last capital letter and no guess (both are found in
public harnesses and score what was never said).
"""

import re
from collections import deque
from functools import lru_cache
from typing import NamedTuple

from longcat_eval.tasks.replies import visible_text

LABELS = "ABCDEFGHIJ"
SEVERAL = "several_labels"
_WINDOWS = (400, 6_400)
_EDGE = 24
_LONGEST_LABEL_LINE = 64

_NARROW = {0xFF01 + i: 0x21 + i for i in range(94)} | {
    ord(wide): narrow
    for wide, narrow in zip(
        "\u3000\xa0【】「」『』〔〕〖〗《》“”‘’。、", "  [][][][][][]\"\"''.,", strict=True
    )
}
_EMPHASIS = {ord(mark): None for mark in "*_`#~\u200b\ufeff"}
_CLEAN = _NARROW | _EMPHASIS


class Choice(NamedTuple):
    """The label found, or None, and the rule that found it; `several_labels` where it named more than one."""

    label: str | None
    rule: str | None


def extract_choice(text: str, labels: str = LABELS[:4]) -> Choice:
    """Return the option that `text` answers with, one of `labels` (a prefix of A..J), by the rules above."""
    text = visible_text(text)
    rules = _rules(labels)
    for size in _WINDOWS:
        if len(text) <= size:
            break
        # A match that starts in the tail is the last of the whole text; near the cut its context is missing.
        found = _last(rules.marker, _clean(text[-size:]))
        if found is not None and found.start() >= _EDGE:
            return _choice(found, "marker")
    cleaned = _clean(text)
    for rule, pattern in (("marker", rules.marker), ("boxed", rules.boxed), ("answer_is", rules.answer_is)):
        if (found := _last(pattern, cleaned)) is not None:
            return _choice(found, rule)
    last_line = cleaned.rstrip().rpartition("\n")[2]
    found = rules.last_line.fullmatch(last_line) if len(last_line) <= _LONGEST_LABEL_LINE else None
    return _choice(found, "last_line") if found else Choice(None, None)


def _clean(text: str) -> str:
    return text.translate(_EMPHASIS if text.isascii() else _CLEAN)


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    matches = deque(pattern.finditer(text), maxlen=1)
    return matches[0] if matches else None


def _choice(found: re.Match[str], rule: str) -> Choice:
    if found["more"]:
        return Choice(None, SEVERAL)
    return Choice(found["label"].upper(), rule)


class _Rules(NamedTuple):
    marker: re.Pattern[str]
    boxed: re.Pattern[str]
    answer_is: re.Pattern[str]
    last_line: re.Pattern[str]


# Every repetition is bounded or possessive: an attempt to match costs a constant, so the search is linear.
_GAP = r"[ \t]{0,8}+"
_STYLE = r"\\(?:boxed|fbox|text|textbf|textrm|mathbf|mathrm|mathsf|mathit|bf|rm)"
_OPEN = rf"(?:[\s(\[{{}}$\"'<]|{_STYLE}[ \t]?\{{|\\[(\[])"
_CLOSE = r"(?:[\s)\]}$\"'>]|\\[)\]])"
_CLOSE_ON_LINE = r"(?:[ \t)\]}$\"'>]|\\[)\]])"
_NOUN = r"(?:(?i:option|choice|letter)[ \t]{1,4}+|选项)?+"
_ENGLISH_MARKER = (
    r"(?i:(?P<bare>final[ \t]answer(?:[ \t]{1,4}is)?(?![ \t]*:))"
    r"|answers?(?<!wrong answer)(?<!incorrect answer)"
    rf"(?:[ \t]{{1,4}}(?:option|choice|letter|is|would[ \t]be|should[ \t]be)){{0,3}}{_GAP}:)"
)
# 选 is also the verb of rejected and hypothetical choices: 不选, 不能选, 若选, 误选, 备选.
_REJECTED = r"(?<![不别勿非误错漏备候若如没]选)(?<!不[能应要该会可用得]选)"
_CHINESE_MARKER = (
    rf"(?:答案(?:选项)?[\])]?(?:{_GAP}(?:(?:应该|应当|应|就)?(?:是|为|选择|选){_GAP}:?|:)|(?=[\s\[(])|(?<=\]))"
    rf"|选{_REJECTED}(?:择)?{_GAP}:?)"
)


@lru_cache(maxsize=16)
def _rules(labels: str) -> _Rules:
    upper, lower = f"[{labels}]", f"[{labels}{labels.lower()}]"
    # Part of a word or formula, or the pronoun and the article of "Answer: I think", "Answer: a triangle".
    end = r"(?![A-Za-z0-9+])(?!-[A-Za-z0-9])(?!'[A-Za-z])(?!(?<=[Iia])[ \t]+[a-z])"
    # After a comma "A is wrong" or "A选项错误" is a remark on A, not a second answer.
    remark = r"(?![ \t]+(?!and\b|or\b)[a-z])(?!(?![和与或及都均两])[\u4e00-\u9fff])"
    more = (
        rf"(?P<more>{_CLOSE_ON_LINE}{{0,6}}(?:"
        rf"(?:[/&和与或及]|,?[ \t]{{0,4}}\b(?:and|or)\b){_OPEN}{{0,6}}{_NOUN}{upper}{end}"
        rf"|,{_OPEN}{{0,6}}{_NOUN}{upper}{end}{remark})"
        rf"|{upper}{{1,9}}(?![A-Za-z0-9]))?"
    )

    def one(allowed: str) -> str:
        return rf"{_OPEN}{{0,24}}+{_NOUN}{_OPEN}{{0,8}}+(?P<label>{allowed}){more}{end}"

    # A label on a later line, or after a bare "final answer", must not start a sentence ("A few remarks").
    alone = r"(?(bare)(?![ \t]+[a-z]))(?(line)(?![ \t]+[a-z]))"
    return _Rules(
        marker=re.compile(
            rf"(?:{_ENGLISH_MARKER}|{_CHINESE_MARKER})(?P<line>[ \t\r]*\n)?+{one(lower)}{alone}"
        ),
        boxed=re.compile(rf"\\boxed[ \t]?\{{{one(upper)}{_CLOSE}{{0,6}}\.?{_GAP}\}}"),
        answer_is=re.compile(
            r"(?:(?i:answer|correct[ \t](?:option|choice))[ \t]{1,4}(?i:is|(?:would|should|must)[ \t]be)"
            rf"|正确的?选项(?:应该|应)?[是为]){_GAP}:?{one(upper)}"
        ),
        last_line=re.compile(rf"{one(upper)}{_CLOSE}{{0,8}}[.,:]?{_CLOSE}{{0,4}}"),
    )
