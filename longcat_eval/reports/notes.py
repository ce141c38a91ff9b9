"""What stands below a table: marks, what is missing and why, how the intervals are made, sources."""

from collections.abc import Iterable
from statistics import NormalDist

from longcat_eval.records import Outcome
from longcat_eval.reports import statistics, texts
from longcat_eval.reports.foreign.records import ForeignResult
from longcat_eval.reports.published import load_published
from longcat_eval.reports.rows import ResultRow
from longcat_eval.reports.table import MARKS, MOST_UNMATCHED, Cell, Row, Table, unmatched

METHODS = {
    statistics.WILSON: "Wilson over questions",
    statistics.CLUSTERED_T: "Student t over question means",
    statistics.CLUSTERED_WILSON: "Wilson with the effective number of questions, near 0 and 100",
    statistics.RATIO_T: "Student t over questions for a ratio of two sums over them",
}

FLOORS = {"null": "doing nothing", "chance": "guessing", "transfer": "always transferring to a human"}
"""What the floors of the tasks are called in print; one of zero is not printed."""

SHOWN_OTHERS = 4
"""Further numbers of another tool's result that are told."""

Said = tuple[str, str, str]
"""Whose (empty where there is but one run), which benchmark, what."""


def notes(table: Table) -> list[str]:
    """The notes that apply to this table, one sentence or list each, in print order."""
    mixed = [f"mixed: {line}." for line in table.mixed]
    ours = [
        *_reading(table),
        *_again(table),
        *_conditions(table),
        *_beside(table),
        *_nulls(table),
        *_floors(table),
        *_under_floors(table),
    ]
    ours += [*_computed(table), *_remarks(table)]
    return [*_marks(table), *_missing(table), *mixed, *ours, *_sources(table), *_foreign(table)]


def _cells(table: Table) -> Iterable[tuple[str, Row, Cell]]:
    """Every cell with its row and with whose it is."""
    single = sum(1 for column in table.columns if column.run) == 1
    for row in table.rows:
        for column, cell in zip(table.columns, row.cells, strict=True):
            yield ("" if column.run and single else column.label), row, cell


def _results(table: Table) -> Iterable[tuple[str, str, ResultRow]]:
    for whose, row, cell in _cells(table):
        if cell.result is not None:
            yield whose, short_label(row.label), cell.result


def short_label(label: str) -> str:
    """A row's label without its metric."""
    return label.partition(" (")[0]


def _together(said: Iterable[Said]) -> list[str]:
    """`MMLU, CEval: 20 of 500`: benchmarks of which the same is said stand together."""
    together: dict[tuple[str, str], list[str]] = {}
    for whose, label, what in said:
        together.setdefault((whose, what), []).append(label)
    return [
        f"{whose}{' ' if whose else ''}{', '.join(labels)}: {what}"
        for (whose, what), labels in together.items()
    ]


def _listed(said: Iterable[Said]) -> str:
    return "; ".join(_together(said))


def _said_once(said: Iterable[Said]) -> list[Said]:
    """Without whose it is where the same is said of all results of a benchmark."""
    every = list(said)
    texts: dict[str, set[str]] = {}
    for _, label, what in every:
        texts.setdefault(label, set()).add(what)
    once = ((whose if len(texts[label]) > 1 else "", label, what) for whose, label, what in every)
    return list(dict.fromkeys(once))


def _marks(table: Table) -> Iterable[str]:
    said: dict[str, list[Said]] = {}
    for whose, row, cell in _cells(table):
        for mark, text in cell.remarks:
            said.setdefault(mark, []).extend([(whose, short_label(row.label), text)] if text else [])
    for mark, meaning in MARKS.items():
        if mark in said:
            yield f"{mark} {meaning}{'; ' if said[mark] else ''}{_listed(said[mark])}."


def _missing(table: Table) -> Iterable[str]:
    lost = [(whose, label, _lost(r)) for whose, label, r in _results(table) if not r.complete]
    if lost:
        ranged = any(r.bounds for _, _, r in _results(table))
        told = " The range is the score with all of them wrong and all right." if ranged else ""
        yield (
            f"incomplete: some attempts have no verdict; {_listed(lost)}.{told} Run the same command again "
            f"to retry them."
        )
    remedies: dict[str, dict[str, None]] = {}
    for row in table.rows:
        for column in table.columns:
            if row.task in column.not_run:
                remedies.setdefault(column.not_run[row.task], {})[short_label(row.label)] = None
    for remedy, labels in remedies.items():
        yield f"not run: {', '.join(labels)}: {remedy}"


def _lost(result: ResultRow) -> str:
    invalid = {name: count for name, count in result.outcomes.items() if not Outcome(name).valid}
    parts = [f"{count} {name}" for name, count in invalid.items()]
    absent = result.attempts - result.valid - sum(invalid.values())
    return ", ".join([*parts, f"{absent} not made"] if absent > 0 else parts)


def _reading(table: Table) -> Iterable[str]:
    used: dict[str, dict[str, None]] = {}
    for _, label, result in _results(table):
        used.setdefault(result.ci_method, {})[label] = None
    if rules := [f"{name} ({', '.join(used[method])})" for method, name in METHODS.items() if method in used]:
        yield (
            f"Ours: score (correct/valid attempts) [95 % interval for new questions of the same kind: "
            f"{'; '.join(rules)}]. Coverage is 100 % where no cell says incomplete."
        )


def _again(table: Table) -> Iterable[str]:
    """The other uncertainty: how far the score moves when the same questions are asked once more."""
    z = NormalDist().inv_cdf((1 + statistics.CONFIDENCE) / 2)
    said = [
        (whose, label, f"{z * r.se_rerun:.1f}")
        for whose, label, r in _results(table)
        if r.se_rerun and r.ci_method not in ("", statistics.RATIO_T)
    ]
    if said:
        yield f"± for the same questions asked again (95 %); {_listed(said)}."


