"""Several models before one judge: the official style control, which needs them all together.

Official: `print_leaderboard_with_style_features` of show_result.py, arena-hard-auto@196f6b8. There the
strengths are medians over 100 bootstraps of an optimiser that stops early; here they are the maximum itself,
with an error over questions. Its other judged models can be laid beside ours (`official_rows`).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from longcat_eval.errors import EnvironmentUnusableError, UsageError, did_you_mean
from longcat_eval.records import AttemptRow, Outcome
from longcat_eval.tasks.arena_hard.judging import VERDICTS, model_points
from longcat_eval.tasks.arena_hard.numbers import OF, STYLE, WON, aggregate_battles, battles
from longcat_eval.tasks.arena_hard.style import Style, fit, stored_style

CONTROLS: Mapping[str, tuple[int, ...]] = {"length": (0,), "markdown": (1, 2, 3)}
"""Which of the four features each control is."""
Z = 1.959963984540054


class Standing(NamedTuple):
    """One model: its score, and the win rate at the mean style of all battles with its 95 % interval.

    All are shares; the last three are None where style was not controlled.
    """

    model: str
    questions: int
    score: float
    controlled: float | None = None
    low: float | None = None
    high: float | None = None


def standings(models: Mapping[str, Sequence[AttemptRow]], controls: Sequence[str]) -> list[Standing]:
    """Fit all models together, best first; raises `UsageError` where a model's tokens are not counted."""
    import numpy as np
    from scipy.special import expit

    plain = {
        name: Standing(name, len({row.sample for row in rows}), aggregate_battles(rows).metrics["score"])
        for name, rows in models.items()
    }
    if not controls:
        return sorted(plain.values(), key=lambda s: -s.score)
    found = {name: battles(rows) for name, rows in models.items()}
    if uncounted := [name for name, each in found.items() if each is None]:
        raise UsageError(
            f"{uncounted[0]}: the tokens of its answers are not counted: pip install "
            "'longcat-eval[arena-hard]' and `longcat-eval rescore` it, or give --control none"
        )
    parts = [each for each in found.values() if each is not None]
    features, won, of = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    chosen = [column for name in controls for column in CONTROLS[name]]
    numbers = [i for i, rows in enumerate(models.values()) for _ in rows]
    questions = [row.sample for rows in models.values() for row in rows]
    fitted = fit(numbers, normalised(features[:, chosen], of), won, of, questions)
    standing = [
        plain[name]._replace(
            controlled=float(expit(strength)),
            low=float(expit(strength - Z * error)),
            high=float(expit(strength + Z * error)),
        )
        for name, strength, error in zip(models, fitted.strengths, fitted.errors, strict=True)
    ]
    return sorted(standing, key=lambda s: -(s.controlled or 0.0))


def normalised(features: Any, of: Any) -> Any:
    """Features less their mean over verdicts, by their standard deviation (n - 1); 0 if they never vary."""
    import numpy as np

    mean = np.average(features, axis=0, weights=of)
    variance = (of[:, None] * (features - mean) ** 2).sum(axis=0) / max(of.sum() - 1, 1)
    return np.divide(features - mean, np.sqrt(variance), out=np.zeros_like(features), where=variance > 0)


class _Game(msgspec.Struct):
    score: str | None = None


class _Judgment(msgspec.Struct):
    uid: str
    category: str
    model: str
    games: list[_Game | None]


class _Answer(msgspec.Struct):
    uid: str
    model: str
    metadata: dict[str, Any]


def official_rows(folder: Path, judge: str, category: str, baseline: str) -> dict[str, list[AttemptRow]]:
    """The judged models of an official data folder (`arena-hard-v2.0`), as rows by model.

    Questions with a null verdict are left out, as officially. `UsageError` for another folder or judge.
    """
    place = folder / "model_judgment" / judge
    if not place.is_dir():
        known = sorted(p.name for p in (folder / "model_judgment").glob("*") if p.is_dir())
        there = f"it has {', '.join(known)}{did_you_mean(judge, known)}" if known else "it has none"
        raise UsageError(f"{folder} has no judgments of {judge}: {there}")
    styles = {}
    for file in sorted((folder / "model_answer").glob("*.jsonl")):
        answers = _read(file, _Answer)
        if answers:
            styles[answers[0].model] = {answer.uid: stored_style(answer.metadata) for answer in answers}
    if baseline not in styles:
        raise UsageError(f"{folder}/model_answer has no answers of the baseline {baseline}")
    found: dict[str, list[AttemptRow]] = {}
    for file in sorted(place.glob("*.jsonl")):
        for judgment in _read(file, _Judgment):
            labels = [game.score if game else None for game in judgment.games]
            if (
                judgment.category == category
                and len(labels) == 2
                and all(name in VERDICTS for name in labels)
            ):
                style = styles.get(judgment.model, {}).get(judgment.uid)
                row = _row(judgment, [str(name) for name in labels], style, styles[baseline][judgment.uid])
                found.setdefault(judgment.model.rpartition("/")[2], []).append(row)
    return found


def _row(judgment: _Judgment, labels: Sequence[str], style: Style | None, baseline: Style) -> AttemptRow:
    points = model_points(*labels)
    values = () if style is None else (*style, *baseline)
    counted = {name: float(value) for name, value in zip(STYLE, values, strict=False) if value is not None}
    return AttemptRow(
        task="",
        sample=judgment.uid,
        repeat=0,
        outcome=Outcome.ANSWERED,
        value=points.won / points.of,
        extracted=" ".join(labels),
        metrics={WON: points.won, OF: points.of, **counted},
    )


def _read(file: Path, kind: type[Any]) -> list[Any]:
    try:
        return msgspec.json.Decoder(kind).decode_lines(file.read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        raise EnvironmentUnusableError(f"cannot read {file}: {error}") from None
