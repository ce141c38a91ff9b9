"""The example of CONTRIBUTING.md works as it stands."""

import json
import re
from pathlib import Path

import pytest
from cli_fixtures import Cli, cli

from longcat_eval.tasks import table

__all__ = ["cli"]

PAGE = Path(__file__).resolve().parents[2] / "CONTRIBUTING.md"


def test_the_benchmark_of_twenty_lines(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.+?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "their_capitals.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(table.TASKS, "capitals", "their_capitals:capitals")
    (tmp_path / "data" / "capitals").mkdir(parents=True)
    rows = [
        {"q": f"Capital {i}?", "options": ["Rome", "Oslo", "Lima"], "answer": "ABC"[i], "continent": "x"}
        for i in range(3)
    ]
    (tmp_path / "data" / "capitals" / "test.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for model, score in (("oracle", "100.00 (3/3)"), ("null", "0.00 (0/3)")):
        ran = cli(
            *("run", "--task", "capitals", "--model", f"scripted/{model}", "--data-dir", "data", "-o", model)
        )
        assert ran.code == 0, ran.err
        assert score in ran.out
