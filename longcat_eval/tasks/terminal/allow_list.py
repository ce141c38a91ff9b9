"""What `doctor` found out about the tasks on this machine: which of them can be judged here at all.

One JSON file per machine in the user's cache; a finding holds for the task's files and the images of then.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from longcat_eval.runners.sandbox.owner import host_id
from longcat_eval.tasks.terminal.records import TerminalTask


class Finding(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One task: what its own solution scores here, and what doing nothing does; None where that never ended.

    `problem` is why it is not allowed, empty if it is. `seconds` is the time of both, images included.
    """

    digest: str
    checked: str
    version: str
    oracle: float | None = None
    empty: float | None = None
    problem: str = ""
    seconds: float = 0.0
    stand_ins: tuple[str, ...] = ()

    @property
    def allowed(self) -> bool:
        """Whether the solution passes and doing nothing does not."""
        return not self.problem and self.oracle == 1.0 and self.empty is not None and self.empty < 1.0


Findings = dict[str, Finding]


def allow_list_path() -> Path:
    """Where this machine's findings are kept."""
    from platformdirs import user_cache_path

    return user_cache_path("longcat-eval") / "terminal" / f"{host_id()}.json"


def read_findings(path: Path | None = None) -> Findings:
    """All findings, by task; nothing where there are none, or the file cannot be read."""
    try:
        return msgspec.json.decode((path or allow_list_path()).read_bytes(), type=Findings)
    except (OSError, msgspec.DecodeError, msgspec.ValidationError):
        return {}


def keep_finding(name: str, finding: Finding) -> None:
    """Put one finding into the file at once: a doctor that is stopped loses nothing."""
    path = allow_list_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    found = read_findings(path) | {name: finding}
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.write_bytes(msgspec.json.format(msgspec.json.encode(dict(sorted(found.items())))))
    fresh.replace(path)


def known_here(tasks: Mapping[str, TerminalTask], findings: Mapping[str, Finding]) -> Findings:
    """The findings that hold for these tasks as they are."""
    return {
        name: findings[name]
        for name, task in tasks.items()
        if name in findings and findings[name].digest == task.digest
    }


def coverage(names: Iterable[str], known: Mapping[str, Finding]) -> str:
    """`oracle passes 78/80 here`, as every report says it; what was not tried is named as that."""
    every = list(names)
    allowed = sum(name in known and known[name].allowed for name in every)
    untried = sum(name not in known for name in every)
    if untried == len(every):
        return "the oracle has not been tried here (longcat-eval doctor --task terminal-bench)"
    rest = f", {untried} not tried" if untried else ""
    return f"oracle passes {allowed}/{len(every)} here{rest}"
