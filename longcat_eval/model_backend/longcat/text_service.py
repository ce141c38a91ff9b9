"""Text completions: prompts as text or ids, continued, and scored where `echo` and `logprobs` ask so."""

import asyncio
import codecs
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from longcat_eval.model_backend.longcat.engine_api import GenerationRequest, TokenEvent, TokenScore
from longcat_eval.model_backend.longcat.server_schema import MOST_PROMPTS, ApiError, TextBody
from longcat_eval.model_backend.longcat.serving import ServedModel, new_id, pairs, usage_of
from longcat_eval.records import Wire


@dataclass(frozen=True)
class TextJob:
    """A checked request: one engine request per prompt, `texts` what an echo shows of each."""

    body: TextBody
    requests: tuple[GenerationRequest, ...]
    texts: tuple[str, ...]

    @property
    def prompt_tokens(self) -> int:
        """Of all prompts."""
        return sum(len(request.prompt_ids) for request in self.requests)


@dataclass
class TokenLog:
    """The `logprobs` of one choice; offsets count characters from the start of its text."""

    tokens: list[str] = field(default_factory=list)
    values: list[float | None] = field(default_factory=list)
    tops: list[dict[str, float] | None] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    length: int = 0
    decoder: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace")
    )

    def add(
        self,
        served: ServedModel,
        token: int,
        value: float | None,
        tops: Sequence[tuple[int, float]],
        count: int,
    ) -> None:
        """Go on by one token with its `count` best alternatives; itself is among them."""
        best = dict(pairs(tops, count))
        if value is not None:
            best.setdefault(token, value)
        self.tokens.append(served.token_text(token))
        self.values.append(value)
        self.tops.append({served.token_text(i): p for i, p in best.items()} if value is not None else None)
        self.offsets.append(self.length)
        self.length += len(self.decoder.decode(served.tokenizer.token_bytes(token)))

    def wire(self, since: int = 0) -> Wire:
        """The entries from number `since` on, in the API's shape."""
        return {
            "tokens": self.tokens[since:],
            "token_logprobs": self.values[since:],
            "top_logprobs": self.tops[since:],
            "text_offset": self.offsets[since:],
        }


def prepare_text(served: ServedModel, body: TextBody, *, cut: bool = False) -> TextJob:
    """Encode the prompts and check that they fit, or `cut` the completion to fit; raises `ApiError`."""
    served.check_name(body.model)
    prompts = read_prompts(body)
    requests, texts = [], []
    for prompt in prompts:
        given = isinstance(prompt, str)
        ids = (
            served.tokenizer.encode(prompt, wrap=body.add_special_tokens)
            if isinstance(prompt, str)
            else prompt
        )
        if not ids:
            raise ApiError("a prompt must hold at least one token", param="prompt")
        if (wrong := next((i for i in ids if not 0 <= i < served.tokenizer.vocab_size), None)) is not None:
            raise ApiError(
                f"{wrong} is no token of a vocabulary of {served.tokenizer.vocab_size}", param="prompt"
            )
        request = GenerationRequest(
            prompt_ids=tuple(ids),
            max_new_tokens=served.room(len(ids), body.max_tokens, "prompt", cut=cut),
            sampling=body.sampling,
            stop_ids=served.stop_ids(body),
            stop_strings=body.stops,
            n=body.choices,
            logprobs=body.logprobs,
        )
        requests.append(request)
        texts.append(str(prompt) if given else served.tokenizer.decode(ids, skip_special=False))
    return TextJob(body, tuple(requests), tuple(texts))


def read_prompts(body: TextBody) -> list[str | list[int]]:
    """The prompts of a body, however they are given; raises `ApiError`."""
    prompt = body.prompt
    if isinstance(prompt, str):
        return [prompt]
    if prompt and all(_is_id(item) for item in prompt):
        return [prompt]
    if not prompt or len(prompt) > MOST_PROMPTS:
        raise ApiError(f"prompt must hold from 1 to {MOST_PROMPTS} prompts", param="prompt")
    for item in prompt:
        if not isinstance(item, str) and not (isinstance(item, list) and all(map(_is_id, item))):
            raise ApiError("prompt must be text or token ids, or a list of such", param="prompt")
    return prompt


def _is_id(item: object) -> bool:
    return isinstance(item, int) and not isinstance(item, bool)


