"""JSON in replies, field by field against a schema."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_meeseeks import SCHEMA_OF_TEA, TEA

from longcat_eval.tasks.meeseeks.json_reply import field_text, fields, read_json, verdicts

NAMES = ["name", "origin", "origin.city", "kinds", "kinds.[*].kind", "kinds.[*].price"]


def failed(reply: str, schema: dict[str, Any] = SCHEMA_OF_TEA) -> list[str]:
    return [name for name, passed, _, _ in verdicts(schema, reply) if not passed]


def changed(**fields: Any) -> str:
    return json.dumps({key: value for key, value in (TEA | fields).items() if value != "gone"})


def test_required_fields_are_judged_and_every_field_in_arrays() -> None:
    assert [field.name for field in fields(SCHEMA_OF_TEA)] == NAMES
    assert [name for name, _, _, _ in verdicts(SCHEMA_OF_TEA, json.dumps(TEA))] == NAMES
    assert failed(json.dumps(TEA)) == []


def test_tags_come_from_the_schema_and_json_is_one_of_them() -> None:
    by_name = {name: tags for name, _, _, tags in verdicts(SCHEMA_OF_TEA, json.dumps(TEA))}
    assert by_name["name"] == ["主题约束", "JSON"]
    assert by_name["origin.city"] == ["特定格式", "范围", "JSON"]
    assert by_name["kinds"] == ["JSON"]


@pytest.mark.parametrize(
    ("reply", "names"),
    [
        (changed(name="x"), ["name"]),
        (changed(name="gone"), ["name"]),
        (changed(name=None), ["name"]),
        (changed(note=3), []),
        (changed(more=3), []),
        (changed(origin={}), ["origin", "origin.city"]),
        (changed(origin="杭州"), ["origin", "origin.city"]),
        (changed(kinds={}), ["kinds", "kinds.[*].kind", "kinds.[*].price"]),
        (changed(kinds="gone"), ["kinds", "kinds.[*].kind", "kinds.[*].price"]),
        (changed(kinds=[]), ["kinds.[*].kind"]),
        (changed(kinds=[{"kind": "a"}, {"kind": 3}]), ["kinds", "kinds.[*].kind"]),
        (changed(kinds=[{"kind": "a", "price": "dear"}]), ["kinds", "kinds.[*].price"]),
        ("这是一种茶。", NAMES),
        ("", NAMES),
        ("[]", NAMES),
        ("3", NAMES),
    ],
)
def test_each_field_fails_by_itself(reply: str, names: list[str]) -> None:
    assert failed(reply) == names


def test_of_several_objects_each_is_judged() -> None:
    assert failed(f"[{json.dumps(TEA)}, {changed(name='x')}]") == ["name"]
    assert len(verdicts(SCHEMA_OF_TEA, f"[{json.dumps(TEA)}, {changed(name='x')}]")) == 2 * len(NAMES)


def test_an_array_at_the_top_is_one() -> None:
    schema = {"type": "array", "items": SCHEMA_OF_TEA["properties"]["kinds"]["items"]}
    assert failed('[{"kind": "a"}]', schema) == []
    assert failed('{"kind": "a"}', schema) == []
    assert failed("[]", schema) == ["[*].kind"]
    assert failed("no", schema) == ["[*].kind", "[*].price"]


def test_arrays_in_arrays_are_refused() -> None:
    inner = {"type": "array", "items": {"type": "object", "properties": {"b": {"type": "string"}}}}
    schema = {"type": "array", "items": {"type": "object", "properties": {"a": inner}}}
    with pytest.raises(ValueError, match="arrays in arrays"):
        list(fields(schema))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"a": 1}', [{"a": 1}]),
        ('[{"a": 1}, {"a": 2}]', [{"a": 1}, {"a": 2}]),
        ('好的：\n```json\n{"a": [1, {"b": 2}]}\n```\n完毕', [{"a": [1, {"b": 2}]}]),
        ("```\n[{'a': True}]\n```", [{"a": True}]),
        ('答案是 {"a": 1} 和 {"a": 2}。', [{"a": 1}, {"a": 2}]),
        ('请看 [1] 如下 [{"a": 1}]', [{"a": 1}]),
        ("{'a': 1}", [{"a": 1}]),
        ('{"a": 1', None),
        ("没有", None),
        pytest.param("[" * 50_000, None, id="deep"),
        pytest.param("[ " * 50_000, None, id="deep with spaces"),
    ],
)
def test_json_is_found(text: str, found: list[Any] | None) -> None:
    assert read_json(text) == found


@given(
    st.recursive(
        st.integers() | st.text() | st.booleans(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)
    )
)
def test_what_is_json_is_read_back(value: Any) -> None:
    wanted = value if isinstance(value, list) else [value] if isinstance(value, dict) else None
    if wanted is not None:
        assert read_json(json.dumps(value)) == wanted
        assert read_json(f"```json\n{json.dumps(value)}\n```") == wanted


@given(st.text("{}[]\":,a1 \n`'", max_size=60))
def test_any_text_has_a_verdict(text: str) -> None:
    assert len(verdicts(SCHEMA_OF_TEA, text)) >= len(NAMES)


def test_a_field_as_text() -> None:
    reply = '```json\n{"a": true, "b": {"c": 1}, "d": null}\n```'
    assert [field_text(reply, name) for name in ("a", "b", "d", "e")] == ["True", "{'c': 1}", "None", None]
    assert field_text("no", "a") is None
