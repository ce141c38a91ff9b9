"""From an HTTP reply that is no success to the kind of failure it is."""

import re
from typing import Any, NamedTuple

import msgspec

from longcat_eval.model_backend.failures import FAILURES, RequestError
from longcat_eval.model_backend.retries import retry_after
from longcat_eval.model_backend.transport import Answer
from longcat_eval.records import Wire

CONTEXT = re.compile(
    r"(?:maximum|max|model'?s|available) context (?:length|size|window)"
    r"|exceeds? (?:the |this )?(?:\w+ ){0,3}context"
    r"|(?:prompt|input) is too long|maximum (?:prompt|model) length"
    r"|input token count.{0,40}exceeds"
    r"|exceeded model token limit"
    r"|range of input length should be"
    r"|inputs` tokens \+ `max_new_tokens` must be",
    re.IGNORECASE | re.DOTALL,
)
"""Too long, as OpenAI, vLLM, SGLang, llama.cpp, Anthropic, Gemini, xAI, Moonshot, DashScope, TGI say it."""

CONTEXT_LENGTH = re.compile(r"context (?:length|size|window)[^0-9]{1,20}(\d+)", re.IGNORECASE)
CONTEXT_CODES = frozenset({"context_length_exceeded", "exceed_context_size_error"})
FILTER_CODES = frozenset(
    {
        "content_filter",
        "content_policy_violation",
        "responsibleaipolicyviolation",
        "data_inspection_failed",
        "datainspectionfailed",
    }
)
QUOTA_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached"})


class ServerError(NamedTuple):
    """The error object of a reply in OpenAI's form, or the bare text where there is none."""

    message: str
    codes: frozenset[str]


def read_error(body: bytes) -> ServerError:
    """Return what the server said, in whichever of the usual shapes it said it."""
    try:
        reply = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return ServerError(" ".join(body[:2000].decode("utf-8", "replace").split()), frozenset())
    error: Any = reply.get("error", reply) if isinstance(reply, dict) else reply
    if not isinstance(error, dict):
        return ServerError(str(error), frozenset())
    inner = error.get("innererror")
    found = [error.get("code"), error.get("type"), inner.get("code") if isinstance(inner, dict) else None]
    message = error.get("message") or error.get("detail") or msgspec.json.encode(error).decode()
    return ServerError(str(message), frozenset(str(code).lower() for code in found if code))


def failure_kind(status: int, error: ServerError, request: Wire) -> str:
    """Return the row of FAILURES for an HTTP status that is not 2xx."""
    if status in (400, 413, 422):
        if error.codes & FILTER_CODES:
            return "content_filter"
        if error.codes & CONTEXT_CODES or CONTEXT.search(error.message):
            return "http 400" if never_fits(error.message, request) else "context"
    if status == 402 or (status == 429 and error.codes & QUOTA_CODES):
        return "quota"
    if f"http {status}" in FAILURES:
        return f"http {status}"
    return f"http {status // 100}xx" if status // 100 in (3, 4) else "http 5xx"


def never_fits(message: str, request: Wire) -> bool:
    """Whether `max_tokens` alone reaches the context length the server names: no prompt could ever fit.

    That is a wrong setting, not a long conversation, and must not be scored as the model's failure.
    """
    asked = request.get("max_completion_tokens") or request.get("max_tokens")
    found = CONTEXT_LENGTH.search(message)
    return isinstance(asked, int) and found is not None and asked >= int(found.group(1))


def http_failure(answer: Answer, request: Wire) -> RequestError:
    """Classify a reply whose status is not 2xx; the text is the server's, the wait what it asks for."""
    error = read_error(answer.body)
    kind = failure_kind(answer.status, error, request)
    said = error.message.strip() or "(no text)"
    if kind == "http 3xx":
        said = f"redirects to {answer.headers.get('Location')}; give that as the base URL"
    return RequestError(
        kind,
        f"http {answer.status}: {said}",
        retry_after=retry_after(answer.headers),
        alike=f"http {answer.status}" if FAILURES[kind].alike.startswith("http") else "",
    )
