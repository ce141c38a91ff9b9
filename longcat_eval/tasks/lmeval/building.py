"""Building one task of lm-eval: the same documents in the run and in every worker process that judges."""

import hashlib
import io
import json
import os
import random
import re
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.tasks.lmeval.catalog import PREFIX, Leaf
from longcat_eval.tasks.punkt import ROOT, punkt_cache

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
SEEDS = (0, 1234, 1234)
"""Of random, numpy and the few-shot examples: the defaults of `lm_eval.simple_evaluate`."""


def read_config(leaf: Leaf) -> dict[str, Any]:
    """The definition with what it includes; functions stay names. A class in it gives its `output_type`."""
    from lm_eval.tasks._yaml_loader import load_yaml

    config = {**load_yaml(leaf.yaml_path, resolve_func=False), **leaf.overrides}
    if "class" in config and "output_type" not in config:
        made = load_yaml(leaf.yaml_path, resolve_func=True)["class"]
        config["output_type"] = getattr(made, "OUTPUT_TYPE", None) or "generate_until"
    return config


def own_aggregation(leaf: Leaf, metric: str) -> Any:
    """The function by which a definition aggregates a metric, None where it names none; reads no data.

    A metric that a function of several names is told by that function's: the only one there is.
    """
    from lm_eval.tasks._yaml_loader import load_yaml

    with quiet():
        config = {**load_yaml(leaf.yaml_path, resolve_func=True), **leaf.overrides}
    if "class" in config:
        return build(leaf).aggregation().get(metric)
    found = {
        getattr(entry["metric"], "__name__", entry["metric"]): entry["aggregation"]
        for entry in config.get("metric_list") or ()
        if callable(entry.get("aggregation"))
    }
    return found.get(metric) or (next(iter(found.values())) if len(found) == 1 else None)


def build(leaf: Leaf, fewshot: int | None = None) -> Any:
    """Return lm-eval's task with its data; `EnvironmentUnusableError` in one line where that fails."""
    from lm_eval.tasks._factory import TaskFactory
    from lm_eval.tasks._index import Entry, Kind

    entry = Entry(leaf.task_name, Kind.TASK, Path(leaf.yaml_path))
    with settled():
        try:
            task = TaskFactory()._build_task(entry, {"task": leaf.task_name, **leaf.overrides})
        except ImportError as error:
            raise EnvironmentUnusableError(
                f"{PREFIX}{leaf.task_name} needs {error.name or error}: install it"
            ) from None
        except Exception as error:  # noqa: BLE001 - whatever `datasets` or a task's own code raises
            raise EnvironmentUnusableError(_no_data(leaf, error)) from None
    if fewshot is not None and task.get_config("num_fewshot") != 0:
        task.set_config(key="num_fewshot", value=fewshot)
    elif task.get_config("num_fewshot") is None:
        task.set_config(key="num_fewshot", value=0)
    task.set_fewshot_seed(seed=SEEDS[2])
    return task


@contextmanager
def settled() -> Iterator[None]:
    """Draws of a task's own code from fixed seeds, and nothing printed."""
    import datasets
    import numpy as np

    datasets.disable_progress_bars()
    random.seed(SEEDS[0])
    np.random.seed(SEEDS[1])
    with quiet():
        yield


@contextmanager
def quiet() -> Iterator[None]:
    """Let a task's code print nothing, and NLTK find what `longcat-eval fetch punkt` brought."""
    before = os.environ.get("NLTK_DATA")
    os.environ["NLTK_DATA"] = os.pathsep.join([*([before] if before else []), str(punkt_cache() / ROOT)])
    try:
        with redirect_stderr(io.StringIO()), redirect_stdout(io.StringIO()):
            yield
    finally:
        del os.environ["NLTK_DATA"]
        if before is not None:
            os.environ["NLTK_DATA"] = before


def documents(task: Any) -> list[dict[str, Any]]:
    """Every document that is asked about, in its order."""
    with settled():
        return list(task.eval_docs)


def plain(doc: Any) -> Any:
    """A document as JSON; what is no JSON (an image, a date) becomes its text, less its place in memory."""
    from lm_eval.utils import handle_non_serializable

    def kept(value: Any) -> Any:
        said = handle_non_serializable(value)
        return _ADDRESS.sub("", said) if isinstance(said, str) else said

    return json.loads(json.dumps(doc, default=kept, ensure_ascii=False))


def digest(doc: Any) -> str:
    """Tells a document from every other."""
    text = json.dumps(doc, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _no_data(leaf: Leaf, error: Exception) -> str:
    said = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    offline = " (HF_HUB_OFFLINE is set)" if os.environ.get("HF_HUB_OFFLINE") else ""
    return (
        f"{PREFIX}{leaf.task_name} cannot be had{offline}: {type(error).__name__}: {said}; its data comes by "
        "`datasets` from the hub or from the files its YAML names (--lm-eval-include DIR for your own)"
    )
