"""Results and samples as lm-eval 0.4.13 writes them: results_<time>.json, samples_<task>_<time>.jsonl.

Sources: lm_eval.loggers.EvaluationTracker and lm_eval.result_schema. A line of samples is a question, whose
repeats are in `resps` and `filtered_resps`; its metric is their mean. lm-eval's mean and mean_stderr over the
lines are our score and our standard error over questions.
"""

import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from statistics import fmean
from typing import Any

import msgspec

from longcat_eval.records import Wire
from longcat_eval.reports.exports.conversation import Turn, conversation, opening
from longcat_eval.reports.exports.inspect_log import provenance
from longcat_eval.reports.exports.output import Encoder, replacing
from longcat_eval.reports.exports.source import TOOL, Attempt, Benchmark, Source, instant

FILTER = "none"
ABSENT = "N/A"
BESIDE = re.compile(r"(pass[@^]|maj@|g-pass@|mg-pass@)\d+.*|macro")
"""Our numbers beside the score that are told too; those of groups are not."""


def export_lm_eval(source: Source, output: Path, encode: Encoder) -> list[Path]:
    """Write into `output`/<model>, as lm-eval does below its --output_path."""
    folder = output / re.sub(r'["<>:/|\\?*\[\]]+', "__", source.model_id)
    time = source.started.partition("+")[0].replace(":", "-")
    made, hashes = [], {}
    for benchmark in source.benchmarks:
        path = folder / f"samples_{benchmark.name.replace('/', '_')}_{time}.jsonl"
        whole = sha256()
        with replacing(path) as file:
            for number, question in enumerate(benchmark.questions()):
                if (line := _sample(source, benchmark, number, question)) is not None:
                    whole.update("".join(line[f"{what}_hash"] for what in HASHED).encode())
                    file.write(encode(line) + b"\n")
        hashes[benchmark.name] = whole.hexdigest()
        made.append(path)
    path = folder / f"results_{time}.json"
    with replacing(path) as file:
        file.write(encode.pretty(_results(source, hashes)))
    return [path, *made]


HASHED = ("doc", "prompt", "target")


def _sample(source: Source, benchmark: Benchmark, number: int, question: list[Attempt]) -> Wire | None:
    """One line; None for a question without any verdict."""
    counted = [attempt for attempt in question if attempt.counts]
    if not counted:
        return None
    turns = [conversation(attempt.transcript) for attempt in counted]
    asked = encoded([_plain(turn) for turn in opening(turns[0])]) if benchmark.texts else ""
    first = counted[0].row
    doc = {"id": first.sample, "group": first.group}
    target = ""
    metric = _metric(benchmark)
    return {
        "doc_id": number,
        "doc": doc,
        "target": target,
        "arguments": {"gen_args_0": {"arg_0": asked, "arg_1": _generation(source, benchmark)}},
        "resps": [[_last(each) for each in turns]],
        "filtered_resps": [attempt.row.extracted or "" for attempt in counted],
        "filter": FILTER,
        "metrics": [metric],
        "doc_hash": _hash(encoded(doc)),
        "prompt_hash": _hash(asked),
        "target_hash": _hash(target),
        metric: fmean(attempt.row.value or 0.0 for attempt in counted),
        "repeats": [attempt.row.repeat for attempt in counted],
        "repeat_scores": [attempt.row.value for attempt in counted],
        "outcomes": [attempt.row.outcome.value for attempt in question],
    }


def encoded(record: Any) -> str:
    """A record as JSON, as a str."""
    return msgspec.json.encode(record).decode()


def _hash(text: str) -> str:
    return sha256(text.encode(errors="replace")).hexdigest()


def _plain(turn: Turn) -> Wire:
    return {"role": turn.role, "content": turn.text}


def _last(turns: list[Turn]) -> str:
    return next((turn.text for turn in reversed(turns) if turn.completion is not None), "")


