"""From the last round of an attempt and its marks to a score.

Official (`Evaluation/score_cal.py`): sum of points / number of marks in the report / 2, and the mean over the
tasks that have a report. Strict: sum of points / length of the plan / 2, over all tasks.
"""

from collections.abc import Sequence
from typing import Any, get_args

import msgspec

from longcat_eval.protocols import AttemptContext
from longcat_eval.records import Outcome, Sample, Score, Transcript
from longcat_eval.runners.judging import NULLS, Verdict, null_verdict
from longcat_eval.tasks.prdbench.marks import FULL, JUDGE, Mark, mark_all
from longcat_eval.tasks.prdbench.plan import Kind, Metric
from longcat_eval.tasks.prdbench.replay import MetricRun

MEANS = ("steps", "agent_seconds", "test_seconds", "metrics", NULLS)
NOTHING, TOO_LARGE, TESTED = "nothing_made", "tree_too_large", "tested"


async def score_attempt(sample: Sample, transcript: Transcript, ctx: AttemptContext) -> Score:
    """Mark the last round; raises `ModelError` (judge_error) where the judge fails or marks nothing at all.

    `artifacts["marks"]` then has a mark for every metric.
    """
    plan = msgspec.convert(sample.fields["plan"], list[Metric])
    last: dict[str, Any] = transcript.artifacts["rounds"][-1]
    reason = TESTED
    if not last["runs"]:
        reason = TOO_LARGE if last["tree"]["problem"] else NOTHING
        marks = [Mark(0, reason.replace("_", " "), "rule") for _ in plan]
    else:
        runs = msgspec.convert(last["runs"], list[MetricRun])
        marks = await mark_all(ctx, plan, runs, last["tree"], 0)
    asked = [mark for mark in marks if mark.by == "judge"]
    if asked and all(mark.points is None for mark in asked):
        raise null_verdict(
            JUDGE.role, Verdict(None, sum(mark.nulls for mark in asked), asked[-1].explanation)
        )
    transcript.artifacts["marks"] = [
        {"metric": metric.name, **mark._asdict()} for metric, mark in zip(plan, marks, strict=True)
    ]
    points = sum(mark.points or 0 for mark in marks)
    return Score(
        strict(marks),
        transcript.outcome or Outcome.ANSWERED,
        reason,
        extracted=f"{points} of {FULL * len(marks)} points",
        rule=transcript.reason,
        metrics=_metrics(plan, marks, transcript.artifacts["rounds"]),
    )


def strict(marks: Sequence[Mark]) -> float:
    """Points over twice the plan's length; a metric without a mark has none."""
    return sum(mark.points or 0 for mark in marks) / FULL / len(marks)


def official_like(marks: Sequence[Mark]) -> float | None:
    """Points over twice the number of marks; None without any."""
    given = [mark.points for mark in marks if mark.points is not None]
    return sum(given) / FULL / len(given) if given else None


def _metrics(
    plan: Sequence[Metric], marks: Sequence[Mark], rounds: Sequence[dict[str, Any]]
) -> dict[str, float]:
    metrics = {"official_like": official_like(marks) or 0.0}
    for kind in get_args(Kind):
        of_kind = [mark for metric, mark in zip(plan, marks, strict=True) if metric.kind == kind]
        if of_kind:
            metrics[kind] = strict(of_kind)
    metrics["unmarked"] = sum(mark.points is None for mark in marks) / len(marks)
    if len(rounds) > 1 and "marks" in rounds[0]:
        metrics["dev"] = strict([Mark(**mark) for mark in rounds[0]["marks"]])
    agents = [one["agent"] for one in rounds]
    cases = [case for one in rounds for run in one["runs"] for case in run.get("cases", ())]
    return metrics | {
        "submitted": float(agents[-1]["end"] == "submitted"),
        "metrics": float(len(marks)),
        "steps": float(sum(agent["steps"] for agent in agents)),
        "agent_seconds": sum(agent["seconds"] for agent in agents),
        "test_seconds": round(sum(case.get("seconds", 0.0) for case in cases), 3),
        NULLS: float(sum(mark.nulls for mark in marks)),
    }
