"""published.yaml says what the card says, and every value has a source."""

import re

import msgspec
import pytest

from longcat_eval.errors import UsageError
from longcat_eval.reports.published import (
    FILE,
    Published,
    PublishedValue,
    find_models,
    load_published,
    published_value,
)

KIMI, QWEN, GEMINI, LITE, CHAT = load_published().models


def value(task: str, model: str) -> PublishedValue | None:
    rows = {row.task: row for group in load_published().groups for row in group.rows}
    return published_value(rows[task], model)


def test_every_value_is_a_printed_percentage_with_a_source() -> None:
    seen = 0
    for row in (row for group in load_published().groups for row in group.rows):
        for model in load_published().models:
            if (cell := published_value(row, model)) is not None:
                assert re.fullmatch(r"\d\d?\.\d\d?|-", cell.text), (row.task, model)
                assert cell.mark in ("", "*")
                assert cell.source.title
                seen += 1
    assert seen == 15 * 4 + 1 + 15  # the card, VitaBench of Flash-Lite, the README and news of Flash-Chat


def test_card_values_are_dated_and_the_others_say_that_they_are_not() -> None:
    card = value("tau2-airline", KIMI)
    assert card is not None
    assert (card.text, card.mark, str(card.source)) == (
        "44.00",
        "",
        "model card meituan-longcat/LongCat-Flash-Lite (2026-01)",
    )
    vita = value("vitabench", LITE)
    assert vita is not None
    assert (vita.text, str(vita.source)) == ("7.0", "Meituan announcement of LongCat-Flash-Lite (undated)")


def test_marks_decimals_and_dashes_are_kept() -> None:
    assert [(v.text, v.mark) for m in (KIMI, QWEN, GEMINI, LITE) if (v := value("aime25", m))] == [
        ("59.58", ""),
        ("68.44", ""),
        ("50.1", "*"),
        ("63.23", ""),
    ]
    dash = value("prdbench", GEMINI)
    assert dash is not None
    assert not dash.reported
    assert value("prdbench", CHAT) is None


def test_flash_chat_has_the_numbers_of_its_own_announcements() -> None:
    printed = {
        row.task: cell.text
        for group in load_published().groups
        for row in group.rows
        if (cell := published_value(row, CHAT)) is not None
    }
    assert printed == {
        "swe-bench-verified": "60.4",
        "terminal-bench": "39.51",
        "gpqa-diamond": "73.23",
        "mmlu": "89.71",
        "mmlu-pro": "82.68",
        "ceval": "90.44",
        "cmmlu": "84.34",
        "math500": "96.40",
        "aime24": "70.42",
        "aime25": "61.25",
        "arena-hard-v2": "86.50",
        "ifeval": "89.65",
        "collie": "57.10",
        "meeseeks-zh": "43.03",
        "vitabench": "24.30",
    }


def test_a_value_keeps_the_metric_of_its_source() -> None:
    flash = value("aime24", CHAT)
    assert flash is not None
    assert flash.metric == "avg@10"


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (["kimi", "qwen3-next", "gemini", "longcat"], [KIMI, QWEN, GEMINI, LITE]),
        (["longcat,kimi"], [LITE, KIMI]),
        (["Kimi", "kimi-linear-48b-a3b", "Kimi-Linear-48B-A3B"], [KIMI]),
        (["longcat-flash-chat", " gemini-2.5-flash-lite "], [CHAT, GEMINI]),
        (["", ","], []),
    ],
)
def test_names_of_columns(asked: list[str], found: list[str]) -> None:
    assert find_models(asked) == found


def test_an_unknown_column_is_one_line_with_a_suggestion_and_the_list() -> None:
    with pytest.raises(UsageError, match="'kimmi'") as caught:
        find_models(["kimmi"])
    text = str(caught.value)
    assert "did you mean 'kimi'" in text
    assert "known: kimi, qwen3-next, gemini, longcat, longcat-flash-chat" in text
    assert "\n" not in text


def test_aliases_are_unambiguous() -> None:
    models = load_published().models
    words = [word.casefold() for name, m in models.items() for word in {name, m.label.casefold(), *m.aliases}]
    assert len(words) == len(set(words))


def test_an_unknown_key_in_the_file_is_an_error() -> None:
    import yaml

    content = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    content["groups"][0]["rows"][0]["colour"] = "red"
    with pytest.raises(msgspec.ValidationError, match="colour"):
        msgspec.convert(content, Published)
