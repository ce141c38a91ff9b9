"""The engine's loop without its thread: requests in, one step at a time, events out."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from longcat_eval.model_backend.longcat.engine_api import (
    EngineMetrics,
    FinishReason,
    GenerationRequest,
    RequestRefusedError,
    TokenEvent,
)
from longcat_eval.model_backend.longcat.kv_cache import PagedCache
from longcat_eval.model_backend.longcat.sampling import sample
from longcat_eval.model_backend.longcat.scheduler import Scheduler, Work
from longcat_eval.model_backend.longcat.sequence import Request, Sequence, Sink
from longcat_eval.model_backend.longcat.step import ALONE, Step, piece_ngram_ids
from longcat_eval.model_backend.longcat.tokenizer import Tokenizer

if TYPE_CHECKING:
    from longcat_eval.model_backend.longcat.model import LongcatLite

Likely = tuple[float, tuple[tuple[int, float], ...]]


@dataclass(frozen=True)
class EngineOptions:
    """`kv_tokens` is the room of the cache, `step_tokens` bounds a step.

    `pack` puts the CPU's own forms in the place of the weights (`linear.Packed`): the model cannot be written
    to a file after that.
    """

    kv_tokens: int = 65_536
    page_size: int = 16
    step_tokens: int = 512
    max_running: int = 64
    share_prefixes: bool = True
    pack: bool = True


class EngineCore:
    """Continuous batching over one model; not thread-safe, `engine.LocalEngine` is."""

    def __init__(
        self, model: "LongcatLite", tokenizer: Tokenizer | None = None, options: EngineOptions | None = None
    ) -> None:
        options = options or EngineOptions()
        self.model, self.tokenizer = model, tokenizer
        if options.pack:
            model.pack()
        self.cache = PagedCache(model, options.kv_tokens, options.page_size)
        self.scheduler = Scheduler(
            self.cache, options.step_tokens, options.max_running, options.share_prefixes
        )
        self.max_context = min(
            model.config.max_position_embeddings, self.cache.pool.pages * options.page_size
        )
        self.metrics = EngineMetrics(kv_pages=self.cache.pool.pages)
        self._alone = ALONE if model.embedding_device.type == "cpu" else 1 << 30

    def check(self, asked: GenerationRequest) -> None:
        """Refuse what can never be answered, with `RequestRefusedError`."""
        prompt, new = len(asked.prompt_ids), asked.max_new_tokens
        vocabulary = self.model.config.vocab_size
        wrong = [i for i in asked.prompt_ids if not 0 <= i < vocabulary]
        if not prompt:
            raise RequestRefusedError("the prompt is empty; give it at least one token")
        if wrong:
            raise RequestRefusedError(f"token id {wrong[0]} is not in the vocabulary of {vocabulary:,}")
        if new < (0 if asked.echo else 1):
            raise RequestRefusedError("at least one new token must be allowed, unless the prompt is echoed")
        if asked.n < 1 or (asked.n > 1 and not new):
            raise RequestRefusedError(f"n is {asked.n}: several choices need new tokens to differ in")
        if prompt + new > self.max_context:
            raise RequestRefusedError(
                f"{prompt:,} prompt tokens and {new:,} new ones are more than the context of "
                f"{self.max_context:,}; shorten the prompt or ask for fewer"
            )

    def add(self, asked: GenerationRequest, sink: Sink) -> Request:
        """Queue a request; its events go to `sink` during `step`. Raises `RequestRefusedError`."""
        self.check(asked)
        request = Request(asked, sink, self.tokenizer)
        self.metrics.requests += 1
        self.metrics.prompt_tokens += len(asked.prompt_ids)
        sequence = Sequence(request, 0, list(asked.prompt_ids))
        if asked.echo and asked.logprobs is None:
            self._echo_plain(sequence)
        if request.open_choices:
            self.scheduler.waiting.append(sequence)
        self._gauge()
        return request

    def cancel(self, request: Request) -> None:
        """Stop computing for a request; no more events come."""
        if request.open_choices and not request.cancelled:
            self.metrics.cancelled += 1
        request.cancelled = True
        for sequence in [*self.scheduler.running, *self.scheduler.waiting]:
            if sequence.request is request:
                self.scheduler.remove(sequence)
        self._gauge()

    @torch.inference_mode()
    def step(self) -> bool:
        """Compute once; whether there is more to do."""
        works = self.scheduler.plan()
        if works:
            self._compute(works)
            self.metrics.steps += 1
        self._gauge()
        return bool(self.scheduler.running or self.scheduler.waiting)

    def run(self, requests: Iterable[GenerationRequest]) -> list[list[TokenEvent]]:
        """Compute requests side by side to their ends: the events of each."""
        events: list[list[TokenEvent]] = []
        for asked in requests:
            events.append([])
            self.add(asked, events[-1].append)
        while self.step():
            pass
        return events

    def _compute(self, works: list[Work]) -> None:
        model, pool = self.model, self.cache.pool
        for work in works:
            if work.next_piece is not None and model.tables is not None:
                model.tables.prefetch(piece_ngram_ids(work.next_piece, model.hasher))
        step = Step.of([work.piece for work in works], model.hasher, pool.page_size, self._alone)
        logits = model(step, self.cache.layers)
        ready: list[Sequence] = []
        rows: list[int] = []
        for work, (first, last) in zip(works, step.answers, strict=True):
            sequence = work.sequence
            if sequence.cache is None:
                raise RuntimeError("a sequence lost its pages while it was computed")
            sequence.cache.commit(sequence.tokens, work.piece.end)
            if work.piece.wanted == "all":
                self._echo_scored(sequence, work.piece.start, logits[first:last])
            if work.piece.end == len(sequence.tokens) and sequence in self.scheduler.running:
                together = [sequence, *self._fork(sequence)]
                ready += together
                rows += [last - 1] * len(together)
        if ready:
            all_in_order = rows == list(range(len(logits)))
            self._draw(ready, logits if all_in_order else logits[torch.tensor(rows, device=logits.device)])

    def _fork(self, sequence: Sequence) -> list[Sequence]:
        if not sequence.forks:
            return []
        sequence.forks = False
        others = [sequence.fork(choice) for choice in range(1, sequence.request.asked.n)]
        self.scheduler.running += others
        return others

    def _draw(self, sequences: list[Sequence], logits: Tensor) -> None:
        tokens = sample(logits, [sequence.draw(logits.device) for sequence in sequences])
        likely: list[Likely | None] = [None] * len(sequences)
        asking = [i for i, s in enumerate(sequences) if s.request.asked.logprobs is not None]
        if asking:
            most = max(sequences[i].request.asked.logprobs or 0 for i in asking)
            found = likelihoods(logits[asking], [tokens[i] for i in asking], most)
            for i, pair in zip(asking, found, strict=True):
                likely[i] = pair
        self.metrics.generated_tokens += len(tokens)
        for sequence, token, value in zip(sequences, tokens, likely, strict=True):
            sequence.append(token)
            self._tell(sequence, token, value)

    def _tell(self, sequence: Sequence, token: int, likely: Likely | None) -> None:
        """Send a drawn token, and end its choice where it is to end."""
        asked = sequence.request.asked
        reason: FinishReason | None = None
        text = ""
        if token in asked.stop_ids:
            reason = "stop"
        else:
            text = sequence.stream.push(token)
            if sequence.stream.stopped:
                reason = "stop"
            elif sequence.generated >= asked.max_new_tokens:
                reason = "length"
        if reason is not None:
            text += sequence.stream.finish()
            self._end(sequence)
        logprob, top = likely or (None, ())
        top = top[: asked.logprobs or 0]
        sequence.request.sink(TokenEvent(sequence.choice, token, text, logprob, top, reason))

    def _end(self, sequence: Sequence) -> None:
        sequence.request.open_choices -= 1
        self.scheduler.remove(sequence)

    def _echo_plain(self, sequence: Sequence) -> None:
        """The prompt's tokens as events, nothing computed."""
        prompt = sequence.tokens[: sequence.prompt_length]
        for i, token in enumerate(prompt):
            self._echo(sequence, token, None, i == len(prompt) - 1)

    def _echo_scored(self, sequence: Sequence, start: int, logits: Tensor) -> None:
        """The prompt's tokens as events, each with how likely it was; `logits` begin at token `start`."""
        prompt = sequence.tokens[: sequence.prompt_length]
        if not sequence.echoed:
            self._echo(sequence, prompt[0], None, len(prompt) == 1)
        first, last = sequence.echoed, min(start + len(logits) + 1, len(prompt))
        if first >= last:
            return
        asked = sequence.request.asked
        found = likelihoods(
            logits[first - 1 - start : last - 1 - start], prompt[first:last], asked.logprobs or 0
        )
        for i, likely in zip(range(first, last), found, strict=True):
            self._echo(sequence, prompt[i], likely, i == len(prompt) - 1)

    def _echo(self, sequence: Sequence, token: int, likely: Likely | None, is_last: bool) -> None:
        sequence.echoed += 1
        text = sequence.prompt_stream.push(token) + (sequence.prompt_stream.finish() if is_last else "")
        ends = is_last and not sequence.request.asked.max_new_tokens
        if ends:
            self._end(sequence)
        logprob, top = likely or (None, ())
        sequence.request.sink(TokenEvent(0, token, text, logprob, top, "length" if ends else None, True))

    def _gauge(self) -> None:
        metrics, scheduler = self.metrics, self.scheduler
        metrics.running, metrics.waiting = len(scheduler.running), len(scheduler.waiting)
        metrics.preemptions = scheduler.preemptions
        metrics.cached_prompt_tokens = scheduler.cached_tokens
        metrics.kv_pages_used = metrics.kv_pages - self.cache.pool.free


def likelihoods(logits: Tensor, tokens: list[int], top: int) -> list[Likely]:
    """Log-probability of each row's token, and the `top` best alternatives, of the raw distribution."""
    raw = logits.float()
    logs = raw - raw.logsumexp(dim=-1, keepdim=True)
    own = logs.gather(1, torch.tensor(tokens, device=logs.device).unsqueeze(1)).squeeze(1).tolist()
    if not top:
        return [(value, ()) for value in own]
    values, ids = logs.topk(min(top, logs.shape[1]), dim=-1)
    pairs = [tuple(zip(i, v, strict=True)) for i, v in zip(ids.tolist(), values.tolist(), strict=True)]
    return list(zip(own, pairs, strict=True))
