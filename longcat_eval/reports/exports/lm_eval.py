"""Results and samples as lm-eval 0.4.13 writes them: results_<time>.json, samples_<task>_<time>.jsonl.

Sources: lm_eval.loggers.EvaluationTracker and lm_eval.result_schema. A line of samples is a question, whose
repeats are in `resps` and `filtered_resps`; its metric is their mean. lm-eval's mean and mean_stderr over the
lines are our score and our standard error over questions. A bridged task (lm-eval:NAME) has lm-eval's name,
and the metrics of all its filters.
"""

import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from longcat_eval.records import Wire
from longcat_eval.reports.exports.lm_eval_samples import (
    Key,
    generation,
    keys,
    lines,
    model_folder,
    stderr,
)
from longcat_eval.reports.exports.output import Encoder, replacing
from longcat_eval.reports.exports.source import TOOL, Benchmark, Source, instant, provenance
from longcat_eval.tasks.table import LM_EVAL

ABSENT = "N/A"
BESIDE = re.compile(r"(pass[@^]|maj@|g-pass@|mg-pass@)\d+.*|macro")
"""Our numbers beside the score that are told too; those of groups are not."""
HASHED = ("doc_hash", "prompt_hash", "target_hash")


def export_lm_eval(source: Source, output: Path, encode: Encoder) -> list[Path]:
    """Write into `output`/<model>, as lm-eval does below its --output_path."""
    folder = output / model_folder(source.model_id)
    time = source.started.partition("+")[0].replace(":", "-")
    named = names(source)
    made, hashes = [], {}
    for benchmark in source.benchmarks:
        name = named[benchmark.name]
        path = folder / f"samples_{re.sub(r'[:/]', '_', name)}_{time}.jsonl"
        whole = sha256()
        with replacing(path) as file:
            for number, question in enumerate(benchmark.questions()):
                for line in lines(source, benchmark, number, question):
                    whole.update("".join(line[what] for what in HASHED).encode())
                    file.write(encode(line) + b"\n")
        hashes[name] = whole.hexdigest()
        made.append(path)
    path = folder / f"results_{time}.json"
    with replacing(path) as file:
        file.write(encode.pretty(_results(source, named, hashes)))
    return [path, *made]


def names(source: Source) -> dict[str, str]:
    """What each benchmark is called: a bridged task by lm-eval's name, unless one of ours has it."""
    ours = {benchmark.name for benchmark in source.benchmarks}
    plain = {name: name.removeprefix(LM_EVAL) for name in ours}
    return {name: name if short in ours else short for name, short in plain.items()}


def _results(source: Source, named: Mapping[str, str], hashes: Mapping[str, str]) -> Wire:
    benchmarks = {named[benchmark.name]: benchmark for benchmark in source.benchmarks}
    started, ended = instant(source.started), instant(source.ended)
    scored = {name: dict(_scores(name, benchmark)) for name, benchmark in benchmarks.items()}
    return {
        "results": scored,
        "group_subtasks": {name: [] for name in benchmarks},
        "configs": {name: _config(source, name, each) for name, each in benchmarks.items()},
        "versions": {name: each.record.protocol.name for name, each in benchmarks.items()},
        "n-shot": {},
        "higher_is_better": {name: _higher(each, scored[name]) for name, each in benchmarks.items()},
        "n-samples": {
            name: {"original": each.record.dataset.items, "effective": each.answered}
            for name, each in benchmarks.items()
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
        "model_name_sanitized": model_folder(source.model_id),
        "system_instruction": None,
        "system_instruction_sha": None,
        "fewshot_as_multiturn": None,
        "chat_template": None,
        "chat_template_sha": None,
        "start_time": started.timestamp(),
        "end_time": ended.timestamp(),
        "total_evaluation_time_seconds": str((ended - started).total_seconds()),
    }


def _scores(name: str, benchmark: Benchmark) -> Iterator[tuple[str, Any]]:
    """The keys of lm-eval's results: every value followed by its standard error."""
    yield "alias", name
    yield "name", name
    yield "sample_len", benchmark.answered
    if benchmark.value is None:
        return
    headline, *others = keys(benchmark)
    yield from _pair(headline, benchmark.value, benchmark.stderr)
    for key in others:
        yield from _pair(key, benchmark.result.metrics[str(key)] / 100, stderr(benchmark, key))
    for beside, value in benchmark.result.metrics.items():
        if BESIDE.fullmatch(beside) and beside != headline.metric:
            error = benchmark.result.errors.get(beside)
            yield from _pair(Key(beside), value / 100, None if error is None else error / 100)


def _pair(key: Key, value: float, error: float | None) -> Iterator[tuple[str, Any]]:
    yield str(key), value
    yield key.stderr, ABSENT if error is None else error


def _higher(benchmark: Benchmark, scored: Wire) -> dict[str, bool]:
    named = (key.partition(",")[0] for key in scored if "," in key)
    return {name: not benchmark.lower_is_better for name in named if not name.endswith("_stderr")}


def _config(source: Source, name: str, benchmark: Benchmark) -> Wire:
    record = benchmark.record
    rule = "mean" if benchmark.is_mean else benchmark.result.headline
    metrics = dict.fromkeys(key.metric for key in keys(benchmark))
    return {
        "task": name,
        "dataset_path": benchmark.hub_repo or benchmark.name,
        "output_type": "generate_until",
        "repeats": record.repeats,
        "generation_kwargs": generation(source, benchmark),
        "metric_list": [
            {"metric": metric, "aggregation": rule, "higher_is_better": not benchmark.lower_is_better}
            for metric in metrics
        ],
        "metadata": {"version": record.protocol.name, TOOL: provenance(source, benchmark)},
    }
