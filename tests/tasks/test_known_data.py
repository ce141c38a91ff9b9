"""The canonical hash against a second implementation, and known_data.yaml against the benchmark pages."""

import hashlib
import json
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longcat_eval.records import Sample
from longcat_eval.tasks import aime, ceval, cmmlu, gpqa, ifeval, math500, mmlu, mmlu_pro
from longcat_eval.tasks.arena_hard import data as arena_hard
from longcat_eval.tasks.collie import task as collie
from longcat_eval.tasks.datasets import DatasetSpec
from longcat_eval.tasks.known_data import canonical_hash, known_data
from longcat_eval.tasks.meeseeks import task as meeseeks
from longcat_eval.tasks.swe import data as swe

SPECS = [
    *(m.DATA for m in (mmlu, mmlu_pro, ceval, cmmlu, gpqa, math500, ifeval, collie, meeseeks)),
    *(aime.AIME24, aime.AIME25, swe.VERIFIED, swe.MULTILINGUAL, swe.LITE),
    *(
        arena_hard.QUESTIONS,
        *(arena_hard.answers_of(half, ()) for half in (arena_hard.HARD, arena_hard.CREATIVE)),
    ),
]

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["e\u0301", "n\u0303", "한국", "\x7f", "\u2028", '"\\/', "\x00"]
)
FIELDS = st.dictionaries(TEXT, TEXT | st.lists(TEXT, max_size=3) | st.integers(-99, 99), max_size=4)


def plain_hash(samples: list[Sample]) -> str:
    """The definition, in the standard library alone."""

    def nfc(value: Any) -> Any:
        match value:
            case str():
                return unicodedata.normalize("NFC", value)
            case list():
                return [nfc(item) for item in value]
            case dict():
                return {nfc(k): nfc(v) for k, v in value.items()}
        return value

    lines = b""
    for sample in sorted(samples, key=lambda s: s.id):
        row = nfc({"id": sample.id, "group": sample.group, "fields": sample.fields})
        text = json.dumps(row, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        lines += text.encode() + b"\n"
    return hashlib.sha256(lines).hexdigest()


@given(st.lists(st.tuples(TEXT, FIELDS), max_size=6, unique_by=lambda row: row[0]))
def test_the_hash_is_what_its_definition_says(rows: list[tuple[str, dict[str, Any]]]) -> None:
    if any(len({unicodedata.normalize("NFC", k) for k in fields}) < len(fields) for _, fields in rows):
        return
    samples = [Sample(key, fields, "g") for key, fields in rows]
    assert canonical_hash(samples) == plain_hash(samples)
    assert canonical_hash(samples[::-1]) == plain_hash(samples)


def test_one_character_changes_the_hash() -> None:
    one, other = ([Sample("a", {"q": text}, "g")] for text in ("x", "x "))
    assert canonical_hash(one) != canonical_hash(other)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_known_copies_agree_with_the_page_of_the_benchmark(spec: DatasetSpec) -> None:
    copies = known_data()[spec.name]
    assert {copy.items for copy in copies} == {spec.items}
    hub = [copy for copy in copies if copy.source == f"hub {spec.repo}"]
    assert [copy.revision for copy in hub] == ([spec.revision] if spec.repo else [])
    assert all(copy.sha256 is not None for copy in copies if copy not in hub)


def test_every_known_copy_belongs_to_a_task() -> None:
    assert set(known_data()) == {spec.name for spec in SPECS}
