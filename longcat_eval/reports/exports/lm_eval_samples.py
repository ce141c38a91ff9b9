"""The lines of lm-eval's samples_<task>_<time>.jsonl: one per question and filter."""

import re
from collections.abc import Iterator, Sequence
from hashlib import sha256
from statistics import fmean
from typing import Any, NamedTuple

import msgspec

from longcat_eval.records import AttemptRow, Wire
from longcat_eval.reports import statistics
from longcat_eval.reports.exports.conversation import Turn, conversation, opening
from longcat_eval.reports.exports.source import Attempt, Benchmark, Source

FILTER = "none"


class Key(NamedTuple):
    """A metric and the filter whose reading of the replies it is about."""

    metric: str
    filter: str = FILTER

    def __str__(self) -> str:
        return f"{self.metric},{self.filter}"

    @property
    def stderr(self) -> str:
        """The key of its standard error."""
        return f"{self.metric}_stderr,{self.filter}"


def keys(benchmark: Benchmark) -> list[Key]:
    """The headline's key first; a task of lm-eval's own has all of its metrics, ours the one."""
    headline = benchmark.result.headline
    if "," not in headline:
        return [Key(benchmark.result.metric.replace(",", ";"))]
    names = [headline, *(name for name in benchmark.result.metrics if "," in name)]
    return [Key(*name.split(",", 1)) for name in dict.fromkeys(names)]


def value_of(row: AttemptRow, benchmark: Benchmark, key: Key) -> float:
    """What an attempt counts in a metric; without the metric it counts 0, as in lm-eval."""
    if "," not in benchmark.result.headline:
        return row.value or 0.0
    return row.metrics.get(str(key), 0.0)


def stderr(benchmark: Benchmark, key: Key) -> float | None:
    """The standard error over questions of a metric that is a mean; None for one question, and for others."""
    if str(key) not in benchmark.result.metrics:
        return None
    questions: dict[str, list[float]] = {}
    for row in benchmark.valid:
        questions.setdefault(row.sample, []).append(value_of(row, benchmark, key))
    return statistics.clustered_se(statistics.question_means(list(questions.values())))


def lines(source: Source, benchmark: Benchmark, number: int, question: Sequence[Attempt]) -> Iterator[Wire]:
    """The lines of one question; none for a question without any verdict."""
    counted = [attempt for attempt in question if attempt.counts]
    if not counted:
        return
    turns = [conversation(attempt.transcript) for attempt in counted]
    asked = _json([_plain(turn) for turn in opening(turns[0])]) if benchmark.texts else ""
    row = counted[0].row
    doc = {"id": row.sample, "group": row.group}
    known = keys(benchmark)
    for filter in dict.fromkeys(key.filter for key in known):
        mine = [key for key in known if key.filter == filter]
        shown = filter == known[0].filter
        means = {
            key.metric: fmean(value_of(attempt.row, benchmark, key) for attempt in counted) for key in mine
        }
        yield {
            "doc_id": number,
            "doc": doc,
            "target": "",
            "arguments": {"gen_args_0": {"arg_0": asked, "arg_1": generation(source, benchmark)}},
            "resps": [[_last(each) for each in turns]],
            "filtered_resps": [attempt.row.extracted or "" for attempt in counted] if shown else [],
            "filter": filter,
            "metrics": list(means),
            "doc_hash": hash_of(_json(doc)),
            "prompt_hash": hash_of(asked),
            "target_hash": hash_of(""),
            **means,
            "repeats": [attempt.row.repeat for attempt in counted],
            "repeat_scores": [value_of(attempt.row, benchmark, mine[0]) for attempt in counted],
            "outcomes": [attempt.row.outcome.value for attempt in question],
        }


def generation(source: Source, benchmark: Benchmark) -> Wire:
    """What was asked at, under the names of lm-eval's generation_kwargs."""
    agent = source.agent
    longest = (agent.max_tokens if agent else None) or benchmark.record.protocol.max_tokens
    return {"until": [], "do_sample": True, "max_gen_toks": longest, **source.sampling}


def hash_of(text: str) -> str:
    """lm-eval's hash of a text."""
    return sha256(text.encode(errors="replace")).hexdigest()


def model_folder(name: str) -> str:
    """A model's name as lm-eval makes a folder of it."""
    return re.sub(r'["<>:/|\\?*\[\]]+', "__", name)


def _json(record: Any) -> str:
    return msgspec.json.encode(record).decode()


def _plain(turn: Turn) -> Wire:
    return {"role": turn.role, "content": turn.text}


def _last(turns: list[Turn]) -> str:
    return next((turn.text for turn in reversed(turns) if turn.completion is not None), "")
