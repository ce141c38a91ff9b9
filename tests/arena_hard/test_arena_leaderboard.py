"""Several models before one judge: the joint fit beside another regression, official folders, the command."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from arena_hard.conftest import MakeSet, write_lines
from cli_fixtures import Cli
from scipy.special import expit
from statsmodels.genmod.families import Binomial
from statsmodels.genmod.generalized_linear_model import GLM

from longcat_eval.errors import UsageError
from longcat_eval.tasks.arena_hard.judging import VERDICTS
from longcat_eval.tasks.arena_hard.leaderboard import official_rows, standings
from longcat_eval.tasks.arena_hard.style import difference

BASELINE = "o3-mini-2025-01-31"
WORTH = {"A>>B": [1, 1, 1], "A>B": [1], "A=B": [0.5], "B>A": [0], "B>>A": [0, 0, 0]}


def metadata(draw: random.Random, length: float) -> dict[str, Any]:
    counts = (draw.randint(0, 5) for _ in range(3))
    names = ("header_count", "list_count", "bold_count")
    return {
        "token_len": max(1, round(draw.gauss(300, 100) * length)),
        **{name: {"x": count, "y": 1} for name, count in zip(names, counts, strict=True)},
    }


@pytest.fixture
def official(tmp_path: Path) -> Path:
    """A folder as the authors publish theirs: three models of different length, two null verdicts."""
    draw, folder = random.Random(5), tmp_path / "arena-hard-v2.0"
    uids = [f"h{number:03d}" for number in range(60)]
    for name, length in ((BASELINE, 1.0), ("org/long", 2.0), ("short", 0.5), ("mid", 1.0)):
        answers = [{"uid": uid, "model": name, "metadata": metadata(draw, length)} for uid in uids]
        write_lines(folder / "model_answer" / f"{name.rpartition('/')[2]}.jsonl", answers)
        if name == BASELINE:
            continue
        judgments = [
            {
                "uid": uid,
                "model": name,
                "category": "hard_prompt" if number else "creative_writing",
                "games": [
                    {"score": draw.choice([*WORTH])},
                    {"score": draw.choice([*WORTH]) if number > 2 else None},
                ],
            }
            for number, uid in enumerate(uids)
        ]
        write_lines(folder / "model_judgment" / "gpt-4.1" / f"{name.rpartition('/')[2]}.jsonl", judgments)
    return folder


def read(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_bytes().splitlines()]


def test_all_models_are_fitted_together_over_verdicts(official: Path) -> None:
    """Verdict by verdict, decisive ones three times, as the official script builds its table."""
    styles = {
        answers[0]["model"]: {a["uid"]: a["metadata"] for a in answers}
        for answers in map(read, sorted((official / "model_answer").glob("*.jsonl")))
    }

    def values(data: dict[str, Any]) -> list[float]:
        return [v if isinstance(v, int) else sum(v.values()) for v in data.values()]

    names, features, points, clusters = [], [], [], []
    for file in sorted((official / "model_judgment" / "gpt-4.1").glob("*.jsonl")):
        for line in read(file):
            first, second = (game["score"] for game in line["games"])
            if second is None or line["category"] != "hard_prompt":
                continue
            uid, model = line["uid"], line["model"]
            for point in [*WORTH[second], *(1 - x for x in WORTH[first])]:
                names.append(model.rpartition("/")[2])
                features.append(difference(values(styles[model][uid]), values(styles[BASELINE][uid])))
                points.append(point)
                clusters.append(uid)
    models = sorted(set(names))
    x = np.array(features)
    x = (x - x.mean(axis=0)) / x.std(axis=0, ddof=1)
    design = np.hstack([np.array([[name == m for m in models] for name in names], float), x])
    groups = np.unique(clusters, return_inverse=True)[1]
    peer = GLM(points, design, family=Binomial()).fit(cov_type="cluster", cov_kwds={"groups": groups})
    found = {
        s.model: s
        for s in standings(
            official_rows(official, "gpt-4.1", "hard_prompt", BASELINE), ["length", "markdown"]
        )
    }
    assert set(found) == set(models) == {"long", "mid", "short"}
    for model, strength, error in zip(models, peer.params, peer.bse, strict=False):
        assert found[model].controlled == pytest.approx(expit(strength), abs=1e-6)
        assert found[model].questions == 57
        # statsmodels scales by (N - 1) / (N - K) too
        whole = len(points)
        scale = ((whole - 1) / (whole - design.shape[1])) ** 0.5
        low, high = found[model].low, found[model].high
        assert low is not None
        assert high is not None
        half = (np.log(high / (1 - high)) - np.log(low / (1 - low))) / 2
        assert half == pytest.approx(1.959964 * error / scale, rel=1e-4)


def test_one_control_keeps_the_models(official: Path) -> None:
    """The official script loses them with one control."""
    models = official_rows(official, "gpt-4.1", "hard_prompt", BASELINE)
    for controls in (["length"], ["markdown"], []):
        found = standings(models, controls)
        assert {s.model for s in found} == set(models)
        assert all((s.controlled is None) == (not controls) for s in found)


@pytest.mark.parametrize(
    ("judge", "said"), [("gpt-41", r"did you mean 'gpt-4.1'"), ("nobody", r"it has gpt-4.1")]
)
def test_a_judge_that_is_not_there_is_named(official: Path, judge: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        official_rows(official, judge, "hard_prompt", BASELINE)


def test_labels_of_games_are_known() -> None:
    assert set(WORTH) < set(VERDICTS)


def test_the_command_lays_runs_beside_the_official_models(
    cli: Cli, tmp_path: Path, make_set: MakeSet, official: Path
) -> None:
    data = make_set(12)
    for name, judge in (("a", "oracle"), ("b", "oracle"), ("c", "j.jsonl")):
        write_lines(tmp_path / "j.jsonl", [{"role": "judge", "content": "[[A>B]]"}])
        model = write_lines(tmp_path / f"{name}.jsonl", [{"content": f"My answer {name}"}])
        ran = cli(
            *("run", "--task", "arena-hard-v2", "--data-dir", data, "--allow-data-drift", "-o", name),
            *("--model", f"scripted/{model}", "--judge-model", f"scripted/{judge}"),
        )
        assert ran.code == 0, ran.err
    ran = cli("arena-hard", "a", "b", "--official", official, "-f", "json")
    assert ran.code == 0, ran.err
    found = {row["model"]: row for row in json.loads(ran.out)}
    assert found[f"scripted/{tmp_path / 'a.jsonl'}"]["score"] == 0.5
    assert {"long", "short", "mid"} < set(found)
    shown = cli("arena-hard", "a")
    assert "Style control (length, markdown)" in shown.out
    refused = {
        ("a", "c"): "the runs had different judges",
        ("a", "--control", "lenght"): "is not length, markdown",
        ("a", "--task", "arena"): "no half 'arena'",
        ("a", "--task", "arena-hard-v2-creative"): "has no verdicts of",
        ("a", "-f", "xml"): "neither text nor json",
        ("a", "--official", str(tmp_path)): "has no judgments of gpt-4.1: it has none",
    }
    for arguments, said in refused.items():
        ran = cli("arena-hard", *arguments)
        assert (ran.code, said in ran.err) == (2, True), ran.err
