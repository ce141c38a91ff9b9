"""Engines for tests of what stands on the engine: scripted ones, without torch."""

import asyncio
import hashlib
import math
from collections.abc import AsyncIterator, Callable, Sequence

from longcat_eval.model_backend.longcat.byte_tokenizer import ByteTokenizer
from longcat_eval.model_backend.longcat.engine_api import (
    EngineError,
    EngineMetrics,
    GenerationRequest,
    TokenEvent,
    TokenScore,
)

Script = Callable[[GenerationRequest, int], str]


def hashed(request: GenerationRequest, choice: int) -> str:
    """A text that depends on prompt, seed and choice alone."""
    key = repr((request.prompt_ids, request.sampling.seed, choice)).encode()
    return hashlib.sha256(key).hexdigest()[:16]


class ScriptedEngine:
    """Says what a script says, a byte a token, and the end of text after it."""

    max_context = 4096
    failure: EngineError | None = None

    def __init__(self, script: Script | str = hashed, *, delay: float = 0.0) -> None:
        self.script: Script = (lambda *_: script) if isinstance(script, str) else script
        self.delay, self.metrics = delay, EngineMetrics()
        self.requests: list[GenerationRequest] = []
        self.most_running = 0
        self.fails_after: int | None = None

    async def submit(self, request: GenerationRequest) -> AsyncIterator[TokenEvent]:
        self.requests.append(request)
        self.metrics.requests += 1
        self.metrics.running += 1
        self.most_running = max(self.most_running, self.metrics.running)
        done = False
        try:
            lines = [self.events(request, i) for i in range(request.n)]
            for place in range(max(map(len, lines))):
                for line in lines:
                    if place >= len(line):
                        continue
                    await asyncio.sleep(self.delay)
                    if self.fails_after is not None and place >= self.fails_after:
                        raise EngineError("out of memory")
                    yield line[place]
            done = True
        finally:
            self.metrics.running -= 1
            self.metrics.cancelled += not done

    def events(self, request: GenerationRequest, choice: int) -> list[TokenEvent]:
        tokenizer = ByteTokenizer()
        ids = tokenizer.encode(self.script(request, choice))
        ends = tokenizer.eos_id in request.stop_ids and len(ids) < request.max_new_tokens
        ids = [*ids[: request.max_new_tokens], *([tokenizer.eos_id] if ends else [])]
        found: list[TokenEvent] = []
        pending: list[int] = []
        for i, token in enumerate(ids):
            last = i == len(ids) - 1
            pending.append(token)
            text = tokenizer.decode(pending)
            if "�" in text and not last:
                text = ""
            else:
                pending = []
            scored = request.logprobs is not None
            found.append(
                TokenEvent(
                    choice=choice,
                    token_id=token,
                    text=text,
                    logprob=-0.5 if scored else None,
                    top_logprobs=tuple((token + k, -0.5 - k) for k in range(request.logprobs or 0)),
                    finish_reason=("stop" if ends else "length") if last else None,
                )
            )
        return found

    async def score(self, prompt_ids: Sequence[int], top: int = 1) -> list[TokenScore]:
        """Every second token is the likeliest one."""
        scores = [TokenScore(prompt_ids[0], None)]
        for i, token in enumerate(prompt_ids[1:]):
            best = token if i % 2 else (token + 1) % 320
            own = math.log(0.5 if best == token else 0.25)
            scores.append(TokenScore(token, own, ((best, math.log(0.5)),)[:top]))
        return scores

    def close(self) -> None:
        """Nothing to end."""
