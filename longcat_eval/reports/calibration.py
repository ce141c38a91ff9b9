"""What a benchmark must give its own gold replies and doing nothing, and what it gave them."""

from collections.abc import Iterable, Sequence

import msgspec

from longcat_eval.model_backend.scripted import NULL, ORACLE, PREFIX
from longcat_eval.protocols import Comparative, Scaffolded, Task
from longcat_eval.records import AttemptRow, Sample
from longcat_eval.reports.rows import percent, result_rows
from longcat_eval.runners.plan import PlannedTask
from longcat_eval.runners.store import RunData

COLOURS = {"ok": "green", "differs": "red", "incomplete": "red", "unknown": "yellow", "missing": "yellow"}
"""How a check or a benchmark ends; `unknown` is a score that nothing is known to compare with."""
SAME = 1e-6
"""Percentage points that two orders of adding may lie apart."""
NAMED = 4
"""Samples named behind a score that is not the expected one."""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """What one scripted model scored; scores are percentages, None where there is none.

    `unlike` are the samples, in the data's order, that scored otherwise than they must. `problem` is the
    error of a lost attempt, or why there is nothing to compare.
    """

    status: str
    expected: float | None = None
    seen: float | None = None
    samples: int = 0
    valid: int = 0
    attempts: int = 0
    seconds: float = 0.0
    unlike: tuple[str, ...] = ()
    problem: str = ""


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """One benchmark: its checks, `oracle` and `null`, the worst of them, and what it lacks here."""

    task: str
    status: str
    checks: dict[str, Check] = {}
    missing: str = ""


def policy(model: str) -> str:
    """`oracle` of `scripted/oracle`."""
    return model.removeprefix(PREFIX)


def not_installed(task: str, why: str) -> Calibration:
    """A benchmark that lacks something here."""
    return Calibration(task=task, status="missing", missing=why)


def calibrated(task: str, checks: dict[str, Check]) -> Calibration:
    """A benchmark that was run."""
    found = {check.status for check in checks.values()}
    worst = next(status for status in ("differs", "incomplete", "ok", "unknown") if status in found)
    return Calibration(task=task, status=worst, checks=checks)


def has_gold(task: Task, sample: Sample) -> bool:
    """Whether the oracle has anything to say to a sample, or an agent does without words."""
    gold = task.reference(sample, 0)
    by_itself = isinstance(task, Scaffolded) and ORACLE in task.scripted
    return bool(gold.get("agent")) or (by_itself and not gold)


def without_gold() -> Check:
    """The oracle on a benchmark whose data hold no gold."""
    return Check(status="unknown", problem="its data hold no gold replies")


def expected_score(part: PlannedTask, model: str) -> float | None:
    """The score in percent that a scripted model must have on the chosen samples; None where nobody says.

    The oracle's is 100 (`Comparative`: what a tie is worth) less the samples whose own gold fails
    (`Dataset.gold_fails`), that of doing nothing the floor `null` (`Task.floors`, or of a subset what
    `Dataset.passed_by` says of it).
    """
    if model == NULL:
        floor = part.floors.get(policy(NULL))
        return None if floor is None else percent(floor)
    failing = sum(sample.id in part.dataset.gold_fails for sample in part.samples)
    return percent(gold_value(part.task) * (1 - failing / len(part.samples)))


def gold_value(task: Task) -> float:
    """What a gold reply scores: 1, but where replies are compared with it."""
    return task.gold_value if isinstance(task, Comparative) else 1.0


def compare(run: RunData, part: PlannedTask, model: str, seconds: float, stopped: str = "") -> Check:
    """Lay what the run has of the benchmark beside what is expected; `incomplete` if attempts are lost."""
    name, expected = part.task.name, expected_score(part, model)
    rows = [row for row in run.rows if row.task == name]
    record = {name: run.manifest.tasks[name]}
    [result] = result_rows(run._replace(manifest=msgspec.structs.replace(run.manifest, tasks=record)))
    problem = stopped or next((row.error or row.reason for row in rows if not row.outcome.valid), "")
    if not result.complete:
        status = "incomplete"
    elif expected is None or result.value is None:
        status, problem = "unknown", "the benchmark does not say what doing nothing scores"
    else:
        status = "ok" if abs(result.value - expected) < SAME else "differs"
    return Check(
        status=status,
        expected=expected,
        seen=result.value,
        samples=len(part.samples),
        valid=result.valid,
        attempts=result.attempts,
        seconds=round(seconds, 1),
        unlike=tuple(_unlike(rows, part, model)) if status == "differs" else (),
        problem=problem,
    )


def _unlike(rows: Sequence[AttemptRow], part: PlannedTask, model: str) -> Iterable[str]:
    """Samples of another score than they must have; none where the benchmark says only what all have."""
    passed_by, floor = part.dataset.passed_by, part.floors.get(policy(NULL))
    if model == NULL and floor and policy(NULL) not in passed_by:
        return
    gold = {sample.id for sample in part.samples} - part.dataset.gold_fails
    passing = passed_by.get(policy(NULL), frozenset()) if model == NULL else gold
    best = gold_value(part.task) if model == ORACLE else 1.0
    values: dict[str, set[float | None]] = {}
    for row in rows:
        values.setdefault(row.sample, set()).add(row.value)
    for sample in part.samples:
        if values.get(sample.id, set()) - {None, best * (sample.id in passing)}:
            yield sample.id


def describe(calibration: Calibration) -> list[str]:
    """One line on the benchmark, and one on everything that needs explaining."""
    if calibration.missing:
        return [f"{calibration.task}: {calibration.missing}"]
    said = [f"{name} {_score(check)}" for name, check in calibration.checks.items()]
    most = max(check.samples for check in calibration.checks.values())
    seconds = sum(check.seconds for check in calibration.checks.values())
    lines = [f"{calibration.task}: {', '.join(said)}; {most:,} samples, {seconds:.0f} s"]
    for name, check in calibration.checks.items():
        if check.unlike:
            rest = len(check.unlike) - NAMED
            named = ", ".join(check.unlike[:NAMED]) + (f" and {rest} more" if rest > 0 else "")
            lines.append(f"{name}, not as they must be: {named}")
        if check.problem:
            lost = check.attempts - check.valid
            lines.append(
                f"{name}{f', {lost} of {check.attempts} attempts lost' * bool(lost)}: {check.problem}"
            )
    return lines


def _score(check: Check) -> str:
    if check.seen is None:
        return "–"
    if check.expected is None:
        return f"{check.seen:.2f}"
    wanted = f"{check.expected:.2f}"
    return f"{check.seen:.2f}" + (f" (must be {wanted})" if check.status != "ok" else " as it must be")
