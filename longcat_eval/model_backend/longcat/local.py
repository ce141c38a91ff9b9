"""The model computed in this process, a `Model` for any benchmark: the server's answers without HTTP."""

import asyncio
import time
from typing import Any

import msgspec

from longcat_eval.model_backend.failures import MESSAGE_LIMIT, RequestError
from longcat_eval.model_backend.longcat.chat_service import answer_chat, prepare_chat
from longcat_eval.model_backend.longcat.engine_api import TokenScore
from longcat_eval.model_backend.longcat.server_schema import ApiError, read_chat, read_text
from longcat_eval.model_backend.longcat.serving import ServedModel
from longcat_eval.model_backend.longcat.text_service import answer_text, prepare_text
from longcat_eval.model_backend.prices import Price
from longcat_eval.model_backend.replies import read_message, read_usage
from longcat_eval.model_backend.retries import past_deadline
from longcat_eval.model_backend.text_scores import scored
from longcat_eval.model_backend.tool_client import ToolReplyError
from longcat_eval.model_backend.tool_text import ToolSyntaxError
from longcat_eval.protocols import ModelError
from longcat_eval.records import Completion, Request, Usage, Wire


class LocalModel:
    """A served model asked directly. The engine computes in its own thread; this loop stays free."""

    capabilities = frozenset({"chat", "tools", "loglikelihood"})

    def __init__(
        self, served: ServedModel, *, name: str = "", price: Price | None = None, timeout: float = 3600.0
    ) -> None:
        self.served, self.name = served, name or served.name
        self.price, self.timeout = price, timeout

    @property
    def facts(self) -> dict[str, Any]:
        """How it is computed: weights, dtype, quantisation, placement."""
        return dict(self.served.facts)

    async def complete(self, request: Request) -> Completion:
        """Answer one request; raises `ModelError`, and `ToolReplyError` for calls that cannot be read.

        A body with a `prompt` instead of messages is a text to continue, without the chat template.
        A completion limit beyond the context is cut to it: limits are chosen by a count without a tokenizer.
        """
        start = time.monotonic()
        deadline = request.meta.deadline
        limit = self.timeout if deadline is None else min(self.timeout, deadline - start)
        try:
            async with asyncio.timeout(limit):
                own = {"model": self.served.name, "stream": None, "stream_options": None}
                if "prompt" in request.body:
                    text = read_text(request.body | own)
                    reply = await answer_text(self.served, prepare_text(self.served, text, cut=True))
                else:
                    body = read_chat(request.body | own)
                    job = await asyncio.to_thread(prepare_chat, self.served, body, cut=True)
                    reply = await answer_chat(self.served, job)
        except TimeoutError:
            late = limit < self.timeout
            failed = past_deadline() if late else RequestError("timeout", f"no reply within {limit:g} s")
            raise self._failed(failed) from None
        except ApiError as error:
            raise self._failed(failure_of(error)) from None
        done = self._read(reply, time.monotonic() - start)
        problem = (reply["choices"][0].get("tool_parse") or {}).get("error")
        if problem:
            raise ToolReplyError(ToolSyntaxError(problem.partition(" in the reply ")[0], done.text), done)
        return done

    async def loglikelihood(self, request: Request, start: int) -> Completion:
        """Score what follows character `start` of the body's `prompt`; raises `ModelError`.

        The tokens are those of the whole text, as in lm-evaluation-harness (`_encode_pair`). A whole text
        (`start` 0) that is longer than the context is scored in windows, each token once and after as many as
        fit (its `get_rolling_token_windows`).
        """
        prompt, tokenizer, begun = request.body["prompt"], self.served.tokenizer, time.monotonic()
        whole = tokenizer.encode(prompt, wrap=True)
        first = len(tokenizer.encode(prompt[:start], wrap=True)) if start else 0
        if not start and tokenizer.bos_id is not None and whole[:1] != [tokenizer.bos_id]:
            whole = [tokenizer.bos_id, *whole]
        first = max(first, 1)
        room = self.served.engine.max_context
        stride = len(whole) if start else room - 1
        scores: list[TokenScore] = []
        try:
            if start:
                self.served.room(len(whole), 0, "prompt")
            for done in range(first, len(whole), stride):
                end = min(done + stride, len(whole))
                window = whole[max(0, end - room) : end]
                scores += (await self.served.score(window, 1))[done - end :]
        except ApiError as error:
            raise self._failed(failure_of(error)) from None
        total = sum(score.logprob or 0.0 for score in scores)
        greedy = all(score.top_logprobs and score.top_logprobs[0][0] == score.token_id for score in scores)
        found = scored(total, greedy, len(scores), Usage(prompt_tokens=len(whole)))
        return msgspec.structs.replace(
            found,
            seconds=time.monotonic() - begun,
            cost=0.0 if self.price else None,
            served_model=self.served.name,
            fingerprint=self.served.fingerprint,
        )

    async def list_models(self) -> list[Wire]:
        """The one model, as GET /v1/models shows it."""
        return [{"id": self.served.name, "max_model_len": self.served.engine.max_context}]

    async def close(self) -> None:
        """End the engine's thread and let go of the weights."""
        await asyncio.to_thread(self.served.engine.close)

    def _read(self, reply: Wire, seconds: float) -> Completion:
        choice = reply["choices"][0]
        usage = read_usage(reply["usage"])
        said = choice["message"] if "message" in choice else {"content": choice["text"]}
        message = read_message(said)
        return Completion(
            message=msgspec.structs.replace(message, raw=None),
            finish_reason=choice["finish_reason"],
            usage=usage,
            seconds=seconds,
            cost=self.price.cost(usage) if self.price else None,
            served_model=reply["model"],
            fingerprint=reply["system_fingerprint"],
            parse_mode=(choice.get("tool_parse") or {}).get("mode"),
            logprobs=choice["logprobs"],
        )

    def _failed(self, failure: RequestError) -> ModelError:
        return ModelError(
            failure.rule.outcome,
            failure.rule.reason,
            f"{self.name}: {str(failure)[:MESSAGE_LIMIT]}",
            alike=failure.alike,
        )


def failure_of(error: ApiError) -> RequestError:
    """The failure that a client of the server would have seen."""
    if error.code == "context_length_exceeded":
        return RequestError("context", str(error))
    field = f"{error.param}: " if error.param else ""
    return RequestError("http 5xx" if error.status >= 500 else "http 400", f"{field}{error}")
