"""`run --dry-run`: requests, tokens, cost and time, with every assumption in sight."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from longcat_eval.cli.live import duration
from longcat_eval.cli.prices import price_remedy
from longcat_eval.model_backend.resolve import ResolvedModel
from longcat_eval.records import AttemptRow
from longcat_eval.runners.estimate import ALL_ROLES, RoleEstimate, TaskEstimate, estimate
from longcat_eval.runners.plan import PlannedTask
from longcat_eval.runners.store import manifest_files, read_run
from longcat_eval.runners.workers import WorkerPool

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

STREAM_TOKENS_PER_SECOND = 50.0
AUTO_STREAMS = 64


def print_estimate(
    console: "Console",
    planned: list[PlannedTask],
    models: Mapping[str, ResolvedModel],
    concurrency: "int | str",
    output: Path | None,
) -> None:
    """Print one line per task and role, and the sum; nothing is sent to any model."""
    estimates = asyncio.run(_estimates(planned, _standing_rows(output)))
    console.print(_table(estimates))
    for source, whose in _sources(estimates).items():
        console.print(f"{', '.join(whose)}: {source}", highlight=False, markup=False)
    parts = [(e.attempts, r) for e in estimates for r in e.roles]
    requests, prompt, completion = (
        sum(attempts * getattr(role, name) for attempts, role in parts)
        for name in ("requests", "prompt_tokens", "completion_tokens")
    )
    streams = concurrency if isinstance(concurrency, int) else AUTO_STREAMS
    seconds = completion / (STREAM_TOKENS_PER_SECOND * streams)
    console.print(
        f"{requests:,.0f} requests, {prompt:,.0f} + {completion:,.0f} tokens, "
        f"{cost_text(estimates, models)}, about {duration(seconds)} if the server gives "
        f"{streams} streams {STREAM_TOKENS_PER_SECOND:g} tokens/s each",
        highlight=False,
        soft_wrap=True,
        markup=False,
    )


def _table(estimates: Sequence[TaskEstimate]) -> "Table":
    from rich.table import Table

    several = any(len(e.roles) > 1 or e.roles[0].role == ALL_ROLES for e in estimates)
    left = ("task", *(["role"] if several else []))
    table = Table(box=None, pad_edge=False)
    for name in (*left, "attempts", "requests", "prompt tokens", "completion tokens"):
        table.add_column(name, justify="left" if name in left else "right")
    for e in estimates:
        for number, role in enumerate(e.roles):
            names = ["" if number else e.task, *([role.role] if several else [])]
            counts = (role.requests, role.prompt_tokens, role.completion_tokens)
            attempts = "" if number else f"{e.attempts:,}"
            table.add_row(*names, attempts, *(f"{e.attempts * x:,.0f}" for x in counts))
    return table


def _sources(estimates: Sequence[TaskEstimate]) -> dict[str, list[str]]:
    """Where the figures come from, and for which roles, or tasks where there is one role."""
    found: dict[str, list[str]] = {}
    for e in estimates:
        for role in e.roles:
            name = e.task if len(e.roles) == 1 else f"{e.task} {role.role}"
            found.setdefault(role.source, []).append(name)
    return found


def cost_text(estimates: Sequence[TaskEstimate], models: Mapping[str, ResolvedModel]) -> str:
    """Dollars in all and by role, each at its own price, and which price is unknown.

    Cached prompt tokens count in full, because nobody knows how many there will be.
    """
    found = [(role.role, _dollars(e, role, models)) for e in estimates for role in e.roles]
    unknown = list(dict.fromkeys(role for role, dollars in found if dollars is None))
    known: dict[str, float] = {}
    for role, dollars in found:
        if dollars is not None:
            known[role] = known.get(role, 0.0) + dollars
    said = [f"{_whose(role, found)}cost unknown ({_remedy(role)})" for role in unknown]
    if not known:
        return ", ".join(said)
    text = f"{'at least ' if unknown else ''}${sum(known.values()):,.2f}"
    if len(known) + len(unknown) > 1:
        text += f" ({', '.join(f'{role} ${dollars:,.2f}' for role, dollars in known.items())})"
    if any(_has_discount(models.get(role)) for role in known):
        text += " before discounts for cached prompts"
    return ", ".join([text, *said])


def _whose(role: str, found: Sequence[tuple[str, float | None]]) -> str:
    return f"{role}: " if any(other != role for other, _ in found) else ""


def _dollars(e: TaskEstimate, role: RoleEstimate, models: Mapping[str, ResolvedModel]) -> float | None:
    """What one role of a task will cost; a script costs nothing."""
    if role.role == ALL_ROLES:
        return None if e.cost is None else e.attempts * e.cost
    model = models[role.role]
    if model.kind == "scripted":
        return 0.0
    if (price := model.price_record) is None:
        return None
    tokens = role.prompt_tokens * price["prompt"] + role.completion_tokens * price["completion"]
    return e.attempts * tokens / 1e6


def _has_discount(model: ResolvedModel | None) -> bool:
    return model is not None and model.price is not None and model.price.cached_prompt is not None


def _remedy(role: str) -> str:
    if role == ALL_ROLES:
        return "its attempts so far have no cost, because a role has no price"
    return price_remedy(role)


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
