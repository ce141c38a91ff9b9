"""From the artifacts of an attempt to its score, and from scores to the numbers of a run."""

from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Any

from longcat_eval.protocols import AttemptContext, WorkerError
from longcat_eval.records import Aggregate, AttemptRow, Outcome, Sample, Score, Transcript
from longcat_eval.tasks.swe.evaluation import APPLY_FAILED, OVER_DISK, RAN, TIMED_OUT
from longcat_eval.tasks.swe.grader import Grader, Verdict

RESOLVED, UNRESOLVED = "resolved", "unresolved"
REASONS = {
    "empty_patch": "empty_patch",
    "no_prediction": "no_prediction",
    APPLY_FAILED: "apply_failed",
    TIMED_OUT: "tests_timed_out",
    OVER_DISK: "tests_over_disk",
}
"""States in which there is no log to read."""
SHARES = ("resolved", "empty_patch", "apply_failed")
MEANS = ("steps", "test_seconds")


async def score_attempt(grader: Grader, sample: Sample, transcript: Transcript, ctx: AttemptContext) -> Score:
    """Judge one attempt; the outcome is how the agent ended, the reason what became of its patch.

    A `sandbox_error` where the log says that the environment failed, and so it did without the patch.
    """
    artifacts = transcript.artifacts
    outcome = transcript.outcome or Outcome.ANSWERED
    if artifacts["state"] != RAN:
        return made_score(0.0, outcome, REASONS[artifacts["state"]], artifacts)
    try:
        verdict = await grader.verdict(sample, artifacts["eval_log"], ctx.workers)
    except WorkerError as error:
        if error.reason == "error":
            return Score(None, Outcome.HARNESS_ERROR, "grader_error", extracted=str(error)[:500])
        return made_score(0.0, outcome, f"grader_{error.reason}", artifacts)
    patch_did_it = artifacts["control"] or artifacts["kept_from"]
    if not verdict.ran and verdict.environment and not patch_did_it:
        transcript.error = f"no test ran, and swebench takes it for the environment's fault: {verdict.infra}"
        return Score(None, Outcome.SANDBOX_ERROR, "infra_failure")
    reason = RESOLVED if verdict.resolved else UNRESOLVED if verdict.ran else "no_test_results"
    return made_score(float(verdict.resolved), outcome, reason, artifacts, verdict)


def made_score(
    value: float, outcome: Outcome, reason: str, artifacts: dict[str, Any], verdict: Verdict | None = None
) -> Score:
    """A score with its metrics: shares of tests, ends as 0 or 1, and the agent's steps."""
    metrics = {share: float(reason == share) for share in SHARES}
    if verdict is not None and verdict.ran:
        for name in ("fail_to_pass", "pass_to_pass"):
            tally = getattr(verdict, name)
            metrics[name] = tally.passed / tally.total if tally.total else 1.0
    if "rebased" in artifacts:
        metrics["rebased"] = float(bool(artifacts["rebased"]))
    if "seconds" in artifacts:
        metrics["test_seconds"] = artifacts["seconds"]
    if agent := artifacts.get("agent"):
        metrics |= {"steps": float(agent["steps"]), "submitted": float(agent["end"] == "submitted")}
    return Score(value, outcome, reason, rule=artifacts.get("patch_source"), metrics=metrics)


def aggregate_rows(rows: Sequence[AttemptRow]) -> Aggregate:
    """Numbers over valid rows; a repository has its own number where there are several."""
    valid = [row for row in rows if row.value is not None]
    if not valid:
        return Aggregate("acc", {})
    metrics = {"acc": _over_samples(valid)}
    groups = sorted({row.group for row in valid})
    if len(groups) > 1:
        metrics |= {name: _over_samples(row for row in valid if row.group == name) for name in groups}
    names = dict.fromkeys(name for row in valid for name in row.metrics)
    found = {name: fmean(row.metrics[name] for row in valid if name in row.metrics) for name in names}
    metrics |= {name: value for name, value in found.items() if name not in MEANS}
    return Aggregate("acc", metrics, {name: value for name, value in found.items() if name in MEANS})


def _over_samples(rows: Iterable[AttemptRow]) -> float:
    """Mean over instances of the mean over their repeats."""
    samples: dict[str, list[float]] = {}
    for row in rows:
        samples.setdefault(row.sample, []).append(row.value or 0.0)
    return fmean(fmean(values) for values in samples.values())
