"""The gate: is the candidate worse than the baseline, is it shown not to be, or can nothing be said?"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

from longcat_eval.errors import ExitCode
from longcat_eval.reports import texts
from longcat_eval.reports.diff import TaskDiff, diff_sides
from longcat_eval.reports.multiple import benjamini_hochberg, holm
from longcat_eval.reports.paired import p_non_inferior
from longcat_eval.reports.policy import Policy, Rule, Tier
from longcat_eval.reports.power import Spread, detectable_drop, repeats_needed, spread
from longcat_eval.reports.sides import PUBLISHED, Entry, Side
from longcat_eval.reports.unpaired import p_non_inferior_unpaired


class Verdict(StrEnum):
    """What is said of one benchmark."""

    REGRESSED = "regressed"
    BROKEN = "broken"
    INCONCLUSIVE = "inconclusive"
    PASS = "pass"


class Judged(NamedTuple):
    """One benchmark: `why` explains the verdict.

    `p_adjusted` is the one-sided p value against a drop, corrected over the tier's family (Holm in block,
    Benjamini-Hochberg in warn), `p_bh` that of Benjamini-Hochberg over everything judged, `p_margin` the one
    of a drop as large as the margin. `detectable` is the smallest drop that would have been called regressed
    with the policy's power, a share; None where none could be. `look_at` marks a drop that is significant by
    Benjamini-Hochberg and no regression.
    """

    task: str
    rule: Rule
    verdict: Verdict
    why: str
    diff: TaskDiff | None = None
    p_adjusted: float | None = None
    p_bh: float | None = None
    p_margin: float | None = None
    detectable: float | None = None
    spread: Spread | None = None
    look_at: bool = False


class Gate(NamedTuple):
    """The verdicts on all benchmarks, `skipped` those that are only on one side or ignored."""

    base: Side
    cand: Side
    policy: Policy
    judged: tuple[Judged, ...]
    skipped: tuple[str, ...]
    blocking: int
    compared: int

    def exit_code(self, strict: bool = False) -> ExitCode:
        """1 for a regression that blocks, else 3 for a broken result, else 0.

        With `strict` 4 instead of 0 where a result that would block is inconclusive.
        """
        said = {(judged.verdict, judged.rule.tier) for judged in self.judged}
        if (Verdict.REGRESSED, Tier.BLOCK) in said:
            return ExitCode.GATE_FAILED
        if any(verdict is Verdict.BROKEN for verdict, _ in said):
            return ExitCode.INCOMPLETE
        if strict and (Verdict.INCONCLUSIVE, Tier.BLOCK) in said:
            return ExitCode.INCONCLUSIVE
        return ExitCode.OK


def judge(base: Side, cand: Side, policy: Policy) -> Gate:
    """Judge every benchmark of the baseline that the policy does not ignore.

    A benchmark of a baseline run that the candidate lacks is broken; of a published column only those are
    judged that the candidate has. Raises `UsageError` where nothing is shared or protocols are mixed.
    """
    diff = diff_sides(base, cand)
    judged = [task for task in diff.tasks if policy.rule(task.task).tier is not Tier.IGNORE]
    whole = [(task, _hole(task, policy)) for task in judged]
    sound = [task for task, hole in whole if not hole]
    holes = {task.task: hole for task, hole in whole if hole}
    adjusted, blocking = _adjust(sound, policy)
    compared = sum(p.bh is not None for p in adjusted.values())
    verdicts = {task.task: _judge(task, policy, adjusted[task.task], blocking, compared) for task in sound}
    broken = {
        task.task: Judged(task.task, policy.rule(task.task), Verdict.BROKEN, holes[task.task], task)
        for task in judged
        if task.task in holes
    }
    lacking = _lacking(base, cand, diff.only_base, policy)
    known = {**verdicts, **broken, **{each.task: each for each in lacking}}
    return Gate(
        base,
        cand,
        policy,
        tuple(known[name] for name in base.entries if name in known),
        tuple(_skipped(diff.only_base, diff.only_cand, known, diff.tasks)),
        blocking,
        compared,
    )


class _Adjusted(NamedTuple):
    family: float | None
    bh: float | None


def _adjust(tasks: Sequence[TaskDiff], policy: Policy) -> tuple[dict[str, _Adjusted], int]:
    """Corrected p values against a drop by task, and how many benchmarks block."""
    p = {t.task: t.comparison.p_drop for t in tasks if t.comparison and t.comparison.p_drop is not None}
    known = {name: value for name, value in p.items() if value is not None}
    block = [name for name in known if policy.rule(name).tier is Tier.BLOCK]
    by_holm = dict(zip(block, holm([known[name] for name in block]), strict=True))
    by_bh = dict(zip(known, benjamini_hochberg(list(known.values())), strict=True))
    adjusted = {t.task: _Adjusted(by_holm.get(t.task, by_bh.get(t.task)), by_bh.get(t.task)) for t in tasks}
    return adjusted, len(block)


def _judge(task: TaskDiff, policy: Policy, p: _Adjusted, blocking: int, compared: int) -> Judged:
    rule, c = policy.rule(task.task), task.comparison
    if c is None:
        return Judged(task.task, rule, Verdict.INCONCLUSIVE, "the number of questions is not known", task)
    if c.difference is None or c.se is None or p.family is None:
        why = f"{c.n} question{'s' * (c.n != 1)} to compare say nothing"
        return Judged(task.task, rule, Verdict.INCONCLUSIVE, why, task)
    margin, family = rule.margin / 100, blocking if rule.tier is Tier.BLOCK else compared
    if task.matched is not None:
        p_margin = p_non_inferior(task.matched, margin)
    else:
        p_margin = p_non_inferior_unpaired(c, margin)
    parts = _spread(task)
    detectable = detectable_drop(
        c.se,
        c.n,
        c.n * _attempts(task),
        margin,
        policy.alpha / max(family, 1),
        policy.power,
        c.n - 1 if task.paired else None,
    )
    judged = Judged(task.task, rule, Verdict.INCONCLUSIVE, "", task, *p, p_margin, detectable, parts)
    significant = p.family < policy.alpha
    if significant and c.difference < -margin:
        return judged._replace(
            verdict=Verdict.REGRESSED, why=f"the drop is significant and beyond the margin of {rule.margin:g}"
        )
    look_at = p.bh is not None and p.bh < policy.alpha and c.difference < 0
    if p_margin is not None and p_margin < policy.alpha:
        why = f"a drop of {rule.margin:g} or more is ruled out"
        return judged._replace(verdict=Verdict.PASS, why=why, look_at=look_at)
    return judged._replace(why=_open(judged, significant), look_at=look_at)


def _open(judged: Judged, significant: bool) -> str:
    """Why neither was shown, and how many repeats would do."""
    margin, matched = judged.rule.margin, judged.diff.matched if judged.diff else None
    if significant:
        why = f"the drop is significant; whether it is beyond the margin of {margin:g} is open"
    else:
        why = f"neither a drop nor its being under {margin:g} is shown"
    if judged.spread is None or matched is None or not margin:
        return why
    repeats = repeats_needed(judged.spread, len(matched.names), margin / 100)
    if repeats is None:
        return why
    if repeats == 0:
        few = f"{len(matched.names)} questions are too few for this margin"
        return f"{why}; no number of repeats would do, {few}"
    return f"{why}; about {repeats} repeats on each side would do if nothing changed"


def _spread(task: TaskDiff) -> Spread | None:
    if task.matched is None or task.base.questions is None or task.cand.questions is None:
        return None
    return spread(task.matched, task.base.questions, task.cand.questions)


def _attempts(task: TaskDiff) -> int:
    """Repeats of the side that has fewer."""
    sides = (task.base.independent, task.cand.independent)
    return min((side.k for side in sides if side), default=1)


def _hole(task: TaskDiff, policy: Policy) -> str:
    """What is missing on either side, or nothing."""
    sides = (("baseline", task.base), ("candidate", task.cand))
    return "; ".join(f"{name}: {said}" for name, entry in sides if (said := _missing(entry, policy)))


def _missing(entry: Entry, policy: Policy) -> str:
    if (result := entry.result) is None:
        return ""
    if not result.valid:
        return "no attempt has a valid result"
    if 100 * result.coverage < policy.coverage:
        return f"coverage {texts.coverage(result)} is under {policy.coverage:g} %"
    return ""


def _lacking(base: Side, cand: Side, names: Iterable[str], policy: Policy) -> list[Judged]:
    """Benchmarks of a baseline run that the candidate run does not have."""
    if PUBLISHED in (base.kind, cand.kind):
        return []
    return [
        Judged(name, policy.rule(name), Verdict.BROKEN, f"not in the candidate{_remedy(cand, name)}")
        for name in names
        if policy.rule(name).tier is not Tier.IGNORE
    ]


def _remedy(side: Side, name: str) -> str:
    return f" (not run: {side.not_run[name]})" if name in side.not_run else ""


def _skipped(
    only_base: Iterable[str], only_cand: Iterable[str], known: Iterable[str], tasks: Iterable[TaskDiff]
) -> Iterable[str]:
    said = set(known)
    for names, where in ((only_base, "only in the baseline"), (only_cand, "only in the candidate")):
        if listed := [name for name in names if name not in said]:
            yield f"{where}: {', '.join(listed)}"
    if ignored := [task.task for task in tasks if task.task not in said]:
        yield f"ignored by the policy: {', '.join(ignored)}"
