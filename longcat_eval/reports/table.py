"""The comparison table without a format: the card's rows, published columns, then one column per run."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from longcat_eval.errors import UsageError
from longcat_eval.reports.foreign.lm_eval_results import FORMAT
from longcat_eval.reports.foreign.reading import read_foreign, split_compare
from longcat_eval.reports.foreign.records import ForeignLog, ForeignResult
from longcat_eval.reports.published import (
    UNREPORTED,
    PublishedRow,
    PublishedValue,
    find_models,
    load_published,
    published_value,
)
from longcat_eval.reports.rows import ResultRow, result_rows
from longcat_eval.tasks.table import LM_EVAL

if TYPE_CHECKING:
    from longcat_eval.runners.store import RunData

NOT_RUN = "not run"
NO_SCORE = "no score"
OTHER = "Other"
ELSEWHERE = "Only in other tools' results"
LM_EVAL_NAMES = ("lm-eval", "lm_eval", "lm-evaluation-harness")
"""What files call lm-eval."""
MOST_UNMATCHED = 20
"""Rows of one foreign column whose benchmark is none of ours; the note says how many there are."""

MARKS: Mapping[str, str] = {
    "*": "the card took the value from a public report",
    "†": "a subset of the questions",
    "‡": "the data differ from the known-good ones",
    "§": "another metric than the row's",
    "¶": "environments made here instead of the official ones: not comparable",
    "◊": "another tool's result, by a protocol that is not ours: a difference may be the protocol's",
}


class Remark(NamedTuple):
    """Why a value carries a mark of `MARKS`."""

    mark: str
    text: str = ""


class Cell(NamedTuple):
    """One value of the table: `text` as printed without marks, and the record it comes from."""

    text: str = UNREPORTED
    remarks: tuple[Remark, ...] = ()
    result: ResultRow | None = None
    published: PublishedValue | None = None
    foreign: ForeignResult | None = None

    @property
    def marks(self) -> str:
        """The marks printed behind the text."""
        return "".join(remark.mark for remark in self.remarks)


class Column(NamedTuple):
    """One model: `label` is unique in the table, `run` counts our runs from 1.

    It is 0 for a published column and for one of another tool, which has its log in `foreign`.
    """

    label: str
    model: str
    run: int = 0
    header: Mapping[str, str] = {}
    not_run: Mapping[str, str] = {}
    computed: Mapping[str, str] = {}
    foreign: ForeignLog | None = None


class Row(NamedTuple):
    """One benchmark over all columns."""

    task: str
    label: str
    metric: str
    cells: tuple[Cell, ...]


class Group(NamedTuple):
    """Rows under one heading."""

    name: str
    rows: tuple[Row, ...]


class Table(NamedTuple):
    """What every format prints. `header` rows are texts above the scores: a label and one text per column."""

    columns: tuple[Column, ...]
    header: tuple[tuple[str, tuple[str, ...]], ...]
    groups: tuple[Group, ...]
    mixed: tuple[str, ...] = ()

    @property
    def rows(self) -> list[Row]:
        """All rows in print order."""
        return [row for group in self.groups for row in group.rows]


Results = Sequence[Mapping[str, ResultRow]]
"""For every run its results by task."""


def build_table(
    runs: Sequence["RunData"], compare: Iterable[str] = (), *, allow_mixed: bool = False
) -> Table:
    """Lay out `runs` beside the published columns and the files of other tools named in `compare`.

    With published columns all rows of the card stand, without only those of the runs and files. Raises
    `UsageError` for an unknown column, a file that cannot be used, for nothing to show, and where runs judged
    one benchmark in different ways.
    """
    published, foreign = split_compare(compare)
    models = find_models(published)
    logs = [_bridged(log, runs) for log in read_foreign(foreign)]
    if not runs and not models and not logs:
        raise UsageError("nothing to report: name a run directory, or published columns with --compare")
    results = [{row.task: row for row in result_rows(run)} for run in runs]
    mixed = _mixed(results)
    if mixed and not allow_mixed:
        raise UsageError(f"{mixed[0]}; report the runs one by one, or pass --allow-mixed")
    columns = [
        *_published_columns(models),
        *_foreign_columns(logs),
        *_run_columns(runs, bool(models or logs)),
    ]
    header: tuple[tuple[str, tuple[str, ...]], ...] = ()
    if models:
        labels = load_published().header
        header = tuple(
            (label, tuple(c.header.get(k, UNREPORTED) for c in columns)) for k, label in labels.items()
        )
    return Table(tuple(columns), header, tuple(_groups(columns, models, results)), tuple(mixed))


def _published_columns(models: Sequence[str]) -> list[Column]:
    known = load_published().models
    return [Column(known[name].label, name, header=known[name].header) for name in models]


def _bridged(log: ForeignLog, runs: Sequence["RunData"]) -> ForeignLog:
    """lm-eval's tasks beside those that a run took from lm-eval under the same name."""
    asked = {name for run in runs for name in run.manifest.tasks if name.startswith(LM_EVAL)}
    if not asked or not (log.tool in LM_EVAL_NAMES or FORMAT in log.about):
        return log
    found = [
        result._replace(task=bridged) if (bridged := LM_EVAL + result.name) in asked else result
        for result in log.results
    ]
    return log._replace(results=tuple(found))


