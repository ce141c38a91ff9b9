"""Judging kept transcripts again: new rows over the old transcripts, the old verdicts stay in the file."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.model_backend.role import Role
from longcat_eval.protocols import ModelError, Task, Workers
from longcat_eval.records import AttemptRow, Completion, JudgeRules, Request, Sample, TaskProtocol
from longcat_eval.runners.context import Context
from longcat_eval.runners.manifest import RoleRecord
from longcat_eval.runners.store import (
    RunData,
    RunWriter,
    manifest_files,
    read_manifest,
    read_transcript,
    write_manifest,
)

AT_ONCE = 64


async def rescore(
    run: RunData, tasks: Mapping[str, tuple[Task, Mapping[str, Sample]]], workers: Workers
) -> list[tuple[AttemptRow, AttemptRow]]:
    """Score every valid row of `tasks` again; return (old, new) pairs.

    What judges said is read again; an attempt without a verdict may get one from it.
    """
    gate = asyncio.Semaphore(AT_ONCE)
    chosen = [row for row in run.rows if (row.outcome.valid or row.unjudged) and row.task in tasks]

    async def one(row: AttemptRow) -> tuple[AttemptRow, AttemptRow]:
        task, samples = tasks[row.task]
        if row.sample not in samples:
            raise EnvironmentUnusableError(
                f"{row.task} sample {row.sample} is not in today's data; give the data of the run"
            )
        async with gate:
            return row, await _score_again(run, row, task, samples[row.sample], workers)

    return list(await asyncio.gather(*(one(row) for row in chosen)))


def keep(
    path: Path, pairs: Sequence[tuple[AttemptRow, AttemptRow]], protocols: Mapping[str, TaskProtocol]
) -> None:
    """Append the new verdicts beside the old, each to the shard that holds its transcript.

    The manifests then name today's graders: every attempt of these tasks is judged by them.
    """
    for file in sorted({new.file for _, new in pairs}):
        shard = file.removeprefix("transcripts").removesuffix(".zst").removeprefix("-") or None
        writer = RunWriter(path, shard)
        writer.open()
        try:
            for _, new in pairs:
                if new.file == file:
                    writer.append_row(new)
        finally:
            writer.close()

    for name in manifest_files(path):
        manifest = read_manifest(name)
        for task in manifest.tasks.keys() & protocols.keys():
            record = manifest.tasks[task]
            judges = {**record.protocol.judges, **_as_asked(protocols[task], record.protocol)}
            record.protocol = msgspec.structs.replace(
                record.protocol, grader=protocols[task].grader, judges=judges
            )
        write_manifest(name, manifest)


async def _score_again(
    run: RunData, row: AttemptRow, task: Task, sample: Sample, workers: Workers
) -> AttemptRow:
    asked, kept = run.manifest.tasks[row.task].protocol, read_transcript(run.path, row)
    context = Context(
        row.key,
        {name: _recorded(run, name) for name in task.protocol.judges},
        msgspec.structs.replace(
            task.protocol,
            role_sampling=asked.role_sampling,
            judges=_as_asked(task.protocol, asked),
        ),
        run.manifest.seed,
        workers,
        _unheard,
        tries=row.tries,
        kept=kept,
    )
    try:
        score = await task.score(sample, context.transcript(), context)
    except (ModelError, EnvironmentUnusableError):
        if row.unjudged:
            return row
        raise
    return msgspec.structs.replace(
        row,
        **msgspec.structs.asdict(score),
        time=datetime.now(UTC).isoformat(),
        rescored=task.protocol.grader,
        error=kept.error[:500] if row.unjudged else row.error,
        unjudged=False,
    )


def _as_asked(today: TaskProtocol, asked: TaskProtocol) -> dict[str, JudgeRules]:
    """Today's judges at the completion limits of the run, which its user may have set."""
    return {
        role: msgspec.structs.replace(rules, max_tokens=asked.judges.get(role, rules).max_tokens)
        for role, rules in today.judges.items()
    }


def _recorded(run: RunData, name: str) -> Role:
    record = run.manifest.roles.get(name)
    return recorded_role(record, name) if record else Role(Absent("no model", name), "")


class Absent:
    """A model that is only spoken of: what it said stands in transcripts."""

    capabilities: frozenset[str] = frozenset({"chat", "tools"})

    def __init__(self, name: str, role: str) -> None:
        self.name, self.role = name, role

    async def complete(self, request: Request) -> Completion:
        """Refuse."""
        raise EnvironmentUnusableError(
            f"{request.meta.key}: {self.name} was not asked in this run what this version asks its "
            f"{self.role}: give --judge-model, and -o for a directory of new verdicts"
        )

    async def close(self) -> None:
        """Nothing to release."""


def recorded_role(record: RoleRecord, role: str) -> Role:
    """A role as a manifest has it, for the requests it made; its model is absent."""
    return Role(
        Absent(record.name, role),
        record.served_name or record.name,
        record.sampling,
        context_length=record.context_length,
        max_tokens=record.max_tokens,
    )


def _unheard(role: str, request: Any) -> None:
    """Rescoring sends nothing."""
