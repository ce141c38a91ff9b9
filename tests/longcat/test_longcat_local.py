"""The model in this process as benchmarks see it."""

import math
import time
from collections.abc import Sequence
from typing import Any

import pytest
from asking import ask
from longcat_engines import ScriptedEngine
from text_scoring import score

from longcat_eval.model_backend.longcat.byte_tokenizer import ByteTokenizer
from longcat_eval.model_backend.longcat.engine_api import TokenScore
from longcat_eval.model_backend.longcat.local import LocalModel
from longcat_eval.model_backend.longcat.serving import ServedModel
from longcat_eval.model_backend.prices import Price
from longcat_eval.model_backend.role import Role
from longcat_eval.model_backend.tool_client import ToolReplyError
from longcat_eval.protocols import LogLikelihoodModel, ModelError
from longcat_eval.records import Message, Outcome

LOOK = {"type": "function", "function": {"name": "look", "parameters": {}}}


def local(engine: ScriptedEngine, **options: Any) -> LocalModel:
    return LocalModel(ServedModel("m", engine, ByteTokenizer(), **options), price=Price(0.0, 0.0))


async def test_a_reply_is_a_completion() -> None:
    engine = ScriptedEngine("fine")
    done = await local(engine).complete(ask(temperature=0.7, top_k=4, top_p=0.95, repetition_penalty=1.06))
    assert done.message == Message("assistant", content="fine")
    assert (done.finish_reason, done.usage.completion_tokens, done.cost) == ("stop", 5, 0.0)
    assert engine.requests[0].sampling.seed == 1
    assert isinstance(local(engine), LogLikelihoodModel)


async def test_calls_are_read_and_broken_ones_are_the_models_doing() -> None:
    done = await local(ScriptedEngine("<longcat_tool_call>look\n</longcat_tool_call>")).complete(
        ask(tools=[LOOK])
    )
    assert [(c.id, c.name, c.arguments) for c in done.message.tool_calls] == [("call_0", "look", "{}")]
    assert (done.finish_reason, done.parse_mode) == ("tool_calls", "strict")
    with pytest.raises(ToolReplyError, match="not closed") as caught:
        await local(ScriptedEngine("<longcat_tool_call>look\n")).complete(ask(tools=[LOOK]))
    assert caught.value.outcome == Outcome.TOOL_PROTOCOL_ERROR
    assert caught.value.completion.text == "<longcat_tool_call>look\n"
    lenient = local(ScriptedEngine("<longcat_tool_call>look\n"), lenient_tools=True)
    assert (await lenient.complete(ask(tools=[LOOK]))).parse_mode == "lenient"


async def test_the_completion_is_cut_to_the_context_and_a_prompt_that_is_too_long_is_told() -> None:
    engine = ScriptedEngine("x" * 9000)
    done = await local(engine).complete(ask(max_tokens=100_000))
    assert done.finish_reason == "length"
    assert done.usage.total == engine.max_context
    with pytest.raises(ModelError, match="maximum context") as caught:
        await local(engine).complete(ask("y" * 5000))
    assert (caught.value.outcome, caught.value.reason) == (Outcome.LENGTH_LIMIT, "context")


async def test_failures_are_classified() -> None:
    with pytest.raises(ModelError, match="min_p") as caught:
        await local(ScriptedEngine("x")).complete(ask(min_p=0.5))
    assert (caught.value.reason, caught.value.alike) == ("bad_request", "http 400")
    engine = ScriptedEngine("xyz")
    engine.fails_after = 1
    with pytest.raises(ModelError, match="out of memory") as caught:
        await local(engine).complete(ask())
    assert caught.value.reason == "server_error"


async def test_a_deadline_ends_the_request() -> None:
    engine = ScriptedEngine("x" * 2000, delay=0.05)
    with pytest.raises(ModelError) as caught:
        await local(engine).complete(ask(deadline=time.monotonic() + 0.2))
    assert caught.value.reason == "deadline"
    assert (engine.metrics.running, engine.metrics.cancelled) == (0, 1)


async def test_loglikelihoods() -> None:
    model = local(ScriptedEngine())
    total, greedy = await score(model, "ab", "c")
    assert (total, greedy) == (math.log(0.5), True)
    total, greedy = await score(model, "ab", "cd")
    assert (round(total, 6), greedy) == (round(math.log(0.5 * 0.25), 6), False)
    assert await score(model, "ab ", "c") == await score(model, "ab", " c")
    assert (await score(model, "", "c"))[0] == math.log(0.25)
    assert await score(model, "ab", "") == (0.0, True)


async def test_a_text_is_continued_without_the_template() -> None:
    engine = ScriptedEngine(" and on")
    model = local(engine)
    request = Role(model, "tiny").continuation("On", ask().meta, seed=1, max_tokens=5000)
    done = await model.complete(request)
    assert (done.text, done.finish_reason, done.usage.prompt_tokens) == (" and on", "stop", 2)
    assert ByteTokenizer().decode(list(engine.requests[0].prompt_ids)) == "On"


async def test_a_long_text_is_scored_in_windows_each_token_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model, windows = local(ScriptedEngine()), []

    async def score_window(ids: Sequence[int], top: int) -> list[TokenScore]:
        windows.append(ByteTokenizer().decode(list(ids)))
        return [TokenScore(i, -float(place)) for place, i in enumerate(ids)]

    monkeypatch.setattr(model.served.engine, "score", score_window)
    monkeypatch.setattr(model.served.engine, "max_context", 4)
    total, _ = await score(model, "", "abcdefgh")
    assert windows == ["abc", "cdef", "efgh"], "the first begins with the token before all text"
    assert total == -(1 + 2 + 3) - (1 + 2 + 3) - (2 + 3)
    with pytest.raises(ModelError) as caught:
        await score(model, "abcd", "efgh")
    assert caught.value.reason == "context"
