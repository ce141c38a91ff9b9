"""Style of answers as the official script counts it, and the fit of win rates at equal style."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit
from statsmodels.genmod.families import Binomial
from statsmodels.genmod.generalized_linear_model import GLM

from longcat_eval.tasks.arena_hard.style import counter, difference, fit, stored_style, style_of

MARKED_UP = """# Title
## Part
- one
* two
+ three
 1. first
2.no item
**bold** and __bold__ but not ** a\nb **
```
# no header
- no item
**no bold**
```
####### no header
"""


def test_markdown_is_counted_outside_of_fences() -> None:
    assert style_of(MARKED_UP)[1:] == (2, 4, 2)
    assert style_of("")[1:] == (0, 0, 0)


@pytest.mark.data
def test_every_stored_style_is_found_again(data_dir: Path) -> None:
    assert counter() is not None, "bpe-openai is part of [dev]"
    lines = (data_dir / "arena_hard_v2" / "o3-mini-2025-01-31.jsonl").read_bytes().splitlines()
    answers = [json.loads(line) for line in lines]
    differ = [
        a["uid"]
        for a in answers
        if style_of(a["messages"][-1]["content"]["answer"]) != stored_style(a["metadata"])
    ]
    assert (len(answers), differ) == (750, [])


def test_features_are_those_of_the_official_script() -> None:
    assert difference([300, 4, 10, 0], [100, 4, 0, 0]) == pytest.approx(
        [0.5, (4 / 301 - 4 / 101) / (4 / 301 + 4 / 101 + 1), (10 / 301) / (10 / 301 + 1), 0.0]
    )
    assert difference([7, 1, 2, 3], [7, 1, 2, 3]) == [0.0] * 4
    assert difference([0, 0, 0, 0], [0, 0, 0, 0]) == [0.0] * 4


def made_up(models: int, rows: int) -> tuple[list[int], np.ndarray, np.ndarray, np.ndarray]:
    draw = np.random.default_rng(models)
    numbers = draw.integers(0, models, rows)
    features = draw.normal(0.2, 0.3, (rows, 4))
    of = draw.choice([2.0, 4.0, 6.0], rows)
    chance = expit(numbers * 0.4 - 0.3 + features @ np.array([1.0, -0.5, 0.3, 0.0]))
    return list(numbers), features, np.round(draw.binomial(of.astype(int), chance) * 2) / 2, of


@pytest.mark.parametrize("models", [1, 3])
def test_the_fit_is_that_of_a_binomial_regression(models: int) -> None:
    numbers, features, won, of = made_up(models, 400)
    found = fit(numbers, features, won, of)
    design = np.hstack([np.eye(models)[numbers], features])
    peer = GLM(np.column_stack([won, of - won]), design, family=Binomial()).fit()
    assert np.allclose([*found.strengths, *found.weights], peer.params, atol=1e-5)
    assert np.allclose(found.win_rates, expit(peer.params[:models]), atol=1e-6)


def test_all_won_and_features_that_never_vary_stay_finite() -> None:
    found = fit([0] * 50, np.zeros((50, 4)), np.full(50, 2.0), np.full(50, 2.0))
    assert 0.99 < found.win_rates[0] <= 1.0
    assert np.allclose(found.weights, 0)


def test_a_judge_that_only_sees_length_gives_half_at_equal_length() -> None:
    """Longer answers win; at equal length nothing is left of it."""
    draw = np.random.default_rng(0)
    features = np.zeros((4000, 4))
    features[:, 0] = draw.normal(0.4, 0.2, 4000)
    won = draw.binomial(1, expit(3 * features[:, 0])).astype(float)
    assert won.mean() > 0.7
    assert fit([0] * 4000, features, won, np.ones(4000)).win_rates[0] == pytest.approx(0.5, abs=0.05)
