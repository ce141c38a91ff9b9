"""Inspect AI logs (log schema version 2), one per benchmark, as a zip (.eval) or as JSON.

Sources: inspect_ai.log (EvalLog and its parts) and its recorders, 0.3.285; docs/interop.md has what is lost.
"""

import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from longcat_eval.errors import UsageError
from longcat_eval.records import Wire
from longcat_eval.reports.exports.inspect_samples import (
    SCORER,
    add_usage,
    inspect_model,
    inspect_sample,
    summary,
)
from longcat_eval.reports.exports.output import Encoder, file_name, replacing
from longcat_eval.reports.exports.source import AGENT, TOOL, Benchmark, Source, provenance
from longcat_eval.reports.rows import by_question
from longcat_eval.reports.statistics import mean

VERSION = 2
ZIP, JSON = ".eval", ".json"
REDUCER = "mean"
GENERATE = {
    "temperature",
    "top_p",
    "top_k",
    "seed",
    "max_tokens",
    "frequency_penalty",
    "presence_penalty",
    "stop_seqs",
}
"""What of a request Inspect's GenerateConfig has a place for; the rest goes to `extra_body`."""
ID_LENGTH = 22
"""Characters of an identifier, as many as Inspect's have."""


def export_inspect(source: Source, output: Path, encode: Encoder) -> list[Path]:
    """Write a log per benchmark into the folder `output`, or the only one to `output` where that is a file.

    It is one where its name ends like a log's; `UsageError` for several benchmarks then.
    """
    return _export(source, output, encode, ZIP)


def export_inspect_json(source: Source, output: Path, encode: Encoder) -> list[Path]:
    """The same as JSON."""
    return _export(source, output, encode, JSON)


def _export(source: Source, output: Path, encode: Encoder, suffix: str) -> list[Path]:
    made = []
    if output.suffix == suffix and len(source.benchmarks) > 1:
        names = ", ".join(each.name for each in source.benchmarks)
        raise UsageError(f"{output} is one file and a log holds one benchmark; choose with --task: {names}")
    for benchmark in source.benchmarks:
        path = output
        if output.suffix != suffix:
            path = output / f"{log_name(source, benchmark)}{suffix}"
        with replacing(path) as file:
            if suffix == ZIP:
                _write_zip(file, source, benchmark, encode)
            else:
                _write_json(file, source, benchmark, encode)
        made.append(path)
    return made


def log_name(source: Source, benchmark: Benchmark) -> str:
    """`2026-01-01T00-00-00+00-00_mmlu_<id>`, as Inspect names its logs."""
    started = source.started.replace(":", "-")
    task = file_name(benchmark.name).replace("_", "-")
    return f"{started}_{task}_{_id(source, 'task', benchmark)}"


def _id(source: Source, kind: str, benchmark: Benchmark | None = None) -> str:
    return source.identifier(kind, benchmark.name if benchmark is not None else "")[:ID_LENGTH]


class _Tally:
    """What the header tells of all samples, counted while they are written."""

    def __init__(self) -> None:
        self.usage: dict[str, Wire] = {}
        self.samples = self.completed = 0

    def add(self, sample: Wire) -> None:
        self.samples += 1
        self.completed += "error" not in sample
        for model, tokens in sample["model_usage"].items():
            add_usage(self.usage, model, tokens)


def _write_zip(file: Any, source: Source, benchmark: Benchmark, encode: Encoder) -> None:
    tally, summaries = _Tally(), list[bytes]()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:

        def put(name: str, content: bytes) -> None:
            entry = zipfile.ZipInfo(name)  # without a time, so that equal runs give equal bytes
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)

        start = {"version": VERSION, "eval": _spec(source, benchmark), "plan": _plan(source, benchmark)}
        put("_journal/start.json", encode(start))
        for attempt in benchmark.attempts():
            sample = inspect_sample(source, attempt)
            tally.add(sample)
            put(f"samples/{sample['id']}_epoch_{sample['epoch']}.json", encode(sample))
            summaries.append(encode(summary(sample)))
        put("_journal/summaries/1.json", b"[" + b",".join(summaries) + b"]")
        put("summaries.json", b"[" + b",".join(summaries) + b"]")
        if benchmark.record.repeats > 1:
            put("reductions.json", encode(_reductions(benchmark)))
        put("header.json", encode({**start, **_outcome(source, benchmark, tally)}))


