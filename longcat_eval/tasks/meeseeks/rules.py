"""The rules of Meeseeks: what a part of a reply must be, by the semantics of the official code.

github.com/ADoublLEN/Meeseeks at add5b65, `src_code/process_rule_based_evaluate.py` and `rule_utils/`. A rule
is a name, in some a number, and arguments behind a colon: `word_freq20:["艺术"]`. Parts are a list of texts.
Runs in a worker process, because a rule may hold a regular expression.
"""

import ast
import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import combinations, pairwise
from typing import Any, NamedTuple

from longcat_eval.tasks.meeseeks import chinese

SCHEMA = "SCHEMA"
NUMERALS = "一二三四五六七八九十"
ALIKE = 0.75
_RULE = re.compile(r"([a-zA-Z]+(?:_[a-zA-Z]+)*)(\d*):?(.*)", re.DOTALL)
_LIST = re.compile(r"\[.*\]", re.DOTALL)
_NOT_CJK = re.compile(r"[^\u4e00-\u9fff\u3040-\u30ff\uac00-\ud7af]")
_HANZI = re.compile(r"[\u4e00-\u9fff]")
_ENGLISH = re.compile(r"[a-zA-Z]+")
_PATTERN = re.compile(r"\|(.*?)\|")
_ENDS_IN_PUNCTUATION = re.compile(r".*[.,!?:;]$")


class Rule(NamedTuple):
    """A rule as written: `number` is the one at its name's end (1 where there is none)."""

    name: str
    number: int
    rest: str

    @property
    def values(self) -> list[Any]:
        """The list of arguments; `ValueError` if there is none."""
        found = _LIST.search(self.rest)
        if found is None:
            raise ValueError(f"the rule {self.name} has no arguments")
        values = ast.literal_eval(found[0])
        return list(values)

    @property
    def words(self) -> list[str]:
        """The arguments as texts in lower case."""
        return [str(value).lower() for value in self.values]

    @property
    def bounds(self) -> tuple[float, float]:
        """The arguments as the least and the most."""
        least, most = self.values
        return float(least), float(most)

    @property
    def times(self) -> int:
        """The number behind the colon (1 where there is none)."""
        found = re.match(r"\d+", self.rest)
        return int(found[0]) if found else 1

    @property
    def pattern(self) -> str:
        """The regular expression between bars."""
        found = _PATTERN.search(self.rest)
        if found is None:
            raise ValueError(f"the rule {self.name} has no expression between bars")
        return found[1]


class Finding(NamedTuple):
    """Whether the parts are as a rule wants them, and what was found."""

    passed: bool
    why: str


Check = Callable[[Rule, Sequence[str]], Finding]


def read_rule(text: str) -> Rule:
    """Take a rule apart; `ValueError` if it is none."""
    found = _RULE.fullmatch(text.strip(" "))
    if found is None:
        raise ValueError(f"{text[:60]!r} is no rule")
    return Rule(found[1], int(found[2] or 1), found[3])


def known_rule(text: str) -> bool:
    """Whether a rule can be judged here."""
    try:
        rule = read_rule(text)
    except ValueError:
        return False
    return rule.name in RULES or text == f"{SCHEMA}:json_schema"


def judge(text: str, parts: list[str]) -> tuple[bool, str]:
    """Return (passed, why); what a rule cannot be asked of, such as the first of no parts, does not pass."""
    try:
        rule = read_rule(text)
        return RULES[rule.name](rule, parts)
    except (IndexError, ValueError, SyntaxError, ZeroDivisionError, re.error) as error:
        return Finding(False, f"the rule does not apply: {error}")


def letters(text: str) -> str:
    """The characters that count: Chinese, Japanese and Korean ones."""
    return _NOT_CJK.sub("", text)


def _each(holds: Callable[[Rule, str], bool]) -> Check:
    """All parts pass; that of no parts is true."""

    def check(rule: Rule, parts: Sequence[str]) -> Finding:
        for part in parts:
            if not holds(rule, part):
                return Finding(False, f"not so: {part[:80]}")
        return Finding(True, f"all {len(parts)} parts")

    return check


