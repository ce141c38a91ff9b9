"""A toy benchmark and a toy model, for tests of the engine: arithmetic that needs no data and no server."""

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence

from longcat_eval.model_backend.role import Role
from longcat_eval.protocols import AttemptContext, DataOptions, ModelError
from longcat_eval.records import (
    Aggregate,
    AttemptRow,
    Completion,
    Dataset,
    Message,
    Outcome,
    Request,
    Sample,
    Score,
    TaskProtocol,
    Transcript,
    Usage,
)
from longcat_eval.runners.manifest import Manifest, RoleRecord
from longcat_eval.runners.plan import PlannedTask


class ToyTask:
    """Sample i asks for i + i."""

    name = "toy"
    needs: frozenset[str] = frozenset({"chat"})
    floors: Mapping[str, float] = {}

    def __init__(self, items: int = 10, repeats: int = 1) -> None:
        self.items = items
        self.protocol = TaskProtocol(
            name="toy/1", repeats=repeats, metric="acc", max_tokens=16, prompt_hash="toy", grader="toy/1"
        )

    def load(self, options: DataOptions) -> Dataset:
        samples = [Sample(f"s{i:03d}", {"n": i}, "even" if i % 2 == 0 else "odd") for i in range(self.items)]
        return Dataset(samples, "toy", None, hashlib.sha256(str(self.items).encode()).hexdigest())

    def reference(self, sample: Sample, repeat: int) -> Mapping[str, Sequence[Message]]:
        return {"agent": [Message("assistant", str(2 * sample.fields["n"]))]}

    async def attempt(self, sample: Sample, ctx: AttemptContext) -> Transcript:
        await ctx.ask([{"role": "user", "content": f"{sample.fields['n']} + {sample.fields['n']} = ?"}])
        return ctx.transcript()

    async def score(self, sample: Sample, transcript: Transcript, ctx: AttemptContext) -> Score:
        text = transcript.last.text if transcript.last else ""
        if not text:
            return Score(0.0, Outcome.NO_ANSWER)
        right = text == str(2 * sample.fields["n"])
        return Score(float(right), Outcome.ANSWERED, extracted=text, rule="whole")

    def aggregate(self, rows: Sequence[AttemptRow]) -> Aggregate:
        return Aggregate("acc", {"acc": sum(r.value or 0.0 for r in rows) / max(len(rows), 1)})


class ToyModel:
    """Answers by a function of the request; keeps what it was asked."""

    name = "toy-model"
    capabilities = frozenset({"chat"})

    def __init__(
        self, answer: Callable[[Request], str | ModelError] | None = None, seconds: float = 0.0
    ) -> None:
        self.answer = answer or right_answer
        self.seconds = seconds
        self.requests: list[Request] = []
        self.most_at_once = self.at_once = 0

    async def complete(self, request: Request) -> Completion:
        self.requests.append(request)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self.at_once -= 1
        reply = self.answer(request)
        if isinstance(reply, ModelError):
            raise reply
        return Completion(Message("assistant", reply), "stop", Usage(10, 2), cost=0.5)

    async def close(self) -> None:
        pass


def right_answer(request: Request) -> str:
    """The true sum."""
    return str(2 * int(request.body["messages"][-1]["content"].split()[0]))


def endpoint_error(reason: str = "http_500", alike: str = "") -> ModelError:
    """A server that failed after all retries."""
    return ModelError(Outcome.ENDPOINT_ERROR, reason, f"the server said {reason}", alike=alike)


def planned(task: ToyTask) -> PlannedTask:
    """The whole toy benchmark."""
    data = task.load(DataOptions())
    return PlannedTask(task, data, data.samples, task.protocol.repeats)


def role(model: ToyModel) -> Role:
    """The toy model at temperature 0.7."""
    return Role(model, "toy-served", {"temperature": 0.7})


def manifest(part: PlannedTask, **changes: object) -> Manifest:
    """The manifest of a toy run."""
    values = {
        "model": "toy-model",
        "suite": None,
        "seed": 0,
        "roles": {"agent": RoleRecord(name="toy-model", kind="scripted", sampling={"temperature": 0.7})},
        "tasks": {part.task.name: part.record()},
    }
    return Manifest(**{**values, **changes})  # type: ignore[arg-type]


class NoWorkers:
    """The toy needs no worker processes."""

    async def call(self, function: str, *args: object) -> object:
        raise AssertionError(f"{function} is not needed here")


def ignore(event: object) -> None:
    """A listener for runs that nobody watches."""
