"""What can go wrong with a request, and what each failure means: one table."""

from collections.abc import Mapping
from typing import NamedTuple

from longcat_eval.records import Outcome

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


class RequestError(Exception):
    """One failed try: its rule, the server's words, and how long (seconds) the server asked to wait."""

    def __init__(self, kind: str, message: str, *, retry_after: float | None = None, alike: str = "") -> None:
        super().__init__(message)
        self.kind, self.rule, self.retry_after = kind, FAILURES[kind], retry_after
        self.alike = alike or self.rule.alike