def _metric(benchmark: Benchmark) -> str:
    """`acc`, `avg@8`: what stands before the comma of lm-eval's keys."""
    return benchmark.result.metric.replace(",", ";")


def _generation(source: Source, benchmark: Benchmark) -> Wire:
    agent = source.agent
    longest = (agent.max_tokens if agent else None) or benchmark.record.protocol.max_tokens
    return {"until": [], "do_sample": True, "max_gen_toks": longest, **source.sampling}


def _results(source: Source, hashes: dict[str, str]) -> Wire:
    benchmarks = source.benchmarks
    started, ended = instant(source.started), instant(source.ended)
    scored = {each.name: dict(_scores(each)) for each in benchmarks}
    return {
        "results": scored,
        "group_subtasks": {each.name: [] for each in benchmarks},
        "configs": {each.name: _config(source, each) for each in benchmarks},
        "versions": {each.name: each.record.protocol.name for each in benchmarks},
        "n-shot": {},
        "higher_is_better": {each.name: _higher(each, scored[each.name]) for each in benchmarks},
        "n-samples": {
            each.name: {"original": each.record.dataset.items, "effective": _effective(each)}
            for each in benchmarks
        },
        "config": {
            "model": TOOL,
            "model_args": {"model": source.model_id},
            "gen_kwargs": dict(source.sampling),
            "limit": None,
            "bootstrap_iters": 0,
            "random_seed": source.run.manifest.seed,
        },
        "git_hash": None,
        "date": started.timestamp(),
        "transformers_version": None,
        "lm_eval_version": None,
        "longcat_eval_version": source.version,
        "task_hashes": hashes,
        "model_source": TOOL,
        "model_name": source.model_id,
        "model_name_sanitized": re.sub(r'["<>:/|\\?*\[\]]+', "__", source.model_id),
        "system_instruction": None,
        "system_instruction_sha": None,
        "fewshot_as_multiturn": None,
        "chat_template": None,
        "chat_template_sha": None,
        "start_time": started.timestamp(),
        "end_time": ended.timestamp(),
        "total_evaluation_time_seconds": str((ended - started).total_seconds()),
    }


def _scores(benchmark: Benchmark) -> Iterator[tuple[str, Any]]:
    yield "alias", benchmark.name
    yield "name", benchmark.name
    yield "sample_len", _effective(benchmark)
    if benchmark.value is not None:
        metric = _metric(benchmark)
        yield f"{metric},{FILTER}", benchmark.value
        yield f"{metric}_stderr,{FILTER}", ABSENT if benchmark.stderr is None else benchmark.stderr
        for name, value in benchmark.result.metrics.items():
            if BESIDE.fullmatch(name) and name != metric:
                yield f"{name},{FILTER}", value / 100
                yield f"{name}_stderr,{FILTER}", ABSENT


def _higher(benchmark: Benchmark, scored: Wire) -> dict[str, bool]:
    names = (key.partition(",")[0] for key in scored if "," in key)
    return {name: not benchmark.lower_is_better for name in names if not name.endswith("_stderr")}


def _effective(benchmark: Benchmark) -> int:
    """Questions with at least one verdict."""
    return len({row.sample for row in benchmark.rows if row.value is not None and row.outcome.valid})


def _config(source: Source, benchmark: Benchmark) -> Wire:
    record = benchmark.record
    rule = "mean" if benchmark.is_mean else benchmark.result.headline
    metric = {
        "metric": _metric(benchmark),
        "aggregation": rule,
        "higher_is_better": not benchmark.lower_is_better,
    }
    return {
        "task": benchmark.name,
        "dataset_path": benchmark.hub_repo or benchmark.name,
        "output_type": "generate_until",
        "repeats": record.repeats,
        "generation_kwargs": _generation(source, benchmark),
        "metric_list": [metric],
        "metadata": {"version": record.protocol.name, TOOL: provenance(source, benchmark)},
    }
