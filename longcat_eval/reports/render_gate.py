"""A gate's verdicts: a terminal's table, one line of JSON, JUnit XML, and GitHub Markdown."""

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from longcat_eval.errors import ExitCode
from longcat_eval.reports.gate import Gate, Judged, Verdict
from longcat_eval.reports.policy import Tier
from longcat_eval.reports.render_diff import diff_rules, ends, interval_text, numbers, p_text, suite_json

if TYPE_CHECKING:
    from rich.table import Table as RichTable

FORMAT = 1
COLUMNS = (
    ("benchmark", False),
    ("tier", False),
    ("base", True),
    ("cand", True),
    ("diff", True),
    ("95 % interval", True),
    ("margin", True),
    ("p drop", True),
    ("sees", True),
    ("verdict", False),
)
STYLES = {Verdict.REGRESSED: "bold red", Verdict.BROKEN: "yellow", Verdict.PASS: "green"}
WORDS = {
    ExitCode.OK: "passed",
    ExitCode.GATE_FAILED: "failed",
    ExitCode.INCOMPLETE: "broken",
    ExitCode.INCONCLUSIVE: "inconclusive",
}


def headline(gate: Gate, strict: bool) -> str:
    """`gate failed (exit 1): 1 regressed, 2 inconclusive, 12 pass`."""
    code = gate.exit_code(strict)
    counts = [(verdict, sum(j.verdict is verdict for j in gate.judged)) for verdict in Verdict]
    said = ", ".join(f"{count} {verdict}" for verdict, count in counts if count) or "nothing judged"
    return f"gate {WORDS[code]} (exit {int(code)}): {said}"


def cells(judged: Judged) -> list[str]:
    """The texts of one row, in the order of `COLUMNS`."""
    c = judged.diff.comparison if judged.diff else None
    paired = judged.diff is None or judged.diff.paired
    return [
        judged.task + ("" if paired else " (unpaired)"),
        judged.rule.tier,
        *(ends(judged.diff) if judged.diff else ("-", "-", "-")),
        interval_text(c.low, c.high) if c else "-",
        f"{judged.rule.margin:g}",
        p_text(judged.p_adjusted),
        sees(judged),
        judged.verdict + (" (look at)" if judged.look_at else ""),
    ]


def sees(judged: Judged) -> str:
    """The smallest drop that would have been called regressed, in points: `3.9`, or `none`."""
    if judged.verdict is Verdict.BROKEN:
        return "-"
    return "none" if judged.detectable is None else f"{100 * judged.detectable:.1f}"


