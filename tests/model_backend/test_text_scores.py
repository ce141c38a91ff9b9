"""Log probabilities of an echoed prompt, as servers of several habits give them."""

import math
from pathlib import Path
from typing import Any

import pytest
from loopback import FakeEndpoint
from text_scoring import score

from longcat_eval.model_backend.cache import CachedModel
from longcat_eval.model_backend.embedded import EmbeddedModel
from longcat_eval.model_backend.endpoint import EndpointConfig, EndpointModel
from longcat_eval.model_backend.omit import OmitFields
from longcat_eval.model_backend.role import Role
from longcat_eval.model_backend.tool_client import ToolPromptModel
from longcat_eval.protocols import ModelError
from longcat_eval.records import AttemptKey, Outcome, RequestMeta


def echo(
    body: dict[str, Any], *, bos: str = "", offsets: bool = True, split: int = 1, best: float = -0.1
) -> dict[str, Any]:
    """A reply whose tokens are `split` characters each, with probability 0.5; one more is generated."""
    prompt = body["prompt"]
    tokens = [prompt[i : i + split] for i in range(0, len(prompt), split)]
    tokens = [*([bos] if bos else []), *tokens, "!"]
    values = [None, *([math.log(0.5)] * (len(tokens) - 1))]
    tops = [None, *({t: math.log(0.5), "other": best} for t in tokens[1:])]
    starts = [sum(map(len, tokens[:i])) for i in range(len(tokens))]
    logs = {"tokens": tokens, "token_logprobs": values, "top_logprobs": tops}
    if offsets:
        logs["text_offset"] = starts
    choice = {"index": 0, "text": prompt + "!", "logprobs": logs, "finish_reason": "length"}
    return {
        "model": "m",
        "choices": [choice],
        "usage": {"prompt_tokens": len(tokens) - 1, "completion_tokens": 1},
    }


def model_at(server: FakeEndpoint, **how: Any) -> EndpointModel:
    return EndpointModel(EndpointConfig("m", server.base_url, max_tries=1, **how))


@pytest.mark.parametrize("offsets", [True, False])
@pytest.mark.parametrize("bos", ["", "<|begin|>"])
async def test_only_the_continuation_counts(offsets: bool, bos: str) -> None:
    async with FakeEndpoint(reply=lambda body: echo(body, bos=bos, offsets=offsets)) as server:
        model = model_at(server)
        total, greedy = await score(model, "abc", "de")
        assert (total, greedy) == (pytest.approx(2 * math.log(0.5)), False)
        assert await score(model, "abc ", "de") == (pytest.approx(3 * math.log(0.5)), False)
        whole = 5 if bos else 4
        assert (await score(model, "", "abcde"))[0] == pytest.approx(whole * math.log(0.5))
        assert await score(model, "abc", "") == (0.0, True)
        await model.close()
    sent = server.requests[0]
    assert sent.path.endswith("/completions")
    assert not sent.path.endswith("/chat/completions")
    assert sent.body == {
        "model": "tiny",
        "prompt": "abcde",
        "max_tokens": 1,
        "temperature": 0,
        "logprobs": 1,
        "echo": True,
    }


async def test_greedy_if_no_other_token_is_likelier_and_a_token_over_the_edge_counts() -> None:
    async with FakeEndpoint(reply=lambda body: echo(body, split=2, best=-5.0)) as server:
        model = model_at(server)
        assert await score(model, "abc", "def") == (pytest.approx(2 * math.log(0.5)), True)
        await model.close()


@pytest.mark.parametrize(
    "reply",
    [
        {"choices": [{"index": 0, "text": "x", "logprobs": None}]},
        {"choices": [{"index": 0, "text": "x", "logprobs": {"tokens": ["x"], "token_logprobs": [-1.0]}}]},
        {"choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}}]},
    ],
)
async def test_an_endpoint_without_them_is_told_apart(reply: dict[str, Any]) -> None:
    async with FakeEndpoint(reply=lambda body: reply) as server:
        model = model_at(server)
        with pytest.raises(ModelError, match="no log probabilities of the prompt") as caught:
            await score(model, "abc", "de")
        await model.close()
    assert (caught.value.outcome, caught.value.alike) == (Outcome.ENDPOINT_ERROR, "no prompt logprobs")


async def test_wrappers_pass_it_on_and_the_cache_remembers(tmp_path: Path) -> None:
    async with FakeEndpoint(reply=echo) as server:
        cached = CachedModel(model_at(server), tmp_path / "cache", identity="e")
        model = OmitFields(ToolPromptModel(cached, "hermes"), {"temperature"})
        first = await score(model, "abc", "de")
        assert await score(model, "abc", "de") == first
        assert len(server.requests) == 1
        assert await score(model, "ab", "cde") != first, "the same text, another edge"
        assert "temperature" not in server.requests[0].body
        await model.close()


async def test_a_text_is_continued_and_what_is_none_is_told() -> None:
    answers: list[Any] = [
        {"choices": [{"text": " more", "finish_reason": "stop"}], "usage": {"completion_tokens": 2}},
        {"choices": [{"message": {"content": "a chat"}}]},
    ]
    async with FakeEndpoint(reply=lambda body: answers.pop(0)) as server:
        model = model_at(server)
        meta = RequestMeta(AttemptKey("t", "s"))
        request = Role(model, "m", {"top_k": 4}).continuation("Once", meta, seed=7, max_tokens=9)
        done = await model.complete(request)
        assert (done.text, done.finish_reason, done.usage.completion_tokens) == (" more", "stop", 2)
        assert server.bodies[0] == {"model": "m", "prompt": "Once", "top_k": 4, "seed": 7, "max_tokens": 9}
        with pytest.raises(ModelError, match="no choice with a text"):
            await model.complete(request)
        await model.close()


async def test_llama_cpp_does_not_claim_it() -> None:
    async with FakeEndpoint() as server:
        model = model_at(server)
        assert "loglikelihood" in model.capabilities
        assert "loglikelihood" not in EmbeddedModel(model, None).capabilities  # type: ignore[arg-type]
        await model.close()
