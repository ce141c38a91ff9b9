"""One choice of one request on its way: its tokens, its cache, its text."""

import secrets
from collections.abc import Callable

import torch

from longcat_eval.model_backend.longcat.engine_api import GenerationRequest, TokenEvent
from longcat_eval.model_backend.longcat.kv_cache import SequenceCache
from longcat_eval.model_backend.longcat.sampling import Draw, Seen, uniform
from longcat_eval.model_backend.longcat.text_stream import TextStream
from longcat_eval.model_backend.longcat.tokenizer import Tokenizer

Sink = Callable[[TokenEvent], None]
"""What takes a request's events, in the engine's thread."""


class Request:
    """A request and what its choices have in common."""

    def __init__(self, asked: GenerationRequest, sink: Sink, tokenizer: Tokenizer | None) -> None:
        self.asked, self.sink, self.tokenizer = asked, sink, tokenizer
        self.seed = secrets.randbits(62) if asked.sampling.seed is None else asked.sampling.seed
        self.cancelled = False
        self.open_choices = asked.n


class Sequence:
    """`tokens` are the prompt and what was generated; those in the cache are the first `computed` of them."""

    def __init__(self, request: Request, choice: int, tokens: list[int]) -> None:
        asked = request.asked
        self.request, self.choice, self.tokens = request, choice, tokens
        self.prompt_length = len(asked.prompt_ids)
        self.cache: SequenceCache | None = None
        self.stream = TextStream(request.tokenizer, asked.stop_strings)
        self.prompt_stream = TextStream(request.tokenizer)
        self.forks = asked.n > 1 and choice == 0  # the others begin where the prompt ends
        self.echoed = 0
        self._seen: Seen | None = None

    @property
    def computed(self) -> int:
        """Tokens in the cache."""
        return 0 if self.cache is None else self.cache.length

    @property
    def left(self) -> int:
        """Tokens to compute before the next one can be drawn."""
        return len(self.tokens) - self.computed

    @property
    def generated(self) -> int:
        """Tokens drawn so far."""
        return len(self.tokens) - self.prompt_length

    @property
    def wants_prompt_logprobs(self) -> bool:
        """Whether logits of prompt positions are still to be computed."""
        asked = self.request.asked
        return asked.echo and asked.logprobs is not None and self.echoed < self.prompt_length

    def draw(self, device: torch.device) -> Draw:
        """How the next token is to be drawn."""
        params = self.request.asked.sampling
        if params.repetition_penalty != 1 and self._seen is None:
            whole = params.penalty_scope == "prompt+output"
            self._seen = Seen(self.tokens if whole else self.tokens[self.prompt_length :], device)
        seen = None if self._seen is None else self._seen.ids
        number = uniform(self.request.seed, self.choice, self.generated) if params.temperature > 0 else 0.0
        return Draw(params, seen, number)

    def append(self, token: int) -> None:
        """Go on by a drawn token."""
        self.tokens.append(token)
        if self._seen is not None:
            self._seen.add(token)

    def fork(self, choice: int) -> "Sequence":
        """Another choice of the same prompt, which is computed; its pages are shared."""
        other = Sequence(self.request, choice, list(self.tokens))
        other.cache = None if self.cache is None else self.cache.fork()
        other.echoed = self.prompt_length
        return other
