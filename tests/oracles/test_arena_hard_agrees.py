"""Arena-Hard beside the official script, where ARENA_HARD_SRC names a checkout of it: numbers and prompts."""

import os
import random
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from arena_hard.conftest import write_lines

from longcat_eval.tasks.arena_hard.judging import judge_prompts
from longcat_eval.tasks.arena_hard.leaderboard import official_rows, standings
from longcat_eval.tasks.arena_hard.numbers import aggregate_battles

SOURCE = os.environ.get("ARENA_HARD_SRC", "")
BASELINE, SEED, QUESTIONS = "o3-mini-2025-01-31", 20260821, 400
MODELS = {"long": (2.2, 6, -0.4), "short": (0.6, 0, 0.5), "mid": (1.1, 2, 0.0)}
"""How much longer than the baseline, how marked up, how good."""
MIRROR = {"A>>B": "B>>A", "A>B": "B>A", "A=B": "A=B", "B>A": "A>B", "B>>A": "A>>B"}
pytestmark = [
    pytest.mark.oracle,
    pytest.mark.skipif(not SOURCE, reason="ARENA_HARD_SRC names no checkout of lmarena/arena-hard-auto"),
]


def style(draw: random.Random, tokens: float, marks: int) -> dict[str, Any]:
    return {
        "token_len": max(1, round(tokens)),
        "header_count": {"h1": draw.randint(0, marks)},
        "list_count": {"ordered": draw.randint(0, 2 * marks + 1)},
        "bold_count": {"**": draw.randint(0, marks + 1)},
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Judgments by a judge who likes long answers."""
    draw, place = random.Random(SEED), tmp_path / "data" / "arena-hard-v2.0"
    uids = [f"q{number}" for number in range(QUESTIONS)]
    base = {uid: style(draw, draw.lognormvariate(6, 0.5), 2) for uid in uids}
    rows = [{"uid": uid, "model": BASELINE, "metadata": base[uid]} for uid in uids]
    write_lines(place / "model_answer" / f"{BASELINE}.jsonl", rows)
    for name, (longer, marks, skill) in MODELS.items():
        answers, judgments = [], []
        for uid in uids:
            tokens = base[uid]["token_len"]
            mine = style(draw, tokens * longer * draw.lognormvariate(0, 0.3), marks)
            answers.append({"uid": uid, "model": name, "metadata": mine})
            pull = 2 * (mine["token_len"] - tokens) / (mine["token_len"] + tokens)
            labels = []
            for _ in range(2):
                z = skill + pull + draw.gauss(0, 1.2)
                ends = ((1.5, "A>>B"), (0.4, "A>B"), (-0.3, "A=B"), (-1.4, "B>A"))
                labels.append(next((label for least, label in ends if z > least), "B>>A"))
            games = [{"score": MIRROR[labels[0]]}, {"score": labels[1] if draw.random() > 0.01 else None}]
            judgments.append({"uid": uid, "model": name, "category": "hard_prompt", "games": games})
        write_lines(place / "model_answer" / f"{name}.jsonl", answers)
        write_lines(place / "model_judgment" / "gpt-4.1" / f"{name}.jsonl", judgments)
    return place


def official(folder: Path, *flags: str) -> dict[str, tuple[float, float]]:
    """Score and width of its interval by model, as printed."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", Path(SOURCE) / "show_result.py", *flags],
        cwd=folder.parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    found = {}
    for line in done.stdout.splitlines():
        words = line.replace("(", " ").replace(")", " ").split()
        if len(words) == 6 and words[1] in MODELS:
            found[words[1]] = (float(words[2]), float(words[5]) - float(words[3]))
    return found


def test_scores_and_style_control_agree(folder: Path) -> None:
    models = official_rows(folder, "gpt-4.1", "hard_prompt", BASELINE)
    plain, controlled = official(folder), official(folder, "-f", "length", "markdown")
    assert set(plain) == set(controlled) == set(models) == set(MODELS)
    for standing in standings(models, ["length", "markdown"]):
        numbers = aggregate_battles(models[standing.model]).metrics
        score, width = plain[standing.model]
        assert 100 * standing.score == pytest.approx(score, abs=0.5), "theirs is the mean of 100 bootstraps"
        ours = 100 * (numbers["official_high"] - numbers["official_low"])
        assert ours == pytest.approx(width, rel=0.35), "quantiles of 100 draws"
        assert standing.controlled is not None
        assert 100 * standing.controlled == pytest.approx(controlled[standing.model][0], abs=1.5)
    assert abs(plain["long"][0] - controlled["long"][0]) > 5, "style matters here"


def test_the_judge_is_told_the_same() -> None:
    settings = runpy.run_path(str(Path(SOURCE) / "utils" / "judge_utils.py"))["JUDGE_SETTINGS"]
    config = yaml.safe_load((Path(SOURCE) / "config" / "arena-hard-v2.0.yaml").read_text(encoding="utf-8"))
    assert judge_prompts() == {
        "hard_prompt": settings["hard_prompt"]["system_prompt"],
        "creative_writing": settings["creative_writing"]["system_prompt"],
        "user": config["prompt_template"],
    }
