"""Every Eval Ever, schema 0.3.0: one aggregate JSON of a run, and a line per attempt with a verdict.

Source: evaleval/every_eval_ever, schemas/eval.schema.json and instance_level_eval.schema.json (MIT), and what
its validator checks of paths, identities and scores.
"""

import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from uuid import UUID

import msgspec

from longcat_eval.errors import UsageError, did_you_mean
from longcat_eval.records import Wire
from longcat_eval.reports.exports.eee_instances import instance
from longcat_eval.reports.exports.output import Encoder, replacing
from longcat_eval.reports.exports.source import AGENT, TOOL, Benchmark, Evaluator, Source, instant
from longcat_eval.reports.statistics import CONFIDENCE

SCHEMA_VERSION = "0.3.0"
COLLECTION = "longcat-eval"
RELATIONSHIPS = ("first_party", "third_party", "collaborative", "other")
UNKNOWN = "unknown"
URL = "https://github.com/longcat-eval/longcat-eval"
TYPED = {"temperature", "top_p", "top_k"}
"""Sampling that the schema has fields for."""


def export_eee(source: Source, output: Path, encode: Encoder) -> list[Path]:
    """Write `output`/data/longcat-eval/<developer>/<model>/<uuid>.json and <uuid>_samples.jsonl.

    Equal runs give equal names. `UsageError` for a relationship that the schema does not know.
    """
    given = source.evaluator.relationship
    if given not in (None, *RELATIONSHIPS):
        hint = did_you_mean(str(given), RELATIONSHIPS)
        raise UsageError(f"--relationship {given!r}{hint}: {', '.join(RELATIONSHIPS)}")
    scored = [each for each in source.benchmarks if each.value is not None]
    if not scored:
        raise UsageError(f"{source.run.path} has no score to export")
    started = int(instant(source.started).timestamp())
    evaluation = f"{COLLECTION}/{source.model_id}/{started}"
    name = str(UUID(hex=source.identifier(evaluation)[:32], version=4))
    place = "/".join(("data", COLLECTION, *_developer_and_model(source.model_id)))
    samples = f"{place}/{name}_samples.jsonl"
    rows, whole = 0, sha256()
    with replacing(output / samples) as file:
        for line in _instances(source, scored, evaluation, encode):
            rows += 1
            whole.update(line)
            file.write(line)
    aggregate = {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": evaluation,
        "evaluation_timestamp": str(started),
        "retrieved_timestamp": str(int(instant(source.ended).timestamp())),
        "source_metadata": _source_metadata(source.evaluator),
        "eval_library": {"name": TOOL, "version": source.version},
        "model_info": _model_info(source),
        "evaluation_results": [_result(source, each) for each in scored],
        "detailed_evaluation_results": {
            "format": "jsonl",
            "file_path": samples,
            "hash_algorithm": "sha256",
            "checksum": whole.hexdigest(),
            "total_rows": rows,
        },
    }
    path = output / place / f"{name}.json"
    with replacing(path) as file:
        file.write(encode.pretty(aggregate))
    return [path, output / samples]


def _instances(source: Source, scored: list[Benchmark], evaluation: str, encode: Encoder) -> Iterator[bytes]:
    for benchmark in scored:
        for attempt in benchmark.attempts():
            if attempt.counts:
                named = {
                    "schema_version": SCHEMA_VERSION,
                    "evaluation_id": evaluation,
                    "model_id": source.model_id,
                    "evaluation_name": benchmark.name,
                    "evaluation_result_id": _result_id(benchmark),
                }
                yield encode({**named, **instance(attempt)}) + b"\n"


def _developer_and_model(model_id: str) -> tuple[str, str]:
    """Folders, as the datastore makes them of an id; an id without a developer has an unknown one."""
    developer, slash, model = model_id.partition("/")
    parts = (developer, model) if slash else (UNKNOWN, developer)
    first, second = (re.sub(r"[^\w.-]+", "_", part).strip(". ") or UNKNOWN for part in parts)
    return first, second


def _source_metadata(evaluator: Evaluator) -> Wire:
    return {
        "source_name": TOOL,
        "source_type": "evaluation_run",
        "source_organization_name": evaluator.organization or UNKNOWN,
        "evaluator_relationship": evaluator.relationship or "other",
    }