async def answer_text(served: ServedModel, job: TextJob) -> Wire:
    """Return the whole reply, choices of the first prompt first; raises `ApiError`."""
    done = await asyncio.gather(*(_one(served, job, i) for i in range(len(job.requests))))
    choices = [choice for each, _ in done for choice in each]
    return _envelope(served) | {
        "choices": [{"index": i} | choice for i, choice in enumerate(choices)],
        "usage": usage_of(job.prompt_tokens, sum(tokens for _, tokens in done)),
    }


async def _one(served: ServedModel, job: TextJob, number: int) -> tuple[list[Wire], int]:
    """The choices of one prompt, and how many tokens they took."""
    request = job.requests[number]
    logs = [await _start(served, job, number)]
    logs += [await _start(served, job, number, logs[0]) for _ in range(request.n - 1)]
    texts = [job.texts[number] if job.body.echo else ""] * request.n
    finishes, tokens = ["length"] * request.n, 0
    if request.max_new_tokens:
        async with aclosing(served.events(request)) as events:
            async for event in events:
                texts[event.choice] += event.text
                tokens += 1
                finishes[event.choice] = event.finish_reason or finishes[event.choice]
                _log(served, job, number, logs[event.choice], event)
    wanted = request.logprobs is not None
    return [
        {"text": text, "logprobs": log.wire() if wanted else None, "finish_reason": finish}
        for text, log, finish in zip(texts, logs, finishes, strict=True)
    ], tokens


async def _start(served: ServedModel, job: TextJob, number: int, like: TokenLog | None = None) -> TokenLog:
    """A log that holds the prompt's scores already where they are wanted."""
    log, request = TokenLog(), job.requests[number]
    if request.logprobs is None or not job.body.echo:
        return log
    if like is not None:
        log.tokens, log.values = list(like.tokens), list(like.values)
        log.tops, log.offsets, log.length = list(like.tops), list(like.offsets), like.length
        return log
    scores: list[TokenScore] = await served.score(request.prompt_ids, max(1, request.logprobs))
    for score in scores:
        log.add(served, score.token_id, score.logprob, score.top_logprobs, request.logprobs)
    return log


def _log(served: ServedModel, job: TextJob, number: int, log: TokenLog, event: TokenEvent) -> None:
    """Go on by a token; the end of text is one here (clients cut off what comes after their own tokens)."""
    request = job.requests[number]
    if event.logprob is None:
        return
    log.add(served, event.token_id, event.logprob, event.top_logprobs, request.logprobs or 0)


async def stream_text(served: ServedModel, job: TextJob) -> AsyncGenerator[Wire, None]:
    """Yield the reply in chunks, prompt after prompt; raises `ApiError`."""
    envelope = _envelope(served)
    options = job.body.stream_options
    counted = options is not None and options.include_usage
    if counted:
        envelope["usage"] = None
    tokens = 0
    for number, request in enumerate(job.requests):
        first = number * request.n
        wanted = request.logprobs is not None
        logs = [await _start(served, job, number)]
        logs += [await _start(served, job, number, logs[0]) for _ in range(request.n - 1)]

        def chunk(index: int, text: str, log: Wire | None, finish: str | None) -> Wire:
            choice = {"index": index, "text": text, "logprobs": log, "finish_reason": finish}
            return envelope | {"choices": [choice]}

        finish = None if request.max_new_tokens else "length"
        if job.body.echo or finish:
            for i, log in enumerate(logs):
                text = job.texts[number] if job.body.echo else ""
                yield chunk(first + i, text, log.wire() if wanted else None, finish)
        if finish:
            continue
        async with aclosing(served.events(request)) as events:
            async for event in events:
                tokens += 1
                log = logs[event.choice]
                since = len(log.tokens)
                _log(served, job, number, log, event)
                fresh = log.wire(since) if wanted and len(log.tokens) > since else None
                if event.text or fresh or event.finish_reason:
                    yield chunk(first + event.choice, event.text, fresh, event.finish_reason)
    if counted:
        yield envelope | {"choices": [], "usage": usage_of(job.prompt_tokens, tokens)}


def _envelope(served: ServedModel) -> Wire:
    return {
        "id": new_id("cmpl"),
        "object": "text_completion",
        "created": int(time.time()),
        "model": served.name,
        "system_fingerprint": served.fingerprint,
    }
