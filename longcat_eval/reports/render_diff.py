"""A diff as a terminal's table and as JSON."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from longcat_eval.reports.diff import ALPHA, Diff, Flip, TaskDiff, flips, suite_difference, verdicts
from longcat_eval.reports.sides import Side
from longcat_eval.reports.table import MARKS, remarks

if TYPE_CHECKING:
    from rich.table import Table as RichTable

STYLES = {"worse": "red", "better": "green", "undecided": ""}
NAMED = 8
"""Unmatched questions are named up to so many of each side."""


def signed(share: float | None) -> str:
    """A difference in points: `-5.00`, `+0.42`, and `0.00` without a sign."""
    if share is None:
        return "-"
    text = f"{100 * share:+.2f}"
    return "0.00" if float(text) == 0 else text


def percent(share: float | None) -> str:
    """A share in percent with two decimals."""
    return "-" if share is None else f"{100 * share:.2f}"


def p_text(p: float | None) -> str:
    """`0.012`, `<0.001`."""
    return "-" if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def interval_text(low: float | None, high: float | None) -> str:
    """`[-8.1, -1.9]` in points."""
    return "-" if low is None or high is None else f"[{100 * low:.1f}, {100 * high:.1f}]"


def diff_table(diff: Diff) -> "RichTable":
    """One row per benchmark; base and candidate are means over the questions that both have."""
    from rich.table import Table as RichTable
    from rich.text import Text

    table = RichTable(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name, right in HEADINGS:
        fixed = name != "benchmark"
        table.add_column(
            name,
            justify="right" if right else "left",
            no_wrap=fixed,
            overflow="fold",
            min_width=None if fixed else 9,
        )
    for task, (p_adjusted, verdict) in zip(diff.tasks, verdicts(diff.tasks), strict=True):
        c = task.comparison
        cells = [task.task, *ends(task)]
        cells += [interval_text(c.low, c.high) if c else "-", p_text(p_adjusted), verdict, _moved(task)]
        table.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in cells))
    return table


HEADINGS = (
    ("benchmark", False),
    ("base", True),
    ("cand", True),
    ("diff", True),
    ("95 % interval", True),
    ("p", True),
    ("verdict", False),
    ("flips", True),
)


def _moved(task: TaskDiff) -> str:
    """`-3 +1`: questions broken and fixed."""
    if not task.paired:
        return "-"
    changed = flips(task)
    fixed = sum(flip.fixed for flip in changed)
    return f"-{len(changed) - fixed} +{fixed}"


def ends(task: TaskDiff) -> tuple[str, str, str]:
    """Base, candidate and difference, over the questions that both have where they are paired."""
    if (c := task.comparison) is not None:
        return percent(c.base), percent(c.cand), signed(c.difference)
    base, cand = task.base.value, task.cand.value
    said = ["-" if value is None else f"{value:.2f}" for value in (base, cand)]
    return said[0], said[1], signed(None if base is None or cand is None else (cand - base) / 100)


def diff_notes(diff: Diff) -> Iterable[str]:
    """How the numbers were made, what could not be compared, and what the sides do not share."""
    yield from diff_rules(diff.tasks)
    if len(diff.tasks) > 1:
        yield f"p is two-sided, corrected for {len(diff.tasks)} benchmarks (Holm); verdicts at {ALPHA:g}"
    for task in diff.tasks:
        if task.comparison is None:
            yield f"{task.task}: no score, or the number of questions is not known; no interval"
        if task.mixed:
            yield f"mixed: {task.task}: the sides differ in {', '.join(task.mixed)}"
    for side, names in ((diff.base, diff.only_base), (diff.cand, diff.only_cand)):
        if names:
            yield f"only in {side.name}: {', '.join(names)}"


def diff_rules(tasks: Sequence[TaskDiff]) -> Iterable[str]:
    """By which rules the benchmarks were compared, and which questions have no partner."""
    rules: dict[str, list[str]] = {}
    for task in tasks:
        if (c := task.comparison) is not None and c.test:
            rules.setdefault(f"{c.test}, {c.interval_method} interval", []).append(f"{task.task} (n = {c.n})")
    for rule, listed in rules.items():
        yield f"{rule}: {', '.join(listed)}"
    if (mean := suite_difference(tasks)) is not None:
        count = sum(task.paired for task in tasks)
        sure = "no interval: no question moved" if mean.low is None else interval_text(mean.low, mean.high)
        yield f"mean over the {count} paired: {signed(mean.value)} {sure}"
    if unpaired := [task.task for task in tasks if not task.paired]:
        names = "all" if len(unpaired) == len(tasks) else ", ".join(unpaired)
        yield (
            f"unpaired: {names}. One side has no questions to pair; what is asked is whether "
            f"the same questions asked again would give the other number, with the noise at its bound"
        )
    for task in tasks:
        results = [entry.result for entry in (task.base, task.cand) if entry.result is not None]
        if task.paired and any(result.points for result in results):
            scores = " and ".join("-" if r.value is None else f"{r.value:.2f}" for r in results)
            yield (
                f"{task.task}: compared is each question's share of points, all questions weighing the same; "
                f"the scores, ratios of sums over them, are {scores}"
            )
        yield from _unmatched(task)
        yield from _marked(task)


def _marked(task: TaskDiff) -> Iterable[str]:
    """What sets results apart: other repeats, a subset, other data, environments made here."""
    base, cand = task.base.metric, task.cand.metric
    if base and cand and base != cand:
        yield f"{task.task}: base is {base}, candidate {cand}"
    for side, entry in (("base", task.base), ("candidate", task.cand)):
        if entry.result is not None:
            for mark, text in remarks(entry.result):
                yield f"{task.task}: {side}: {MARKS[mark]}; {text}"


def _unmatched(task: TaskDiff) -> Iterable[str]:
    if task.matched is None:
        return
    for side, names in (("base", task.matched.only_base), ("candidate", task.matched.only_cand)):
        if names:
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            listed = ", ".join(names[:NAMED])
            yield f"{task.task}: {len(names)} questions have a result in the {side} alone: {listed}{more}"


def flip_lines(task: TaskDiff, limit: int) -> Iterable[str]:
    """`broken aime24/ii-7  0.84 -> 0.31`, broken ones first, at most `limit`."""
    changed = flips(task)
    for flip in changed[:limit]:
        yield f"{_kind(flip):<7} {task.task}/{flip.question}  {flip.base:.2f} -> {flip.cand:.2f}"
    if len(changed) > limit:
        yield f"… and {len(changed) - limit} more of {task.task}; --flips shows more"


def diff_json(diff: Diff) -> str:
    """Everything as JSON: shares are in percent, p values as they are, every flip and unmatched question."""
    report = {
        "format": 1,
        "base": _side(diff.base),
        "candidate": _side(diff.cand),
        "rows": [_row(t, *said) for t, said in zip(diff.tasks, verdicts(diff.tasks), strict=True)],
        "suite": suite_json(diff.tasks),
        "only_base": diff.only_base,
        "only_candidate": diff.only_cand,
    }
    return msgspec.json.format(msgspec.json.encode(report), indent=2).decode() + "\n"


def _row(task: TaskDiff, p_adjusted: float | None, verdict: str) -> dict[str, Any]:
    c = task.comparison
    return {
        "task": task.task,
        "verdict": verdict,
        "paired": task.paired,
        **numbers(task),
        "p_holm": p_adjusted,
        "mixed": task.mixed,
        "flips": [
            {"question": flip.question, "kind": _kind(flip), "base": flip.base, "candidate": flip.cand}
            for flip in flips(task)
        ],
        "only_base": list(task.matched.only_base) if task.matched else [],
        "only_candidate": list(task.matched.only_cand) if task.matched else [],
        "differing": c.differing if c and task.paired else None,
    }


def numbers(task: TaskDiff) -> dict[str, Any]:
    """The comparison of one benchmark as JSON: ends, difference and interval in percent, p values, rules."""
    if (c := task.comparison) is None:
        return {"n": None, "base": task.base.value, "candidate": task.cand.value, "difference": None}
    names = ("base", "cand", "difference", "se", "low", "high")
    said = {name: _points(getattr(c, name)) for name in names}
    said["candidate"] = said.pop("cand")
    rules = {"test": c.test, "interval_method": c.interval_method}
    return {"n": c.n, **said, "p": c.p, "p_drop": c.p_drop, **rules}


def suite_json(tasks: Sequence[TaskDiff]) -> dict[str, float | None] | None:
    """The mean difference over the paired benchmarks with its interval, in percent."""
    if (mean := suite_difference(tasks)) is None:
        return None
    names = {"difference": mean.value, "se": mean.se, "low": mean.low, "high": mean.high}
    return {name: _points(share) for name, share in names.items()}


def _points(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 8)


def _side(side: Side) -> dict[str, Any]:
    return {"name": side.name, "model": side.model, "kind": side.kind}


def _kind(flip: Flip) -> str:
    return "fixed" if flip.fixed else "broken"


def head_lines(sides: Sequence[tuple[str, Side]]) -> Iterable[str]:
    """`base       runs/a (longcat-flash-lite)`."""
    for name, side in sides:
        yield f"{name:<10} {side.name} ({side.model})"