def _conditions(table: Table) -> Iterable[str]:
    """Per set of benchmarks the protocol, the other models at their sampling, limits and the tool parser."""
    said = [
        (whose, label, ", ".join([f"protocol {r.protocol}", *map(" ".join, r.conditions.items())]))
        for whose, label, r in _results(table)
        if r.conditions
    ]
    for line in _together(_said_once(said)):
        yield f"{line}."


def _beside(table: Table) -> Iterable[str]:
    """The other numbers of our results: macro average, groups, majority vote, means, pass@k and pass^k."""
    said = [(whose, label, ", ".join(texts.others(result))) for whose, label, result in _results(table)]
    if said := [each for each in said if each[2]]:
        yield f"Beside the score; {_listed(said)}."


def _nulls(table: Table) -> Iterable[str]:
    said = [
        (whose, label, f"{result.nulls:,.0f}") for whose, label, result in _results(table) if result.nulls
    ]
    if said:
        yield f"Replies of judges that could not be read, and were asked for again; {_listed(said)}."


def _floors(table: Table) -> Iterable[str]:
    said = []
    for whose, label, result in _results(table):
        known = [
            f"{FLOORS.get(name, name)} {value:.2f}" for name, value in result.floors.items() if value > 0
        ]
        if known:
            said.append((whose, label, ", ".join(known)))
    if said:
        yield f"Floors, scored without any skill; {_listed(_said_once(said))}."


def _under_floors(table: Table) -> Iterable[str]:
    """Values no better than a floor: ours by their own, published ones by that of all questions."""
    said: dict[str, list[str]] = {column.label: [] for column in table.columns}
    for row in table.rows:
        results = [cell.result for cell in row.cells if cell.result is not None]
        whole = next((r.floors for r in results if not r.subset and not r.drift), {})
        for column, cell in zip(table.columns, row.cells, strict=True):
            floors = whole if cell.result is None else cell.result.floors
            name = max(floors, key=floors.__getitem__, default="")
            value = _value(cell)
            if name and value is not None and round(value, 2) <= round(floors[name], 2) > 0:
                text = f"{short_label(row.label)} {cell.text} <= {FLOORS.get(name, name)} {floors[name]:.2f}"
                said[column.label].append(text)
    if lists := [f"{label} ({', '.join(found)})" for label, found in said.items() if found]:
        yield f"at or below a floor: {'; '.join(lists)}."


def _computed(table: Table) -> Iterable[str]:
    """From which weights, and how, a model was computed on the machine of its run."""
    for column in table.columns:
        if column.computed:
            how = ", ".join(f"{name} {value}" for name, value in column.computed.items())
            yield f"{column.label} was computed by longcat-eval's own implementation: {how}."


def _remarks(table: Table) -> Iterable[str]:
    """What the data of a benchmark are like on the machine that it was run on."""
    said = [(whose, label, result.remark) for whose, label, result in _results(table) if result.remark]
    if said:
        yield f"{_listed(_said_once(said))}."


def _value(cell: Cell) -> float | None:
    if cell.result is not None:
        return cell.result.value
    return float(cell.published.text) if cell.published is not None and cell.published.reported else None


def _sources(table: Table) -> Iterable[str]:
    used = {cell.published.source for _, _, cell in _cells(table) if cell.published}
    sources = [source for source in load_published().sources.values() if source in used]
    if sources:
        unknown = ", ".join(dict.fromkeys(word for source in sources for word in source.unknown))
        yield f"Published values as printed in: {'; '.join(map(str, sources))}."
        yield f"Unknown for the published values, because the sources do not say: {unknown}."


def _foreign(table: Table) -> Iterable[str]:
    """For every column of another tool: its origin, how each number came about, and what is not said."""
    for index, column in enumerate(table.columns):
        if (log := column.foreign) is None:
            continue
        cells = [(row, row.cells[index].foreign) for row in table.rows]
        said = [f"{short_label(row.label)}: {_made(found)}" for row, found in cells if found is not None]
        about = "".join(f"; {what}" for what in log.about)
        yield f"{column.label} is by {log.origin}{about}. {'; '.join(said)}."
        unknown: dict[str, list[str]] = {}
        for row, found in cells:
            for what in found.unknown if found is not None else ():
                unknown.setdefault(what, []).append(short_label(row.label))
        every = sum(found is not None for _, found in cells)
        gaps = [w if len(of) == every else f"{w} ({', '.join(of)})" for w, of in unknown.items()]
        if gaps:
            yield f"Unknown for {column.label}, because the file does not say: {', '.join(gaps)}."
        if (more := len(unmatched(log)) - MOST_UNMATCHED) > 0:
            yield f"{column.label} has {more} further results of benchmarks that are none of ours."


def _made(found: ForeignResult) -> str:
    """`mmlu_0_shot accuracy, 100 questions x 1, SE 4.90, data cais/mmlu, temperature 0, beside it …`."""
    parts = [f"{found.name} {found.metric}"]
    if found.n is not None:
        parts.append(f"{found.n:,} questions" + (f" x {found.repeats}" if found.repeats is not None else ""))
    if found.lost:
        parts.append(f"{found.lost} without a verdict")
    if found.stderr is not None:
        parts.append(f"SE {found.stderr:.2f}" if found.share else f"SE {found.stderr:.4g}")
    parts += [f"{name} {value}" for name, value in found.told.items()]
    if found.others:
        shown = found.others[:SHOWN_OTHERS]
        more = f" and {len(found.others) - len(shown)} more" if len(found.others) > len(shown) else ""
        parts.append(f"beside it {', '.join(shown)}{more}")
    return ", ".join(parts)