def _foreign_columns(logs: Sequence[ForeignLog]) -> list[Column]:
    """`model (inspect-ai)`, with the file or a number where two columns would have one name."""
    labels = [f"{log.model} ({log.tool})" for log in logs]
    columns = []
    for number, (log, label) in enumerate(zip(logs, labels, strict=True), 1):
        unique = label if labels.count(label) == 1 else f"{log.model} ({log.tool}, file {number})"
        columns.append(Column(unique, log.model, foreign=log))
    return columns


def _run_columns(runs: Sequence["RunData"], beside_published: bool) -> list[Column]:
    known = load_published().models
    names = [run.path.name for run in runs]
    columns = []
    for number, run in enumerate(runs, 1):
        model, preset = run.manifest.model, _preset(run)
        label = model
        if len(runs) > 1:
            name = run.path.name if names.count(run.path.name) == 1 else f"run {number}, {run.path}"
            label = f"{model} ({name})"
        elif beside_published:
            label = f"{model} (this run)"
        header = known[preset].header if preset in known else {}
        agent = run.manifest.roles.get("agent")
        computed = agent.computed if agent is not None else {}
        columns.append(Column(label, model, number, header, run.manifest.not_run, computed))
    return columns


def _preset(run: "RunData") -> str:
    agent = run.manifest.roles.get("agent")
    return (agent.preset if agent else None) or ""


def _groups(columns: Sequence[Column], models: Sequence[str], results: Results) -> Iterable[Group]:
    published = load_published()
    ours = {task for tasks in results for task in tasks} | {t for c in columns for t in c.not_run}
    ours |= {found.task for c in columns if c.foreign for found in c.foreign.results if found.task}
    strangers = [name for name in models if not published.models[name].card]
    listed: set[str] = set()
    for group in published.groups:
        rows = []
        for row in group.rows:
            listed.add(row.task)
            asked = any(published_value(row, name) for name in strangers)
            if row.task in ours or asked or (models and group.card):
                rows.append(_row(row, columns, results))
        if group.name == OTHER:
            rows.extend(_row(row, columns, results) for row in _unlisted(results, columns, listed))
        if rows:
            yield Group(group.name, tuple(rows))
    if rows := _unmatched(columns):
        yield Group(ELSEWHERE, tuple(rows))


def unmatched(log: ForeignLog) -> list[ForeignResult]:
    """Results whose benchmark is none of ours."""
    return [result for result in log.results if not result.task]


def _unmatched(columns: Sequence[Column]) -> list[Row]:
    """A row for every name and metric that no benchmark of ours is known to be."""
    found: dict[tuple[str, str], dict[int, ForeignResult]] = {}
    for index, column in enumerate(columns):
        for result in unmatched(column.foreign)[:MOST_UNMATCHED] if column.foreign else ():
            found.setdefault((result.name, result.metric), {})[index] = result
    rows = []
    for (name, metric), results in found.items():
        cells = [_foreign_cell(PublishedRow("", name), results.get(i)) for i in range(len(columns))]
        rows.append(Row("", f"{name} ({metric})", metric, tuple(cells)))
    return rows