def _write_json(file: Any, source: Source, benchmark: Benchmark, encode: Encoder) -> None:
    """Header first, as its readers ask; the samples wait in a temporary file, because it counts them."""
    tally = _Tally()
    start = {"version": VERSION, "eval": _spec(source, benchmark), "plan": _plan(source, benchmark)}
    with tempfile.TemporaryFile() as samples:
        for number, attempt in enumerate(benchmark.attempts()):
            sample = inspect_sample(source, attempt)
            tally.add(sample)
            samples.write((b",\n" if number else b"\n") + encode(sample))
        samples.seek(0)
        head = {**start, **_outcome(source, benchmark, tally)}
        file.write(encode(head)[:-1] + b',"samples":[')
        shutil.copyfileobj(samples, file, 1 << 20)
    reductions = b',"reductions":' + encode(_reductions(benchmark)) if benchmark.record.repeats > 1 else b""
    file.write(b"]" + reductions + b"}\n")


def _spec(source: Source, benchmark: Benchmark) -> Wire:
    record, result = benchmark.record, benchmark.result
    others = [role for role in record.protocol.roles if role != AGENT]
    ids = list(dict.fromkeys(row.sample for row in benchmark.rows))
    return {
        "eval_id": _id(source, "eval", benchmark),
        "run_id": _id(source, "run"),
        "created": source.started,
        "task": benchmark.name,
        "task_id": _id(source, "task", benchmark),
        "task_version": record.protocol.name,
        "dataset": {
            "name": benchmark.name,
            "location": benchmark.hub_repo,
            "samples": record.selected,
            "sample_ids": ids,
            "shuffled": False,
        },
        "model": inspect_model(source),
        "model_generate_config": generate_config(source, benchmark),
        "model_roles": {role: {"model": inspect_model(source, role)} for role in others} or None,
        "config": {
            "epochs": record.repeats,
            "epochs_reducer": [REDUCER],
            "fail_on_error": False,
            **({"limit": record.selected} if record.subset else {}),
        },
        "packages": {TOOL: source.version},
        "metadata": provenance(source, benchmark),
        "scorers": [{"name": SCORER, "metrics": [{"name": name} for name in _metric_names(benchmark)]}],
        "tags": [TOOL, result.metric],
    }


def generate_config(source: Source, benchmark: Benchmark) -> Wire:
    """The model's sampling under Inspect's names."""
    agent = source.agent
    asked: Wire = {**source.sampling}
    asked["max_tokens"] = (agent.max_tokens if agent else None) or benchmark.record.protocol.max_tokens
    if "stop" in asked:
        asked["stop_seqs"] = asked.pop("stop")
    known = {name: value for name, value in asked.items() if name in GENERATE}
    others = {name: value for name, value in asked.items() if name not in GENERATE}
    return {**known, **({"extra_body": others} if others else {})}


def _plan(source: Source, benchmark: Benchmark) -> Wire:
    step = {"solver": benchmark.record.protocol.name, "params": {}}
    return {"name": "plan", "steps": [step], "config": generate_config(source, benchmark)}


def _metric_names(benchmark: Benchmark) -> list[str]:
    """Inspect's own metrics, which come to the same from the samples; else ours by its name."""
    if not benchmark.is_mean:
        return [benchmark.result.headline or "score"]
    kind = "accuracy" if _right_or_wrong(benchmark) else "mean"
    return [kind, *(["stderr"] if benchmark.stderr is not None else [])]


def _right_or_wrong(benchmark: Benchmark) -> bool:
    return all(row.value in (None, 0.0, 1.0) for row in benchmark.rows)


def _outcome(source: Source, benchmark: Benchmark, tally: _Tally) -> Wire:
    """Status, results and stats: the parts known at the end."""
    value, se = benchmark.value, benchmark.stderr
    metrics: dict[str, Wire] = {}
    if value is not None:
        name, *more = _metric_names(benchmark)
        metrics[name] = {"name": name, "value": value}
        if more and se is not None:
            metrics["stderr"] = {"name": "stderr", "value": se}
    told = {
        "name": SCORER,
        "scorer": SCORER,
        "reducer": REDUCER,
        "scored_samples": benchmark.answered,
        "unscored_samples": benchmark.record.selected - benchmark.answered,
        "metrics": metrics,
    }
    return {
        "status": "success" if tally.samples >= benchmark.result.attempts else "cancelled",
        "results": {
            "total_samples": benchmark.result.attempts,
            "completed_samples": tally.completed,
            "scores": [told] if metrics else [],
        },
        "stats": {
            "started_at": source.started,
            "completed_at": source.ended,
            "model_usage": tally.usage,
        },
    }


def _reductions(benchmark: Benchmark) -> list[Wire]:
    """The mean over the epochs of every sample."""
    valid = benchmark.valid
    names = dict.fromkeys(row.sample for row in valid)
    means = map(mean, by_question(valid))
    samples = [{"sample_id": name, "value": m} for name, m in zip(names, means, strict=True)]
    return [{"scorer": SCORER, "reducer": REDUCER, "samples": samples}]
