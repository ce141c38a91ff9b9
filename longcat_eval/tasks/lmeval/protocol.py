"""What of a definition and of the user's choices decides how a bridged task is asked and judged."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from longcat_eval.records import TaskProtocol
from longcat_eval.tasks.lmeval.catalog import Leaf, lm_eval_version
from longcat_eval.tasks.lmeval.prompting import GENERATE, BridgeOptions, most_tokens, stop_strings

JUDGING = (
    "metric_list",
    "filter_list",
    "process_results",
    "doc_to_target",
    "doc_to_choice",
    "output_type",
    "class",
)
"""The parts of a definition that can change a verdict."""


def protocol_of(leaf: Leaf, config: Mapping[str, Any], options: BridgeOptions) -> TaskProtocol:
    """Return the protocol as far as it is known before the data; the hash of the prompts comes with them."""
    generated = config.get("output_type", GENERATE) == GENERATE
    given = config.get("generation_kwargs") or {}
    fixed = config.get("num_fewshot") == 0
    shots = (config.get("num_fewshot") or 0) if fixed or options.fewshot is None else options.fewshot
    style = ("chat" if options.style == "auto" else options.style) if generated else "text"
    edition = (config.get("metadata") or {}).get("version", "?")
    system = f"/system {_short(options.system)}" if options.system else ""
    limit = most_tokens(given) if generated else 1
    return TaskProtocol(
        name=f"lm-eval/{leaf.task_name}/{edition}/{shots}-shot/{style}{system}",
        repeats=1,
        metric=_label(config),
        max_tokens=limit,
        prompt_hash="",
        grader=f"lm-eval={lm_eval_version()} {_short([_portable(config.get(part)) for part in JUDGING])}",
        limits={"max_tokens": float(limit)} if generated else {},
        notes=tuple(_notes(leaf, config, generated)),
        deterministic=not generated,
        typical_tokens=min(limit, 300),
    )


def _notes(leaf: Leaf, config: Mapping[str, Any], generated: bool) -> list[str]:
    notes = [f"its group changes {json.dumps(leaf.overrides, default=str)}"] if leaf.overrides else []
    if generated:
        given = config.get("generation_kwargs") or {}
        delimiter = config.get("fewshot_delimiter", "\n\n")  # what lm-eval stops at where nothing is said
        stops = stop_strings(given) if "until" in given else (delimiter,)
        notes.append(f"stop strings {list(stops)}")
        notes.append("sampling is the model's own, not that of the task's definition")
    return notes


def _label(config: Mapping[str, Any]) -> str:
    """The metric that leads: the first that is a mean, else the first; a function by its name."""
    entries = [entry for entry in config.get("metric_list") or () if isinstance(entry, dict)]
    first = next((entry for entry in entries if _is_mean(entry)), entries[0] if entries else {})
    name = str(first.get("metric", ""))
    return name.rpartition(".")[2] if "/" in name else name


def _is_mean(entry: Mapping[str, Any]) -> bool:
    """Whether a metric is averaged: as its entry says, else as lm-eval has it."""
    if "aggregation" in entry:
        return bool(entry["aggregation"] == "mean")
    from lm_eval.api.metrics import mean
    from lm_eval.api.registry import get_metric_aggregation

    try:
        return get_metric_aggregation(str(entry.get("metric"))) is mean
    except KeyError:
        return False


def _portable(value: Any) -> Any:
    """A part of a definition, equal on all machines: functions are their file's content and their name."""
    if isinstance(value, Mapping):
        return {str(name): _portable(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_portable(inner) for inner in value]
    if isinstance(value, str) and value.startswith("/"):
        module, _, function = value.rpartition(".")
        file = Path(f"{module}.py")
        if file.is_file():
            return [file.name, hashlib.sha256(file.read_bytes()).hexdigest(), function]
    return value if isinstance(value, str | int | float | bool | None) else repr(value)


def _short(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:12]
