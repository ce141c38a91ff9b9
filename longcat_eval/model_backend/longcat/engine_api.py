"""What the engine is asked and what it answers; servers, models and wrappers know nothing else of it."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

PenaltyScope = Literal["prompt+output", "output"]
FilterOrder = Literal["sequential", "joint"]
FinishReason = Literal["stop", "length"]


@dataclass(frozen=True)
class SamplingParams:
    """How tokens are drawn; the defaults draw from the model's own distribution.

    `temperature` 0 is greedy, `top_k` 0 and `top_p` 1 filter nothing. `penalty_scope`: what counts as
    repeated (transformers and vLLM: prompt and output; SGLang: output). `filter_order`: top_p on what top_k
    left, renormalised (transformers, vLLM), or on the whole distribution (SGLang's joint). A `seed` makes a
    request repeat its draws whatever runs beside it; choice i of n draws from a stream of its own.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    penalty_scope: PenaltyScope = "prompt+output"
    filter_order: FilterOrder = "sequential"
    seed: int | None = None


@dataclass(frozen=True)
class GenerationRequest:
    """One prompt and what is wanted of it.

    `stop_ids` end a choice and give no text; `stop_strings` end it before their first character. `logprobs`
    None gives none, a number that many best alternatives at each position, of the raw distribution (before
    penalty, temperature and filters). `echo` has the prompt's tokens come first, as events of choice 0.
    """

    prompt_ids: tuple[int, ...]
    max_new_tokens: int
    sampling: SamplingParams = field(default_factory=SamplingParams)
    stop_ids: frozenset[int] = frozenset()
    stop_strings: tuple[str, ...] = ()
    n: int = 1
    logprobs: int | None = None
    echo: bool = False


@dataclass(frozen=True)
class TokenEvent:
    """One token of one choice.

    `text` is what may be shown since the last event: whole characters only, and nothing that may yet become
    a stop string, so it can be empty or longer than the token. The last event of a choice has a
    `finish_reason` and the rest of its text. `top_logprobs` are (token, logprob), best first. `logprob` is
    None where none was asked for, and for the first token of an echoed prompt.
    """

    choice: int
    token_id: int
    text: str
    logprob: float | None = None
    top_logprobs: tuple[tuple[int, float], ...] = ()
    finish_reason: FinishReason | None = None
    prompt: bool = False


class TokenScore(NamedTuple):
    """How likely a token of a given text was; `logprob` None and no alternatives for the first one."""

    token_id: int
    logprob: float | None
    top_logprobs: tuple[tuple[int, float], ...] = ()


@dataclass
class EngineMetrics:
    """Counters since the start, and gauges of the moment (`running`, `waiting`, `kv_pages_used`)."""

    requests: int = 0
    cancelled: int = 0
    prompt_tokens: int = 0
    cached_prompt_tokens: int = 0
    generated_tokens: int = 0
    steps: int = 0
    preemptions: int = 0
    running: int = 0
    waiting: int = 0
    kv_pages_used: int = 0
    kv_pages: int = 0


class EngineError(RuntimeError):
    """The engine cannot go on: what failed in its thread, told to every request that waits."""


class RequestRefusedError(ValueError):
    """A request that can never be answered here (an id outside the vocabulary, a prompt that never fits)."""


class Engine(Protocol):
    """Computes requests side by side in a thread of its own; every method may be called from any loop."""

    metrics: EngineMetrics
    max_context: int
    """Tokens that a prompt and its continuation may have together."""
    failure: EngineError | None
    """Why nothing is computed any more, None while all is well."""

    def submit(self, request: GenerationRequest) -> AsyncIterator[TokenEvent]:
        """Yield events as tokens come; closing the iterator cancels the request.

        Raises `RequestRefusedError` and `EngineError`.
        """
        ...

    async def score(self, prompt_ids: Sequence[int], top: int = 1) -> list[TokenScore]:
        """How likely each token was after those before it, with the `top` best alternatives there."""
        ...

    def close(self) -> None:
        """End the thread; what is under way ends with `EngineError`."""
        ...
