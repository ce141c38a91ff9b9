"""The least an attempt needs: one scripted reply, real worker processes if the test has some."""

from collections.abc import Sequence
from typing import Any

from longcat_eval.protocols import ModelError, Sandboxes, Workers
from longcat_eval.records import (
    AttemptKey,
    AttemptRow,
    Call,
    Completion,
    Message,
    Sample,
    Score,
    Transcript,
    Wire,
)


class FakeContext:
    """`protocols.AttemptContext` whose model says `reply` with `finish_reason`, or raises it."""

    def __init__(
        self,
        reply: str | ModelError | Completion,
        finish_reason: str = "stop",
        *,
        sample: str = "s",
        repeat: int = 0,
        workers: Any = None,
    ) -> None:
        self.key = AttemptKey("task", sample, repeat)
        self.workers: Workers = workers or NoWorkers()
        self.sandboxes: Sandboxes = None  # type: ignore[assignment]
        self.asked: list[Sequence[Wire]] = []
        self._reply, self._finish_reason = reply, finish_reason
        self._transcript = Transcript(self.key)

    async def ask(
        self,
        messages: Sequence[Wire],
        *,
        role: str = "agent",
        turn: int = 0,
        tools: Sequence[Wire] | None = None,
        **overrides: Any,
    ) -> Completion:
        self.asked.append(messages)
        if isinstance(self._reply, ModelError):
            raise self._reply
        completion = self._reply
        if not isinstance(completion, Completion):
            completion = Completion(Message("assistant", completion), self._finish_reason)
        self._transcript.calls.append(Call(role, turn, {"messages": list(messages)}, completion))
        return completion

    def transcript(self) -> Transcript:
        return self._transcript

    def seed(self, turn: int = 0) -> int:
        return 1


class NoWorkers:
    """Fails the test that needs a worker process without having one."""

    async def call(self, function: str, *args: Any) -> Any:
        raise AssertionError(f"{function} was called without worker processes")


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
    return AttemptRow(
        task="task",
        sample=sample.id,
        repeat=repeat,
        group=sample.group,
        outcome=score.outcome,
        reason=score.reason,
        value=score.value,
        extracted=score.extracted,
        rule=score.rule,
        metrics=score.metrics,
    )
