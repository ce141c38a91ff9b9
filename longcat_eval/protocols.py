"""The three seams of the house: who answers (Model), what is asked (Task), where it runs (Sandbox)."""

from collections.abc import Callable, Mapping, Sequence
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

    async def loglikelihood(self, request: Request, start: int) -> Completion:
        """Score what follows character `start` of the body's `prompt`: `text_scores.likelihood` reads it.

        `start` 0 scores a whole text, however long. Raises `ModelError`.
        """
        ...


class Workers(Protocol):
    """Processes for work that may hang or eat memory; killed at their limits and started anew."""

    async def call(self, function: str, *args: Any, seconds: float | None = None) -> Any:
        """Run `package.module:function` with JSON-like arguments; raise `WorkerError` at a limit.

        `seconds` is this call's own time limit instead of the pool's.
        """
        ...


class WorkerError(Exception):
    """A call in a worker process that was ended or failed; `reason` is timeout, memory, crash or error."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class AttemptContext(Protocol):
    """What one attempt may use: models by role, worker processes, sandboxes, seeds.

    `deadline` (on `time.monotonic`, or None) goes with every request; a runner with a time limit sets it.
    `tries` numbers the executions of this key from 1.
    """

    key: AttemptKey
    tries: int
    base_seed: int
    deadline: float | None
    workers: Workers
    sandboxes: "Sandboxes"

    async def ask(
        self,
        messages: Sequence[Wire],
        *,
        role: str = "agent",
        turn: int = 0,
        tools: Sequence[Wire] | None = None,
        prompt_tokens: int = 0,
        **overrides: Any,
    ) -> Completion:
        """Send one chat request as `role` at that model's own settings; it is recorded in the transcript.

        `prompt_tokens` is how long the prompt is, for who can tell it from earlier replies: the room left
        in the model's context is then not estimated from characters.
        """
        ...

    async def continue_text(
        self, prompt: str, *, turn: int = 0, max_tokens: int, **overrides: Any
    ) -> Completion:
        """Have the agent continue a text, without a chat template, at its own settings; recorded."""
        ...

    async def loglikelihood(self, context: str, continuation: str, *, turn: int = 0) -> tuple[float, bool]:
        """Ask the agent how likely `continuation` is after `context`; recorded like a request.

        Return (sum of log probabilities, whether greedy decoding gives it).
        """
        ...

    def context_length(self, role: str = "agent") -> int:
        """The context of that role's model in tokens, 0 where nobody told it."""
        ...

    def transcript(self) -> Transcript:
        """The transcript so far, to return or to add artifacts to."""
        ...

    def seed(self, turn: int = 0) -> int:
        """The 31-bit seed of (base seed, task, sample, repeat, turn)."""
        ...


class DataOptions(NamedTuple):
    """Where data may come from: a local folder, else the pinned hub revision.

    `sources` are checkouts of benchmarks that are programs, by name (`tau2`), `lm_eval_include` a folder with
    definitions of tasks for lm-eval; `dataset` is one file of rows,
    or a folder of tasks, instead of the benchmark's own; `predictions` are somebody's patches to grade
    without asking a model. `base_images` says which images to build on instead of others; `compose` is native
    or cli.
    """

    data_dir: Path | None = None
    allow_drift: bool = False
    sources: Mapping[str, Path] = {}
    dataset: Path | None = None
    predictions: Path | None = None
    base_images: Mapping[str, str] = {}
    compose: str = "native"
    lm_eval_include: Path | None = None


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
        """Judge one attempt from its transcript and artifacts alone, so that `rescore` can do it again.

        A task with `protocol.judges` asks them here, through `runners.judging.Judge`; a `ModelError` of
        theirs makes the attempt invalid, and only this is done again.
        """
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


@runtime_checkable
class Comparative(Protocol):
    """A task that compares with gold replies, which therefore do not score 1 themselves."""

    gold_value: float


@runtime_checkable
class Rehearsed(Protocol):
    """A task of which gold replies alone do not show what an attempt asks; estimates stand on this."""

    async def rehearse(self, sample: Sample, ctx: AttemptContext) -> None:
        """Ask what an attempt asks, or its first steps, without a sandbox."""
        ...


@runtime_checkable
class Scaffolded(Protocol):
    """A task that an agent loop drives, in one of several profiles."""

    agents: tuple[str, ...]
    scripted: Mapping[str, str]
    """The agents that do by themselves what scripted models stand for, by the model's name."""
    prompt_sources: tuple[str, ...]

    def use_agent(self, name: str, prompts: str = "own") -> None:
        """Choose the agent and whose prompts it has, before anything is loaded; the protocol has both.

        Raises `UsageError` where this agent has no such prompts, `EnvironmentUnusableError` where they are
        not installed.
        """
        ...

    async def rehearse(self, sample: Sample, ctx: AttemptContext) -> None:
        """Ask what the first steps of an attempt ask, without a sandbox: estimates stand on it."""
        ...


