"""Commands that only show: tasks, models, settings, the cache."""

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from longcat_eval.cli.settings import Resolved


def list_tasks() -> None:
    """Print every benchmark with one line about it, then the suites."""
    from rich.console import Console

    from longcat_eval.tasks.suites import SUITES, expand_suite
    from longcat_eval.tasks.table import DESCRIPTIONS

    console = Console()
    bridge = ("lm-eval:NAME", "any task, group or tag of lm-eval, or of your own definitions")
    console.print(_table([("task", "what it asks"), *DESCRIPTIONS.items(), bridge]))
    console.print()
    rows: list[tuple[str, ...]] = [("suite", "tasks")]
    for name in SUITES:
        here, missing = expand_suite(name)
        absent = f" (not yet: {', '.join(missing)})" if missing else ""
        rows.append((name, (", ".join(here) + absent).strip()))
    console.print(_table(rows))


def show_task(name: str) -> None:
    """Print a benchmark's protocol without loading its data."""
    import msgspec
    from rich.console import Console

    from longcat_eval.cli.planning import tasks_named
    from longcat_eval.cli.settings import RunSettings
    from longcat_eval.tasks.table import DESCRIPTIONS

    include = os.environ.get("LONGCAT_EVAL_LM_EVAL_INCLUDE")
    shown = RunSettings(lm_eval_include=Path(include) if include else None, lm_eval_unsafe_code=True)
    task, *others = tasks_named(name, shown)
    about = f"one of {len(others) + 1} tasks of {name}" if others else "a task of lm-eval"
    lines = [("task", task.name), ("about", DESCRIPTIONS.get(name, about))]
    lines += [(k, _text(v)) for k, v in msgspec.to_builtins(task.protocol).items() if v not in ((), {}, [])]
    lines += [("needs", ", ".join(sorted(task.needs)))]
    lines += [(f"floor {k}", f"{100 * v:.2f}") for k, v in task.floors.items()]
    Console().print(_table(lines))


def list_models() -> None:
    """Print every preset with what it sends."""
    from rich.console import Console

    from longcat_eval.model_backend.presets import load_presets

    rows = [("preset", "sampling on the wire", "context", "unknown")]
    for name, preset in load_presets().presets.items():
        sampling = ", ".join(f"{k} {v.value:g}" for k, v in preset.sampling.items()) or "–"
        context = f"{preset.context_length.value:,}" if preset.context_length else "–"
        rows.append((name, sampling, context, ", ".join(preset.unknown)))
    Console().print(_table(rows))


def show_model(name: str) -> None:
    """Print one preset: every value with its source, then what is unknown."""
    from rich.console import Console

    from longcat_eval.errors import UsageError, did_you_mean
    from longcat_eval.model_backend.presets import load_presets

    presets = load_presets()
    found = presets.find(name)
    if found is None:
        known = ", ".join(presets.presets)
        raise UsageError(f"no preset {name!r}{did_you_mean(name, presets.presets)}; there are {known}")
    preset = presets.presets[found]
    rows = [(found, preset.label, "source")]
    rows += [(k, _text(v.value), str(presets.sources[v.source])) for k, v in preset.sourced().items()]
    rows += [(k, "unknown", "") for k in preset.unknown]
    rows += [(f"note: {k}", v, "") for k, v in preset.notes.items()]
    Console().print(_table(rows))


def show_config(resolved: Resolved) -> None:
    """Print every setting, its value and its origin."""
    from rich.console import Console

    rows = [("setting", "value", "from")]
    for name, value in asdict(resolved.settings).items():
        shown = "(hidden)" if name == "header" and value else _text(value)
        nested = [o for path, o in resolved.origins.items() if path.startswith(f"{name}.")]
        rows.append(
            (name, shown, resolved.origins.get(name) or ", ".join(dict.fromkeys(nested)) or "default")
        )
    Console().print(_table(rows))
    _show_model_settings(resolved)


def _show_model_settings(resolved: Resolved) -> None:
    """The agent's settings after presets, where the model can be resolved without a server."""
    from rich.console import Console

    from longcat_eval.cli.roles import resolve_roles
    from longcat_eval.errors import LongcatEvalError

    console = Console()
    try:
        model = resolve_roles(resolved, {"agent": ""})["agent"]
    except LongcatEvalError as error:
        console.print(f"\nmodel: {error}", highlight=False, markup=False)
        return
    rows = [("on the wire", "value", "from")]
    rows += [(k, _text(v), model.origins.get(f"sampling.{k}", "")) for k, v in model.sampling.items()]
    for name in ("served_name", "endpoint", "context_length", "max_tokens", "tool_parser"):
        rows.append((name, _text(getattr(model, name)), model.origins.get(name, "")))
    console.print()
    console.print(_table(rows))


def show_cache(path: Path) -> None:
    """Print entry count, bytes and age of a response cache."""
    from rich.console import Console

    from longcat_eval.model_backend.cache import cache_stats

    Console().print(_table([(k, _text(v)) for k, v in cache_stats(path).items()]))


def prune(path: Path, older_than_days: float) -> None:
    """Drop old entries and say how many."""
    from rich.console import Console

    from longcat_eval.model_backend.cache import prune_cache

    Console().print(f"{prune_cache(path, older_than_days)} entries dropped")


def _table(rows: Sequence[Sequence[str]]) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False)
    for _ in rows[0]:
        table.add_column(overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, dict):
        return ", ".join(f"{k}={v}" for k, v in value.items()) or "–"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "–"
    return str(value)
