"""From what the tests left behind to the score of an attempt.

Three things can come of a step: it passes, it fails, or it has no verdict (`unscored`), which counts 0 with
the reason by name. Tests that ran out of time or left nothing to read are the latter.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from longcat_eval.protocols import SandboxError
from longcat_eval.records import Outcome, Score, Transcript, Wire
from longcat_eval.tasks.terminal.pytest_summary import all_skipped, read_summary
from longcat_eval.tasks.terminal.rewards import REWARD, Rewards, mean_rewards, read_rewards, value_of

RAN, TIMED_OUT, OVER_DISK, NO_SETUP = "ran", "timed_out", "over_disk", "setup_failed"
"""States in which a step's tests may be."""
RESOLVED, UNRESOLVED = "resolved", "unresolved"
NO_RESULTS = "no_test_results"
UNSCORED = {TIMED_OUT: "tests_timed_out", OVER_DISK: "tests_over_disk", NO_SETUP: "step_setup_failed"}
JSON_FILE, TEXT_FILE = "reward.json", "reward.txt"

SHARES = ("unscored",)
MEANS = (
    "steps",
    "agent_seconds",
    "model_seconds",
    "test_seconds",
    "outside_seconds",
)


class Verdict(NamedTuple):
    """What became of one step: its rewards by name, or the reason why there are none."""

    rewards: Mapping[str, float]
    unscored: str = ""
    detail: str = ""
    passed: int = 0
    total: int = 0
    skipped: bool = False

    @property
    def value(self) -> float:
        """The one number, 0 without a verdict; whatever a task's own rewards are, it stays in [0, 1]."""
        return 0.0 if self.unscored else min(max(value_of(self.rewards), 0.0), 1.0)


def judge_step(step: Wire) -> Verdict:
    """The verdict on one entry of `artifacts["tested"]`, from its state, log and reward files alone."""
    if step["state"] != RAN:
        return Verdict({}, UNSCORED[step["state"]])
    if step["kind"] == "reward":
        found = rewards_of(step)
        return Verdict(found.by_name, found.problem, found.detail)
    results = read_summary(step["log"])
    if not results:
        return Verdict({}, NO_RESULTS)
    passed = all(results.values())
    return Verdict(
        {REWARD: float(passed)},
        passed=sum(results.values()),
        total=len(results),
        skipped=passed and all_skipped(step["log"]),
    )


def rewards_of(step: Wire) -> Rewards:
    """The rewards in the files that a step's tests left."""
    texts = (step["rewards"].get(name) for name in (JSON_FILE, TEXT_FILE))
    return read_rewards(*(None if text is None else text.encode() for text in texts))


def judge(steps: Sequence[Wire], *, final_only: bool) -> Verdict:
    """The verdict on an attempt: of several steps the last one's, or the mean over those that have one.

    The rules are harbor's (`trial/multi_step.py` and `trial/trial.py` 0.24.0).
    """
    verdicts = [judge_step(step) for step in steps]
    if not verdicts:
        return Verdict({}, UNSCORED[NO_SETUP])
    if len(verdicts) == 1 or final_only:
        return verdicts[-1]
    rewards = mean_rewards([verdict.rewards for verdict in verdicts if not verdict.unscored])
    return Verdict(rewards) if rewards else verdicts[-1]


def score_attempt(transcript: Transcript) -> Score:
    """Judge one attempt from its artifacts; the outcome says how the agent ended, the reason what of it came.

    A `sandbox_error` where the tests could not reach what they need and could not without the agent either.
    """
    artifacts = transcript.artifacts
    if artifacts.get("control") == "failed":
        transcript.error = (
            "the tests cannot reach the network here: they leave no result without the agent either"
        )
        return Score(None, Outcome.SANDBOX_ERROR, "tests_without_network")
    verdict = judge(artifacts["tested"], final_only=artifacts["final_only"])
    reason = verdict.unscored or (RESOLVED if verdict.value >= 1.0 else UNRESOLVED)
    return Score(
        verdict.value,
        transcript.outcome or Outcome.ANSWERED,
        reason,
        extracted=", ".join(f"{name} {value:g}" for name, value in verdict.rewards.items())
        or verdict.detail
        or None,
        rule=artifacts["tested"][-1]["kind"] if artifacts["tested"] else None,
        metrics=_metrics(verdict, artifacts),
    )


def sandbox_end(error: SandboxError) -> str:
    """The state of tests that used up what the machine gives; raises what is nobody's doing."""
    if error.reason != "disk_budget":
        raise error
    return OVER_DISK


def _metrics(verdict: Verdict, artifacts: Mapping[str, Any]) -> dict[str, float]:
    metrics = {"unscored": float(bool(verdict.unscored))}
    if verdict.total:
        metrics["tests_passed"] = verdict.passed / verdict.total
        metrics["only_skipped"] = float(verdict.skipped)
    if len(verdict.rewards) > 1:
        metrics |= {f"reward_{name}": value for name, value in verdict.rewards.items()}
    if "stand_ins" in artifacts:
        metrics["stand_in"] = float(bool(artifacts["stand_ins"]))
    agents = artifacts.get("agents", [])
    metrics["steps"] = float(sum(agent["steps"] for agent in agents))
    metrics["agent_seconds"] = sum(agent["seconds"] for agent in agents)
    metrics["model_seconds"] = sum(agent["model_seconds"] for agent in agents)
    metrics["test_seconds"] = sum(step["seconds"] for step in artifacts["tested"])
    if "outside_seconds" in artifacts:
        metrics["outside_seconds"] = artifacts["outside_seconds"]
    return metrics
