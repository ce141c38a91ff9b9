"""What is seen while a run goes on: a live table on a terminal, a plain line now and then elsewhere."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from longcat_eval.records import AttemptRow
from longcat_eval.runners.events import AttemptFinished, Event, RunEnded, RunStarted

if TYPE_CHECKING:
    from rich.console import Console, Group

PLAIN_SECONDS = 30.0
REFRESH_PER_SECOND = 2.0


@dataclass
class TaskProgress:
    """How far one task is: its valid rows, and what failed."""

    expected: int
    rows: list[AttemptRow] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)

    @property
    def score(self) -> str:
        """Score so far with its 95 % interval, in percent."""
        from longcat_eval.reports.statistics import avg_at_k, interval

        if not self.rows:
            return "–"
        values: dict[str, list[float]] = {}
        for row in self.rows:
            values.setdefault(row.sample, []).append(row.value or 0.0)
        questions = list(values.values())
        low, high, _ = interval(questions)
        return f"{100 * avg_at_k(questions):.2f} [{100 * low:.1f}, {100 * high:.1f}]"


class Progress:
    """Counts of a run in progress; a listener of the engine."""

    def __init__(self, in_flight: Callable[[], str] = lambda: "") -> None:
        self.tasks: dict[str, TaskProgress] = {}
        self.started = time.monotonic()
        self.tokens = self.finished = 0
        self.cost: float | None = None
        self.in_flight = in_flight

    def hear(self, event: Event) -> None:
        """Take in one event."""
        if isinstance(event, RunStarted):
            self.tasks = {name: TaskProgress(count) for name, count in event.expected.items()}
            for row in event.done:
                if row.task in self.tasks:
                    self.tasks[row.task].rows.append(row)
        elif isinstance(event, AttemptFinished):
            self._count(event.row)

    def _count(self, row: AttemptRow) -> None:
        task = self.tasks[row.task]
        if row.outcome.valid:
            task.rows.append(row)
        else:
            task.failed[f"{row.outcome} {row.reason}".strip()] += 1
        self.finished += 1
        self.tokens += row.completion_tokens
        if row.cost is not None:
            self.cost = (self.cost or 0.0) + row.cost

    @property
    def done(self) -> int:
        """Valid attempts of all tasks."""
        return sum(len(t.rows) for t in self.tasks.values())

    @property
    def expected(self) -> int:
        """Attempts to make in all tasks."""
        return sum(t.expected for t in self.tasks.values())

    def summary(self) -> str:
        """One line: rate, tokens, cost, time left, errors by class."""
        seconds = max(time.monotonic() - self.started, 1e-9)
        parts = [f"{self.done}/{self.expected}", f"{self.tokens / seconds:.0f} tokens/s"]
        if self.cost is not None:
            parts.append(f"${self.cost:.2f}")
        if self.finished and self.done < self.expected:
            parts.append(f"ETA {duration((self.expected - self.done) * seconds / self.finished)}")
        if flying := self.in_flight():
            parts.append(flying)
        failed = sum((t.failed for t in self.tasks.values()), Counter[str]())
        parts += [f"{count}× {name}" for name, count in failed.most_common(3)]
        return " · ".join(parts)

    def view(self) -> "Group":
        """Per task: done, score so far, failures; below, the whole in one line."""
        from rich.console import Group
        from rich.table import Table

        table = Table(box=None, pad_edge=False)
        for name, justify in (("task", "left"), ("done", "right"), ("score so far", "right"), ("", "left")):
            table.add_column(name, justify=justify)  # type: ignore[arg-type]
        for name, task in self.tasks.items():
            failures = ", ".join(f"{count}× {kind}" for kind, count in task.failed.most_common(2))
            table.add_row(name, f"{len(task.rows)}/{task.expected}", task.score, f"[red]{failures}[/red]")
        return Group(table, f"[dim]{self.summary()}[/dim]")


class LiveDisplay:
    """A redrawn table on a terminal."""

    def __init__(self, console: "Console", progress: Progress) -> None:
        from rich.live import Live

        self.progress = progress
        self._live = Live(
            get_renderable=progress.view,
            console=console,
            refresh_per_second=REFRESH_PER_SECOND,
            transient=True,
        )

    def __call__(self, event: Event) -> None:
        """Hear one event of the engine."""
        self.progress.hear(event)
        if isinstance(event, RunStarted):
            self._live.start()
        elif isinstance(event, RunEnded):
            self._live.stop()

    def close(self) -> None:
        """Give the terminal back, however the run ended."""
        self._live.stop()


class PlainLines:
    """One line now and then, for logs and CI."""

    def __init__(self, console: "Console", progress: Progress, every: float = PLAIN_SECONDS) -> None:
        self.console, self.progress, self.every = console, progress, every
        self._next = time.monotonic() + every

    def __call__(self, event: Event) -> None:
        """Hear one event of the engine."""
        self.progress.hear(event)
        if isinstance(event, AttemptFinished) and time.monotonic() >= self._next:
            self._next = time.monotonic() + self.every
            self.console.print(self.progress.summary(), highlight=False, soft_wrap=True, markup=False)

    def close(self) -> None:
        """Nothing to give back."""


def duration(seconds: float) -> str:
    """Seconds as people read them: 45s, 12m, 3h20m."""
    minutes = int(seconds // 60)
    if minutes < 1:
        return f"{seconds:.0f}s"
    if minutes < 60:
        return f"{minutes}m{int(seconds % 60):02d}s"
    return f"{minutes // 60}h{minutes % 60:02d}m"
