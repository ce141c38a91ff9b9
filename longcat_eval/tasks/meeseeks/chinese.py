"""Rhymes, tones and characters of Chinese lines, by pypinyin and OpenCC.

The rhyme groups are the eighteen of the new rhymes (中华新韵 of 1941), as Meeseeks has them in
`rule_utils/rhyme_chn.py`; a character with several readings may rhyme by any of them.
"""

import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any

RHYMES = 0.5
"""The share of lines that must rhyme with one another."""
GROUPS = (
    *("a ia ua", "o uo", "e", "ie ve üe", "-i", "er", "i", "ei ui uei", "ai uai", "u", "v ü", "ou iu iou"),
    *("ao iao", "an ian uan van üan", "en in un uen vn ün", "ang iang uang", "eng ing ueng", "ong iong"),
)
UNKNOWN = -1
_NOT_HANZI = re.compile(r"[^\u4e00-\u9fff]")


def hanzi(text: str) -> str:
    """The Chinese characters of a text."""
    return _NOT_HANZI.sub("", text)


def rhyming(lines: Sequence[str]) -> float:
    """Return the largest share of lines whose last characters can be read with finals of one group.

    Lines without a Chinese character do not count; of no lines it is 0.
    """
    ends = [line[-1] for line in map(hanzi, lines) if line]
    groups = Counter(group for end in ends for group in set(map(_group, _finals(end))))
    return max(groups.values(), default=0) / len(ends) if ends else 0.0


def tones(line: str) -> str:
    """Return level (平), oblique (仄) or light (轻) for each character, as the words of the line are read."""
    from pypinyin import Style, pinyin

    read = [syllable[0] for syllable in pinyin(hanzi(line), style=Style.TONE3)]
    return "".join({"1": "平", "2": "平", "3": "仄", "4": "仄"}.get(s[-1], "轻") for s in read)


def heteronyms(text: str) -> int:
    """Count the characters that have more than one reading, tones aside."""
    from pypinyin import Style, pinyin

    return sum(len(pinyin(one, style=Style.NORMAL, heteronym=True)[0]) > 1 for one in hanzi(text))


def is_traditional(text: str) -> bool:
    """Whether no character changes when the text is turned into traditional Chinese."""
    kept = hanzi(text)
    converted: str = _converter().convert(kept)
    return converted == kept


def _finals(character: str) -> list[str]:
    from pypinyin import Style, pinyin

    found: list[str] = pinyin(character, style=Style.FINALS, heteronym=True)[0]
    return found


def _group(final: str) -> int:
    return next((i for i, group in enumerate(GROUPS) if final in group.split()), UNKNOWN)


@cache
def _converter() -> Any:
    import opencc

    return opencc.OpenCC("s2t")
