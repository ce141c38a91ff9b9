"""How long and how marked up an answer is, and what a win rate would be at equal style.

Official: utils/add_markdown_info.py, show_result.py and utils/math_utils.py of arena-hard-auto@196f6b8
(Apache-2.0). Style control by a Bradley-Terry model with covariates: Li et al. 2024, Does style matter?
(lmsys.org/blog/2024-08-28-style-control).
"""

import re
import warnings
from collections.abc import Hashable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

ENCODING = "o200k_base"
"""The encoding of gpt-4o, by which the official script counts tokens."""
_FENCED = re.compile("```([^`]*)```")
_HEADERS = re.compile(r"^#{1,6}\s", re.MULTILINE)
_LISTS = (re.compile(r"^\s*\d+\.\s", re.MULTILINE), re.compile(r"^\s*[-*+]\s", re.MULTILINE))
_BOLD = (re.compile(r"\*\*[^*\n]+\*\*"), re.compile(r"__[^_\n]+__"))
_STEPS, _CLOSE, _RIDGE = 50, 1e-10, 1e-6


class Style(NamedTuple):
    """Tokens of an answer, None where nothing here counts them, and its markdown outside of code fences."""

    tokens: int | None
    headers: int
    lists: int
    bold: int


@cache
def counter() -> Any:
    """Return what counts tokens, None where neither bpe-openai nor tiktoken with its file is here.

    bpe-openai carries the encoding with it; tiktoken fetches it, or reads it from TIKTOKEN_CACHE_DIR. Both
    count alike: 750 of 750 answers of o3-mini as stored by the official script.
    """
    with suppress(ImportError), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it reads its file in an old way
        import bpe_openai

        return bpe_openai.get_encoding(ENCODING)
    try:
        import tiktoken

        return tiktoken.get_encoding(ENCODING)
    except (ImportError, OSError):
        return None


def style_of(answer: str) -> Style:
    """Count the tokens of an answer, and headers, list items and bold spans outside of its code fences."""
    encoding = counter()
    tokens = None if encoding is None else len(encoding.encode(answer, disallowed_special=()))
    for block in _FENCED.findall(answer):
        # As the official script: what stands in a fence is taken out wherever else it occurs too.
        answer = answer.replace(block, "")
    lists, bold = (sum(len(p.findall(answer)) for p in patterns) for patterns in (_LISTS, _BOLD))
    return Style(tokens, len(_HEADERS.findall(answer)), lists, bold)


def stored_style(metadata: Mapping[str, Any]) -> Style:
    """Return the style that an official answer file has beside an answer."""
    counts = (sum(metadata[name].values()) for name in ("header_count", "list_count", "bold_count"))
    return Style(metadata["token_len"], *counts)


def difference(model: Sequence[float], baseline: Sequence[float]) -> list[float]:
    """Return the four features of a battle from two (tokens, headers, lists, bold).

    (a - b) / (a + b) for tokens; for the others the same of what there is per token (plus one), with one more
    in the denominator. Two empty answers are alike.
    """
    tokens, others = model[0] + baseline[0], zip(model[1:], baseline[1:], strict=True)
    density = [(m / (model[0] + 1), b / (baseline[0] + 1)) for m, b in others]
    length = (model[0] - baseline[0]) / tokens if tokens else 0.0
    return [length, *((m - b) / (m + b + 1) for m, b in density)]


class Fit(NamedTuple):
    """Log odds of each model against the baseline at features 0, and the weights of the features.

    `errors` are the standard errors of the strengths over new questions.
    """

    strengths: "Array"
    weights: "Array"
    errors: "Array"

    @property
    def win_rates(self) -> "Array":
        """Chances to beat the baseline at features 0."""
        from scipy.special import expit

        rates: Array = expit(self.strengths)
        return rates


def fit(
    models: Sequence[int],
    features: "Array",
    won: "Array",
    of: "Array",
    questions: Sequence[Hashable] | None = None,
) -> Fit:
    """Fit log odds = strength of the model + features x weights by maximum likelihood (Newton's method).

    A row is a battle between model number `models[i]` and its baseline: `won` points `of` points. Columns of
    features that never vary weigh nothing. A ridge of 1e-6 keeps strengths finite where all is won or lost.
    Errors are cluster-robust, by `questions` (each row its own without them), with the factor C / (C - 1).
    """
    import numpy as np
    from scipy.special import expit

    numbers = np.asarray(models)
    x = np.hstack([np.eye(int(numbers.max()) + 1)[numbers], features])
    beta = np.zeros(x.shape[1])
    for _ in range(_STEPS):
        p = expit(x @ beta)
        slope = x.T @ (won - of * p) - _RIDGE * beta
        curve = (x * (of * p * (1 - p))[:, None]).T @ x + _RIDGE * np.eye(len(beta))
        step = np.linalg.solve(curve, slope)
        beta += np.clip(step, -2.0, 2.0)
        if float(np.abs(step).max()) < _CLOSE:
            break
    count = x.shape[1] - features.shape[1]
    numbered = {name: i for i, name in enumerate(dict.fromkeys(questions or range(len(x))))}
    gradients = np.zeros((len(numbered), len(beta)))
    where = [numbered[name] for name in questions or range(len(x))]
    np.add.at(gradients, where, x * (won - of * expit(x @ beta))[:, None])
    bread = np.linalg.inv(curve)
    spread = bread @ gradients.T @ gradients @ bread * len(numbered) / max(len(numbered) - 1, 1)
    return Fit(beta[:count], beta[count:], np.sqrt(np.diag(spread))[:count])