def _unlisted(results: Results, columns: Sequence[Column], listed: set[str]) -> list[PublishedRow]:
    rows: dict[str, PublishedRow] = {}
    for result in (result for tasks in results for result in tasks.values()):
        label = f"{result.task} ({result.metric})" if result.metric else result.task
        rows.setdefault(result.task, PublishedRow(result.task, label, result.metric))
    for task in (result.task for c in columns if c.foreign for result in c.foreign.results if result.task):
        rows.setdefault(task, PublishedRow(task, task))
    for task in (task for column in columns for task in column.not_run):
        rows.setdefault(task, PublishedRow(task, task))
    return [row for task, row in rows.items() if task not in listed]


def _row(row: PublishedRow, columns: Sequence[Column], results: Results) -> Row:
    return Row(row.task, row.label, row.metric, tuple(_cell(row, column, results) for column in columns))


def _cell(row: PublishedRow, column: Column, results: Results) -> Cell:
    if column.run:
        return _run_cell(row, column, results[column.run - 1])
    if column.foreign is not None:
        matching = (result for result in column.foreign.results if result.task == row.task)
        return _foreign_cell(row, next(matching, None))
    return _published_cell(row, column.model)


def _foreign_cell(row: PublishedRow, result: ForeignResult | None) -> Cell:
    """Always marked: that two tools call a benchmark alike does not make them ask alike."""
    if result is None:
        return Cell()
    marks = [Remark("◊")]
    if row.items is not None and result.n is not None and result.n < row.items:
        marks.append(Remark("†", f"{result.n} of {row.items}"))
    if row.metric not in ("", result.label, result.metric):
        named = result.label if result.repeats else result.metric
        marks.append(Remark("§", f"{named} instead of {row.metric}"))
    text = NO_SCORE if result.value is None else f"{result.value:{'.2f' if result.share else '.4g'}}"
    return Cell(text, tuple(marks), foreign=result)


def _published_cell(row: PublishedRow, model: str) -> Cell:
    value = published_value(row, model)
    if value is None:
        return Cell()
    remarks = [Remark("*")] if value.mark else []
    if value.metric != row.metric:
        remarks.append(Remark("§", f"{value.metric} instead of {row.metric}"))
    return Cell(value.text, tuple(remarks), published=value)


def _run_cell(row: PublishedRow, column: Column, results: Mapping[str, ResultRow]) -> Cell:
    result = results.get(row.task)
    if result is None:
        return Cell(NOT_RUN if row.task in column.not_run else UNREPORTED)
    text = NO_SCORE if result.value is None else f"{result.value:.2f}"
    return Cell(text, tuple(remarks(result, row.metric)), result=result)


def remarks(result: ResultRow, metric: str = "") -> Iterable[Remark]:
    """The marks of one of our results beside a row of `metric`."""
    if result.subset:
        yield Remark("†", f"{result.n} of {result.items}")
    if result.drift:
        yield Remark("‡", result.drift)
    if metric and result.metric != metric:
        yield Remark("§", f"{result.metric} instead of {metric}")
    if rebased := result.metrics.get("rebased"):
        yield Remark("¶", f"{rebased:.0f} % of the attempts rebased on a release")
    if stand_in := result.metrics.get("stand_in"):
        yield Remark("¶", f"{stand_in:.0f} % of the attempts on stand-ins for the base images")


def _mixed(results: Results) -> list[str]:
    """One line per benchmark that two runs asked or judged in different ways."""
    tasks = dict.fromkeys(task for run in results for task in run)
    different = {task: differences([run[task] for run in results if task in run]) for task in tasks}
    return [f"{task}: the runs differ in {', '.join(names)}" for task, names in different.items() if names]


def differences(results: Sequence[ResultRow]) -> list[str]:
    """`prompts`, `max_steps (200, 100)`: what is not the same, conditions with their values."""
    parts = ("protocols", "prompts", "graders", "data")
    columns = zip(parts, zip(*(result.identity for result in results), strict=True), strict=True)
    said = [name for name, values in columns if len(set(values)) > 1]
    for name in dict.fromkeys(name for result in results for name in result.conditions):
        values = dict.fromkeys(result.conditions.get(name, "not set") for result in results)
        if len(values) > 1:
            comma = "; " if any("," in value for value in values) else ", "
            said.append(f"{name} ({comma.join(values)})")
    return said
