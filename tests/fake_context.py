"""The least an attempt needs: one scripted reply, real worker processes if the test has some."""

from typing import Any

from toy import NoWorkers

from longcat_eval.model_backend.role import Role
from longcat_eval.protocols import ModelError
from longcat_eval.records import (
    AttemptKey,
    AttemptRow,
    Completion,
    Message,
    Request,
    Sample,
    Score,
    TaskProtocol,
    Transcript,
    Wire,
)
from longcat_eval.runners.context import Context
from longcat_eval.runners.engine import make_row
from longcat_eval.runners.plan import WorkItem

PROTOCOL = TaskProtocol(name="t/1", repeats=1, metric="acc", max_tokens=64, prompt_hash="", grader="")


class FakeContext(Context):
    """The real context, whose model is itself: it says `reply` with `finish_reason`, or raises it."""

    name = "fake"
    capabilities = frozenset({"chat"})

    def __init__(
        self,
        reply: str | ModelError | Completion,
        finish_reason: str = "stop",
        *,
        sample: str = "s",
        repeat: int = 0,
        workers: Any = None,
    ) -> None:
        self.asked: list[list[Wire]] = []
        self._reply, self._finish_reason = reply, finish_reason
        key, roles = AttemptKey("task", sample, repeat), {"agent": Role(self, "fake")}
        super().__init__(key, roles, PROTOCOL, 0, workers or NoWorkers(), lambda role, request: None)

    async def complete(self, request: Request) -> Completion:
        self.asked.append(request.body["messages"])
        if isinstance(self._reply, ModelError):
            raise self._reply
        if isinstance(self._reply, Completion):
            return self._reply
        return Completion(Message("assistant", self._reply), self._finish_reason)

    async def close(self) -> None:
        pass


async def run_attempt(task: Any, sample: Sample, context: FakeContext) -> tuple[Transcript, Score]:
    """One attempt and its verdict."""
    transcript = await task.attempt(sample, context)
    return transcript, await task.score(sample, transcript, context)


async def oracle_score(task: Any, sample: Sample, repeat: int = 0, workers: Any = None) -> Score:
    """The verdict on the task's own reference reply."""
    reply = task.reference(sample, repeat)["agent"][0].content
    context = FakeContext(reply, sample=sample.id, repeat=repeat, workers=workers)
    return (await run_attempt(task, sample, context))[1]


def row(sample: Sample, score: Score, repeat: int = 0) -> AttemptRow:
    """The line of samples.jsonl that the engine would write."""
    key = AttemptKey("task", sample.id, repeat)
    item = WorkItem(None, sample, key)  # type: ignore[arg-type] - a row takes the key's task
    return make_row(item, Transcript(key), score)
