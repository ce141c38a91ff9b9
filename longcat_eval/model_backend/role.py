"""One model in one role (agent, user, judge): from messages to the exact wire body, at its own settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from longcat_eval.protocols import Model
from longcat_eval.records import Request, RequestMeta, Wire

SAFETY_TOKENS = 64
LEAST_COMPLETION = 256
"""Asked for even where the cautious count leaves no room: the server knows, and says so if it is right."""


@runtime_checkable
class Rewriter(Protocol):
    """A model that changes requests before it sends them (tools put into the prompt)."""

    def rewrite(self, request: Request) -> Request:
        """Return the request that really goes out."""
        ...


@dataclass(frozen=True)
class Role:
    """A model with the settings it is asked at; the settings of one role never leak into another's requests.

    `sampling` and `extra_body` go on the wire as they are; `context_length` (tokens) and `max_tokens` cap the
    completion limit that a task's protocol asks for.
    """

    model: Model
    served_name: str
    sampling: Mapping[str, Any] = field(default_factory=dict)
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    context_length: int | None = None
    max_tokens: int | None = None
    rewriter: Rewriter | None = None

    def request(
        self,
        messages: Sequence[Wire],
        meta: RequestMeta,
        *,
        seed: int,
        max_tokens: int,
        tools: Sequence[Wire] | None = None,
        prompt_tokens: int = 0,
        overrides: Mapping[str, Any] | None = None,
    ) -> Request:
        """Build the body: every setting on the wire, because servers fill in what is left out.

        `prompt_tokens` is how long the prompt is, for who can tell it better than `estimate_tokens`.
        """
        body: Wire = {"model": self.served_name, "messages": list(messages)}
        if tools:
            body["tools"] = list(tools)
        return self._at_settings(body, meta, seed, max_tokens, prompt_tokens, overrides)

    def continuation(
        self,
        prompt: str,
        meta: RequestMeta,
        *,
        seed: int,
        max_tokens: int,
        overrides: Mapping[str, Any] | None = None,
    ) -> Request:
        """The same for a text that is continued without a chat template (POST /completions)."""
        body: Wire = {"model": self.served_name, "prompt": prompt}
        return self._at_settings(body, meta, seed, max_tokens, 0, overrides)

    def _at_settings(
        self,
        body: Wire,
        meta: RequestMeta,
        seed: int,
        max_tokens: int,
        prompt_tokens: int,
        overrides: Mapping[str, Any] | None,
    ) -> Request:
        body |= self.sampling
        body |= self.extra_body
        body["seed"] = seed
        body |= overrides or {}
        body["max_tokens"] = self._completion_limit(body, max_tokens, prompt_tokens)
        return Request(body, meta)

    def text_request(self, prompt: str, meta: RequestMeta) -> Request:
        """The body that has a text scored, not continued (POST /completions): sampling has no part in it."""
        body: Wire = {"model": self.served_name, "prompt": prompt, **self.extra_body}
        return Request(body | {"max_tokens": 1, "temperature": 0, "logprobs": 1, "echo": True}, meta)

    def sent(self, request: Request) -> Request:
        """The request as it goes out: the same, or with tools put into the prompt."""
        return request if self.rewriter is None else self.rewriter.rewrite(request)

    def _completion_limit(self, body: Wire, wanted: int, prompt_tokens: int) -> int:
        limits = [wanted]
        if self.max_tokens is not None:
            limits.append(self.max_tokens)
        if self.context_length is not None:
            room = self.context_length - (prompt_tokens or estimate_tokens(body)) - SAFETY_TOKENS
            limits.append(max(room, LEAST_COMPLETION))
        return min(limits)


def estimate_tokens(body: Mapping[str, Any]) -> int:
    """A cautious token count of a body's messages and tools, without a tokenizer.

    Three ASCII characters or one other character a token: real tokenizers need fewer for prose, so a capped
    completion limit stays inside the context window.
    """
    import msgspec

    said = body["prompt"] if "prompt" in body else body["messages"]
    text = msgspec.json.encode([said, body.get("tools")]).decode()
    ascii_count = sum(map(str.isascii, text)) if not text.isascii() else len(text)
    return ascii_count // 3 + (len(text) - ascii_count)
