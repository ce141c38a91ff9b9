"""The vocabulary of an evaluation: what was asked, what was answered, how it was judged.

Everything here is a plain record that goes to disk or over a process boundary as JSON.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Literal, NamedTuple

import msgspec

Wire = dict[str, Any]
"""A JSON object exactly as it stands, or stood, on the wire."""

MessageRole = Literal["system", "user", "assistant", "tool"]


class AttemptKey(msgspec.Struct, frozen=True, order=True):
    """One execution of (task, sample, repeat); `repeat` counts from 0."""

    task: str
    sample: str
    repeat: int = 0

    def __str__(self) -> str:
        return f"{self.task}/{self.sample}#{self.repeat}"


class OutcomeRule(NamedTuple):
    """What an outcome means: `valid` counts in the score, `retried` is tried again, now and on resume."""

    valid: bool
    retried: bool
    meaning: str


class Outcome(StrEnum):
    """How an attempt ended. Closed: every failure becomes one of these, `reason` says which kind of it."""

    ANSWERED = "answered"
    NO_ANSWER = "no_answer"
    REFUSED = "refused"
    LENGTH_LIMIT = "length_limit"
    AGENT_BUDGET = "agent_budget"
    TOOL_PROTOCOL_ERROR = "tool_protocol_error"
    ENDPOINT_ERROR = "endpoint_error"
    SANDBOX_ERROR = "sandbox_error"
    JUDGE_ERROR = "judge_error"
    SIMULATOR_ERROR = "simulator_error"
    HARNESS_ERROR = "harness_error"

    @property
    def valid(self) -> bool:
        """Whether an attempt with this outcome counts in the score."""
        return OUTCOMES[self].valid


OUTCOMES: Mapping[Outcome, OutcomeRule] = {
    Outcome.ANSWERED: OutcomeRule(True, False, "an answer was found and judged"),
    Outcome.NO_ANSWER: OutcomeRule(True, False, "the reply holds no answer in any accepted form"),
    Outcome.REFUSED: OutcomeRule(True, False, "the model or its content filter declined"),
    Outcome.LENGTH_LIMIT: OutcomeRule(True, False, "the reply was cut at the token limit"),
    Outcome.AGENT_BUDGET: OutcomeRule(True, False, "the agent used up its steps, tokens or time"),
    Outcome.TOOL_PROTOCOL_ERROR: OutcomeRule(True, False, "the model's tool calls cannot be read"),
    Outcome.ENDPOINT_ERROR: OutcomeRule(False, True, "the model's server failed"),
    Outcome.SANDBOX_ERROR: OutcomeRule(False, True, "the sandbox failed"),
    Outcome.JUDGE_ERROR: OutcomeRule(False, True, "the judge failed or gave no verdict"),
    Outcome.SIMULATOR_ERROR: OutcomeRule(False, True, "the user simulator failed"),
    Outcome.HARNESS_ERROR: OutcomeRule(False, True, "longcat-eval itself failed: a bug, please report it"),
}


class ToolCall(msgspec.Struct, frozen=True, omit_defaults=True):
    """One function call of an assistant message; `arguments` is the JSON text as the model wrote it."""

    id: str
    name: str
    arguments: str


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message; `raw` is an assistant message as received, sent back unchanged in later turns."""

    role: MessageRole
    content: str | None = None
    reasoning: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    raw: Wire | None = None

    def wire(self) -> Wire:
        """Return the message in the shape of the chat completions API."""
        if self.raw is not None:
            return self.raw
        body: Wire = {"role": self.role, "content": self.content}
        if self.tool_calls:
            body["tool_calls"] = [
                {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}}
                for c in self.tool_calls
            ]
        if self.tool_call_id is not None:
            body["tool_call_id"] = self.tool_call_id
        return body


class Usage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Tokens of one completion as the server counted them; 0 where it did not say."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    cached_tokens: int = 0

    @property
    def total(self) -> int:
        """Prompt and completion tokens together (reasoning is part of the completion)."""
        return self.prompt_tokens + self.completion_tokens


class Completion(msgspec.Struct, frozen=True, omit_defaults=True):
    """One reply. `seconds` covers the last try, `tries` counts requests sent, `cost` is in US dollars."""

    message: Message
    finish_reason: str = ""
    usage: Usage = Usage()
    seconds: float = 0.0
    tries: int = 1
    cost: float | None = None
    cached: bool = False
    served_model: str | None = None
    fingerprint: str | None = None
    parse_mode: str | None = None
    logprobs: Any = None

    @property
    def text(self) -> str:
        """The visible text of the reply, empty if there is none."""
        return self.message.content or ""


class RequestMeta(msgspec.Struct, frozen=True):
    """What a request is for; never sent. `deadline` is on the clock of `time.monotonic`, in seconds."""

    key: AttemptKey
    role: str = "agent"
    turn: int = 0
    deadline: float | None = None


class Request(msgspec.Struct, frozen=True):
    """The exact wire body of one chat completion, and what it is for."""

    body: Wire
    meta: RequestMeta


class Call(msgspec.Struct, frozen=True, omit_defaults=True):
    """One model call of a transcript.

    `request` is the body sent; from the second turn of a role its `messages` holds only those after the first
    `shared` ones, which are the opening messages of that role's previous call, and `tools` is left out where
    it is that call's. An `unusable` completion came with the error that ended the attempt, or its judging.
    """

    role: str
    turn: int
    request: Wire
    completion: Completion
    shared: int = 0
    unusable: bool = False