def _within(bounds: tuple[float, float], value: float) -> Finding:
    return Finding(bounds[0] <= value <= bounds[1], f"{value:g}, wanted {bounds[0]:g} to {bounds[1]:g}")


def _length(rule: Rule, part: str) -> bool:
    return _within(rule.bounds, len(letters(part))).passed


def _total_length(rule: Rule, parts: Sequence[str]) -> Finding:
    return _within(rule.bounds, sum(len(letters(part)) for part in parts))


def _item_count(rule: Rule, parts: Sequence[str]) -> Finding:
    return _within(rule.bounds, len(parts))


def _repeat_each(rule: Rule, parts: Sequence[str]) -> Finding:
    twice = [text for text, times in Counter(map(letters, parts)).items() if times > 1]
    return Finding(not twice, f"twice: {', '.join(twice)[:80]}" if twice else "no part twice")


def _no_word_repeat(rule: Rule, parts: Sequence[str]) -> Finding:
    twice = [one for one, times in Counter("".join(map(letters, parts))).items() if times > 1]
    return Finding(not twice, f"twice: {' '.join(twice)[:80]}" if twice else "no character twice")


def _non_very_similar(rule: Rule, parts: Sequence[str]) -> Finding:
    """No two parts share more than 75 % of their different characters (Dice's coefficient)."""
    for one, other in combinations([set(letters(part)) for part in parts], 2):
        if len(one) + len(other) and 2 * len(one & other) / (len(one) + len(other)) > ALIKE:
            return Finding(False, f"two parts share {len(one & other)} characters")
    return Finding(True, "no two parts are very similar")


def _keywords(rule: Rule, part: str) -> bool:
    return all(word in part.lower() for word in rule.words)


def _non_keywords(rule: Rule, part: str) -> bool:
    return not any(word in part.lower() for word in rule.words)


def _any_keywords(rule: Rule, parts: Sequence[str]) -> Finding:
    there = [word for word in rule.words if any(word in part.lower() for part in parts)]
    return Finding(len(there) >= rule.number, f"{len(there)} of {rule.number} there")


def _times(rule: Rule, part: str) -> list[int]:
    return [part.lower().count(word) for word in rule.words]


def _word_freq(rule: Rule, parts: Sequence[str]) -> Finding:
    times = _times(rule, parts[0])
    return Finding(all(n == rule.number for n in times), f"{times} times, wanted {rule.number}")


def _non_word_freq(rule: Rule, parts: Sequence[str]) -> Finding:
    times = _times(rule, parts[0])
    return Finding(all(n <= rule.number for n in times), f"{times} times, at most {rule.number} wanted")


def _any_word_freq(rule: Rule, part: str) -> bool:
    return sum(_times(rule, part)) == rule.number


def _notation_freq(rule: Rule, part: str) -> bool:
    return all(part.count(str(notation)) == rule.number for notation in rule.values)


def _non_special_notation(rule: Rule, part: str) -> bool:
    return rule.rest not in part


def _counts(part: str) -> tuple[int, int]:
    """Chinese characters and English words."""
    return len(_HANZI.findall(part)), len(_ENGLISH.findall(part))


def _ratio(rule: Rule, part: str) -> bool:
    """The ratio is met exactly; a text without English counts as 1 to 1, as in the official code."""
    chinese_count, english = _counts(part)
    left, right = rule.bounds
    return chinese_count * right == english * left if english else left == right


def _mixed_words(rule: Rule, part: str) -> bool:
    return _within(rule.bounds, sum(_counts(part))).passed


def _non_regex(rule: Rule, part: str) -> bool:
    return re.match(rule.pattern, part) is None


def _regex(rule: Rule, parts: Sequence[str]) -> Finding:
    found = any(re.fullmatch(rule.pattern, part) for part in parts)
    return Finding(found, "a part matches" if found else "no part matches")


