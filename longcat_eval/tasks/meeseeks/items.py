"""The items of Meeseeks: a question, the parts to cut out of a reply, and the sub-questions asked of it.

The files are those of github.com/ADoublLEN/Meeseeks, `input_data/chinese_data/raw_input/*.json` (no licence:
they are read from the user's checkout alone). What a file may hold that we cannot judge is refused when it is
read, before any model is asked.
"""

import re
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import msgspec

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.records import Sample
from longcat_eval.tasks.data_files import Row
from longcat_eval.tasks.meeseeks.json_reply import UNDEFINED, fields, split_tags
from longcat_eval.tasks.meeseeks.rules import SCHEMA, known_rule

CODE, FIELD = "#CODE#", "#JSONSCHEMA#"
"""Marks of a part: the extractor writes a program for it; or it is a field of a JSON reply."""
_NUMBER = re.compile(r"\[([\d.]+)\]")
_MARK = re.compile(r"#[A-Z]+#")


class SubQuestion(msgspec.Struct, frozen=True, omit_defaults=True):
    """One requirement: judged by `rule` on `part` of the reply, or by the scorer where there is no rule.

    It fails where one of `deps` does: all that have that number as `point`, which need not be unique. `tags`
    are the abilities that it counts for.
    """

    point: int
    question: str
    rule: str | None = None
    part: str | None = None
    deps: tuple[int, ...] = ()
    tags: tuple[str, ...] = (UNDEFINED,)


class Item(msgspec.Struct, frozen=True, omit_defaults=True):
    """The fields of a sample; `reference` and `reference_parts` are gold where the file has it."""

    question: str
    category: str
    points: tuple[SubQuestion, ...]
    parts: dict[str, str] = {}
    json_schema: dict[str, Any] | None = None
    reference: str | None = None
    reference_parts: dict[str, list[str]] = {}

    @property
    def single(self) -> bool:
        """Whether a part is one text, not a list of texts."""
        return "single" in self.category

    def needs(self, place: int) -> list[int]:
        """The places of the sub-questions that the one at `place` depends on."""
        return [i for i, point in enumerate(self.points) if point.point in self.points[place].deps]

    def in_order(self) -> list[int]:
        """The places of the sub-questions such that each comes after what it needs.

        Raises `ValueError` for a circle, or a number that no sub-question has.
        """
        if not {dep for point in self.points for dep in point.deps} <= {point.point for point in self.points}:
            raise ValueError("a sub-question depends on one that the item has not")
        order: list[int] = []
        while len(order) < len(self.points):
            free = [
                place
                for place in range(len(self.points))
                if place not in order and set(order).issuperset(self.needs(place))
            ]
            if not free:
                raise ValueError("its sub-questions depend on one another in a circle")
            order += free
        return order


class _Point(msgspec.Struct, rename={"tags": "能力项"}):
    """A sub-question as it stands in the file."""

    point_id: int
    question: str
    rule: str | None = None
    corresponding_part: str | None = None
    dep: list[int] = []
    tags: str = ""


class _Raw(msgspec.Struct):
    """An item as it stands in the file; `ref_parts` is of our own sets alone."""

    category: str
    question: str
    sub_questions: list[_Point]
    corresponding_parts: dict[str, str] = {}
    json_schema: dict[str, Any] | None = None
    ref_answer: str | None = None
    ref_parts: dict[str, list[str]] = {}


class Where(NamedTuple):
    """A file by the number in its name (`DATA[26.1]中文版.json`), else its stem, and a place in it."""

    file: str
    place: int

    def __str__(self) -> str:
        return f"{self.file}/{self.place:03}"


def read_items(content: bytes, name: str) -> list[Row]:
    """Return a row per item; raises `EnvironmentUnusableError` where one cannot be read or judged."""
    try:
        raw = msgspec.json.decode(content, type=list[_Raw])
    except msgspec.ValidationError as error:
        raise EnvironmentUnusableError(f"{name} is no file of Meeseeks: {error}") from None
    number = _NUMBER.search(PurePosixPath(name).name)
    file = number[1] if number else PurePosixPath(name).stem
    rows = []
    for place, item in enumerate(raw):
        where = Where(file, place)
        try:
            rows.append({"id": str(where), "item": _item(item)})
        except ValueError as error:
            raise EnvironmentUnusableError(f"{name}, item {place}: {error}") from None
    return rows


def sample(row: Row, subject: str, position: int) -> Sample:
    """Make a sample of a row; its group is the item's category."""
    item: Item = row["item"]
    return Sample(row["id"], msgspec.to_builtins(item), item.category)


def item_of(sample: Sample) -> Item:
    """The item of a sample."""
    return msgspec.convert(sample.fields, Item)


def _item(raw: _Raw) -> Item:
    points = tuple(
        SubQuestion(p.point_id, p.question, p.rule, p.corresponding_part, tuple(p.dep), split_tags(p.tags))
        for p in raw.sub_questions
    )
    item = Item(
        raw.question,
        raw.category,
        points,
        raw.corresponding_parts,
        raw.json_schema,
        raw.ref_answer,
        raw.ref_parts,
    )
    if not points:
        raise ValueError("it has no sub-questions")
    item.in_order()
    for point in points:
        _check(point, item)
    for key, part in item.parts.items():
        marks = _MARK.findall(part)
        if marks not in ([], [CODE], [FIELD]) or (marks == [FIELD] and not part.partition(":")[2]):
            raise ValueError(f"part {key!r} is cut out by no known rule ({' '.join(marks)})")
    return item


def _check(point: SubQuestion, item: Item) -> None:
    if point.rule is None:
        return
    if not known_rule(point.rule):
        raise ValueError(f"sub-question {point.point} has the rule {point.rule[:60]!r}, which is not known")
    if point.rule.startswith(SCHEMA):
        if item.json_schema is None:
            raise ValueError(f"sub-question {point.point} asks for a JSON schema, and the item has none")
        list(fields(item.json_schema))
    elif point.part not in item.parts:
        raise ValueError(f"sub-question {point.point} is about part {point.part!r}, which the item has not")
