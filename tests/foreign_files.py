"""Files as other tools write them, made small: Inspect, lm-eval, Every Eval Ever."""

import copy
import json
import zipfile
from pathlib import Path
from typing import Any

INSPECT: dict[str, Any] = {
    "version": 2,
    "status": "success",
    "eval": {
        "created": "2026-03-04T05:06:07+00:00",
        "task": "inspect_evals/mmlu_0_shot",
        "task_version": "2-A",
        "dataset": {"name": "cais/mmlu", "location": "cais/mmlu", "samples": 14042, "shuffled": False},
        "model": "openai-api/lab/some-model",
        "model_generate_config": {"temperature": 0.5, "max_tokens": 100},
        "config": {"epochs": 2, "limit": 100},
        "packages": {"inspect_ai": "0.3.285", "inspect_evals": "0.26.0"},
    },
    "plan": {"name": "plan", "steps": []},
    "results": {
        "total_samples": 200,
        "completed_samples": 198,
        "scores": [
            {
                "name": "choice",
                "scorer": "choice",
                "reducer": "mean",
                "metrics": {
                    "accuracy": {"name": "accuracy", "value": 0.625},
                    "stderr": {"name": "stderr", "value": 0.04},
                },
            },
            {
                "name": "choice",
                "scorer": "choice",
                "reducer": "pass_at_2",
                "metrics": {"accuracy": {"name": "accuracy", "value": 0.75}},
            },
        ],
    },
    "stats": {},
    "samples": [{"id": 1, "epoch": 1, "input": "2+2?", "target": "4"}],
}

LM_EVAL: dict[str, Any] = {
    "results": {
        "mmlu": {"alias": "mmlu", "acc,none": 0.5, "acc_stderr,none": 0.004},
        "mmlu_anatomy": {"alias": " - anatomy", "acc,none": 0.25, "acc_stderr,none": 0.04},
        "mmlu_virology": {"alias": " - virology", "acc,none": 0.75, "acc_stderr,none": 0.03},
        "aime25": {"alias": "aime25", "exact_match,none": 0.1, "exact_match_stderr,none": 0.05},
        "gsm8k": {
            "alias": "gsm8k",
            "exact_match,strict-match": 0.4,
            "exact_match_stderr,strict-match": 0.01,
            "exact_match,flexible-extract": 0.45,
            "exact_match_stderr,flexible-extract": "N/A",
        },
        "wikitext": {"alias": "wikitext", "word_perplexity,none": 12.5, "word_perplexity_stderr,none": "N/A"},
    },
    "groups": {"mmlu": {"alias": "mmlu", "acc,none": 0.5, "acc_stderr,none": 0.004}},
    "group_subtasks": {"mmlu": ["mmlu_anatomy", "mmlu_virology"], "aime25": []},
    "configs": {
        "aime25": {"repeats": 4, "dataset_path": "x/aime", "generation_kwargs": {"temperature": 0.0}},
        "mmlu_anatomy": {"output_type": "multiple_choice", "repeats": 1},
    },
    "versions": {"mmlu": 2, "aime25": 1},
    "n-shot": {"mmlu_anatomy": 5, "aime25": 0},
    "n-samples": {
        "mmlu_anatomy": {"original": 135, "effective": 135},
        "mmlu_virology": {"original": 166, "effective": 166},
        "aime25": {"original": 30, "effective": 10},
    },
    "higher_is_better": {},
    "config": {"model": "hf", "model_args": "pretrained=lab/some-model,dtype=auto"},
    "git_hash": "4e7e0d47",
    "date": 1772600000.5,
    "lm_eval_version": "0.4.13",
    "model_source": "hf",
    "model_name": "lab/some-model",
}

EEE: dict[str, Any] = {
    "schema_version": "0.3.0",
    "evaluation_id": "vals/some/1",
    "evaluation_timestamp": "1772600000",
    "retrieved_timestamp": "1772700000",
    "source_metadata": {
        "source_name": "Some Leaderboard",
        "source_type": "documentation",
        "source_organization_name": "Some Org",
        "evaluator_relationship": "third_party",
    },
    "eval_library": {"name": "lighteval", "version": "0.9"},
    "model_info": {"id": "lab/some-model", "name": "Some Model", "additional_details": {}},
    "evaluation_results": [
        {
            "evaluation_name": "MMLU-Pro",
            "source_data": {
                "dataset_name": "MMLU-Pro",
                "source_type": "hf_dataset",
                "hf_repo": "TIGER-Lab/MMLU-Pro",
            },
            "metric_config": {
                "metric_name": "Accuracy",
                "lower_is_better": False,
                "score_type": "continuous",
                "min_score": 0,
                "max_score": 100,
            },
            "score_details": {
                "score": 66.5,
                "uncertainty": {"standard_error": {"value": 0.5}, "num_samples": 12032},
            },
            "generation_config": {"generation_args": {"temperature": 1.0}},
        },
        {
            "evaluation_name": "hard.latency",
            "source_data": {"dataset_name": "speed", "source_type": "other"},
            "metric_config": {"metric_name": "seconds", "lower_is_better": True},
            "score_details": {"score": 0.7},
        },
    ],
}


def write_inspect(path: Path, log: dict[str, Any] | None = None) -> Path:
    """A log, as JSON or as a zip by its name's end."""
    whole = copy.deepcopy(log or INSPECT)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".json":
        path.write_text(json.dumps(whole), encoding="utf-8")
        return path
    header = {name: value for name, value in whole.items() if name != "samples"}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "_journal/start.json", json.dumps({n: header[n] for n in ("version", "eval", "plan")})
        )
        archive.writestr("header.json", json.dumps(header))
    return path


def write_json(path: Path, record: object) -> Path:
    """A JSON file, its folders made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record), encoding="utf-8")
    return path
