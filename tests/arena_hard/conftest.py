"""Small invented halves of Arena-Hard, and judges of our own."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_fixtures import cli, endpoint

__all__ = ["cli", "endpoint"]

MakeSet = Callable[..., Path]


def question(number: int, category: str) -> dict[str, Any]:
    subcategory = ("coding", "math")[number % 2] if category == "hard_prompt" else category
    return {
        "uid": f"{category[0]}{number:03d}",
        "category": category,
        "subcategory": subcategory,
        "prompt": f"Write about {number}.",
    }


def answer(uid: str, model: str, text: str) -> dict[str, Any]:
    messages = [{"role": "user", "content": ""}, {"role": "assistant", "content": {"answer": text}}]
    return {"uid": uid, "model": model, "messages": messages}


def write_lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def make_set(tmp_path: Path) -> MakeSet:
    """`make_set(40)`: a data folder with so many hard questions and the baseline's answers."""

    def make(hard: int) -> Path:
        folder = tmp_path / "data" / "arena_hard_v2"
        questions = [question(number, "hard_prompt") for number in range(hard)]
        write_lines(folder / "question.jsonl", questions)
        model = "o3-mini-2025-01-31"
        write_lines(
            folder / f"{model}.jsonl",
            [answer(q["uid"], model, f"The baseline on {q['prompt']}") for q in questions],
        )
        return folder.parent

    return make
