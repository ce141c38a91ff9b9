"""Items as the files have them: read, put in order, and refused where they cannot be judged."""

import json
from pathlib import Path
from typing import Any

import pytest
from made_up_meeseeks import CASES, checkout, items, rule_item, schema_item, write

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.protocols import DataOptions
from longcat_eval.tasks.meeseeks.items import item_of, read_items
from longcat_eval.tasks.meeseeks.json_reply import UNDEFINED, split_tags
from longcat_eval.tasks.meeseeks.prompts import FOLDER, OWN, find_prompts
from longcat_eval.tasks.meeseeks.task import PACKAGES, MeeseeksTask

NAME = "input_data/chinese_data/raw_input/DATA[26.1]中文版.json"


def encoded(*rows: dict[str, Any]) -> bytes:
    return json.dumps(rows).encode()


def point(number: int, **more: Any) -> dict[str, Any]:
    return {"point_id": number, "question": "?", "rule": None, "dep": [], **more}


def test_samples_are_named_by_file_and_place(tmp_path: Path) -> None:
    write(tmp_path)
    write(tmp_path, [schema_item()], "DATA[26.10]中文版.json")
    write(tmp_path, [schema_item()], "own.json")
    data = MeeseeksTask().load(DataOptions(tmp_path, allow_drift=True))
    ids = [sample.id for sample in data.samples]
    assert len(ids) == len(items()) + 2
    assert {"7.1/000", "26.10/000", "own/000"} <= set(ids)
    assert {sample.group for sample in data.samples} == {"SCHEMA", "general_single", "general_multi"}


def test_what_is_not_the_known_data_is_refused(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(EnvironmentUnusableError, match=f"{len(items())} items, expected 373"):
        MeeseeksTask().load(DataOptions(tmp_path))


def test_absent_data_says_where_it_is(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentUnusableError, match=r"git clone https://github\.com/ADoublLEN/Meeseeks"):
        MeeseeksTask().load(DataOptions(tmp_path))


def test_without_the_extra_its_name_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from longcat_eval.tasks.meeseeks import task

    write(tmp_path)
    monkeypatch.setattr(task, "PACKAGES", (*PACKAGES, "no-such-package"))
    with pytest.raises(EnvironmentUnusableError) as caught:
        MeeseeksTask().load(DataOptions(tmp_path, allow_drift=True))
    assert str(caught.value) == "judging Meeseeks needs no-such-package: pip install 'longcat-eval[meeseeks]'"


def test_numbers_of_sub_questions_need_not_be_unique() -> None:
    row = rule_item(CASES[0]) | {"sub_questions": [point(-1, dep=[0]), point(0), point(-1, dep=[0])]}
    (read,) = read_items(encoded(row), NAME)
    item = read["item"]
    assert read["id"] == "26.1/000"
    assert item.in_order() == [1, 0, 2]
    assert (item.needs(0), item.needs(1)) == ([1], [])


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("词频、关键词", ("词频", "关键词")),
        ("0～10字, 精确、", ("0~10字", "精确")),
        ("", (UNDEFINED,)),
    ],
)
def test_tags(text: str, tags: tuple[str, ...]) -> None:
    assert split_tags(text) == tags


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sub_questions": []}, "it has no sub-questions"),
        ({"sub_questions": [point(0, dep=[3])]}, "depends on one that the item has not"),
        ({"sub_questions": [point(0, dep=[1]), point(1, dep=[0])]}, "depend on one another in a circle"),
        (
            {"sub_questions": [point(4, rule="kor_yayun")]},
            "sub-question 4 has the rule 'kor_yayun', which is",
        ),
        (
            {"sub_questions": [point(4, rule="SCHEMA:json_schema")]},
            "asks for a JSON schema, and the item has",
        ),
        ({"sub_questions": [point(4, rule="yayun", corresponding_part="x")]}, "is about part 'x', which the"),
        ({"corresponding_parts": {"句子": "#LISTSCHEMA#x"}}, "part '句子' is cut out by no known rule"),
        ({"corresponding_parts": {"句子": "#JSONSCHEMA#"}}, "part '句子' is cut out by no known rule"),
    ],
)
def test_what_cannot_be_judged_is_refused_before_anything_is_asked(change: dict[str, Any], said: str) -> None:
    with pytest.raises(EnvironmentUnusableError) as caught:
        read_items(encoded(schema_item(), rule_item(CASES[0]) | change), NAME)
    assert str(caught.value).startswith(f"{NAME}, item 1: ")
    assert said in str(caught.value)


def test_arrays_in_arrays_are_refused_too() -> None:
    inner = {"type": "array", "items": {"type": "object", "properties": {}}}
    schema = {"type": "array", "items": {"type": "object", "properties": {"a": inner}}}
    with pytest.raises(EnvironmentUnusableError, match="arrays in arrays"):
        read_items(encoded(schema_item() | {"json_schema": schema}), NAME)


@pytest.mark.parametrize("content", [b"{}", b"[1]", b'[{"question": "x"}]'])
def test_another_shape_of_file_is_refused(content: bytes) -> None:
    with pytest.raises(EnvironmentUnusableError, match="is no file of Meeseeks"):
        read_items(content, NAME)


def test_prompts_of_a_checkout_are_read_and_never_run(tmp_path: Path) -> None:
    prompts = find_prompts(checkout(tmp_path))
    assert prompts.origin == "official"
    assert prompts.multi == "M {input_instruction}|{model_response}|{extraction_prompt}"


def test_without_a_checkout_they_are_our_own(tmp_path: Path) -> None:
    assert find_prompts(None) is OWN
    assert find_prompts(tmp_path) is OWN


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = (", "it is no Python"),
        ("OTHER = 'x'", "it has no EVALUATION_PROMPT"),
        ("EVALUATION_PROMPT = 'a' + 'b'", "it has no EVALUATION_PROMPT"),
        ("EVALUATION_PROMPT = '{reply}'", "it has other places to fill in"),
        ("EVALUATION_PROMPT = '{'", "it has other places to fill in"),
    ],
)
def test_other_files_are_refused(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentUnusableError, match=said):
        find_prompts(checkout(tmp_path, scorer=text))


def test_a_missing_file_of_prompts_is_named(tmp_path: Path) -> None:
    (checkout(tmp_path) / FOLDER / "General_Evaluator.py").unlink()
    with pytest.raises(EnvironmentUnusableError, match=r"cannot read .*General_Evaluator\.py"):
        find_prompts(tmp_path)


def test_the_judges_rules_name_the_prompts_that_are_used(tmp_path: Path) -> None:
    write(tmp_path)
    task = MeeseeksTask()
    own = task.protocol.judges
    checkout(tmp_path / "meeseeks")
    task.load(DataOptions(tmp_path, allow_drift=True))
    assert all(task.protocol.judges[role].prompt_hash != own[role].prompt_hash for role in own)
    assert task.protocol.notes[-1] == "prompts of the judges: official"


def test_an_item_comes_back_from_its_sample(tmp_path: Path) -> None:
    write(tmp_path)
    for sample in MeeseeksTask().load(DataOptions(tmp_path, allow_drift=True)).samples:
        item = item_of(sample)
        assert item.points
        assert item.reference
