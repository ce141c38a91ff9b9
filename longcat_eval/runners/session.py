"""One start of a run: open or resume its directory, work off what is missing, keep the manifest true."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from longcat_eval.errors import UsageError
from longcat_eval.model_backend.role import Role
from longcat_eval.protocols import Sandboxes, Workers
from longcat_eval.records import AttemptKey, AttemptRow, Request
from longcat_eval.runners.budget import ANSWER_TAKEN, Budget
from longcat_eval.runners.context import NoSandboxes, RequestListener
from longcat_eval.runners.engine import NOT_JUDGED, Engine
from longcat_eval.runners.events import Listener, RunEnded, RunStarted
from longcat_eval.runners.identity import differences
from longcat_eval.runners.manifest import Manifest
from longcat_eval.runners.paid_replies import PaidReplies
from longcat_eval.runners.plan import PlannedTask, Shard, work_items
from longcat_eval.runners.store import (
    RunWriter,
    counting_rows,
    manifest_files,
    read_manifest,
    read_rows,
    unjudged,
)


@dataclass
class Session:
    """A run directory opened for writing, with what already stands in it.

    With `judge_only` no attempt is made; those that lack their verdict are judged.
    """

    path: Path
    manifest: Manifest
    shard: Shard | None = None
    judge_only: bool = False
    store: RunWriter = field(init=False)
    rows: list[AttemptRow] = field(init=False)
    engine: Engine | None = None
    complete: bool = False

    def __post_init__(self) -> None:
        self.store = RunWriter(self.path, self.shard.name if self.shard else None)

    def open(self) -> None:
        """Create or resume the directory; `UsageError` with a diff if it holds another configuration.

        Tasks may join a run; those that stand in it already must be the same.
        """
        others = manifest_files(self.path) if self.path.is_dir() else []
        for other in others:
            if changes := differences(read_manifest(other), self.manifest):
                shown = "\n  ".join(changes[:20])
                raise UsageError(
                    f"{self.path} holds a run with another configuration; use another directory with -o, "
                    f"or the same settings:\n  {shown}"
                )
        self.rows = [*self.store.open(), *read_rows(self.path, besides=self.store.rows_path)]
        if self.store.manifest_path.exists():
            old = read_manifest(self.store.manifest_path)
            self.manifest.tasks = {**old.tasks, **self.manifest.tasks}
            self.manifest.roles = {**old.roles, **self.manifest.roles}
            self.manifest.first_requests = old.first_requests
            self.manifest.invocations = [*old.invocations, *self.manifest.invocations]
        self.store.write_manifest(self.manifest)

    def interrupt(self) -> None:
        """End now: what is in flight is dropped and made again on resume."""
        if self.engine is not None:
            self.engine.stop("interrupted", now=True)

    def close(self) -> None:
        """Flush and unlock; safe to call more than once."""
        self.store.close()

    async def run(
        self,
        planned: list[PlannedTask],
        roles: Mapping[str, Role],
        workers: Workers,
        sandboxes: Sandboxes | None = None,
        *,
        concurrency: int,
        budget: Budget,
        emit: Listener,
    ) -> str:
        """Work off what is missing; return why it stopped early, or an empty string.

        `complete` then says whether every attempt that is ours to make has a valid result.
        """
        done = [row for row in counting_rows(self.rows) if row.outcome.valid]
        budget.spend_all(self.rows)
        judges = {role for part in planned for role in part.task.protocol.judges}
        paid = PaidReplies(self.path, self.shard.name if self.shard else None)
        self.engine = Engine(
            paid.keeping(roles, judges, self.manifest.roles),
            self.store,
            workers,
            sandboxes or NoSandboxes(),
            self.manifest.seed,
            concurrency,
            budget,
            emit,
            self._request_listener,
            judging=concurrency if judges else 0,
        )
        emit(RunStarted(self._expected(planned), done))
        keys, tries, kept = {row.key for row in done}, _tries(self.rows), unjudged(self.rows)
        items = list(work_items(planned, done=keys, tries=tries, shard=self.shard, kept=kept))
        if self.judge_only:
            items = [item for item in items if item.kept is not None]
        stopped = budget.exhausted() if items else ""
        try:
            if not stopped:
                stopped = await self.engine.run(items)
            self.complete = self.engine.kept == len(items)
        finally:
            paid.close(whole=self.complete)
        emit(RunEnded(stopped))
        return stopped

    def _request_listener(self, task: str) -> RequestListener:
        """Keep the first body of every task and role verbatim in the manifest."""
        first = self.manifest.first_requests

        def keep(role: str, request: Request) -> None:
            if (name := f"{task}/{role}") not in first:
                first[name] = request.body
                self.store.write_manifest(self.manifest)

        return keep

    def _expected(self, planned: list[PlannedTask]) -> dict[str, int]:
        return {part.task.name: len(part.samples_of(self.shard)) * part.repeats for part in planned}


def _tries(rows: list[AttemptRow]) -> dict[AttemptKey, int]:
    tries: dict[AttemptKey, int] = {}
    for row in rows:
        if row.reason not in (NOT_JUDGED, ANSWER_TAKEN):
            tries[row.key] = max(tries.get(row.key, 0), row.tries)
    return tries
