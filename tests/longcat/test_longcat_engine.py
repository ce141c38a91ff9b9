"""The engine's thread: any number of callers, from any loop, cancelled, closed or failed."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
import torch

from longcat_eval.model_backend.longcat.byte_tokenizer import ByteTokenizer
from longcat_eval.model_backend.longcat.config import LiteConfig
from longcat_eval.model_backend.longcat.core import EngineCore, EngineOptions
from longcat_eval.model_backend.longcat.engine import LocalEngine, cache_tokens
from longcat_eval.model_backend.longcat.engine_api import (
    EngineError,
    GenerationRequest,
    RequestRefusedError,
    SamplingParams,
    TokenEvent,
)
from longcat_eval.model_backend.longcat.random_weights import random_model

GREEDY = SamplingParams(temperature=0)
MODEL = random_model(LiteConfig.tiny(), seed=1)
OPTIONS = EngineOptions(pack=False, kv_tokens=4096)


@pytest.fixture
def engine() -> Iterator[LocalEngine]:
    found = LocalEngine(MODEL, ByteTokenizer(), options=OPTIONS)
    yield found
    found.close()


async def all_of(events: AsyncIterator[TokenEvent]) -> list[TokenEvent]:
    return [event async for event in events]


async def quiet(engine: LocalEngine) -> None:
    """Wait until nothing is computed."""
    async with asyncio.timeout(30):
        while engine.metrics.running or engine.metrics.waiting:  # noqa: ASYNC110 - the thread tells no loop
            await asyncio.sleep(0.01)


async def test_many_callers_get_what_the_core_gives(engine: LocalEngine) -> None:
    asked = [GenerationRequest(tuple(range(5, 6 + i)), 4 + i % 3, GREEDY, n=1 + i % 2) for i in range(32)]
    found = await asyncio.gather(*(all_of(engine.submit(request)) for request in asked))
    expected = EngineCore(MODEL, ByteTokenizer(), OPTIONS).run(asked)
    for one, other in zip(found, expected, strict=True):
        for choice in (0, 1):
            assert [e.token_id for e in one if e.choice == choice] == [
                e.token_id for e in other if e.choice == choice
            ]
    assert engine.metrics.requests == 32


def test_callers_may_live_in_several_loops(engine: LocalEngine) -> None:
    request = GenerationRequest((9, 8, 7), 5, GREEDY)
    found = [asyncio.run(all_of(engine.submit(request))) for _ in range(2)]
    assert [e.token_id for e in found[0]] == [e.token_id for e in found[1]]


async def test_closing_the_iterator_cancels(engine: LocalEngine) -> None:
    events = engine.submit(GenerationRequest((9, 8, 7), 3000, GREEDY))
    assert (await anext(events)).token_id >= 0
    await events.aclose()
    await quiet(engine)
    assert engine.metrics.cancelled == 1
    assert engine.metrics.kv_pages_used == 0
    assert len(await all_of(engine.submit(GenerationRequest((1,), 3, GREEDY)))) == 3


async def test_a_cancelled_task_cancels(engine: LocalEngine) -> None:
    task = asyncio.create_task(all_of(engine.submit(GenerationRequest((9, 8, 7), 3000, GREEDY))))
    while not engine.metrics.generated_tokens:  # noqa: ASYNC110 - the thread tells no loop
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await quiet(engine)


async def test_a_refusal_comes_to_the_caller(engine: LocalEngine) -> None:
    with pytest.raises(RequestRefusedError, match="prompt is empty"):
        await all_of(engine.submit(GenerationRequest((), 3)))


async def test_scores_are_the_models_own(engine: LocalEngine) -> None:
    tokens = [40, 50, 60, 70]
    found = await engine.score(tokens, top=2)
    expected = MODEL.logits(tokens).log_softmax(-1)
    assert [score.token_id for score in found] == tokens
    assert found[0].logprob is None
    for at in (1, 2, 3):
        assert found[at].logprob == pytest.approx(float(expected[at - 1, tokens[at]]), abs=1e-4)
        assert found[at].top_logprobs[0][0] == int(expected[at - 1].argmax())
    assert [score.token_id for score in await engine.score([7])] == [7]


async def test_close_ends_what_is_under_way() -> None:
    engine = LocalEngine(MODEL, ByteTokenizer(), options=OPTIONS)
    events = engine.submit(GenerationRequest((9,), 3000, GREEDY))
    await anext(events)
    await asyncio.to_thread(engine.close)
    with pytest.raises(EngineError, match="closed"):
        await all_of(events)
    with pytest.raises(EngineError, match="closed"):
        await all_of(engine.submit(GenerationRequest((9,), 3, GREEDY)))
    engine.close()


async def test_a_failure_is_told_to_everybody() -> None:
    broken = random_model(LiteConfig.tiny(), seed=2)
    engine = LocalEngine(broken, ByteTokenizer(), options=OPTIONS)
    broken.lm_head.weight = torch.nn.Parameter(torch.zeros(3, 3), requires_grad=False)
    found = await asyncio.gather(
        *(all_of(engine.submit(GenerationRequest((i,), 3, GREEDY))) for i in range(1, 4)),
        return_exceptions=True,
    )
    assert all(isinstance(each, EngineError) and "RuntimeError" in str(each) for each in found)
    engine.close()


def test_weights_are_packed_only_where_they_fit_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model(LiteConfig.tiny())
    size = sum(weight.nbytes for weight in model.parameters())
    for available, packs in ((size, False), (3 * size, True)):
        monkeypatch.setattr(
            "longcat_eval.model_backend.longcat.engine.host_memory", lambda available=available: available
        )
        LocalEngine(model, None).close()
        assert (model.lm_head.weight.numel() == 0) == packs


def test_the_cache_is_as_large_as_planned_and_as_memory_still_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    token = MODEL.config.kv_layers * MODEL.config.kv_width * 4
    monkeypatch.setattr(
        "longcat_eval.model_backend.longcat.engine.host_memory", lambda: 2 * 100_000 * token + 1
    )
    assert cache_tokens(MODEL, None, None, 64) == 65_536, "nobody counted"
    assert cache_tokens(MODEL, 80_000, None, 64) == 80_000
    assert cache_tokens(MODEL, 800_000, None, 64) == 100_000, "half of what is free"
    assert cache_tokens(MODEL, 800_000, 500, 3) == 1_500, "a context for each"
    assert cache_tokens(MODEL, 10, 500, 3) == 500, "one context at least"
    engine = LocalEngine(random_model(LiteConfig.tiny()), None, max_context=500, kv_tokens=4_000)
    assert engine.metrics.kv_pages == 250
    engine.close()


async def test_the_context_may_be_kept_short() -> None:
    engine = LocalEngine(random_model(LiteConfig.tiny()), None, max_context=20, max_batch=1)
    assert engine.max_context == 20
    with pytest.raises(RequestRefusedError, match="context of 20"):
        await all_of(engine.submit(GenerationRequest((9,) * 18, 3, GREEDY)))
    events = await all_of(engine.submit(GenerationRequest((9,) * 17, 3, GREEDY)))
    assert [event.text for event in events] == ["", "", ""]
    engine.close()
