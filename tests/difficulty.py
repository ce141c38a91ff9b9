"""Named shapes of question difficulty, and runs drawn from them, for simulations."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np

Rates = Any
"""An array of the chances of a right answer, one per question."""
Shape = Callable[[np.random.Generator, int], Rates]


def _beta(a: float, b: float) -> Shape:
    return lambda rng, n: rng.beta(a, b, n)


def _two(low: float, high: float, share: float) -> Shape:
    return lambda rng, n: np.where(rng.random(n) < share, high, low)


AIME = "AIME-like, beta(.9, .35)"

SHAPES: Mapping[str, tuple[Shape, float]] = {
    "alike, p = .5": (_beta(500, 500), 0.5),
    "uniform": (_beta(1, 1), 0.5),
    "bimodal, .05 or .95": (_two(0.05, 0.95, 0.7), 0.68),
    AIME: (_beta(0.9, 0.35), 0.9 / 1.25),
    "mostly hard, beta(.6, 1.4)": (_beta(0.6, 1.4), 0.3),
    "easy, p = .95": (_beta(9.5, 0.5), 0.95),
    "nearly never, p = .03": (_beta(0.3, 9.7), 0.03),
}
"""Each with the mean over the population of questions."""


def draw(rng: np.random.Generator, rates: Rates, k: int) -> list[list[float]]:
    """One run: k right-or-wrong attempts on every question."""
    values: list[list[float]] = (rng.random((len(rates), k)) < rates[:, None]).astype(float).tolist()
    return values


def harder(rates: Rates, by: float) -> Rates:
    """AIME-like rates after a step down in log odds that lowers their mean in the population by `by`."""
    return _step(rates, _size(by))


@cache
def _size(by: float) -> float:
    """The step, by bisection over a large population."""
    population = SHAPES[AIME][0](np.random.default_rng(0), 100_000)
    low, high = 0.0, 20.0
    for _ in range(40):
        middle = (low + high) / 2
        small = population.mean() - _step(population, middle).mean() < by
        low, high = (middle, high) if small else (low, middle)
    return low


def _step(values: Rates, size: float) -> Rates:
    safe = np.clip(values, 1e-9, 1 - 1e-9)
    return 1 / (1 + np.exp(size - np.log(safe / (1 - safe))))
