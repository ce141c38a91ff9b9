"""Each rule of Meeseeks on parts that meet it and parts that do not, and the corners of the official code."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_meeseeks import CASES, Case

from longcat_eval.tasks.meeseeks import chinese
from longcat_eval.tasks.meeseeks.rules import RULES, judge, known_rule, letters, read_rule


def test_every_rule_has_a_case() -> None:
    assert {read_rule(case.rule).name for case in CASES} == set(RULES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule.strip())
def test_a_rule_tells_good_parts_from_bad(case: Case) -> None:
    assert judge(case.rule, case.good).passed, judge(case.rule, case.good).why
    assert not judge(case.rule, case.bad).passed, judge(case.rule, case.bad).why


@pytest.mark.parametrize(
    ("text", "name", "number", "rest"),
    [
        ('word_freq20:["艺术"]', "word_freq", 20, '["艺术"]'),
        ("each_length:[81.0,99.0]", "each_length", 1, "[81.0,99.0]"),
        ("non_special_notation:\n", "non_special_notation", 1, "\n"),
        ("jielong4", "jielong", 4, ""),
        ("regex|a:b|", "regex", 1, "|a:b|"),
        ("has_heteronym:3", "has_heteronym", 1, "3"),
    ],
)
def test_a_rule_is_a_name_a_number_and_arguments(text: str, name: str, number: int, rest: str) -> None:
    assert read_rule(text) == (name, number, rest)


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("SCHEMA:json_schema", True),
        ("SCHEMA:list", False),
        ("repeat_each", True),
        ("each_no_word_repeat ", False),
        ("hanzi_structure左右结构:[2,2]", False),
        ("kor_yayun", False),
        ("", False),
        ("123", False),
    ],
)
def test_what_is_not_known_is_known_not_to_be(text: str, known: bool) -> None:
    assert known_rule(text) is known


@pytest.mark.parametrize(
    ("rule", "parts", "passed"),
    [
        ("each_length:[3,4]", [], True),
        ("item_count:[0,0]", [], True),
        ('word_freq2:["茶"]', [], False),
        ("yayun", [], False),
        ("yayun", ["abc", "def"], False),
        ("lvshi_yayun", ["晓"], False),
        ("pingze", [], False),
        ("jielong1", ["一心", "abc", "心一"], False),
        ("jielong2", ["一", "二", "三", "四", "五", "六", "七", "八", "九", "十", "一"], False),
        ("chinese_english_ratio:[1,1]", ["春天"], True),
        ("chinese_english_ratio:[2,1]", ["春天"], False),
        ("chinese_english_ratio:[1,9]", ["春 a b c d e f g h i"], True),
        ("each_length:3", ["春天来"], False),
        ("each_length:[3]", ["春天来"], False),
        ("regex|(|", ["("], False),
        ("regex", ["("], False),
        ('keywords:["a"', ["a"], False),
        ("endswith_each:[]", ["春"], False),
    ],
)
def test_corners(rule: str, parts: list[str], passed: bool) -> None:
    assert judge(rule, parts).passed is passed


def test_letters_are_chinese_japanese_and_korean() -> None:
    assert letters("1、春 天 abc，カナかな한국！") == "春天カナかな한국"


@given(st.lists(st.text("春夏秋冬天 花a1，", max_size=8), max_size=5))
def test_lengths_and_repeats_by_another_definition(parts: list[str]) -> None:
    kept = [re.sub("[^春夏秋冬天花]", "", part) for part in parts]
    assert judge("each_length:[2,4]", parts).passed == all(2 <= len(k) <= 4 for k in kept)
    assert judge("total_length:[2,9]", parts).passed == (2 <= sum(map(len, kept)) <= 9)
    assert judge("repeat_each", parts).passed == (len(set(kept)) == len(kept))
    joined = "".join(kept)
    assert judge("no_word_repeat", parts).passed == (len(set(joined)) == len(joined))


@pytest.mark.parametrize(
    ("lines", "share"),
    [
        (["不觉晓", "闻啼鸟", "风雨声", "知多少"], 0.75),
        (["一种", "中", "大众"], 1.0),
        (["春天", "下雨"], 0.5),
        ([], 0.0),
        (["", "春天"], 1.0),
    ],
)
def test_the_share_of_lines_that_rhyme(lines: list[str], share: float) -> None:
    assert chinese.rhyming(lines) == share


def test_a_character_of_several_readings_rhymes_by_any() -> None:
    assert chinese.rhyming(["快乐", "唱歌"]) == 1.0, "乐 is read le, like ge"
    assert chinese.rhyming(["音乐", "白雪"]) == 1.0, "乐 is read yue, like xue"


def test_tones_are_those_of_words() -> None:
    assert (chinese.tones("春天的花"), chinese.tones("下雨")) == ("平平轻平", "仄仄")
