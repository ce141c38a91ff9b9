"""One model, three ways in: engine, server and transformers' wrapper give the same tokens for one seed."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import openai
import pytest
import torch
from text_scoring import score

from longcat_eval.model_backend.endpoint import EndpointConfig, EndpointModel
from longcat_eval.model_backend.longcat.byte_tokenizer import ByteTokenizer
from longcat_eval.model_backend.longcat.config import LiteConfig
from longcat_eval.model_backend.longcat.engine_api import GenerationRequest, SamplingParams
from longcat_eval.model_backend.longcat.hf_wrapper import LongcatLiteForCausalLM, LongcatLiteHFConfig
from longcat_eval.model_backend.longcat.listening import address_of, bind, make_uvicorn
from longcat_eval.model_backend.longcat.local import LocalModel
from longcat_eval.model_backend.longcat.local_options import LocalOptions
from longcat_eval.model_backend.longcat.open_local import open_served
from longcat_eval.model_backend.longcat.random_weights import random_model
from longcat_eval.model_backend.longcat.server import Server
from longcat_eval.model_backend.longcat.serving import ServedModel

OPTIONS = LocalOptions(seed=4, gpus="none", context=2048, batch=64)
TEXT = "Once upon a time 你好"
USER = [{"role": "user", "content": TEXT}]
SAMPLINGS = {
    "greedy": {"temperature": 0.0},
    "card": {"temperature": 0.7, "top_k": 4, "top_p": 0.95, "repetition_penalty": 1.06},
    "top_p": {"temperature": 1.0, "top_p": 0.8},
    "plain": {"temperature": 1.0},
    "warm": {"temperature": 1.5, "top_k": 40},
}
FIELDS = ("top_k", "repetition_penalty")


@pytest.fixture(scope="module")
def served() -> Iterator[ServedModel]:
    model = open_served(None, OPTIONS, "tiny")
    yield model
    model.engine.close()


@pytest.fixture(scope="module")
def url(served: ServedModel) -> Iterator[str]:
    bound = bind("127.0.0.1", 0)
    runner = make_uvicorn(Server(served))
    thread = threading.Thread(target=runner.run, kwargs={"sockets": [bound]})
    thread.start()
    yield address_of(bound)
    runner.should_exit = True
    thread.join(20)
    bound.close()


@pytest.fixture(scope="module")
def wrapped() -> LongcatLiteForCausalLM:
    lite = random_model(LiteConfig.tiny(), seed=4)
    return LongcatLiteForCausalLM(LongcatLiteHFConfig.of(lite.config), lite)


async def of_engine(served: ServedModel, prompt: list[int], seed: int, how: dict[str, Any]) -> list[int]:
    request = GenerationRequest(
        tuple(prompt),
        24,
        SamplingParams(seed=seed, **how),
        stop_ids=frozenset({2}),
    )
    return [event.token_id async for event in served.engine.submit(request)]


@pytest.mark.parametrize("name", SAMPLINGS)
async def test_the_same_tokens_everywhere(
    served: ServedModel, url: str, wrapped: LongcatLiteForCausalLM, name: str
) -> None:
    how = SAMPLINGS[name]
    tokenizer = ByteTokenizer()
    prompt = tokenizer.chat_ids(USER)
    said = {seed: await of_engine(served, prompt, seed, how) for seed in (1, 2)}
    if name in ("plain", "warm"):
        assert said[1] != said[2]
    for seed, tokens in said.items():
        text = tokenizer.decode(tokens)
        sampled = how["temperature"] > 0
        drawn = {key: value for key, value in how.items() if sampled and key != "temperature"}
        drawn |= {"temperature": how["temperature"]} if sampled else {}
        drawn |= {} if "top_k" in drawn or not sampled else {"top_k": 0}
        out = wrapped.generate(
            torch.tensor([prompt]), max_new_tokens=24, do_sample=sampled, seed=seed, **drawn
        )
        assert out[0, len(prompt) :].tolist() == tokens
        async with openai.AsyncOpenAI(base_url=url, api_key="x", max_retries=0) as api:
            wire: dict[str, Any] = {k: v for k, v in how.items() if k not in FIELDS}
            wire |= {"extra_body": {k: v for k, v in how.items() if k in FIELDS}, "seed": seed}
            chat = await api.chat.completions.create(model="tiny", messages=USER, max_tokens=24, **wire)
            ids = await api.completions.create(model="tiny", prompt=prompt, max_tokens=24, **wire)
            stream = await api.completions.create(
                model="tiny", prompt=prompt, max_tokens=24, stream=True, **wire
            )
            pieces = [chunk.choices[0].text async for chunk in stream]
        assert chat.choices[0].message.content == text
        assert ids.choices[0].text == text == "".join(pieces)


async def test_the_official_client_in_all_its_ways(url: str) -> None:
    look = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    async with openai.AsyncOpenAI(base_url=url, api_key="x", max_retries=0) as api:
        several = await api.chat.completions.create(
            model="tiny", messages=USER, n=2, seed=3, max_tokens=12, logprobs=True, top_logprobs=3
        )
        tools = await api.chat.completions.create(
            model="tiny", messages=USER, tools=[look], max_tokens=8, seed=3, tool_choice="required"
        )
        plain = await api.chat.completions.create(model="tiny", messages=USER, max_tokens=8, seed=3)
    assert len({choice.message.content for choice in several.choices}) == 2
    for choice in several.choices:
        assert choice.logprobs is not None
        for token in choice.logprobs.content or []:
            values = [top.logprob for top in token.top_logprobs]
            assert values == sorted(values, reverse=True)
            assert token.logprob <= values[0] + 1e-6
    assert tools.usage is not None
    assert plain.usage is not None
    assert tools.usage.prompt_tokens > plain.usage.prompt_tokens
    assert (tools.choices[0].message.content or "").startswith("<longcat_tool_call>")


async def test_sixty_four_clients_get_what_one_gets(served: ServedModel, url: str) -> None:
    async with openai.AsyncOpenAI(base_url=url, api_key="x", max_retries=0) as api:

        async def one(seed: int) -> str:
            done = await api.chat.completions.create(
                model="tiny",
                messages=[{"role": "user", "content": f"{TEXT} {seed % 7}"}],
                seed=seed,
                max_tokens=6 + seed % 5,
            )
            return done.choices[0].message.content or ""

        together = await asyncio.gather(*map(one, range(64)))
        alone = [await one(seed) for seed in (0, 17, 63)]
    assert [together[i] for i in (0, 17, 63)] == alone


async def test_a_client_that_leaves_gives_its_pages_back(served: ServedModel, url: str) -> None:
    metrics = served.engine.metrics
    cancelled = metrics.cancelled
    async with openai.AsyncOpenAI(base_url=url, api_key="x", max_retries=0) as api:
        stream = await api.chat.completions.create(
            model="tiny", messages=USER, n=4, max_tokens=1500, stream=True, extra_body={"ignore_eos": True}
        )
        for _ in range(12):
            await anext(aiter(stream))
        await stream.close()
        async with asyncio.timeout(30):
            while metrics.running or metrics.waiting or metrics.cancelled == cancelled:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    assert metrics.cancelled == cancelled + 1


async def test_the_server_scores_texts_like_the_model(served: ServedModel, url: str) -> None:
    endpoint = EndpointModel(EndpointConfig("tiny", url, max_tries=1))
    for context, continuation in (("The answer is", " forty"), ("Wörter: ", "größer"), ("", "whole text")):
        theirs = await score(endpoint, context, continuation)
        ours = await score(LocalModel(served), context, continuation)
        if context:
            assert theirs == (pytest.approx(ours[0], abs=1e-4), ours[1])
        else:
            assert theirs[0] >= ours[0], "the first token of a text on a server has no probability"
    await endpoint.close()


async def test_scores_are_the_logits(served: ServedModel, wrapped: LongcatLiteForCausalLM) -> None:
    model = LocalModel(served)
    context, continuation = "The answer is", " forty"
    ids = ByteTokenizer().encode(context + continuation)
    logits = torch.log_softmax(wrapped.lite.logits(ids), dim=-1)
    start = len(context)
    expected = sum(float(logits[i - 1, ids[i]]) for i in range(start, len(ids)))
    total, greedy = await score(model, context, continuation)
    assert total == pytest.approx(expected, abs=1e-3)
    assert greedy == all(int(logits[i - 1].argmax()) == ids[i] for i in range(start, len(ids)))