def _model_info(source: Source) -> Wire:
    agent = source.agent
    local = agent is not None and bool(agent.computed)
    details = {
        "deployment_type": "self_deployed" if local else UNKNOWN,
        "model_availability": "open_weights" if local else UNKNOWN,
    }
    if agent is not None:
        details |= {f"computed_{name}": value for name, value in agent.computed.items()}
    developer, _ = _developer_and_model(source.model_id)
    return {
        "name": source.model,
        "id": source.model_id,
        "developer": developer,
        "additional_details": details,
    }


def _result_id(benchmark: Benchmark) -> str:
    return f"{benchmark.name}:{benchmark.result.metric}"


def _result(source: Source, benchmark: Benchmark) -> Wire:
    ours = benchmark.result
    how = {"prompt_hash": ours.prompt_hash, "grader": ours.grader}
    kind = {"metric_kind": "accuracy", "metric_unit": "proportion", "min_score": 0.0, "max_score": 1.0}
    if not benchmark.is_share:
        kind = {"metric_kind": ours.headline, "min_score": "-Infinity", "max_score": "Infinity"}
    return {
        "evaluation_result_id": _result_id(benchmark),
        "evaluation_name": benchmark.name,
        "evaluation_timestamp": str(int(instant(source.started).timestamp())),
        "source_data": _source_data(benchmark),
        "metric_config": {
            "evaluation_description": f"{ours.metric} of {benchmark.name}, protocol {ours.protocol}",
            "metric_id": "accuracy" if ours.metric.startswith(("acc", "avg@")) else f"{TOOL}.{ours.metric}",
            "metric_name": ours.metric,
            **kind,
            "metric_parameters": {"repeats": ours.k},
            "lower_is_better": benchmark.lower_is_better,
            "score_type": "continuous",
            "additional_details": {"protocol": ours.protocol, **how, **ours.conditions},
        },
        "score_details": _score(benchmark),
        "generation_config": _generation(source, benchmark),
    }


def _source_data(benchmark: Benchmark) -> Wire:
    data = benchmark.record.dataset
    details = {"items": str(data.items), "asked": str(benchmark.result.n), "sha256": data.sha256}
    details |= {"revision": data.revision} if data.revision else {}
    details |= {"drift": data.drift} if data.drift else {}
    if benchmark.hub_repo is None:
        return {"dataset_name": benchmark.name, "source_type": "other", "additional_details": details}
    return {
        "dataset_name": benchmark.name,
        "source_type": "hf_dataset",
        "hf_repo": benchmark.hub_repo,
        "samples_number": data.items,
        "additional_details": details,
    }


def _score(benchmark: Benchmark) -> Wire:
    ours = benchmark.result
    details: Wire = {
        "correct": f"{ours.correct:g}",
        "attempts": str(ours.attempts),
        "valid": str(ours.valid),
        "coverage": f"{ours.coverage:.6f}",
        "outcomes": msgspec.json.encode(ours.outcomes).decode(),
    }
    details |= {name: f"{value / 100:.6f}" for name, value in ours.metrics.items() if name != ours.headline}
    if ours.bounds is not None:
        details["bounds"] = f"{ours.bounds[0] / 100:.6f}..{ours.bounds[1] / 100:.6f}"
    uncertainty: Wire = {"num_samples": benchmark.answered}
    if benchmark.stderr is not None:
        uncertainty["standard_error"] = {"value": benchmark.stderr, "method": "clustered by question"}
    if ours.ci_low is not None and ours.ci_high is not None:
        uncertainty["confidence_interval"] = {
            "lower": ours.ci_low / 100,
            "upper": ours.ci_high / 100,
            "confidence_level": CONFIDENCE,
            "method": ours.ci_method,
        }
    return {"score": benchmark.value, "details": details, "uncertainty": uncertainty}


def _generation(source: Source, benchmark: Benchmark) -> Wire:
    agent, protocol = source.agent, benchmark.record.protocol
    arguments: Wire = {name: value for name, value in source.sampling.items() if name in TYPED}
    arguments["max_tokens"] = (agent.max_tokens if agent else None) or protocol.max_tokens
    others = {name: value for name, value in source.sampling.items() if name not in TYPED}
    others |= {"seed": source.run.manifest.seed, "seed_rule": protocol.seed_rule, "limits": protocol.limits}
    others |= {f"role_{role}": source.role_model(role) for role in protocol.roles if role != AGENT}
    told = {
        name: value if isinstance(value, str) else msgspec.json.encode(value).decode()
        for name, value in others.items()
        if value not in (None, {})
    }
    return {"generation_args": arguments, "additional_details": told}
