"""What can go wrong with a request, and what each failure means: one table."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from longcat_eval.records import Outcome, Wire

MESSAGE_LIMIT = 300


class FailureRule(NamedTuple):
    """The verdict on a kind of failure.

    `retried`: the same request is sent again; `congestion`: the limiter backs off; `alike`: the name the
    circuit breaker counts by, empty where the next sample may well succeed.
    """

    outcome: Outcome
    reason: str
    retried: bool
    congestion: bool = False
    alike: str = ""


ENDPOINT = Outcome.ENDPOINT_ERROR

FAILURES: Mapping[str, FailureRule] = {
    "context": FailureRule(Outcome.LENGTH_LIMIT, "context", False),
    "content_filter": FailureRule(Outcome.REFUSED, "content_filter", False),
    "http 400": FailureRule(ENDPOINT, "bad_request", False, alike="http 400"),
    "http 401": FailureRule(ENDPOINT, "unauthorized", False, alike="http 401"),
    "http 403": FailureRule(ENDPOINT, "forbidden", False, alike="http 403"),
    "http 404": FailureRule(ENDPOINT, "not_found", False, alike="http 404"),
    "http 4xx": FailureRule(ENDPOINT, "bad_request", False, alike="http 4xx"),
    "http 3xx": FailureRule(ENDPOINT, "redirect", False, alike="http 3xx"),
    "quota": FailureRule(ENDPOINT, "quota", False, alike="quota"),
    "tls": FailureRule(ENDPOINT, "tls", False, alike="tls"),
    "http 408": FailureRule(ENDPOINT, "timeout", True, congestion=True),
    "http 409": FailureRule(ENDPOINT, "conflict", True),
    "http 425": FailureRule(ENDPOINT, "too_early", True),
    "http 429": FailureRule(ENDPOINT, "rate_limited", True, congestion=True),
    "http 503": FailureRule(ENDPOINT, "overloaded", True, congestion=True),
    "http 529": FailureRule(ENDPOINT, "overloaded", True, congestion=True),
    "http 5xx": FailureRule(ENDPOINT, "server_error", True),
    "connect": FailureRule(ENDPOINT, "connect", True),
    "timeout": FailureRule(ENDPOINT, "timeout", True, congestion=True),
    "cut": FailureRule(ENDPOINT, "connection_lost", True, congestion=True),
    "bad_body": FailureRule(ENDPOINT, "bad_body", True),
    "no_choices": FailureRule(ENDPOINT, "no_choices", True),
    "deadline": FailureRule(ENDPOINT, "deadline", False),
}

CONTEXT = re.compile(
    r"exceed_context_size|context_length_exceeded"
    r"|(?:maximum|max|model'?s|available) context (?:length|size|window)"
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


class RequestError(Exception):
    """One failed try: its rule, the server's words, and how long (seconds) the server asked to wait."""

    def __init__(self, kind: str, message: str, *, retry_after: float | None = None, alike: str = "") -> None:
        super().__init__(message)
        self.kind, self.rule, self.retry_after = kind, FAILURES[kind], retry_after
        self.alike = alike or self.rule.alike


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
        if "exceed_context_size_error" in error.codes or "context_length_exceeded" in error.codes:
            return "http 400" if never_fits(error.message, request) else "context"
        if CONTEXT.search(error.message):
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


def http_status_failure(
    status: int, headers: Mapping[str, str], body: bytes, request: Wire, *, retry_after: float | None = None
) -> RequestError:
    """Classify a reply whose status is not 2xx; the text is the server's, bounded."""
    error = read_error(body)
    kind = failure_kind(status, error, request)
    said = error.message.strip() or "(no text)"
    if kind == "http 3xx":
        said = f"redirects to {headers.get('Location') or headers.get('location')}; give that as the base URL"
    alike = f"http {status}" if FAILURES[kind].alike.startswith("http") else ""
    return RequestError(kind, f"http {status}: {said}", retry_after=retry_after, alike=alike)
