"""The test plan of a task: `evaluation/detailed_test_plan.json`, read once and checked.

Where its author wrote one thing in several ways (one test case or a list, a file or a list of files), here is
one.
"""

from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

from longcat_eval.errors import EnvironmentUnusableError

PLAN = "evaluation/detailed_test_plan.json"
Kind = Literal["shell_interaction", "unit_test", "file_comparison"]
BESIDE = ("", "evaluation", "evaluation/inputs")
"""Where an input file may lie: task 33 names files of its evaluation folder without that folder."""
INPUT_ENDINGS = (".in", ".txt", ".csv", ".json")


class Case(msgspec.Struct, frozen=True):
    """One command of a metric, and what is typed: the name of a file, or the text itself; both may be
    empty.
    """

    command: str
    input: str


class Metric(msgspec.Struct, frozen=True):
    """One point of the plan; `expected_files` and `input_files` are paths in the task's folder."""

    name: str
    description: str
    kind: Kind
    expected: str
    cases: tuple[Case, ...]
    input_files: tuple[str, ...] = ()
    expected_files: tuple[str, ...] = ()


class Typed(msgspec.Struct, frozen=True):
    """The lines to type for a case; `missing` names a file that is not there."""

    lines: tuple[str, ...] = ()
    missing: str = ""


def read_plan(folder: Path) -> list[Metric]:
    """Return the metrics of the task in `folder`, in order; `EnvironmentUnusableError` for no such plan."""
    try:
        raw = msgspec.json.decode((folder / PLAN).read_bytes().removeprefix(b"\xef\xbb\xbf"))
    except OSError as error:
        raise EnvironmentUnusableError(f"task {folder.name}: {PLAN}: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise EnvironmentUnusableError(f"task {folder.name}: {PLAN} is not JSON: {error}") from None
    if not isinstance(raw, list) or not raw:
        raise EnvironmentUnusableError(f"task {folder.name}: {PLAN} is not a list of metrics")
    metrics = []
    for number, entry in enumerate(raw, 1):
        try:
            metrics.append(_metric(entry))
        except (ValueError, TypeError) as error:
            raise EnvironmentUnusableError(f"task {folder.name}: {PLAN}, metric {number}: {error}") from None
    return metrics


def read_input(folder: Path, case: Case) -> Typed:
    """What is typed for a case of the task in `folder`: the lines of its file, or its text as lines."""
    text = case.input
    if not text:
        return Typed()
    if "\n" not in text:
        for place in BESIDE:
            path = (folder / place / text.strip()).resolve()
            if path.is_file() and path.is_relative_to(folder.resolve()):
                return Typed(_lines(path.read_text(encoding="utf-8", errors="replace")))
        if text.strip().endswith(INPUT_ENDINGS):
            return Typed(missing=text.strip())
        text = text.replace("\\n", "\n")
    return Typed(_lines(text))


def _lines(text: str) -> tuple[str, ...]:
    """Lines as they are typed; what follows the last line end is one only if there is something."""
    lines = text.replace("\r\n", "\n").split("\n")
    return tuple(lines if lines[-1] else lines[:-1])


def _metric(entry: Any) -> Metric:
    if not isinstance(entry, dict) or not entry.get("metric"):
        raise ValueError("no object with a name (`metric`)")
    kind: Any = entry.get("type")
    if kind not in get_args(Kind):
        raise ValueError(f"type {kind!r} is none of {', '.join(get_args(Kind))}")
    cases = entry.get("testcases") or []
    return Metric(
        name=str(entry["metric"]),
        description=str(entry.get("description") or ""),
        kind=kind,
        expected=str(entry.get("expected_output") or ""),
        cases=tuple(_case(case) for case in ([cases] if isinstance(cases, dict) else cases)),
        input_files=_paths(entry.get("input_files")),
        expected_files=_paths(entry.get("expected_output_files")),
    )


def _case(case: Any) -> Case:
    if not isinstance(case, dict):
        raise ValueError(f"a test case is no object: {case!r}")
    return Case(str(case.get("test_command") or "").strip(), str(case.get("test_input") or ""))


def _paths(value: Any) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else (str(value),) if value else ()
