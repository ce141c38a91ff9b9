"""Inspect AI logs, .eval or JSON: the header alone is read (inspect_ai.log.EvalLog, version 2)."""

from pathlib import Path
from typing import Any

import msgspec

from longcat_eval.reports.foreign.benchmarks import our_task
from longcat_eval.reports.foreign.files import decode, read_mapped, unusable, zip_member
from longcat_eval.reports.foreign.records import ForeignLog, ForeignResult, number, sampling, scaled

TOOL = "inspect-ai"
HEADER, START = "header.json", "_journal/start.json"
STDERR = "stderr"
FIRST = ("accuracy", "mean")
"""Metrics that are the score, where a scorer has several."""
PLAIN = (None, "", "mean")
"""Reducers of epochs that give the mean."""
PROVIDERS = ("openai-api/",)
"""Prefixes of a model's name that say how it was reached."""


class _Dataset(msgspec.Struct, frozen=True):
    name: str | None = None
    location: str | None = None
    samples: int | None = None


class _Config(msgspec.Struct, frozen=True):
    epochs: int | None = None
    limit: Any = None


class _Spec(msgspec.Struct, frozen=True):
    task: str
    dataset: _Dataset
    model: str
    config: _Config
    created: str = ""
    task_version: int | str | None = None
    packages: dict[str, str] = {}
    metadata: dict[str, Any] | None = None
    model_generate_config: dict[str, Any] = {}


class _Metric(msgspec.Struct, frozen=True):
    value: float | int | None = None


class _Score(msgspec.Struct, frozen=True):
    name: str
    metrics: dict[str, _Metric] = {}
    reducer: str | None = None


class _Results(msgspec.Struct, frozen=True):
    total_samples: int = 0
    completed_samples: int = 0
    scores: list[_Score] = []


class _Log(msgspec.Struct, frozen=True):
    version: int
    eval: _Spec
    status: str = "started"
    results: _Results | None = None
    invalidated: bool = False


def read_inspect(path: Path) -> list[ForeignLog]:
    """One log; `UsageError` for what is none, for one that has not finished, and for one without scores."""
    log = _read(path)
    spec, results = log.eval, log.results
    if log.version != 2:
        raise unusable(path, f"version {log.version} of Inspect's logs is not known, 2 is")
    if results is None or not results.scores:
        raise unusable(path, f"the log has no scores, its status is {log.status!r}")
    plain = [score for score in results.scores if score.reducer in PLAIN] or results.scores
    score = next((each for each in plain if _headline(each) is not None), plain[0])
    metric = _headline(score)
    if metric is None:
        raise unusable(path, "no metric of the log is a number")
    ours = (spec.metadata or {}).get("made_by") == "longcat-eval"
    tool = "longcat-eval" if ours else TOOL
    version = spec.packages.get("longcat-eval" if ours else "inspect_ai", "")
    model = next((spec.model.removeprefix(p) for p in PROVIDERS if spec.model.startswith(p)), spec.model)
    about = ["read from an Inspect log"] if ours else []
    about += [f"status {log.status}"] if log.status != "success" else []
    about += ["marked as invalid"] if log.invalidated else []
    result = _result(spec, results, score, metric, plain)
    return [ForeignLog(tool, version, spec.created[:10], model, str(path), (result,), tuple(about))]


def _read(path: Path) -> _Log:
    if path.suffix == ".json":
        return read_mapped(path, _Log)
    found = zip_member(path, (HEADER, START))
    if found is None:
        raise unusable(path, "the zip is no Inspect log: it has no header.json")
    name, content = found
    if name == START:
        raise unusable(path, "the evaluation that wrote this log has not finished; it has no results")
    return decode(path, content, _Log)


def _headline(score: _Score) -> str | None:
    """The metric that is the score: accuracy, mean, else the first that is a number."""
    numbers = [
        name
        for name, metric in score.metrics.items()
        if number(metric.value) is not None and not name.startswith((STDERR, "std", "var"))
    ]
    return next((name for name in FIRST if name in numbers), numbers[0] if numbers else None)


def _result(spec: _Spec, results: _Results, score: _Score, metric: str, plain: list[_Score]) -> ForeignResult:
    value, share = scaled(metric, number(score.metrics[metric].value))
    stderr = number(score.metrics[STDERR].value) if STDERR in score.metrics else None
    epochs = spec.config.epochs or 1
    others = tuple(
        f"{each.name} {name} {found:.4g}"
        for each in plain
        for name, value in each.metrics.items()
        if (found := number(value.value)) is not None and (each is not score or name not in (metric, STDERR))
    )
    return ForeignResult(
        name=spec.task,
        metric=metric,
        value=value,
        share=share,
        task=our_task(spec.task, spec.dataset.location),
        stderr=round(100 * stderr, 10) if stderr is not None and share else stderr,
        n=results.total_samples // epochs or None,
        repeats=epochs,
        lost=max(0, results.total_samples - results.completed_samples),
        told=_told(spec, score),
        others=others,
    )


def _told(spec: _Spec, score: _Score) -> dict[str, str]:
    told = {"scorer": score.name}
    if spec.dataset.location or spec.dataset.name:
        told["data"] = str(spec.dataset.location or spec.dataset.name)
    if spec.task_version not in (None, 0, ""):
        told["task version"] = str(spec.task_version)
    if spec.config.limit is not None:
        told["limit"] = str(spec.config.limit)
    told |= sampling(spec.model_generate_config)
    ours = spec.metadata or {}
    if ours.get("made_by") == "longcat-eval":
        data = ours.get("dataset")
        if isinstance(data, dict) and data.get("sha256"):
            told["data sha256"] = str(data["sha256"])[:12]
    return told
