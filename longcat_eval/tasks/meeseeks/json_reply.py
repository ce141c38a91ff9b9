"""JSON in a reply, and whether its fields are as a schema wants them, each a verdict of its own.

Semantics of `src_code/rule_utils/schema.py` of Meeseeks: one point per required field of an object, and per
field of the objects in an array; additional fields are of no matter. Runs in a worker process.
"""

import ast
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

TAG = "能力项"
JSON_TAG = "JSON"
UNDEFINED = "未定义"
"""The tag of a sub-question that has none (`src_code/final_stats.py`)."""
LONGEST, MOST_STARTS = 200_000, 500
_FENCE = re.compile(r"```(?:json)?(.*?)```", re.DOTALL)
_EACH = "[*]"


class Field(NamedTuple):
    """A field of a schema: `array` leads to the array in whose elements it is (None: in no array)."""

    array: tuple[str, ...] | None
    path: tuple[str, ...]
    schema: Mapping[str, Any]
    required: bool

    @property
    def name(self) -> str:
        """The place, as errors call it."""
        steps = (*self.array, _EACH, *self.path) if self.array is not None else self.path
        return ".".join(steps)

    @property
    def tags(self) -> list[str]:
        """The abilities that it counts for."""
        return list(dict.fromkeys((*split_tags(str(self.schema.get(TAG, JSON_TAG))), JSON_TAG)))


def verdicts(schema: dict[str, Any], reply: str) -> list[tuple[str, bool, str, list[str]]]:
    """Return (field, passed, why, tags) for every field and object; all fail where there is no JSON."""
    found, wanted = read_json(reply), list(fields(schema))
    if not found and schema.get("type") != "array":
        found = None
    if found is None:
        return [(field.name, False, "there is no JSON", field.tags) for field in wanted] or [
            ("", False, "there is no JSON", [JSON_TAG])
        ]
    objects = [found] if schema.get("type") == "array" else found
    return [(f.name, *_judged(f, one), f.tags) for one in objects for f in wanted]


def fields(
    schema: Mapping[str, Any], path: tuple[str, ...] = (), array: tuple[str, ...] | None = None
) -> Iterator[Field]:
    """Yield the fields that are judged, in the schema's order."""
    if schema.get("type") == "array":
        items = schema.get("items", {})
        if items.get("type") == "object":
            if array is not None:
                raise ValueError("a schema with arrays in arrays is not known")
            yield from fields(items, (), path)
        return
    properties, required = schema.get("properties", {}), schema.get("required", [])
    in_element = array is not None and not path
    for name in dict.fromkeys([*properties, *required]):
        if name not in required and not in_element:
            continue
        inner = properties.get(name, {})
        yield Field(array, (*path, name), inner, name in required)
        if inner.get("type") in ("object", "array"):
            yield from fields(inner, (*path, name), array)


def _judged(field: Field, data: Any) -> tuple[bool, str]:
    if field.array is None:
        return _in_object(field, data)
    elements, there = _walk(data, field.array)
    if not there or not isinstance(elements, list):
        return False, "there is no such array"
    values = [value for value, there in (_walk(element, field.path) for element in elements) if there]
    if not values:
        return not field.required, "it is in no element"
    wrong = [why for why in (_wrong(field, value) for value in values) if why]
    return not wrong, wrong[0] if wrong else f"in {len(values)} of {len(elements)} elements"


def _in_object(field: Field, data: Any) -> tuple[bool, str]:
    value, there = _walk(data, field.path)
    if not there:
        return not field.required, "it is missing"
    why = _wrong(field, value)
    return not why, why or "as wanted"


def _walk(data: Any, path: tuple[str, ...]) -> tuple[Any, bool]:
    for step in path:
        if not isinstance(data, dict) or step not in data:
            return None, False
        data = data[step]
    return data, True


def _wrong(field: Field, value: Any) -> str:
    import jsonschema

    validator = jsonschema.Draft202012Validator({k: v for k, v in field.schema.items() if k != "$schema"})
    error = next(iter(validator.iter_errors(value)), None)
    return "" if error is None else str(error.message)[:200]


def field_text(reply: str, name: str) -> str | None:
    """Return a field of the first object in a reply, as text; None if it is not there."""
    found = read_json(reply)
    value, there = _walk(found[0], (name,)) if found else (None, False)
    return str(value) if there else None


def read_json(text: str) -> list[Any] | None:
    """Return the array in a reply, or its objects; None if there is none.

    It may be the whole reply or stand in a fence, as JSON or as a Python literal, or stand in other text.
    """
    text = text[:LONGEST].strip()
    fenced = _FENCE.search(text)
    for candidate in (text, fenced[1].strip() if fenced else ""):
        for read in (json.loads, ast.literal_eval):
            try:
                value = read(candidate)
            except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
                continue
            if isinstance(value, list | dict):
                return value if isinstance(value, list) else [value]
    return _scan(text)


def _scan(text: str) -> list[Any] | None:
    decoder, objects, at = json.JSONDecoder(), [], 0
    for _ in range(MOST_STARTS):
        start = min((i for i in (text.find("{", at), text.find("[", at)) if i >= 0), default=-1)
        if start < 0:
            break
        try:
            value, at = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            at = start + 1
            continue
        if isinstance(value, list) and any(isinstance(one, dict) for one in value):
            return value
        if isinstance(value, dict):
            objects.append(value)
    return objects or None


def split_tags(text: str) -> tuple[str, ...]:
    """Split the tags of a sub-question, which `、` or a comma separates."""
    found = [tag.strip() for tag in re.split("[、,]", text.replace("～", "~"))]
    return tuple(tag for tag in found if tag) or (UNDEFINED,)
