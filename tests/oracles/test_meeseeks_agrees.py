"""Our rules of Meeseeks and the official ones, where MEESEEKS_SRC names a checkout of its repository."""

import json
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from made_up_meeseeks import CASES

from longcat_eval.protocols import DataOptions
from longcat_eval.tasks.meeseeks.items import item_of
from longcat_eval.tasks.meeseeks.json_reply import verdicts
from longcat_eval.tasks.meeseeks.rules import judge, letters
from longcat_eval.tasks.meeseeks.task import MeeseeksTask

SOURCE = os.environ.get("MEESEEKS_SRC", "")
BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
SEED = 20260820
pytestmark = [
    pytest.mark.oracle,
    pytest.mark.skipif(not SOURCE, reason="MEESEEKS_SRC names no checkout of ADoublLEN/Meeseeks"),
]


def official(cases: list[dict[str, Any]]) -> list[Any]:
    """What the official code says to each case."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", BENCHMARKS / "meeseeks_official.py", SOURCE],
        input="".join(json.dumps(case) + "\n" for case in cases),
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def changed(value: Any, draw: random.Random) -> Any:
    """A JSON value with some fields gone, emptied or of another type."""
    if isinstance(value, list):
        return [changed(one, draw) for one in value if draw.random() > 0.1]
    if not isinstance(value, dict):
        return value
    kept = {}
    for key, inner in value.items():
        chance = draw.random()
        if chance < 0.88:
            kept[key] = changed(inner, draw)
        elif chance < 0.94:
            kept[key] = draw.choice([None, "x", 3, True, [], {}])
    return kept


def test_rules_agree() -> None:
    draw = random.Random(SEED)
    pool = [part for case in CASES for part in (*case.good, *case.bad)]
    parts = [[draw.choice(pool) for _ in range(draw.randrange(1, 6))] for _ in range(60)]
    parts = [some for some in parts if all(map(letters, some))]  # of empty texts the official chains hold
    cases = [{"rule": case.rule, "parts": some} for case in CASES for some in (case.good, case.bad, *parts)]
    ours = [judge(case["rule"], case["parts"]).passed for case in cases]
    differing = Counter(
        case["rule"] for case, one, other in zip(cases, ours, official(cases), strict=True) if one != other
    )
    assert not differing
    assert 0.1 < sum(ours) / len(ours) < 0.9


def test_schemas_agree_on_reference_answers_and_changed_ones(tmp_path: Path) -> None:
    (tmp_path / "meeseeks").symlink_to(SOURCE, target_is_directory=True)
    draw, cases = random.Random(SEED), []
    for sample in MeeseeksTask().load(DataOptions(tmp_path, allow_drift=True)).samples:
        item = item_of(sample)
        if item.json_schema is None or item.reference is None:
            continue
        replies = [item.reference]
        try:
            value = json.loads(item.reference)
        except ValueError:
            value = None
        if value is not None:
            replies += [json.dumps(changed(value, draw), ensure_ascii=False) for _ in range(4)]
        cases += [{"schema": item.json_schema, "reply": reply} for reply in replies]
    for case, said in zip(cases, official(cases), strict=True):
        ours = [
            [name.replace(".[*]", "[*]"), passed]
            for name, passed, _, _ in verdicts(case["schema"], case["reply"])
        ]
        assert sorted(map(str, ours)) == sorted(map(str, said)), case["reply"][:200]
    assert len(cases) > 500
