"""Runs made of plain records, as `read_run` would give them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from longcat_eval.records import AttemptRow, Outcome, TaskProtocol
from longcat_eval.runners.manifest import DatasetRecord, Manifest, RoleRecord, TaskRecord
from longcat_eval.runners.store import RunData

MakeRecord = Callable[..., TaskRecord]
MakeRows = Callable[..., list[AttemptRow]]
MakeRun = Callable[..., RunData]


@pytest.fixture
def make_record() -> MakeRecord:
    """A task of the manifest: n selected questions of `items`, k repeats, `protocol_k` where that differs.

    `more` are further fields of its protocol.
    """

    def make(n: int, k: int = 1, *, protocol_k: int | None = None, **changes: Any) -> TaskRecord:
        own = k if protocol_k is None else protocol_k
        protocol = TaskProtocol(
            name=changes.pop("protocol", "toy/1"),
            repeats=own,
            metric="acc" if own == 1 else f"avg@{own}",
            max_tokens=16,
            prompt_hash="prompts",
            grader=changes.pop("grader", "grader/1"),
            **changes.pop("more", {}),
        )
        items = changes.pop("items", n)
        data = DatasetRecord(
            source="toy", revision=None, sha256="data", items=items, drift=changes.pop("drift", "")
        )
        return TaskRecord(
            protocol=protocol,
            dataset=data,
            selected=n,
            repeats=k,
            subset=n < items,
            floors=changes.pop("floors", {}),
        )

    return make


@pytest.fixture
def make_rows() -> MakeRows:
    """Rows from values per question; None is lost to the endpoint, "" a reply without an answer."""

    def make(task: str, questions: Sequence[Sequence[float | str | None]]) -> list[AttemptRow]:
        return [_row(task, i, j, x) for i, values in enumerate(questions) for j, x in enumerate(values)]

    return make


def _row(task: str, question: int, repeat: int, value: float | str | None) -> AttemptRow:
    common: dict[str, Any] = {"task": task, "sample": f"q{question:05d}", "repeat": repeat, "seconds": 2.0}
    if value is None:
        return AttemptRow(outcome=Outcome.ENDPOINT_ERROR, reason="http_503", **common)
    if isinstance(value, str):
        return AttemptRow(outcome=Outcome.NO_ANSWER, value=0.0, cost=0.01, **common)
    tokens = {"prompt_tokens": 100, "completion_tokens": 50}
    return AttemptRow(outcome=Outcome.ANSWERED, value=value, extracted="A", cost=0.01, **tokens, **common)


@pytest.fixture
def make_run() -> MakeRun:
    """A run directory's content; `preset` and `agent` are the agent's, `others` the other roles by name."""

    def make(
        tasks: Mapping[str, tuple[TaskRecord, list[AttemptRow]]],
        *,
        model: str = "toy-model",
        path: str = "runs/r1",
        preset: str | None = None,
        not_run: Mapping[str, str] | None = None,
        agent: Mapping[str, Any] | None = None,
        **others: RoleRecord,
    ) -> RunData:
        manifest = Manifest(
            model=model,
            suite=None,
            seed=7,
            roles={
                "agent": RoleRecord(name=model, kind="endpoint", preset=preset, **(agent or {})),
                **others,
            },
            tasks={name: record for name, (record, _) in tasks.items()},
            not_run=dict(not_run or {}),
        )
        return RunData(Path(path), manifest, [row for _, rows in tasks.values() for row in rows])

    return make


@pytest.fixture
def make_binary(
    make_record: MakeRecord, make_rows: MakeRows
) -> Callable[..., tuple[TaskRecord, list[AttemptRow]]]:
    """A benchmark of n questions and k repeats with `correct` right attempts, spread over the questions."""

    def make(
        task: str, correct: int, n: int, k: int = 1, **changes: Any
    ) -> tuple[TaskRecord, list[AttemptRow]]:
        flat = [float(i < correct) for i in range(n * k)]
        return make_record(n, k, **changes), make_rows(task, [flat[i::n] for i in range(n)])

    return make
