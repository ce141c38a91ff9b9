"""What Inspect's own reader finds in logs: run by the peer's Python, `inspect_log_peer.py LOG…`, prints JSON.

With the scores that it computes again itself, from the samples.
"""

import json
import sys
from typing import Any

from inspect_ai.log import EvalLog, read_eval_log, read_eval_log_sample_summaries, recompute_metrics


def told(path: str) -> dict[str, Any]:
    header = read_eval_log(path, header_only=True)
    log = read_eval_log(path, resolve_attachments=True)
    summaries = read_eval_log_sample_summaries(path)
    samples = log.samples or []
    read = scores(log)
    reductions = log.reductions
    recompute_metrics(log)
    return {
        "task": header.eval.task,
        "model": header.eval.model,
        "status": header.status,
        "epochs": header.eval.config.epochs,
        "questions": header.eval.dataset.samples,
        "total": header.results.total_samples if header.results else None,
        "completed": header.results.completed_samples if header.results else None,
        "scores": read,
        "computed": scores(log),
        "samples": len(samples),
        "summaries": len(summaries),
        "errors": [sample.id for sample in samples if sample.error],
        "keys": sorted([sample.id, sample.epoch] for sample in samples),
        "reductions": len(reductions[0].samples) if reductions else 0,
        "last": samples[-1].output.completion if samples else "",
        "messages": [message.role for message in samples[0].messages] if samples else [],
        "usage": {model: usage.total_tokens for model, usage in header.stats.model_usage.items()},
    }


def scores(log: EvalLog) -> dict[str, float]:
    return {
        name: metric.value
        for score in (log.results.scores if log.results else [])
        for name, metric in score.metrics.items()
    }


if __name__ == "__main__":
    print(json.dumps([told(path) for path in sys.argv[1:]]))