class Transcript(msgspec.Struct, omit_defaults=True):
    """Everything that happened in one attempt.

    `outcome` and `reason` are set by the runner when the attempt ended other than by the model finishing;
    `artifacts` holds what scoring needs and can be scored again from (patch, logs, order of options).
    `unjudged` says why an attempt that is whole has no verdict of its judge: only judging is done again.
    """

    key: AttemptKey
    calls: list[Call] = []
    artifacts: dict[str, Any] = {}
    outcome: Outcome | None = None
    reason: str = ""
    error: str = ""
    unjudged: str = ""

    @property
    def last(self) -> Completion | None:
        """The last completion of the agent, or None if it never answered."""
        return next((c.completion for c in reversed(self.calls) if c.role == "agent"), None)


class Sample(msgspec.Struct, frozen=True, omit_defaults=True):
    """One question or instance; `group` is its subject or category, `fields` the benchmark's own columns."""

    id: str
    fields: dict[str, Any]
    group: str = ""


class Score(msgspec.Struct, frozen=True, omit_defaults=True):
    """The verdict on one attempt; `value` is in [0, 1] and None exactly when the outcome is invalid.

    `items` is what a metric that is no mean over attempts is computed from.

    Its fields are fields of `AttemptRow` too.
    """

    value: float | None
    outcome: Outcome
    reason: str = ""
    extracted: str | None = None
    rule: str | None = None
    metrics: dict[str, float] = {}
    items: dict[str, Any] = {}


class AttemptRow(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """One line of samples.jsonl: an attempt, its verdict, and where its transcript lies.

    `tries` numbers the executions of a key from 1; the newest valid row of a key counts. `prompt_tokens` and
    `completion_tokens` sum over all roles, `cost` (US dollars) is None where a price is unknown; `role_costs`
    splits it where others than the agent were asked. An `unjudged` attempt is whole but for its verdict: the
    key's next row goes on from it and counts what it counted.
    """

    task: str
    sample: str
    repeat: int
    tries: int = 1
    group: str = ""
    outcome: Outcome
    reason: str = ""
    value: float | None = None
    extracted: str | None = None
    rule: str | None = None
    metrics: dict[str, float] = {}
    items: dict[str, Any] = {}
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = None
    role_costs: dict[str, float | None] = {}
    seconds: float = 0.0
    finish_reason: str = ""
    calls: int = 0
    cached: int = 0
    error: str = ""
    time: str = ""
    file: str = ""
    offset: int = 0
    length: int = 0
    rescored: str = ""
    unjudged: bool = False

    @property
    def key(self) -> AttemptKey:
        """The attempt this row is about."""
        return AttemptKey(self.task, self.sample, self.repeat)


class Dataset(msgspec.Struct, frozen=True):
    """A benchmark's samples and their origin; `drift` says how they differ from the known-good ones.

    `passed_by` names, for each policy without any skill, the samples that it passes: the floor of a subset is
    theirs, not that of the whole. `gold_fails` are samples whose own gold the benchmark's grader does not
    accept. `remark` says what a reader of the score should know of this machine.
    """

    samples: list[Sample]
    source: str
    revision: str | None
    sha256: str
    drift: str = ""
    passed_by: Mapping[str, frozenset[str]] = {}
    gold_fails: frozenset[str] = frozenset()
    remark: str = ""


class JudgeRules(msgspec.Struct, frozen=True):
    """How one judge of a task is asked: sha256 over its prompts, replies at most before a verdict is null,
    completion limit in tokens.
    """

    prompt_hash: str
    tries: int
    max_tokens: int


class TaskProtocol(msgspec.Struct, frozen=True, kw_only=True):
    """How a benchmark is run and judged; goes whole into the manifest.

    `repeats` is k of avg@k, `metric` its label (`acc`, `avg@16`), `max_tokens` the completion limit put on
    the wire, `prompt_hash` sha256 over every prompt text, `roles` the models an attempt talks to, `tools`
    whether the agent is given tools, `deterministic` that every repeat would be the same (k is 1 then).
    `role_models` and `role_sampling` are the model that the benchmark's
    authors use in a role, and the sampling that the protocol fixes for it. `judges` are the roles that
    `score` asks (`runners/judging.py`); they are in `roles` too. For
    estimates before a run only: `typical_tokens` is a rough completion length of one attempt of the agent,
    `typical_requests` how many requests an attempt makes in each role, where that is more than one,
    `typical_role_tokens` how long one completion of another role than the agent is.
    """

    name: str
    repeats: int
    metric: str
    max_tokens: int
    prompt_hash: str
    grader: str
    seed_rule: str = "sha256(seed, task, sample, repeat, turn)"
    roles: tuple[str, ...] = ("agent",)
    limits: dict[str, float] = {}
    notes: tuple[str, ...] = ()
    tools: bool = False
    deterministic: bool = False
    role_models: dict[str, str] = {}
    role_sampling: dict[str, dict[str, Any]] = {}
    judges: dict[str, JudgeRules] = {}
    typical_tokens: int = 0
    typical_requests: dict[str, float] = {}
    typical_role_tokens: dict[str, int] = {}


class Aggregate(msgspec.Struct, frozen=True):
    """A task's numbers over its valid attempts, in [0, 1]; `metrics[headline]` is the one for the table.

    `means` are plain numbers that are no shares (steps, tool calls, a perplexity), the headline too if it is
    none. Where the headline is the
    ratio of two sums over rows, `ratio` names their metrics, points won and points there were.
    """

    headline: str
    metrics: dict[str, float]
    means: dict[str, float] = {}
    ratio: tuple[str, str] | None = None