def _starts(rule: Rule, part: str) -> bool:
    return letters(part).startswith(letters(str(rule.values[0])))


def _ends(rule: Rule, part: str) -> bool:
    return letters(part).endswith(letters(str(rule.values[0])))


def _holds_any(rule: Rule, part: str) -> bool:
    """By its name a rule about endings; the official code asks whether a word is anywhere in the part."""
    return any(letters(str(value)) in letters(part) for value in rule.values)


def _no_punctuation(rule: Rule, part: str) -> bool:
    return _ENDS_IN_PUNCTUATION.match(part) is None


def _jielong(rule: Rule, parts: Sequence[str]) -> Finding:
    """Chains: last to first character (1), numerals in order (2), first to last (3), moving places (4)."""
    words = [letters(part) for part in parts]
    if rule.number == 2:
        held = all(word.startswith(NUMERALS[place]) for place, word in enumerate(words))
    elif rule.number == 4:
        met = [word[place % len(word)] for place, word in enumerate(words)]
        held = all(one == other for one, other in pairwise(met))
    else:
        links = [(w[-1], w[0]) if rule.number == 1 else (w[0], w[-1]) for w in words]
        held = all(one[0] == other[1] for one, other in pairwise(links))
    return Finding(held, f"the chain {'holds' if held else 'breaks'}: {' '.join(words)[:80]}")


def _word_structure(rule: Rule, part: str) -> bool:
    """Equal letters of the structure are equal characters; different ones need not differ."""
    word = letters(part)
    return len(word) == len(rule.rest) and all(
        word[i] == word[rule.rest.index(letter)] for i, letter in enumerate(rule.rest)
    )


def _yayun(rule: Rule, parts: Sequence[str]) -> Finding:
    share = chinese.rhyming(parts)
    return Finding(share >= chinese.RHYMES, f"{share:.0%} of the lines rhyme")


def _lvshi_yayun(rule: Rule, parts: Sequence[str]) -> Finding:
    share = chinese.rhyming(parts[1::2])
    return Finding(share == 1, f"{share:.0%} of the even lines rhyme")


def _pingze(rule: Rule, parts: Sequence[str]) -> Finding:
    tones = {chinese.tones(part) for part in parts}
    return Finding(len(tones) == 1, f"{len(tones)} patterns of tones")


def _has_heteronym(rule: Rule, part: str) -> bool:
    return chinese.heteronyms(part) == rule.times


def _fanti(rule: Rule, part: str) -> bool:
    return chinese.is_traditional(part)


RULES: dict[str, Check] = {
    "each_length": _each(_length),
    "total_length": _total_length,
    "item_count": _item_count,
    "repeat_each": _repeat_each,
    "no_word_repeat": _no_word_repeat,
    "non_very_similar": _non_very_similar,
    "keyword": _each(_keywords),
    "keywords": _each(_keywords),
    "non_keyword": _each(_non_keywords),
    "non_keywords": _each(_non_keywords),
    "any_keywords": _any_keywords,
    "word_freq": _word_freq,
    "non_word_freq": _non_word_freq,
    "any_word_freq": _each(_any_word_freq),
    "notation_freq": _each(_notation_freq),
    "non_special_notation": _each(_non_special_notation),
    "chinese_english_ratio": _each(_ratio),
    "count_mixed_chinese_english_words": _each(_mixed_words),
    "regex": _regex,
    "non_regex": _each(_non_regex),
    "startswith_each": _each(_starts),
    "endswith_each": _each(_ends),
    "endswithany_each": _each(_holds_any),
    "no_end_with_punctuation": _each(_no_punctuation),
    "jielong": _jielong,
    "word_structure": _each(_word_structure),
    "yayun": _yayun,
    "lvshi_yayun": _lvshi_yayun,
    "pingze": _pingze,
    "has_heteronym": _each(_has_heteronym),
    "fanti": _each(_fanti),
}
