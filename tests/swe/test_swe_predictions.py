"""Predictions of anybody, in each of their forms; what is wrong with a file is said in one line."""

import json
from pathlib import Path
from typing import Any

import pytest

from longcat_eval.errors import UsageError
from longcat_eval.tasks.swe.predictions import read_predictions, write_predictions

KNOWN = ("a__a-1", "a__a-2", "a__a-3")


def one(name: str, patch: Any = "diff\n", model: str = "m") -> dict[str, Any]:
    return {"instance_id": name, "model_name_or_path": model, "model_patch": patch}


def written(folder: Path, content: Any, name: str = "preds.json") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_the_three_forms_are_one(tmp_path: Path) -> None:
    rows = [one("a__a-1", "é\n"), one("a__a-2", ""), one("a__a-3", None)]
    forms = [
        written(tmp_path, rows),
        written(tmp_path, "\n".join(map(json.dumps, rows)), "preds.jsonl"),
        written(tmp_path, {row["instance_id"]: row for row in rows}, "swe-agent.json"),
        written(
            tmp_path,
            {r["instance_id"]: {k: v for k, v in r.items() if k != "instance_id"} for r in rows},
            "bare.json",
        ),
    ]
    for path in forms:
        found = read_predictions(path, KNOWN)
        assert found.patches == {"a__a-1": "é\n".encode(), "a__a-2": b"", "a__a-3": None}, path.name
        assert found.model == "m"
    assert len({read_predictions(path, KNOWN).sha256 for path in forms}) == 4


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is no JSON"),
        ("[]", "holds no predictions"),
        ('"x"', "a list, an object by instance_id, or JSON lines"),
        ([1], "an object with instance_id and model_patch"),
        ([{"model_patch": ""}], "has no instance_id"),
        ([one("a__a-1"), one("a__a-1")], "two predictions for a__a-1"),
        ([one("a__a-1", 7)], "model_patch of a__a-1 is no text"),
        ([one("b__b-1"), one("c__c-1")], "no instance b__b-1, c__c-1"),
        ([one("a__a-1", model="x"), one("a__a-2", model="y")], "mixes models, give one at a time: x, y"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, content: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read_predictions(written(tmp_path, content), KNOWN)


def test_a_file_that_is_not_there_and_a_torn_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--grade-only .*gone.json: No such file"):
        read_predictions(tmp_path / "gone.json", KNOWN)
    torn = json.dumps(one("a__a-1")) + "\n" + json.dumps(one("a__a-2"))[:20]
    with pytest.raises(UsageError, match="is no JSON lines"):
        read_predictions(written(tmp_path, torn, "preds.jsonl"), KNOWN)


@pytest.mark.parametrize("name", ["out.json", "out.jsonl"])
def test_what_is_written_is_read_again(tmp_path: Path, name: str) -> None:
    records = [("a__a-1", "é\r\n\t\x0c"), ("a__a-2", "")]
    write_predictions(tmp_path / name, records, "some/model")
    found = read_predictions(tmp_path / name, KNOWN)
    assert found.patches == {key: patch.encode() for key, patch in records}
    assert found.model == "some/model"
