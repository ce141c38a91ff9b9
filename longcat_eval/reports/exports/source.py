"""What every export draws on: one benchmark of a run at a time, its attempts read one by one."""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from longcat_eval import __version__
from longcat_eval.errors import UsageError
from longcat_eval.model_backend.presets import load_presets
from longcat_eval.records import AttemptRow, Transcript, Wire
from longcat_eval.reports.rows import ResultRow, result_rows
from longcat_eval.runners.manifest import RoleRecord, TaskRecord
from longcat_eval.runners.store import LostTranscriptError, RunData, read_transcript

AGENT = "agent"
TOOL = "longcat-eval"
EPOCH = "1970-01-01T00:00:00+00:00"
LOWER = re.compile(r"perplexity|bits_per_byte|loss|error|(^|_)(ter|wer)($|_)")
"""Plain numbers that are better when they are lower."""
HUB_SOURCE = re.compile(r"\bhub ([\w.-]+/[\w.-]+)")


class Attempt(NamedTuple):
    """One attempt; `transcript` is None where texts stay out, or none was kept."""

    row: AttemptRow
    transcript: Transcript | None

    @property
    def counts(self) -> bool:
        """Whether it has a verdict."""
        return self.row.value is not None and self.row.outcome.valid


class Benchmark(NamedTuple):
    """One benchmark of a run with its result; `rows` are sorted by sample and repeat."""

    name: str
    record: TaskRecord
    result: ResultRow
    rows: list[AttemptRow]
    run: Path
    texts: bool = True

    @property
    def hub_repo(self) -> str | None:
        """The dataset's repository on the Hugging Face hub, where the data came from there."""
        found = HUB_SOURCE.search(self.record.dataset.source)
        return found[1] if found else None

    @property
    def valid(self) -> list[AttemptRow]:
        """The attempts with a verdict."""
        return [row for row in self.rows if row.value is not None and row.outcome.valid]

    @property
    def answered(self) -> int:
        """Questions with at least one verdict."""
        return len({row.sample for row in self.valid})

    @property
    def is_share(self) -> bool:
        """Whether the score is a share; a perplexity is not."""
        return self.result.headline not in self.result.means

    @property
    def lower_is_better(self) -> bool:
        """Whether a lower score is the better one."""
        return not self.is_share and bool(LOWER.search(self.result.headline))

    @property
    def is_mean(self) -> bool:
        """Whether the score is the mean over questions of the values of their attempts."""
        return self.result.ci_low is not None and self.result.points is None

    @property
    def value(self) -> float | None:
        """The score, as a share where it is one."""
        value = self.result.value
        return value / 100 if value is not None and self.is_share else value

    @property
    def stderr(self) -> float | None:
        """The standard error over questions as a share; None where the score is no mean over them."""
        se = self.result.se_questions
        return se / 100 if se is not None and self.is_mean else None

    def attempts(self) -> Iterator[Attempt]:
        """Every attempt; `UsageError` where a transcript cannot be read."""
        for row in self.rows:
            yield Attempt(row, self._transcript(row))

    def questions(self) -> Iterator[list[Attempt]]:
        """The attempts of one question at a time."""
        for _, group in itertools.groupby(self.attempts(), key=lambda attempt: attempt.row.sample):
            yield list(group)

    def _transcript(self, row: AttemptRow) -> Transcript | None:
        if not self.texts or not row.file:
            return None
        try:
            return read_transcript(self.run, row)
        except LostTranscriptError as error:
            raise UsageError(f"{error}; restore the file, or leave texts out with --no-texts") from None


class Evaluator(NamedTuple):
    """Who ran the evaluation, and what they are to the model; what is not said is unknown and other."""

    organization: str | None = None
    relationship: str | None = None


