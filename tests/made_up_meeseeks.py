"""A set like Meeseeks', of our own sentences: each rule once, with parts that meet it and that do not."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from longcat_eval.tasks.meeseeks.prompts import FILES, FOLDER

Row = dict[str, Any]


class Case(NamedTuple):
    """A rule, parts that meet it, and parts that do not."""

    rule: str
    good: list[str]
    bad: list[str]


CASES = [
    Case("each_length:[3,4.0]", ["1. 春天来", "花 开 了 啊！"], ["春天来", "花"]),
    Case("total_length:[6,8]", ["春天来", "abc 花开了"], ["春天来了吗", "花开了吗"]),
    Case("item_count:[2,3]", ["春", "夏"], ["春"]),
    Case("repeat_each", ["1. 春天", "2. 夏天"], ["1. 春天", "2. 春天！"]),
    Case("no_word_repeat", ["春夏", "秋冬"], ["春夏", "夏秋"]),
    Case("non_very_similar,", ["春天花开", "冬天下雪"], ["春天花开", "春天花开了"]),
    Case('keyword:["Tea"]', ["green tea 好喝"], ["咖啡好喝"]),
    Case('keywords:["春", "tea"]', ["春天喝 TEA", "tea 与春"], ["春天喝 TEA", "喝 tea"]),
    Case('non_keyword:["的"]', ["春天花开"], ["春天的花"]),
    Case('non_keywords:["的", "Tea"]', ["春天花开", "夏"], ["春天", "a TEA"]),
    Case('any_keywords2:["春", "夏", "秋"]', ["春天", "秋天"], ["春天", "春花"]),
    Case('word_freq2:["茶", "水"]', ["茶水茶水"], ["茶水茶"]),
    Case('non_word_freq1:["的", "了"]', ["我的茶凉了"], ["我的茶的水"]),
    Case('any_word_freq3:["茶", "水"]', ["茶水茶", "水水茶"], ["茶水茶", "茶"]),
    Case('notation_freq2:["，", "。"]', ["一，二，三。四。"], ["一，二。三。"]),
    Case("non_special_notation:\n", ["一行"], ["一行\n两行"]),
    Case("chinese_english_ratio:[4,2]", ["春天 tea 花开 cup"], ["春天 tea cup"]),
    Case("count_mixed_chinese_english_words:[3,4]", ["春天 tea", "a b c d"], ["春 tea"]),
    Case("regex|[0-9]{4}年|", ["今年", "2024年"], ["2024年春"]),
    Case("non_regex|[0-9]+|", ["春 2024"], ["2024 春"]),
    Case('startswith_each:["春"],', ["《春》天", "春"], ["春天", "天春"]),
    Case('endswith_each:["天"],', ["春天。", "1) 冬天！"], ["春天", "天冬"]),
    Case('endswithany_each:["天","花"]', ["春天好", "花开"], ["春天", "水"]),
    Case("no_end_with_punctuation", ["春天", "花开。"], ["春天", "flowers."]),
    Case("jielong1", ["一心一意", "意气风发", "发扬光大"], ["一心一意", "一意"]),
    Case("jielong2", ["一心一意", "二话不说", "三心二意"], ["一心一意", "三心二意"]),
    Case("jielong3", ["发扬光大", "意气风发"], ["意气风发", "发扬光大"]),
    Case("jielong4", ["春天", "花春", "春雨"], ["春天", "春花"]),
    Case("word_structure:ABB", ["红彤彤", "绿油油"], ["红彤彤", "高高兴"]),
    Case("yayun", ["春眠不觉晓，", "处处闻啼鸟。", "夜来风雨声"], ["春天", "下雨", "白雪", "大风", "火"]),
    Case("lvshi_yayun", ["一个", "不觉晓", "二马", "闻啼鸟"], ["一个", "不觉晓", "二马", "春天"]),
    Case("pingze", ["春天", "花开"], ["春天", "下雨"]),
    Case("has_heteronym:1", ["乐天"], ["春天"]),
    Case("fanti", ["機器學習", "山水"], ["机器学习"]),
]
"""In no rule but those of empty lists is a part without Chinese of consequence."""

SCHEMA_OF_TEA = {
    "$schema": "http://json-schema.org/schema#",
    "type": "object",
    "required": ["name", "origin", "kinds"],
    "properties": {
        "name": {"type": "string", "minLength": 2, "能力项": "主题约束"},
        "origin": {
            "type": "object",
            "required": ["city"],
            "properties": {
                "city": {"type": "string", "能力项": "特定格式、范围"},
                "street": {"type": "string"},
            },
        },
        "kinds": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["kind"],
                "properties": {"kind": {"type": "string"}, "price": {"type": "number"}},
            },
        },
        "note": {"type": "string"},
    },
}
TEA = {"name": "龙井", "origin": {"city": "杭州"}, "kinds": [{"kind": "绿茶", "price": 3}, {"kind": "花茶"}]}


def rule_item(case: Case) -> Row:
    """An item with a sub-question for the scorer, one for the rule, and one that depends on the rule."""
    category = "general_single" if len(case.good) == 1 else "general_multi"
    return {
        "category": category,
        "question": f"请写几句话（{case.rule}）。",
        "corresponding_parts": {"句子": "#CODE#每一句话" if "length" in case.rule else "每一句话"},
        "sub_questions": [
            {"point_id": 0, "question": "是否写了句子", "rule": None, "dep": []},
            {
                "point_id": 1,
                "question": "句子是否合乎规则",
                "rule": case.rule,
                "corresponding_part": "句子",
                "dep": [0],
                "能力项": "词频、关键词",
            },
            {"point_id": 2, "question": "是否通顺", "rule": None, "dep": [1], "能力项": "主题约束"},
        ],
        "ref_answer": "\n".join(case.good),
        "ref_parts": {"句子": case.good},
    }


def schema_item() -> Row:
    """An item that wants JSON, and one field of it without a word."""
    return {
        "category": "SCHEMA",
        "question": "请用 JSON 介绍一种茶。",
        "json_schema": SCHEMA_OF_TEA,
        "corresponding_parts": {"名称": "#JSONSCHEMA#:name"},
        "sub_questions": [
            {"point_id": 0, "question": "是否满足 schema", "rule": "SCHEMA:json_schema", "dep": []},
            {
                "point_id": 1,
                "question": "是否没有“好”",
                "rule": 'non_keywords:["好"]',
                "corresponding_part": "名称",
                "dep": [],
                "能力项": "关键词",
            },
        ],
        "ref_answer": json.dumps(TEA, ensure_ascii=False),
    }


def items() -> list[Row]:
    """The whole set: an item for every rule, and the JSON one."""
    return [*map(rule_item, CASES), schema_item()]


def write(folder: Path, rows: list[Row] | None = None, name: str = "DATA[7.1]中文版.json") -> Path:
    """Put a file where the task looks for it; return the data folder."""
    place = folder / "meeseeks" / "input_data" / "chinese_data" / "raw_input"
    place.mkdir(parents=True, exist_ok=True)
    (place / name).write_text(json.dumps(items() if rows is None else rows, ensure_ascii=False))
    return folder


def checkout(folder: Path, **texts: str) -> Path:
    """A checkout with prompts of our own under the official names."""
    (folder / FOLDER).mkdir(parents=True)
    places = {
        "single": "{input_instruction}|{model_response}|{extraction_prompt}",
        "multi": "M {input_instruction}|{model_response}|{extraction_prompt}",
        "program_single": "P {model_response}|{instruction}",
        "program_multi": "PM {model_response}|{instruction} \\d",
        "scorer": "{input}|{output}|{question}",
    }
    for field, (file, name) in FILES.items():
        text = texts.get(field, f'{name} = """{places[field]}"""\nraise SystemExit("never run")\n')
        (folder / FOLDER / file).write_text(text, encoding="utf-8")
    return folder