@runtime_checkable
class Stocked(Protocol):
    """A task whose samples each need something of their own on this machine, such as an image."""

    def lacks(self, sample: Sample, has_image: Callable[[str], bool]) -> str:
        """Say what an attempt lacks here, and where to get it; empty if it can start without a download."""
        ...


class SandboxError(Exception):
    """A sandbox that cannot be had or went away: the attempt is invalid, not the model's doing.

    `reason` is image_missing, image_unusable, disk_full, container_lost, exec_stuck, daemon_error or
    daemon_lost, where images are built build_failed or build_timeout, of several services service_unhealthy,
    network_exhausted or compose_failed; and disk_budget or deadline, where what ran inside used up what it
    may: those are the agent's doing if an agent ran there.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class ExecResult(NamedTuple):
    """What a command in a sandbox gave; `output` is stdout and stderr in their order.

    Long output keeps its two ends: `truncated_bytes` were left out in the middle, where a line says so.
    At a timeout `exit_code` is 124. `out_of_memory`: the kernel killed something for memory meanwhile.
    `seconds` is the command's own time.
    """

    exit_code: int
    output: bytes
    timed_out: bool
    out_of_memory: bool
    truncated_bytes: int = 0
    seconds: float = 0.0


class SandboxStream(Protocol):
    """A long-lived process in a sandbox and its bytes in both directions."""

    async def send(self, data: bytes) -> None:
        """Write to its standard input."""
        ...

    async def read(self, limit: int = 65536) -> bytes:
        """Return what is there, at most `limit` bytes, waiting for the first; empty at the end."""
        ...

    async def resize(self, rows: int, columns: int) -> None:
        """Change the size of its terminal."""
        ...

    async def exit_code(self) -> int | None:
        """Its exit code once `read` has come to the end; None if the daemon does not say."""
        ...

    async def close(self) -> None:
        """End the process with all it started."""
        ...


class Sandbox(Protocol):
    """One isolated machine for an agent or a grader; safe by default (no network, bounded resources).

    What fails for other reasons than the command's own raises `SandboxError`.
    """

    image_id: str

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

    async def open_stream(
        self,
        argv: Sequence[str],
        *,
        tty: bool = False,
        user: str | None = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> SandboxStream:
        """Start a long-lived process and return its byte stream (terminal sessions)."""
        ...

    async def put(self, path: str, content: bytes, *, mode: int = 0o644) -> None:
        """Write one file."""
        ...

    async def get(self, path: str, *, max_bytes: int = 64 << 20) -> bytes:
        """Read one file; `FileNotFoundError` if there is none, `OSError` if it is too large or no file."""
        ...

    async def put_tree(
        self, path: str, tree: Path | Mapping[str, bytes | Path], *, exclude: Sequence[str] = ()
    ) -> None:
        """Write what a folder holds, or contents by relative path, into the folder `path`, as root's."""
        ...

    async def get_tree(self, path: str, *, max_bytes: int = 64 << 20) -> dict[str, bytes]:
        """Read the regular files below a folder; `FileNotFoundError`, `NotADirectoryError`, `OSError`."""
        ...

    async def pause(self) -> None:
        """Let every process inside stand still; files can be read and written, commands fail."""
        ...

    async def unpause(self) -> None:
        """Let them go on."""
        ...

    async def restart(self) -> None:
        """Kill every process inside; the files stay."""
        ...

    async def snapshot(self, tag: str = "") -> str:
        """Freeze the file system as an image and return its id; without a tag it goes when the run ends."""
        ...

    async def stop(self) -> None:
        """Remove the sandbox and everything it started."""
        ...


class Sandboxes(Protocol):
    """Where sandboxes come from; an install without one raises `EnvironmentUnusableError` with the remedy."""

    async def start(
        self,
        image: str,
        *,
        network: bool = False,
        kind: str = "agent",
        name: str = "",
        env: Mapping[str, str] | None = None,
        **limits: Any,
    ) -> Sandbox:
        """Start a sandbox from a local image; `network` only where the task's protocol says so.

        `kind` is agent or grade: each has its own number of slots, and this waits for a free one. `name`
        says what it is for, in listings; `env` is added to its environment.
        """
        ...
