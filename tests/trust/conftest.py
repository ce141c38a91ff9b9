"""Run directories on disk, from values per question."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from cli_fixtures import cli

from longcat_eval.records import (
    AttemptKey,
    AttemptRow,
    Call,
    Completion,
    Message,
    Outcome,
    TaskProtocol,
    Transcript,
)
from longcat_eval.runners.manifest import DatasetRecord, Manifest, RoleRecord, TaskRecord
from longcat_eval.runners.store import RunWriter

__all__ = ["cli"]

Values = Sequence[Sequence[float | None]]
WriteRun = Callable[..., Path]


@pytest.fixture
def write_run(tmp_path: Path) -> WriteRun:
    """`write_run("a", {"aime24": [[1.0, 0.0], ...]})`; None is an attempt lost to the endpoint.

    `protocol` are changes of every task's protocol, `first` the number of the first question.
    """

    def write(
        name: str,
        tasks: Mapping[str, Values],
        *,
        model: str = "toy-model",
        items: int | None = None,
        first: int = 0,
        not_run: Mapping[str, str] | None = None,
        **protocol: Any,
    ) -> Path:
        manifest = Manifest(
            model=model,
            suite=None,
            seed=7,
            roles={"agent": RoleRecord(name=model, kind="endpoint")},
            tasks={task: _record(values, items, protocol) for task, values in tasks.items()},
            not_run=dict(not_run or {}),
        )
        writer = RunWriter(tmp_path / name)
        writer.open()
        writer.write_manifest(manifest)
        for task, values in tasks.items():
            for i, repeats in enumerate(values, first):
                for j, value in enumerate(repeats):
                    row = _row(task, f"q{i:03d}", j, value)
                    writer.append(row, _transcript(row.key, f"{name} says {value}"))
        writer.close()
        return tmp_path / name

    return write


def _record(values: Values, items: int | None, changes: Mapping[str, Any]) -> TaskRecord:
    n, k = len(values), max(len(repeats) for repeats in values)
    protocol = TaskProtocol(
        **{
            "name": "toy/1",
            "repeats": k,
            "metric": "acc" if k == 1 else f"avg@{k}",
            "max_tokens": 16,
            "prompt_hash": "prompts",
            "grader": "grader/1",
            **changes,
        }
    )
    data = DatasetRecord(source="toy", revision=None, sha256="data", items=items or n)
    return TaskRecord(protocol=protocol, dataset=data, selected=n, repeats=k, subset=n < (items or n))


def _row(task: str, sample: str, repeat: int, value: float | None) -> AttemptRow:
    outcome = Outcome.ENDPOINT_ERROR if value is None else Outcome.ANSWERED
    return AttemptRow(task=task, sample=sample, repeat=repeat, outcome=outcome, value=value)


def _transcript(key: AttemptKey, text: str) -> Transcript:
    request = {"messages": [{"role": "user", "content": f"ask {key.sample}"}]}
    return Transcript(key, [Call("agent", 0, request, Completion(Message("assistant", text), "stop"))])