class Source(NamedTuple):
    """A run to be exported: whose model, when, and its benchmarks in the manifest's order.

    `model_id` is the model's name on the Hugging Face hub where it is known, else the name it is served as.
    """

    run: RunData
    benchmarks: tuple[Benchmark, ...]
    model_id: str
    started: str
    ended: str
    evaluator: Evaluator = Evaluator()

    @property
    def model(self) -> str:
        """The model as the run names it."""
        return self.run.manifest.model

    @property
    def agent(self) -> RoleRecord | None:
        """The model under test."""
        return self.run.manifest.roles.get(AGENT)

    @property
    def sampling(self) -> Mapping[str, Any]:
        """What the model was sampled at, under the names on the wire."""
        return self.agent.sampling if self.agent is not None else {}

    @property
    def version(self) -> str:
        """The version of longcat-eval that made the run's newest part."""
        starts = self.run.manifest.invocations
        return starts[-1].version if starts else __version__

    def role_model(self, role: str) -> str:
        """The agent's `model_id`; the name another role's model is served as."""
        if role == AGENT:
            return self.model_id
        record = self.run.manifest.roles.get(role)
        return (record.served_name or record.name) if record is not None else role

    def identifier(self, *words: str) -> str:
        """A name that equal runs share: 64 hex digits over the scores and `words`."""
        scores = [(each.name, each.result.scores_sha256) for each in self.benchmarks]
        return sha256(msgspec.json.encode([self.model, self.started, scores, words])).hexdigest()


def source(
    run: RunData,
    tasks: Sequence[str] = (),
    model_id: str | None = None,
    texts: bool = True,
    evaluator: Evaluator | None = None,
) -> Source:
    """The run, or those `tasks` of it; `UsageError` for an unknown one and for a run without attempts."""
    there = run.manifest.tasks
    if unknown := [name for name in tasks if name not in there]:
        raise UsageError(f"{run.path} has no task {unknown[0]!r}: {', '.join(there) or 'none'}")
    rows: dict[str, list[AttemptRow]] = {name: [] for name in there}
    for row in run.rows:
        if row.task in rows:
            rows[row.task].append(row)
    chosen = tuple(
        Benchmark(result.task, there[result.task], result, rows[result.task], run.path, texts)
        for result in result_rows(run)
        if rows[result.task] and (not tasks or result.task in tasks)
    )
    if not chosen:
        raise UsageError(f"{run.path} holds no attempts to export")
    starts = [instant(start.started) for start in run.manifest.invocations if start.started]
    ends = [instant(row.time) for benchmark in chosen for row in benchmark.rows if row.time]
    started = min(starts or ends, default=instant(EPOCH))
    ended = max([started, *ends])
    name = model_id or hub_id(run.manifest.roles.get(AGENT)) or run.manifest.model
    return Source(run, chosen, name, started.isoformat(), ended.isoformat(), evaluator or Evaluator())


def provenance(source: Source, benchmark: Benchmark) -> Wire:
    """What formats have no field for: protocol, data, coverage, interval; nothing of the machine."""
    record, result = benchmark.record, benchmark.result
    protocol = msgspec.to_builtins(record.protocol)
    data = record.dataset
    low, high = (None if end is None else end / 100 for end in (result.ci_low, result.ci_high))
    return {
        "made_by": TOOL,
        "version": source.version,
        "task": benchmark.name,
        "metric": result.metric,
        "headline": result.headline,
        "value": benchmark.value,
        "interval": {"low": low, "high": high, "method": result.ci_method},
        "coverage": result.coverage,
        "bounds": None if result.bounds is None else [bound / 100 for bound in result.bounds],
        "outcomes": result.outcomes,
        "protocol": protocol,
        "conditions": result.conditions,
        "dataset": {
            "revision": data.revision,
            "sha256": data.sha256,
            "items": data.items,
            "drift": data.drift,
        },
        "floors": record.floors,
        "subset": record.subset,
        "seed": source.run.manifest.seed,
    }


def hub_id(agent: RoleRecord | None) -> str | None:
    """The name of a model on the hub: its preset's, else its served name where that looks like one."""
    if agent is None:
        return None
    preset = load_presets().presets.get(agent.preset or "")
    if preset is not None and preset.hub_id is not None:
        return preset.hub_id.value
    served = agent.served_name or ""
    return served if re.fullmatch(r"[\w.-]+/[\w.-]+", served) else None


def instant(text: str) -> datetime:
    """A time of a manifest or a row in UTC; one without a zone is UTC."""
    time = datetime.fromisoformat(text)
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
