from types import MappingProxyType

import msgspec
import pytest

from longcat_eval.model_backend.classify import http_failure
from longcat_eval.model_backend.failures import FAILURES, RequestError
from longcat_eval.model_backend.transport import Answer
from longcat_eval.records import OUTCOMES, Outcome

TOO_LONG = {
    "vllm": "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens.",
    "vllm-new": "The decoder prompt (length 9000) is longer than the maximum model length of 8192.",
    "sglang": "The input (9000 tokens) is longer than the model's context length (8192 tokens).",
    "sglang-total": "Requested token count exceeds the model's maximum context length of 8192 tokens.",
    "llama.cpp": "the request exceeds the available context size, try increasing it",
    "anthropic": "prompt is too long: 210000 tokens > 200000 maximum",
    "gemini": "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
    "moonshot": "Invalid request: Your request exceeded model token limit: 8192",
    "xai": "This model's maximum prompt length is 131072 but the request contains 160000 tokens.",
}


def failed(
    status: int, body: object = b"", request: dict[str, object] | None = None, **headers: str
) -> RequestError:
    encoded = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return http_failure(Answer(status, MappingProxyType(headers), encoded), request or {"max_tokens": 64})


@pytest.mark.parametrize("message", TOO_LONG.values(), ids=TOO_LONG.keys())
@pytest.mark.parametrize("shape", ["nested", "flat", "text"])
def test_a_prompt_that_is_too_long_is_the_conversations_limit(message: str, shape: str) -> None:
    bodies = {
        "nested": {"error": {"message": message, "type": "BadRequestError", "code": 400}},
        "flat": {"object": "error", "message": message, "code": 400},
        "text": message.encode(),
    }
    failure = failed(400, bodies[shape])
    assert (failure.rule.outcome, failure.rule.reason) == (Outcome.LENGTH_LIMIT, "context")
    assert failure.alike == ""
    assert not failure.rule.retried


@pytest.mark.parametrize(
    "error",
    [
        {"code": 400, "type": "exceed_context_size_error", "message": "no room", "n_ctx": 8192},
        {"code": "context_length_exceeded", "type": "invalid_request_error", "message": "no"},
    ],
)
def test_context_errors_are_known_by_their_code(error: dict[str, object]) -> None:
    assert failed(400, {"error": error}).kind == "context"


def test_max_tokens_that_fill_the_context_are_a_wrong_setting() -> None:
    error = {"error": {"message": TOO_LONG["vllm"], "code": 400}}
    failure = failed(400, error, {"max_tokens": 32768})
    assert (failure.rule.outcome, failure.alike) == (Outcome.ENDPOINT_ERROR, "http 400")


@pytest.mark.parametrize(
    "error",
    [
        {"code": "content_filter", "message": "filtered"},
        {"code": None, "innererror": {"code": "ResponsibleAIPolicyViolation"}, "message": "filtered"},
        {"code": "data_inspection_failed", "message": "inappropriate"},
    ],
)
def test_a_content_filter_is_a_refusal(error: dict[str, object]) -> None:
    failure = failed(400, {"error": error})
    assert (failure.rule.outcome, failure.alike) == (Outcome.REFUSED, "")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 422])
def test_the_callers_errors_are_not_retried_and_count_as_alike(status: int) -> None:
    failure = failed(status, {"error": {"message": "you are wrong"}})
    assert failure.rule.outcome is Outcome.ENDPOINT_ERROR
    assert not failure.rule.retried
    assert failure.alike == f"http {status}"
    assert str(failure) == f"http {status}: you are wrong"


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 520, 529])
def test_the_servers_errors_are_retried(status: int) -> None:
    failure = failed(status)
    assert failure.rule.retried
    assert failure.rule.outcome is Outcome.ENDPOINT_ERROR
    assert failure.alike == ""


@pytest.mark.parametrize("status", [408, 429, 503, 529])
def test_congestion(status: int) -> None:
    assert failed(status).rule.congestion
    assert not failed(500).rule.congestion


def test_an_empty_account_is_not_retried() -> None:
    for failure in (failed(402), failed(429, {"error": {"code": "insufficient_quota", "message": "pay"}})):
        assert not failure.rule.retried
        assert failure.alike == "quota"


def test_a_redirect_names_its_target() -> None:
    failure = failed(307, Location="https://elsewhere.example/v1")
    assert "https://elsewhere.example/v1" in str(failure)
    assert not failure.rule.retried


def test_retried_failures_are_invalid_and_every_kind_has_a_reason() -> None:
    for rule in FAILURES.values():
        assert rule.reason
        assert not (rule.retried and OUTCOMES[rule.outcome].valid)
        assert not (rule.alike and rule.retried)
