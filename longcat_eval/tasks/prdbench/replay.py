"""The test plan run from its first command to its last, on a fresh machine, each on a terminal.

The official judge is an agent that runs the commands itself (`EvalAgent/code_eval_agent/mcp_tools.py`, the
tool `judge`: a line every 0.2 s, 10 s to end, then Ctrl-C). Here they are run the same way for every judge.
What one metric leaves behind the next finds, as there.
"""

import time
from collections.abc import Mapping, Sequence

import msgspec

from longcat_eval.protocols import Sandbox, SandboxError
from longcat_eval.runners.terminal.recording import Recorder, Recording, RecordLimits
from longcat_eval.tasks.prdbench.data import PrdTask
from longcat_eval.tasks.prdbench.evidence import (
    Changes,
    SeenFile,
    changed_files,
    expected_files,
    watch_files,
)
from longcat_eval.tasks.prdbench.image import PROJECT
from longcat_eval.tasks.prdbench.plan import Metric, read_input
from longcat_eval.tasks.prdbench.tree import Tree, lay_out

USED_UP = {"disk_budget": "over_disk", "deadline": "no_time"}
"""Failures of a sandbox that are the project's doing."""


class CaseRun(msgspec.Struct, frozen=True, omit_defaults=True):
    """A command and what could be seen; see `recording.Recording`. `missing` is an input file not there."""

    command: str
    output: str
    end: str
    exit_code: int | None
    typed: int = 0
    given: int = 0
    cut: int = 0
    seconds: float = 0.0
    missing: str = ""


class MetricRun(msgspec.Struct, frozen=True, omit_defaults=True):
    """A metric's commands, the files they wrote, the files to compare with.

    `not_run` says why its commands, or the rest of them, were not run: no_time, over_disk.
    """

    cases: tuple[CaseRun, ...] = ()
    changes: Changes = Changes()
    expected: tuple[SeenFile, ...] = ()
    not_run: str = ""


async def replay(sandbox: Sandbox, task: PrdTask, tree: Tree, limits: Mapping[str, float]) -> list[MetricRun]:
    """Run every metric's commands in the plan's order; one entry for each. Raises `SandboxError`."""
    await lay_out(sandbox, task.files(), tree, read_only=False)
    await watch_files(sandbox)
    until = time.monotonic() + limits["replay_seconds"]
    runs: list[MetricRun] = []
    stopped = ""
    for metric in task.plan:
        expected = tuple(expected_files(task.folder, metric))
        stopped = stopped or ("no_time" if time.monotonic() > until else "")
        if stopped:
            runs.append(MetricRun(expected=expected, not_run=stopped))
            continue
        cases: list[CaseRun] = []
        try:
            await _run_cases(sandbox, task, metric, record_limits(limits), cases)
            runs.append(MetricRun(tuple(cases), await changed_files(sandbox), expected))
        except SandboxError as error:
            if error.reason not in USED_UP:
                raise
            stopped = USED_UP[error.reason]
            runs.append(MetricRun(tuple(cases), expected=expected, not_run=stopped))
    return runs


def record_limits(limits: Mapping[str, float]) -> RecordLimits:
    """The limits of one command."""
    return RecordLimits(command=limits["case_seconds"], idle=limits["idle_seconds"])


async def _run_cases(
    sandbox: Sandbox, task: PrdTask, metric: Metric, limits: RecordLimits, runs: list[CaseRun]
) -> None:
    """A command that only waits while others of the metric follow is a server to them, and ends with them."""
    recorder = Recorder(sandbox, limits, cwd=PROJECT)
    cases = [case for case in metric.cases if case.command]
    try:
        for number, case in enumerate(cases, 1):
            typed = read_input(task.folder, case)
            recording = await recorder.run(case.command, typed.lines, more=number < len(cases))
            runs.append(_case_run(recording, typed.missing))
    finally:
        await recorder.end()


def _case_run(recording: Recording, missing: str) -> CaseRun:
    text = recording.output.decode("utf-8", "replace").replace("\0", "\ufffd")
    return CaseRun(**{**recording._asdict(), "output": text, "missing": missing})


def replay_record(runs: Sequence[MetricRun]) -> list[dict[str, object]]:
    """The runs as JSON, for a transcript."""
    return [msgspec.to_builtins(run) for run in runs]
