"""`run --dry-run`: requests, tokens, cost and time, with every assumption in sight."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from longcat_eval.cli.live import duration
from longcat_eval.model_backend.resolve import ResolvedModel
from longcat_eval.records import AttemptRow
from longcat_eval.runners.estimate import TaskEstimate, estimate
from longcat_eval.runners.plan import PlannedTask
from longcat_eval.runners.store import manifest_files, read_run
from longcat_eval.runners.workers import WorkerPool

if TYPE_CHECKING:
    from rich.console import Console

STREAM_TOKENS_PER_SECOND = 50.0
AUTO_STREAMS = 64


def print_estimate(
    console: "Console",
    planned: list[PlannedTask],
    model: ResolvedModel,
    concurrency: "int | str",
    output: Path | None,
) -> None:
    """Print one line per task and the sum; nothing is sent to any model."""
    from rich.table import Table

    estimates = asyncio.run(_estimates(planned, _standing_rows(output)))
    table = Table(box=None, pad_edge=False)
    for name in ("task", "attempts", "requests", "prompt tokens", "completion tokens", "from"):
        table.add_column(name, justify="left" if name in ("task", "from") else "right")
    for e in estimates:
        table.add_row(
            e.task,
            f"{e.attempts:,}",
            f"{e.requests:,}",
            f"{e.attempts * e.prompt_tokens:,.0f}",
            f"{e.attempts * e.completion_tokens:,.0f}",
            "this run's own means" if e.measured else "prompts counted; a rough completion length",
        )
    console.print(table)
    prompt = sum(e.attempts * e.prompt_tokens for e in estimates)
    completion = sum(e.attempts * e.completion_tokens for e in estimates)
    streams = concurrency if isinstance(concurrency, int) else AUTO_STREAMS
    seconds = completion / (STREAM_TOKENS_PER_SECOND * streams)
    console.print(
        f"{sum(e.requests for e in estimates):,} requests, {prompt:,.0f} + {completion:,.0f} tokens, "
        f"{_cost(model, prompt, completion)}, about {duration(seconds)} if the server gives "
        f"{streams} streams {STREAM_TOKENS_PER_SECOND:g} tokens/s each",
        highlight=False,
        soft_wrap=True,
    )


def _cost(model: ResolvedModel, prompt: float, completion: float) -> str:
    price = model.price_record
    if not price:
        return "cost unknown (give --set price.prompt=… --set price.completion=…, dollars per million tokens)"
    return f"${(prompt * price['prompt'] + completion * price['completion']) / 1e6:,.2f}"


def _standing_rows(output: Path | None) -> list[AttemptRow]:
    if output is None or not output.is_dir() or not manifest_files(output):
        return []
    return [row for row in read_run(output).rows if row.outcome.valid]


async def _estimates(planned: list[PlannedTask], rows: list[AttemptRow]) -> list[TaskEstimate]:
    workers = WorkerPool(1)
    try:
        return [await estimate(p, [r for r in rows if r.task == p.task.name], workers) for p in planned]
    finally:
        await workers.close()
