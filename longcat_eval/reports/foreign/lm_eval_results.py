"""Results of lm-eval, a file or a folder of results_*.json; the newest result of each model and task counts.

Source: lm_eval.result_schema (0.4.13). Tasks that are part of a group with a score of its own are left out.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from longcat_eval.reports.foreign.benchmarks import our_task
from longcat_eval.reports.foreign.files import read_all, read_json, unusable
from longcat_eval.reports.foreign.records import ForeignLog, ForeignResult, day, number, sampling, scaled

TOOL, PATTERN = "lm-eval", "results*.json"
FIRST = ("exact_match", "acc", "prompt_level_strict_acc")
"""Metrics that are the score, where a task has several."""
FORMAT = "read from lm-eval's format"
"""Said of what lm-eval did not make."""
NOT_METRICS = ("alias", "name", "sample_len", "sample_count", "samples", " ")


class _Samples(msgspec.Struct, frozen=True):
    original: int | None = None
    effective: int | None = None


class _Results(msgspec.Struct, frozen=True):
    results: dict[str, dict[str, Any]]
    groups: dict[str, dict[str, Any]] = {}
    group_subtasks: dict[str, list[str]] = {}
    configs: dict[str, Any] = {}
    versions: dict[str, Any] = {}
    shots: dict[str, Any] = msgspec.field(name="n-shot", default_factory=dict)
    samples: dict[str, _Samples] = msgspec.field(name="n-samples", default_factory=dict)
    config: dict[str, Any] = {}
    date: float | None = None
    lm_eval_version: str | None = None
    longcat_eval_version: str | None = None
    model_name: str | None = None
    model_source: str | None = None
    git_hash: str | None = None


class _Metric(NamedTuple):
    name: str
    filter: str
    value: float
    stderr: float | None


def read_lm_eval(path: Path) -> list[ForeignLog]:
    """Logs by model; `UsageError` for what is no results file, and a folder without any."""
    files = sorted(path.rglob(PATTERN)) if path.is_dir() else [path]
    if not files:
        raise unusable(path, f"the folder has no {PATTERN}")
    read, left_out = read_all(files, lambda file: read_json(file, _Results))
    newest = sorted(read, key=lambda each: (each[1].date or 0.0, each[0].name))
    logs: dict[tuple[str, str], dict[str, tuple[Path, _Results, ForeignResult]]] = {}
    for file, found in newest:
        for name, result in _named(found):
            logs.setdefault((_model(found), _tool(found)), {})[name] = (file, found, result)
    if not logs:
        raise unusable(path, "no task in it has a number")
    made = [_log(path, model, tool, list(tasks.values())) for (model, tool), tasks in logs.items()]
    return [log._replace(about=(*log.about, *left_out)) for log in made]


def _tool(found: _Results) -> str:
    return "longcat-eval" if found.longcat_eval_version and not found.lm_eval_version else TOOL


def _log(path: Path, model: str, tool: str, tasks: list[tuple[Path, _Results, ForeignResult]]) -> ForeignLog:
    _, last, _ = tasks[-1]
    version = last.longcat_eval_version if tool != TOOL else last.lm_eval_version
    about = [FORMAT] if tool != TOOL else []
    about += [f"backend {last.model_source}"] if tool == TOOL and last.model_source else []
    about += [f"commit {last.git_hash}"] if last.git_hash else []
    files = {file for file, _, _ in tasks}
    where = str(files.pop()) if len(files) == 1 else str(path)
    results = tuple(result for _, _, result in tasks)
    return ForeignLog(tool, version or "", day(last.date), model, where, results, tuple(about))


def _model(found: _Results) -> str:
    if found.model_name:
        return found.model_name
    arguments = found.config.get("model_args")
    pairs = arguments if isinstance(arguments, dict) else _pairs(str(arguments or ""))
    named = next((pairs[key] for key in ("pretrained", "model", "path", "engine") if key in pairs), None)
    return str(named or found.config.get("model") or "unnamed model")


def _pairs(text: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in text.split(",") if "=" in part)


def _named(found: _Results) -> Iterator[tuple[str, ForeignResult]]:
    """Results by task, groups first; parts of a group that has a score are left out."""
    scored = {**found.results, **found.groups}
    inside = {
        part
        for group, parts in found.group_subtasks.items()
        if group in scored and list(_metrics(scored[group]))
        for part in _all_parts(found, parts)
    }
    for name, values in scored.items():
        if name not in inside and (metrics := list(_metrics(values))):
            yield name, _result(found, name, metrics)


def _all_parts(found: _Results, parts: list[str]) -> Iterator[str]:
    """Members of a group and of the groups in it; a group within itself ends."""
    seen: set[str] = set()
    waiting = list(parts)
    while waiting:
        part = waiting.pop()
        if part not in seen:
            seen.add(part)
            waiting += found.group_subtasks.get(part, [])
            yield part


def _metrics(values: dict[str, Any]) -> Iterator[_Metric]:
    """`acc,none` and its `acc_stderr,none`; old files have no filter."""
    for key, written in values.items():
        name, _, filter = key.partition(",")
        value = number(written)
        if key in NOT_METRICS or name.endswith("_stderr") or value is None:
            continue
        behind = f",{filter}" if filter else ""
        yield _Metric(name, filter, value, number(values.get(f"{name}_stderr{behind}")))


def _result(found: _Results, name: str, metrics: list[_Metric]) -> ForeignResult:
    first = next((m for want in FIRST for m in metrics if m.name == want), metrics[0])
    value, share = scaled(first.name, first.value)
    config = found.configs.get(name)
    config = config if isinstance(config, dict) else {}
    counted = found.samples.get(name, _Samples())
    parts = found.group_subtasks.get(name) or []
    if counted.effective is None and parts:
        each = [found.samples[part] for part in _all_parts(found, parts) if part in found.samples]
        counted = _Samples(_sum(c.original for c in each), _sum(c.effective for c in each))
    return ForeignResult(
        name=name,
        metric=first.name,
        value=value,
        share=share,
        task=our_task(name),
        stderr=round(100 * first.stderr, 10) if first.stderr is not None and share else first.stderr,
        n=counted.effective,
        repeats=_repeats(found, config),
        told=_told(found, name, first, config, counted),
        others=tuple(f"{m.name},{m.filter} {m.value:.4g}" for m in metrics if m is not first),
    )


def _repeats(found: _Results, config: dict[str, Any]) -> int | None:
    """How often each question counts. lm-eval's default filter takes the first of several replies."""
    repeats = config.get("repeats")
    known = isinstance(repeats, int) and (repeats == 1 or _tool(found) != TOOL)
    return repeats if known else None


def _sum(counts: Iterator[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) or None


def _told(
    found: _Results, name: str, metric: _Metric, config: dict[str, Any], counted: _Samples
) -> dict[str, str]:
    told = {"filter": metric.filter} if metric.filter not in ("", "none") else {}
    if config.get("dataset_path"):
        told["data"] = str(config["dataset_path"])
    options = config.get("dataset_kwargs")
    if isinstance(options, dict) and options.get("revision"):
        told["revision"] = str(options["revision"])
    if found.versions.get(name) not in (None, ""):
        told["task version"] = str(found.versions[name])
    if found.shots.get(name) is not None:
        told["shots"] = str(found.shots[name])
    if counted.original and counted.effective and counted.original != counted.effective:
        told["of"] = f"{counted.original} questions"
    generation = config.get("generation_kwargs")
    asked = found.config.get("gen_kwargs")
    if isinstance(config.get("repeats"), int) and config["repeats"] > 1:
        told["repeats asked"] = str(config["repeats"])
    told |= sampling(generation if isinstance(generation, dict) else {})
    told |= sampling(asked if isinstance(asked, dict) else _pairs(str(asked or "")))
    kind = config.get("output_type")
    if kind and kind != "generate_until":
        told["scored by"] = str(kind)
    return told
