"""What logs and reward files mean: summaries, rewards, the mean over steps, and scores from artifacts."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longcat_eval.protocols import SandboxError
from longcat_eval.records import AttemptKey, Outcome, Transcript
from longcat_eval.tasks.terminal.pytest_summary import all_skipped, read_summary
from longcat_eval.tasks.terminal.rewards import below, mean_rewards, read_rewards, value_of
from longcat_eval.tasks.terminal.scoring import judge, judge_step, sandbox_end, score_attempt
from longcat_eval.tasks.terminal.verifying import cannot_tell

BANNER = "=========================== short test summary info ============================\n"


def summary(*lines: str) -> str:
    return "collected 2 items\n" + BANNER + "\n".join(lines) + "\n==== 2 passed in 0.1s ====\n"


@pytest.mark.parametrize(
    ("line", "name", "passed"),
    [
        ("PASSED ../tests/test_outputs.py::test_a", "test_a", True),
        (
            "FAILED ../tests/test_outputs.py::test_a - AssertionError: x - y",
            "test_a - AssertionError: x",
            False,
        ),
        ("FAILED ../tests/test_outputs.py::test_a", "test_a", False),
        ("ERROR t.py::test_a - ImportError: no", "test_a - ImportError: no", False),
        ("SKIPPED [1] t.py:3: why", "[1] t.py:3: why", True),
        ("XFAIL t.py::test_a - known", "test_a - known", True),
        ("XPASS t.py::test_a", "test_a", False),
        ("PASSED t.py::TestX::test_a[b - c]", "TestX::test_a[b - c]", True),
    ],
)
def test_a_line_of_the_summary_is_one_result(line: str, name: str, passed: bool) -> None:
    assert read_summary(summary(line)) == {name: passed}


def test_what_is_no_result_is_none() -> None:
    assert read_summary("all fine\nPASSED t.py::test_a\n") is None
    assert read_summary(summary()) == {}
    assert read_summary(summary("passed t.py::a", "PASSED", "note PASSED t.py::b")) == {}
    twice = read_summary(summary("PASSED t.py::a", "FAILED t.py::a - no"))
    assert twice == {"a": False}
    early = "PASSED t.py::early\n" + summary("PASSED t.py::late")
    assert read_summary(early) == {"late": True}


def test_only_skipped_tests_are_told_apart() -> None:
    assert all_skipped(summary("SKIPPED [1] t.py:3: why"))
    assert not all_skipped(summary("SKIPPED [1] t.py:3: why", "PASSED t.py::a"))
    assert not all_skipped(summary())


@pytest.mark.parametrize(
    ("as_json", "as_text", "rewards", "problem"),
    [
        (None, None, {}, "reward_missing"),
        (None, b"", {}, "reward_empty"),
        (None, b"1\n", {"reward": 1.0}, ""),
        (None, b" 0.5 ", {"reward": 0.5}, ""),
        (None, b"nan", {}, "reward_unreadable"),
        (None, b"inf", {}, "reward_unreadable"),
        (None, b"one", {}, "reward_unreadable"),
        (None, b"1 0", {}, "reward_unreadable"),
        (None, b"\xff", {}, "reward_unreadable"),
        (b"1", None, {"reward": 1.0}, ""),
        (b"0.25", b"1", {"reward": 0.25}, ""),
        (b'{"a": 1, "b": 0.5}', b"0", {"a": 1.0, "b": 0.5}, ""),
        (b"", b"1", {}, "reward_empty"),
        (b"{}", b"1", {}, "reward_empty"),
        (b"not json", b"1", {}, "reward_unreadable"),
        (b'{"a": "1"}', None, {}, "reward_unreadable"),
        (b'{"a": NaN}', None, {}, "reward_unreadable"),
        (b'{"a": 1e999}', None, {}, "reward_unreadable"),
        (b"[1]", None, {}, "reward_unreadable"),
        (b"null", None, {}, "reward_unreadable"),
        (b"true", None, {"reward": 1.0}, ""),
        (b"1" + b"0" * 400, None, {}, "reward_unreadable"),
    ],
)
def test_reward_files_are_read_strictly_and_the_json_first(
    as_json: bytes | None, as_text: bytes | None, rewards: dict[str, float], problem: str
) -> None:
    found = read_rewards(as_json, as_text)
    assert (dict(found.by_name), found.problem) == (rewards, problem)
    assert bool(found.detail) == bool(problem)


@given(st.binary(max_size=40) | st.none(), st.binary(max_size=40) | st.none())
def test_no_bytes_make_a_reward_that_is_no_finite_number(
    as_json: bytes | None, as_text: bytes | None
) -> None:
    found = read_rewards(as_json, as_text)
    assert bool(found.by_name) != bool(found.problem)
    assert all(math.isfinite(value) for value in found.by_name.values())


def test_the_one_number_of_several_rewards() -> None:
    assert value_of({"reward": 0.5, "speed": 1.0}) == 0.5
    assert value_of({"correct": 1.0, "speed": 0.5}) == 0.75
    assert mean_rewards([{"a": 1.0}, {"a": 0.0, "b": 1.0}]) == {"a": 0.5, "b": 0.5}
    assert mean_rewards([]) == {}
    assert below({"reward": 0.4}, 0.5)
    assert not below({"reward": 0.5}, 0.5)
    assert below({"a": 1.0}, {"b": 0.0})
    assert not below({"a": 1.0}, {"a": 1.0})


def step(log: str = "", state: str = "ran", kind: str = "pytest", **rewards: str) -> dict[str, Any]:
    files = {name.replace("_", "."): text for name, text in rewards.items()}
    return {
        "name": "",
        "kind": kind,
        "state": state,
        "log": log,
        "log_cut": 0,
        "rewards": files,
        "seconds": 1.5,
    }


def scored(*steps: dict[str, Any], final_only: bool = False, **more: Any) -> Any:
    agent = {"steps": 3, "seconds": 2.0, "model_seconds": 1.0}
    artifacts = {"tested": list(steps), "final_only": final_only, "agents": [agent], **more}
    return score_attempt(Transcript(AttemptKey("terminal-bench", "s"), artifacts=artifacts))


def test_a_step_passes_fails_or_has_no_verdict() -> None:
    passed, failed = scored(step(summary("PASSED a::b"))), scored(step(summary("PASSED a::b", "FAILED a::c")))
    assert (passed.value, passed.reason, passed.metrics["unscored"]) == (1.0, "resolved", 0.0)
    assert (failed.value, failed.reason, failed.metrics["tests_passed"]) == (0.0, "unresolved", 0.5)
    for state, reason in (("timed_out", "tests_timed_out"), ("over_disk", "tests_over_disk")):
        lost = scored(step(summary("PASSED a::b"), state))
        assert (lost.value, lost.reason, lost.metrics["unscored"]) == (0.0, reason, 1.0)
        assert lost.outcome is Outcome.ANSWERED
    for log in ("", "no banner", summary()):
        assert scored(step(log)).reason == "no_test_results"
    assert scored(step(summary("SKIPPED [1] a.py:1: x"))).metrics["only_skipped"] == 1.0


def test_rewards_are_bounded_and_kept_by_name() -> None:
    many = scored(step(kind="reward", reward_json='{"correct": 1, "speed": 0.5}'))
    assert (many.value, many.reason, many.metrics["reward_speed"]) == (0.75, "unresolved", 0.5)
    assert scored(step(kind="reward", reward_txt="7")).value == 1.0
    assert scored(step(kind="reward", reward_txt="-7")).value == 0.0
    missing = scored(step(kind="reward"))
    assert (missing.value, missing.reason) == (0.0, "reward_missing")


def test_several_steps_count_as_their_mean_or_as_the_last() -> None:
    steps = [step(kind="reward", reward_txt="1"), step(kind="reward"), step(kind="reward", reward_txt="0")]
    assert judge(steps, final_only=False).value == 0.5
    assert judge(steps, final_only=True).value == 0.0
    assert judge(steps[1:2] * 2, final_only=False).unscored == "reward_missing"
    assert judge([], final_only=False).unscored == "step_setup_failed"


def test_tests_without_network_are_the_machines_fault_only_if_they_fail_without_the_agent() -> None:
    log = "curl: (6) Could not resolve host: astral.sh\nrun-tests.sh: line 9: uv: command not found\n"
    assert cannot_tell(step(log))
    assert cannot_tell(step(log, "timed_out"))
    assert not cannot_tell(step("uv: command not found"))
    assert not cannot_tell(step(log + summary("FAILED a::b")))
    assert cannot_tell(step(log, kind="reward", reward_txt="0"))
    assert not cannot_tell(step(log, kind="reward", reward_txt="1"))
    assert not cannot_tell(step(log + summary("FAILED a::b"), kind="reward", reward_txt="0"))
    assert scored(step(log), control="failed").outcome is Outcome.SANDBOX_ERROR
    assert scored(step(log), control="failed").value is None
    assert scored(step(log), control="passed").reason == "no_test_results"


def test_only_a_full_disk_is_the_doing_of_what_ran() -> None:
    assert sandbox_end(SandboxError("disk_budget", "full")) == "over_disk"
    with pytest.raises(SandboxError, match="gone"):
        sandbox_end(SandboxError("container_lost", "gone"))
    assert judge_step(step(state="over_disk")).unscored
