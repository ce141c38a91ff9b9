"""One attempt judged by lm-eval's own filters and metrics; all of it runs in a worker process."""

import json
import os
import random
import sys
from functools import lru_cache
from typing import Any

from longcat_eval.tasks.lmeval.building import build, digest, documents, plain
from longcat_eval.tasks.lmeval.catalog import Leaf

ITS_OWN = "its own"


def judge(
    leaf: list[Any], doc_id: int, known: str, responses: list[list[Any]], unsafe: bool
) -> list[list[Any]]:
    """Return [metric, filter, value, aggregation, filtered response] for each, in lm-eval's order.

    `responses` holds [request type, response] of each request of document `doc_id`, whose digest is `known`.
    """
    task, docs = _task(json.dumps(leaf))
    doc = docs[doc_id]
    if digest(plain(doc)) != known:
        raise ValueError(f"document {doc_id} is not the same each time the task is built")
    if unsafe:
        os.environ["HF_ALLOW_CODE_EVAL"] = "1"
    if "langdetect" in sys.modules:
        sys.modules["langdetect"].DetectorFactory.seed = 0
    random.seed(int(known[:16], 16))
    return list(_verdicts(task, doc, doc_id, responses))


def _verdicts(task: Any, doc: Any, doc_id: int, responses: list[list[Any]]) -> Any:
    from lm_eval.api.instance import Instance

    instances = [
        Instance(kind, doc, (), i, (task.task_name, doc_id, 1), [_given(kind, response)])
        for i, (kind, response) in enumerate(responses)
    ]
    for ensemble in task._filters:
        ensemble.apply(instances)
    for name in instances[0].filtered_resps:
        filtered = [instance.filtered_resps[name] for instance in instances]
        for metric, value in task.process_results(doc, filtered).items():
            shown = filtered[0] if isinstance(filtered[0], str) else None
            yield [metric, name, _plain_value(value), _aggregation(task, metric), shown]


def _given(kind: str, response: Any) -> Any:
    """A response as lm-eval's models give it."""
    return (response[0], bool(response[1])) if kind == "loglikelihood" else response


def _aggregation(task: Any, metric: str) -> str:
    """The name of a metric's aggregation in lm-eval's registry; a function of the task's own has none."""
    from lm_eval.api.metrics import mean
    from lm_eval.api.registry import AGGREGATION_REGISTRY

    function = task.aggregation().get(metric, mean)
    return next((name for name, known in AGGREGATION_REGISTRY.items() if known is function), ITS_OWN)


def _plain_value(value: Any) -> Any:
    """Numbers of numpy and booleans as numbers, sequences as lists."""
    if isinstance(value, bool):
        return float(value)
    if hasattr(value, "tolist"):
        return _plain_value(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain_value(item) for item in value]
    if isinstance(value, int | float | str) or value is None:
        return value
    raise TypeError(f"a metric's value is {type(value).__name__}, which cannot be kept")


@lru_cache(maxsize=4)
def _task(leaf: str) -> tuple[Any, list[Any]]:
    task = build(Leaf(*json.loads(leaf)))
    return task, documents(task)