def gate_table(gate: Gate) -> "RichTable":
    """One row per benchmark."""
    from rich.table import Table as RichTable
    from rich.text import Text

    table = RichTable(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name, right in COLUMNS:
        wraps = name == "benchmark"
        table.add_column(
            name,
            justify="right" if right else "left",
            no_wrap=not wraps,
            overflow="fold",
            min_width=9 if wraps else None,
        )
    for judged in gate.judged:
        style = STYLES.get(judged.verdict, "")
        table.add_row(*(Text(cell, style=style if i == 9 else "") for i, cell in enumerate(cells(judged))))
    return table


def gate_notes(gate: Gate) -> Iterable[str]:
    """Why each verdict that is no pass, how the numbers are to be read, and what was not judged."""
    for judged in gate.judged:
        if judged.verdict is not Verdict.PASS:
            yield f"{judged.task}: {judged.verdict}: {judged.why}"
    policy = gate.policy
    yield (
        f"policy {policy.name}: regressed = a drop beyond the margin, significant one-sided at "
        f"{policy.alpha:g} (Holm over the {gate.blocking} that block, Benjamini-Hochberg over all "
        f"{gate.compared} for those that warn); pass = a drop of the margin is ruled out"
    )
    yield (
        f"sees: the smallest drop, in points, that would have been called regressed with a chance of "
        f"{policy.power:.0%}, estimated from these runs"
    )
    yield from diff_rules([judged.diff for judged in gate.judged if judged.diff])
    yield from gate.skipped


def gate_json(gate: Gate, strict: bool) -> str:
    """Everything on one line; scores, differences, margins and detectable drops in percent."""
    code = gate.exit_code(strict)
    policy = gate.policy
    report = {
        "format": FORMAT,
        "gate": WORDS[code],
        "exit": int(code),
        "base": gate.base.name,
        "candidate": gate.cand.name,
        "model": gate.cand.model,
        "policy": policy.name,
        "alpha": policy.alpha,
        "power": policy.power,
        "coverage": policy.coverage,
        "blocking": gate.blocking,
        "suite": suite_json([judged.diff for judged in gate.judged if judged.diff]),
        "rows": [_row(judged) for judged in gate.judged],
        "skipped": list(gate.skipped),
    }
    return msgspec.json.encode(report).decode() + "\n"


def _row(judged: Judged) -> dict[str, Any]:
    return {
        "task": judged.task,
        "tier": judged.rule.tier,
        "verdict": judged.verdict,
        "why": judged.why,
        "margin": judged.rule.margin,
        "paired": judged.diff.paired if judged.diff else None,
        **(numbers(judged.diff) if judged.diff else {}),
        "p_adjusted": judged.p_adjusted,
        "p_bh": judged.p_bh,
        "p_margin": judged.p_margin,
        "detectable": None if judged.detectable is None else round(100 * judged.detectable, 6),
        "variance": judged.spread._asdict() if judged.spread else None,
        "look_at": judged.look_at,
    }


def gate_junit(gate: Gate, strict: bool) -> str:
    """One test case per benchmark: a regression that blocks fails, a broken result is an error, what is
    inconclusive is skipped, with `strict` a failure.
    """
    from xml.etree import ElementTree as Xml

    suite = Xml.Element("testsuite", name="longcat-eval gate", tests=str(len(gate.judged)))
    counts = {"failure": 0, "error": 0, "skipped": 0}
    for judged in gate.judged:
        case = Xml.SubElement(
            suite, "testcase", classname=f"gate.{judged.rule.tier}", name=_xml(judged.task), time="0"
        )
        properties = Xml.SubElement(case, "properties")
        for (name, _), text in zip(COLUMNS[2:], cells(judged)[2:], strict=True):
            Xml.SubElement(properties, "property", name=name, value=_xml(text))
        kind = _junit_kind(judged, strict)
        if kind:
            counts[kind] += 1
            Xml.SubElement(case, kind, message=_xml(f"{judged.verdict}: {judged.why}"))
        Xml.SubElement(case, "system-out").text = _xml(line(judged))
    suite.attrib |= {
        "failures": str(counts["failure"]),
        "errors": str(counts["error"]),
        "skipped": str(counts["skipped"]),
    }
    root = Xml.Element("testsuites")
    root.append(suite)
    Xml.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + Xml.tostring(root, encoding="unicode") + "\n"


def _junit_kind(judged: Judged, strict: bool) -> str:
    if judged.verdict is Verdict.BROKEN:
        return "error"
    blocks = judged.rule.tier is Tier.BLOCK
    if judged.verdict is Verdict.REGRESSED and blocks:
        return "failure"
    if judged.verdict is Verdict.INCONCLUSIVE:
        return "failure" if strict and blocks else "skipped"
    return ""


def line(judged: Judged) -> str:
    """`aime24: regressed (block): 72.19 -> 66.00, -6.19 [-9.3, -3.1], margin 4, sees drops from 5.1`."""
    said = dict(zip((name for name, _ in COLUMNS), cells(judged), strict=True))
    numbers = f"{said['base']} -> {said['cand']}, {said['diff']} {said['95 % interval']}"
    head = f"{judged.task}: {judged.verdict} ({judged.rule.tier})"
    return f"{head}: {numbers}, margin {said['margin']}, sees drops from {said['sees']}; {judged.why}"


def _xml(text: str) -> str:
    """Without the characters that XML 1.0 cannot hold."""
    return re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)


def gate_github(gate: Gate, strict: bool) -> str:
    """Markdown for the summary of a step."""
    mark = "✅" if gate.exit_code(strict) is ExitCode.OK else "❌"
    rows = [[name for name, _ in COLUMNS], ["---:" if right else "---" for _, right in COLUMNS]]
    rows += [cells(judged) for judged in gate.judged]
    lines = [
        f"### {mark} {_markdown(headline(gate, strict))}",
        "",
        f"{_markdown(gate.cand.name)} ({_markdown(gate.cand.model)}) against "
        f"{_markdown(gate.base.name)} ({_markdown(gate.base.model)})",
        "",
        *(_table_line(row) for row in rows),
        "",
        *(f"- {_markdown(note)}" for note in gate_notes(gate)),
    ]
    return "\n".join(lines) + "\n"


def annotations(gate: Gate, strict: bool) -> Iterable[str]:
    """GitHub's workflow commands: an error for what fails the gate, a warning for the rest but passes."""
    for judged in gate.judged:
        if judged.verdict is not Verdict.PASS:
            level = "error" if _junit_kind(judged, strict) in ("failure", "error") else "warning"
            text = line(judged).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
            yield f"::{level} title=longcat-eval gate::{text}"


def _table_line(texts: Sequence[str]) -> str:
    return f"| {' | '.join(_markdown(text) for text in texts)} |"


def _markdown(text: str) -> str:
    """Text that is no markup: names of models and questions are anybody's."""
    return re.sub(r"([\\|<>`*_\[\]&])", r"\\\1", " ".join(text.split()))
