"""From the artifacts of an attempt to its score."""

from typing import Any

from longcat_eval.protocols import AttemptContext, WorkerError
from longcat_eval.records import Outcome, Sample, Score, Transcript
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
