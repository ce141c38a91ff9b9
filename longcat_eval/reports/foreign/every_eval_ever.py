"""Every Eval Ever: aggregates, a file or a folder of them (eval.schema.json, 0.2 and 0.3)."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from longcat_eval.reports.foreign.benchmarks import our_task
from longcat_eval.reports.foreign.files import read_all, read_json, unusable
from longcat_eval.reports.foreign.records import ForeignLog, ForeignResult, day, number, sampling

NAMED = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
"""How the datastore names aggregates."""
KNOWN = re.compile(r"0\.[23](\.\d+)*")


class _Library(msgspec.Struct, frozen=True):
    name: str
    version: str = ""


class _Source(msgspec.Struct, frozen=True):
    source_type: str = ""
    source_name: str | None = None
    source_organization_name: str = ""
    evaluator_relationship: str = ""


class _Model(msgspec.Struct, frozen=True):
    id: str
    name: str = ""


class _Data(msgspec.Struct, frozen=True):
    dataset_name: str = ""
    hf_repo: str | None = None
    samples_number: int | None = None
    additional_details: dict[str, Any] | None = None


class _MetricConfig(msgspec.Struct, frozen=True):
    lower_is_better: bool = False
    metric_name: str | None = None
    evaluation_description: str | None = None
    metric_unit: str | None = None
    metric_parameters: dict[str, Any] | None = None
    min_score: float | str | None = None
    max_score: float | str | None = None


class _Error(msgspec.Struct, frozen=True):
    value: float | None = None
    method: str | None = None


class _Uncertainty(msgspec.Struct, frozen=True):
    standard_error: _Error | None = None
    num_samples: int | None = None


class _Score(msgspec.Struct, frozen=True):
    score: float | None
    uncertainty: _Uncertainty | None = None
    details: dict[str, Any] | None = None


class _Generation(msgspec.Struct, frozen=True):
    generation_args: dict[str, Any] | None = None


class _Result(msgspec.Struct, frozen=True):
    evaluation_name: str
    metric_config: _MetricConfig
    score_details: _Score
    source_data: _Data = _Data()
    generation_config: _Generation | None = None


class _Log(msgspec.Struct, frozen=True):
    schema_version: str
    evaluation_id: str
    source_metadata: _Source
    model_info: _Model
    evaluation_results: list[_Result]
    eval_library: _Library = _Library("unknown")
    evaluation_timestamp: str | None = None


def read_eee(path: Path) -> list[ForeignLog]:
    """Logs by file; `UsageError` for what is no aggregate of a known version, and a folder without any."""
    if not path.is_dir():
        return [_log(path, read_json(path, _Log))]
    files = [file for file in sorted(path.rglob("*.json")) if NAMED.fullmatch(file.stem)]
    if not files:
        raise unusable(path, "the folder has no aggregate of Every Eval Ever (<uuid>.json)")
    read, left_out = read_all(files, lambda file: _log(file, read_json(file, _Log)))
    return [log._replace(about=(*log.about, *left_out)) for _, log in read]


def _log(path: Path, log: _Log) -> ForeignLog:
    if not KNOWN.fullmatch(log.schema_version):
        raise unusable(path, f"schema {log.schema_version} is not known, 0.2 and 0.3 are")
    results: dict[str, ForeignResult] = {}
    for result in _results(log):
        results.setdefault(result.task or f"{result.name}\n{result.metric}", result)
    if not results:
        raise unusable(path, "the file has no result with a score")
    source, library = log.source_metadata, log.eval_library
    kind = "reported numbers, not a run" if source.source_type == "documentation" else ""
    told_by = source.source_name or source.source_organization_name
    relation = source.evaluator_relationship.replace("_", " ")
    about = [f"told by {told_by}" if told_by else "", f"evaluator {relation}" if relation else "", kind]
    version = "" if library.version == "unknown" else library.version
    date = _date(log.evaluation_timestamp)
    said = tuple(filter(None, about))
    return ForeignLog(
        library.name, version, date, log.model_info.id, str(path), tuple(results.values()), said
    )


def _date(written: str | None) -> str:
    """An ISO date of a Unix time or an ISO time; empty for neither."""
    found = re.match(r"\d{4}-\d\d-\d\d", written or "")
    return found[0] if found else day(written)


def _results(log: _Log) -> Iterator[ForeignResult]:
    for result in log.evaluation_results:
        score = number(result.score_details.score)
        if score is None:
            continue
        config, data = result.metric_config, result.source_data
        metric = config.metric_name or config.evaluation_description or "score"
        value, share = _scaled(config, score)
        uncertainty = result.score_details.uncertainty or _Uncertainty()
        error = number(uncertainty.standard_error.value) if uncertainty.standard_error else None
        in_percent = share and value is not None and value != score
        repeats = (config.metric_parameters or {}).get("repeats")
        yield ForeignResult(
            name=result.evaluation_name,
            metric=metric,
            value=value,
            share=share,
            task=our_task(result.evaluation_name) or our_task(data.dataset_name),
            stderr=round(100 * error, 10) if error is not None and in_percent else error,
            n=uncertainty.num_samples,
            repeats=int(repeats) if isinstance(repeats, int | float) else None,
            told=_told(result),
        )


def _scaled(config: _MetricConfig, score: float) -> tuple[float, bool]:
    """In percent by the unit and the bounds that the file states, never by guessing from the number."""
    if config.lower_is_better:
        return score, False
    if config.metric_unit == "percent" or (config.min_score, config.max_score) == (0, 100):
        return score, 0 <= score <= 100
    if config.metric_unit == "proportion" or (config.min_score, config.max_score) == (0, 1):
        return round(100 * score, 10), 0 <= score <= 1
    return score, False


def _told(result: _Result) -> dict[str, str]:
    data, generation = result.source_data, result.generation_config
    told = {"data": data.hf_repo or data.dataset_name} if data.hf_repo or data.dataset_name else {}
    details = data.additional_details or {}
    told |= {"revision": str(details["revision"])} if details.get("revision") else {}
    told |= {"data sha256": str(details["sha256"])[:12]} if details.get("sha256") else {}
    told |= sampling((generation.generation_args if generation else None) or {})
    error = result.score_details.uncertainty and result.score_details.uncertainty.standard_error
    told |= {"standard error by": error.method} if error and error.method else {}
    return told
