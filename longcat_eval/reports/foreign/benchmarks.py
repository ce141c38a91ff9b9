"""Which of our benchmarks another tool's task is (benchmarks.yaml)."""

import re
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("benchmarks.yaml")


@cache
def _known() -> dict[str, str]:
    import yaml

    from longcat_eval.tasks.table import TASKS

    names: dict[str, list[str]] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    found = {_plain(task): task for task in (*TASKS, *names)}
    for task, others in names.items():
        found |= {"@".join(map(_plain, other.split("@"))): task for other in others}
    return found


def our_task(name: str, dataset: str | None = None) -> str:
    """Our name of the benchmark that a tool calls `name`, empty where none is known to be the same."""
    last = _plain(name.rpartition("/")[2])
    found = _known().get(last, "")
    if not found and dataset:
        found = _known().get(f"{last}@{_plain(dataset)}", "")
    return found


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())
