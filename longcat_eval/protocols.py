"""The three seams of the house: who answers (Model), what is asked (Task), where it runs (Sandbox)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

from longcat_eval.records import (
    Aggregate,
    AttemptKey,
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
    Wire,
)


class ModelError(Exception):
    """A request that got no usable reply, already classified; `completion` is the unusable one, if any.

    `alike` names the failure for the circuit breaker (`http 401`); empty if the next sample may well succeed.
    """

    def __init__(
        self, outcome: Outcome, reason: str, message: str, *, alike: str = "", tries: int = 1
    ) -> None:
        super().__init__(message)
        self.outcome, self.reason, self.alike, self.tries = outcome, reason, alike, tries
        self.completion: Completion | None = None


class Model(Protocol):
    """Anything that answers chat requests. Retries, limits and deadlines are its own business."""

    name: str
    capabilities: frozenset[str]

    async def complete(self, request: Request) -> Completion:
        """Answer one request or raise `ModelError`."""
        ...

    async def close(self) -> None:
        """Release connections and processes."""
        ...


@runtime_checkable
class LogLikelihoodModel(Model, Protocol):
    """A model that can also score a given continuation."""

    async def loglikelihood(self, context: str, continuation: str) -> tuple[float, bool]:
        """Return (sum of log probabilities, whether greedy decoding gives the continuation)."""
        ...


class Workers(Protocol):
    """Processes for work that may hang or eat memory; killed at their limits and started anew."""

    async def call(self, function: str, *args: Any) -> Any:
        """Run `package.module:function` with JSON-like arguments; raise `WorkerError` at a limit."""
        ...


class WorkerError(Exception):
    """A call in a worker process that was ended or failed; `reason` is timeout, memory, crash or error."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class AttemptContext(Protocol):
    """What one attempt may use: models by role, worker processes, sandboxes, seeds."""

    key: AttemptKey
    base_seed: int
    workers: Workers
    sandboxes: "Sandboxes"

    async def ask(
        self,
        messages: Sequence[Wire],
        *,
        role: str = "agent",
        turn: int = 0,
        tools: Sequence[Wire] | None = None,
        **overrides: Any,
    ) -> Completion:
        """Send one chat request as `role` at that model's own settings; it is recorded in the transcript."""
        ...

    def transcript(self) -> Transcript:
        """The transcript so far, to return or to add artifacts to."""
        ...

    def seed(self, turn: int = 0) -> int:
        """The 31-bit seed of (base seed, task, sample, repeat, turn)."""
        ...


class DataOptions(NamedTuple):
    """Where data may come from: a local folder, else the pinned hub revision.

    `sources` are checkouts of benchmarks that are programs, by name (`tau2`).
    """

    data_dir: Path | None = None
    allow_drift: bool = False
    sources: Mapping[str, Path] = {}


class Task(Protocol):
    """A benchmark: what is asked and how it is judged."""

    name: str
    protocol: TaskProtocol
    needs: frozenset[str]
    floors: Mapping[str, float]

    def load(self, options: DataOptions) -> Dataset:
        """Return the checked samples; `EnvironmentUnusableError` where absent or not the known ones."""
        ...

    def reference(self, sample: Sample, repeat: int) -> Mapping[str, Sequence[Message]]:
        """Gold replies by role, in turn order: all that `scripted/oracle` knows."""
        ...

    async def attempt(self, sample: Sample, ctx: AttemptContext) -> Transcript:
        """Drive one attempt; a `ModelError` may pass through and makes the attempt invalid."""
        ...

    async def score(self, sample: Sample, transcript: Transcript, ctx: AttemptContext) -> Score:
        """Judge one attempt from its transcript and artifacts alone, so that `rescore` can do it again."""
        ...

    def aggregate(self, rows: Sequence[AttemptRow]) -> Aggregate:
        """Numbers over valid rows, one per key: mean over samples of the mean over repeats, and the like."""
        ...


@runtime_checkable
class Conversational(Protocol):
    """A task with more roles than the agent: doing nothing needs words there."""

    def idle(self, sample: Sample, repeat: int) -> Mapping[str, Sequence[Message]]:
        """What `scripted/null` says, by role in turn order: an agent that does nothing, the others to it."""
        ...


class ExecResult(NamedTuple):
    """What a command in a sandbox gave; `output` is stdout and stderr in their order."""

    exit_code: int
    output: bytes
    timed_out: bool
    out_of_memory: bool


class Sandbox(Protocol):
    """One isolated machine for an agent or a grader; safe by default (no network, bounded resources)."""

    async def exec(
        self,
        command: str,
        *,
        timeout: float,
        user: str | None = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> ExecResult:
        """Run a shell command; at `timeout` seconds its whole process tree is killed inside the sandbox."""
        ...

    async def open_stream(self, argv: Sequence[str], *, tty: bool = False) -> Any:
        """Start a long-lived process and return its byte stream (terminal sessions)."""
        ...

    async def put(self, path: str, content: bytes, *, mode: int = 0o644) -> None:
        """Write one file."""
        ...

    async def get(self, path: str) -> bytes:
        """Read one file; raise `FileNotFoundError` if there is none."""
        ...

    async def snapshot(self) -> str:
        """Freeze the file system as an image and return its id."""
        ...

    async def stop(self) -> None:
        """Remove the sandbox and everything it started."""
        ...


class Sandboxes(Protocol):
    """Where sandboxes come from; an install without one raises `EnvironmentUnusableError` with the remedy."""

    async def start(self, image: str, *, network: bool = False, **limits: Any) -> Sandbox:
        """Start a sandbox from a local image; `network` only where the task's protocol says so."""
        ...
