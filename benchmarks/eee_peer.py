"""What Every Eval Ever's own package makes of files: run by the peer's Python, prints JSON.

eee_peer.py convert inspect|lm_eval PATH OUT    its converters' scores
eee_peer.py hub YAML…                           eval results as huggingface_hub reads them
"""

import contextlib
import json
import sys
from pathlib import Path
from typing import Any


def converted(source: str, path: str, out: str) -> list[dict[str, Any]]:
    from every_eval_ever.__main__ import main

    who = ["--source_organization_name", "us", "--evaluator_relationship", "third_party"]
    samples = ["--include_samples"] if source == "lm_eval" else []
    sys.argv = ["every_eval_ever", "convert", source, "--log_path", path, "--output_dir", out, *who, *samples]
    with contextlib.redirect_stdout(sys.stderr), contextlib.suppress(SystemExit):
        main()
    return [told(json.loads(file.read_text())) for file in sorted(Path(out).rglob("*.json"))]


def told(log: dict[str, Any]) -> dict[str, Any]:
    first, *_ = log["evaluation_results"]
    details = first["score_details"]
    uncertainty = details["uncertainty"]
    return {
        "model": log["model_info"]["id"],
        "name": first["evaluation_name"],
        "score": details["score"],
        "stderr": uncertainty["standard_error"]["value"],
        "questions": uncertainty["num_samples"],
        "rows": log["detailed_evaluation_results"]["total_rows"],
    }


def hub(paths: list[str]) -> list[dict[str, Any]]:
    import yaml
    from huggingface_hub import parse_eval_result_entries

    entries = [
        entry for path in paths for entry in parse_eval_result_entries(yaml.safe_load(Path(path).read_text()))
    ]
    return [vars(entry) for entry in entries]


if __name__ == "__main__":
    what, *words = sys.argv[1:]
    print(json.dumps(converted(*words) if what == "convert" else hub(words)))
