"""Judging kept transcripts again: new rows over the old transcripts, the old verdicts stay in the file."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.model_backend.role import Role
from longcat_eval.protocols import Task, Workers
from longcat_eval.records import AttemptRow, Sample, TaskProtocol
from longcat_eval.runners.context import Context
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
    """Score every valid row of `tasks` again; return (old, new) pairs."""
    gate = asyncio.Semaphore(AT_ONCE)
    chosen = [row for row in run.rows if row.outcome.valid and row.task in tasks]

    async def one(row: AttemptRow) -> tuple[AttemptRow, AttemptRow]:
        task, samples = tasks[row.task]
        if row.sample not in samples:
            raise EnvironmentUnusableError(
                f"{row.task} sample {row.sample} is not in today's data; give the data of the run"
            )
        async with gate:
            return row, await _score_again(run.path, row, task, samples[row.sample], workers)

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
            record.protocol = msgspec.structs.replace(record.protocol, grader=protocols[task].grader)
        write_manifest(name, manifest)


async def _score_again(
    path: Path, row: AttemptRow, task: Task, sample: Sample, workers: Workers
) -> AttemptRow:
    transcript = read_transcript(path, row)
    context = Context(row.key, dict[str, Role](), task.protocol, 0, workers, _no_requests)
    score = await task.score(sample, transcript, context)
    return msgspec.structs.replace(
        row,
        **msgspec.structs.asdict(score),
        time=datetime.now(UTC).isoformat(),
        rescored=task.protocol.grader,
    )


def _no_requests(role: str, request: Any) -> None:
    raise EnvironmentUnusableError(f"rescoring this task needs the {role} model")
