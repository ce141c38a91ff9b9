"""Who computes in the next step: sequences that draw a token each, then prompts in chunks, first come first.

Continuous batching (Orca, OSDI 2022) with chunked prefill (Sarathi, arXiv:2308.16369) over a paged
cache (vLLM, arXiv:2309.06180). When pages run out, the youngest sequence gives its own back and waits at the
head of the queue; it is computed again from its tokens and goes on where it was.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from longcat_eval.model_backend.longcat.kv_cache import PagedCache
from longcat_eval.model_backend.longcat.kv_pages import OutOfPagesError
from longcat_eval.model_backend.longcat.sequence import Sequence
from longcat_eval.model_backend.longcat.step import Piece


@dataclass(frozen=True)
class Work:
    """A sequence's piece of a step; `next_piece` is what of its prompt will likely come after it."""

    sequence: Sequence
    piece: Piece
    next_piece: Piece | None = None


class Scheduler:
    """`step_tokens` bounds a step, `max_running` the sequences that hold pages."""

    def __init__(self, cache: PagedCache, step_tokens: int, max_running: int, share: bool = True) -> None:
        self.cache, self.share = cache, share
        self.step_tokens, self.max_running = step_tokens, max_running
        self.waiting: deque[Sequence] = deque()
        self.running: list[Sequence] = []
        self.preemptions = 0
        self.cached_tokens = 0

    def plan(self) -> list[Work]:
        """The pieces of the next step; empty only where nothing waits."""
        works: list[Work] = []
        budget = self.step_tokens
        for sequence in list(self.running):
            if budget and sequence.left == 1 and sequence in self.running and self._has_room(sequence):
                works.append(Work(sequence, self._piece(sequence, 1)))
                budget -= 1
        for sequence in self._prompts():
            if not budget:
                break
            size = min(sequence.left, budget)
            works.append(self._chunk(sequence, size))
            budget -= size
        return works

    def remove(self, sequence: Sequence) -> None:
        """A sequence is finished or not wanted any more; its pages are free."""
        if sequence in self.running:
            self.running.remove(sequence)
        elif sequence in self.waiting:
            self.waiting.remove(sequence)
        if sequence.cache is not None:
            sequence.cache.release()
            sequence.cache = None

    def _prompts(self) -> Iterator[Sequence]:
        """Running sequences with more than a token to compute, then those that wait and find room."""
        yield from [sequence for sequence in self.running if sequence.left > 1]
        while self.waiting and len(self.running) < self.max_running:
            if not self._admit(self.waiting[0]):
                return
            yield self.running[-1]

    def _admit(self, sequence: Sequence) -> bool:
        """Give the first in the queue pages for all of its tokens, if there are enough."""
        pool = self.cache.pool
        share = self.share and not sequence.wants_prompt_logprobs
        begun = self.cache.begin(sequence.tokens, share)
        # A page for each that runs already, so that a newcomer does not push out who let it in.
        needed = -(-len(sequence.tokens) // pool.page_size) - len(begun.pages)
        if self.running and pool.free < needed + len(self.running):
            begun.release()
            return False
        try:
            begun.reserve(len(sequence.tokens))
        except OutOfPagesError:
            begun.release()
            return False
        self.cached_tokens += begun.length
        sequence.cache = begun
        self.waiting.popleft()
        self.running.append(sequence)
        return True

    def _has_room(self, sequence: Sequence) -> bool:
        """Have a page for the next token; the youngest make room, at last the sequence itself."""
        while sequence.cache is not None:
            try:
                sequence.cache.reserve(len(sequence.tokens))
            except OutOfPagesError:
                self._preempt(self.running[-1])
            else:
                return True
        return False

    def _preempt(self, sequence: Sequence) -> None:
        self.preemptions += 1
        self.remove(sequence)
        self.waiting.appendleft(sequence)

    def _chunk(self, sequence: Sequence, size: int) -> Work:
        after = min(sequence.left - size, size)
        following = None
        if after > 0:
            begin = sequence.computed + size
            tokens = sequence.tokens[begin : begin + after]
            context = sequence.tokens[max(0, begin - self.cache.config.ngram_context_size) : begin]
            following = Piece(tokens, begin, (), context, "none")
        return Work(sequence, self._piece(sequence, size), following)

    def _piece(self, sequence: Sequence, size: int) -> Piece:
        cache = sequence.cache
        if cache is None:
            raise RuntimeError("a sequence without pages was planned")
        begin = cache.length
        ends = begin + size == len(sequence.tokens)
        wanted = "all" if sequence.wants_prompt_logprobs else "last" if ends else "none"
        return Piece(sequence.tokens[begin : begin + size], begin, cache.pages, cache.ngrams.ids, wanted)  # type: ignore[arg-type]
