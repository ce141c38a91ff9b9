"""Chat completions: from a body to a prompt, and from the engine's tokens to the API's reply or chunks."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field

from longcat_eval.model_backend.longcat.chat import ConversationError, for_template
from longcat_eval.model_backend.longcat.engine_api import GenerationRequest, TokenEvent
from longcat_eval.model_backend.longcat.response import GRAMMAR, ContentStream
from longcat_eval.model_backend.longcat.server_schema import ApiError, ChatBody, forced_tool
from longcat_eval.model_backend.longcat.serving import ServedModel, new_id, pairs, usage_of
from longcat_eval.model_backend.tool_grammars import parse_reply
from longcat_eval.model_backend.tool_longcat import OPEN
from longcat_eval.model_backend.tool_text import ToolSyntaxError
from longcat_eval.records import Wire


@dataclass(frozen=True)
class ChatJob:
    """A checked chat request. `opening` is what the reply was made to begin with (`tool_choice`)."""

    body: ChatBody
    request: GenerationRequest
    opening: str = ""
    lenient: bool = False
    first_call: int = 0
    """Calls that the conversation has already: ids go on from there, so that none comes twice."""

    @property
    def reads_calls(self) -> bool:
        """Whether calls are looked for in the reply."""
        return bool(self.body.tools) and self.body.tool_choice != "none"


@dataclass
class Reply:
    """One choice as it grows."""

    text: str = ""
    tokens: int = 0
    finish: str = ""
    logprobs: list[Wire] = field(default_factory=list)


def prepare_chat(served: ServedModel, body: ChatBody, *, cut: bool = False) -> ChatJob:
    """Write the prompt and check that it fits, or `cut` the completion to fit; raises `ApiError`."""
    from jinja2 import TemplateError

    served.check_name(body.model)
    forced = forced_tool(body)
    tools = None if body.tool_choice == "none" else body.tools
    opening = "" if forced is None else f"{OPEN}{forced}\n" if forced else OPEN
    try:
        messages = for_template(body.messages)
        ids = served.tokenizer.chat_ids(messages, tools)
    except ConversationError as error:
        raise ApiError(str(error), param=error.where) from None
    except TemplateError as error:
        raise ApiError(f"the chat template refuses these messages: {error}", param="messages") from None
    ids = ids + served.tokenizer.encode(opening)
    request = GenerationRequest(
        prompt_ids=tuple(ids),
        max_new_tokens=served.room(len(ids), body.most_tokens, "messages", cut=cut),
        sampling=body.sampling,
        stop_ids=served.stop_ids(body),
        stop_strings=body.stops,
        n=body.choices,
        logprobs=(body.top_logprobs or 0) if body.logprobs else None,
    )
    calls = sum(len(message.get("tool_calls") or ()) for message in messages)
    return ChatJob(body, request, opening, served.lenient_tools, calls)


async def answer_chat(served: ServedModel, job: ChatJob) -> Wire:
    """Return the whole reply; raises `ApiError`."""
    replies = [Reply(job.opening) for _ in range(job.request.n)]
    async with aclosing(served.events(job.request)) as events:
        async for event in events:
            _take(served, job, replies[event.choice], event)
    return _envelope(served, "chat.completion") | {
        "choices": [_choice(job, i, reply) for i, reply in enumerate(replies)],
        "usage": usage_of(len(job.request.prompt_ids), sum(reply.tokens for reply in replies)),
    }


async def stream_chat(served: ServedModel, job: ChatJob) -> AsyncGenerator[Wire, None]:
    """Yield the reply in chunks; raises `ApiError`.

    Calls come when their reply ends: only then is it certain that all can be read, and a reply with one that
    cannot is plain text, as it is without streaming.
    """
    envelope = _envelope(served, "chat.completion.chunk")
    options = job.body.stream_options
    counted = options is not None and options.include_usage
    if counted:
        envelope["usage"] = None
    replies = [Reply(job.opening) for _ in range(job.request.n)]
    contents = [ContentStream() if job.reads_calls else None for _ in replies]

    def chunk(index: int, delta: Wire, finish: str | None = None, logprobs: Wire | None = None) -> Wire:
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return envelope | {"choices": [choice]}

    for i, content in enumerate(contents):
        yield chunk(i, {"role": "assistant", "content": ""})
        if content is not None and job.opening:
            content.feed(job.opening)
    async with aclosing(served.events(job.request)) as events:
        async for event in events:
            reply, content = replies[event.choice], contents[event.choice]
            before = len(reply.logprobs)
            _take(served, job, reply, event)
            fresh = reply.logprobs[before:]
            text = event.text if content is None else content.feed(event.text)
            if text or fresh:
                logprobs = {"content": fresh, "refusal": None} if fresh else None
                yield chunk(event.choice, {"content": text}, logprobs=logprobs)
            if not event.finish_reason:
                continue
            choice = _choice(job, event.choice, reply)
            calls = choice["message"].get("tool_calls", ())
            rest = content.end(calls=bool(calls)) if content is not None else ""
            if rest:
                yield chunk(event.choice, {"content": rest})
            for i, call in enumerate(calls):
                yield chunk(event.choice, {"tool_calls": [{"index": i, **call}]})
            last = chunk(event.choice, {}, choice["finish_reason"])
            if "tool_parse" in choice:
                last["choices"][0]["tool_parse"] = choice["tool_parse"]
            yield last
    if counted:
        tokens = sum(reply.tokens for reply in replies)
        yield envelope | {"choices": [], "usage": usage_of(len(job.request.prompt_ids), tokens)}


def _take(served: ServedModel, job: ChatJob, reply: Reply, event: TokenEvent) -> None:
    reply.text += event.text
    reply.tokens += 1
    reply.finish = event.finish_reason or reply.finish
    if event.logprob is not None and not served.ends_silently(event, job.request.stop_ids):
        reply.logprobs.append(
            _logprob(served, event.token_id, event.logprob)
            | {
                "top_logprobs": [
                    _logprob(served, token, value)
                    for token, value in pairs(event.top_logprobs, job.request.logprobs)
                ]
            }
        )


def _logprob(served: ServedModel, token: int, value: float) -> Wire:
    raw = served.tokenizer.token_bytes(token)
    return {"token": served.token_text(token), "logprob": value, "bytes": list(raw)}


def _choice(job: ChatJob, index: int, reply: Reply) -> Wire:
    """One choice of the API; `tool_parse` is ours: how calls were read, and why they could not be."""
    message: Wire = {"role": "assistant", "content": reply.text, "refusal": None}
    choice: Wire = {"index": index, "message": message, "finish_reason": reply.finish, "logprobs": None}
    if job.request.logprobs is not None:
        choice["logprobs"] = {"content": reply.logprobs, "refusal": None}
    if not job.reads_calls or reply.finish == "length":
        return choice
    try:
        read = parse_reply(reply.text, job.body.tools or (), GRAMMAR, lenient=job.lenient)
    except ToolSyntaxError as error:
        return choice | {"tool_parse": {"mode": "strict", "error": str(error)}}
    calls = read.tool_calls[:1] if job.body.parallel_tool_calls is False else read.tool_calls
    if calls:
        message["content"] = read.content or None
        message["tool_calls"] = [
            {
                "id": f"call_{job.first_call + i}",
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for i, call in enumerate(calls)
        ]
        choice["finish_reason"] = "tool_calls"
    return choice | {"tool_parse": {"mode": read.parse_mode, "error": None}}


def _envelope(served: ServedModel, kind: str) -> Wire:
    return {
        "id": new_id("chatcmpl"),
        "object": kind,
        "created": int(time.time()),
        "model": served.name,
        "system_fingerprint": served.fingerprint,
    }
