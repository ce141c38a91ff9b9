"""The server under the official client, and everything that it refuses."""

import asyncio
import math
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import aiohttp
import openai
import pytest
from longcat_engines import ScriptedEngine

from longcat_eval.errors import EnvironmentUnusableError, UsageError
from longcat_eval.model_backend.longcat import server
from longcat_eval.model_backend.longcat.byte_tokenizer import ByteTokenizer
from longcat_eval.model_backend.longcat.engine_api import EngineError
from longcat_eval.model_backend.longcat.listening import address_of, bind, check_host, make_uvicorn
from longcat_eval.model_backend.longcat.server import Server
from longcat_eval.model_backend.longcat.serving import ServedModel

USER = [{"role": "user", "content": "hello"}]
LOOK = {
    "type": "function",
    "function": {
        "name": "look",
        "parameters": {
            "type": "object",
            "properties": {"place": {"type": "string"}, "count": {"type": "integer"}},
        },
    },
}
CALL = (
    "I look. <longcat_tool_call>look\n<longcat_arg_key>place</longcat_arg_key>\n"
    "<longcat_arg_value>123</longcat_arg_value>\n<longcat_arg_key>count</longcat_arg_key>\n"
    "<longcat_arg_value>4</longcat_arg_value>\n</longcat_tool_call>\n"
    "<longcat_tool_call>rest\n</longcat_tool_call>"
)


@contextmanager
def serving(engine: ScriptedEngine, key: str | None = None, **options: Any) -> Iterator[str]:
    """The base URL of a server in a thread of its own."""
    served = ServedModel("tiny", engine, ByteTokenizer(), facts={"dtype": "float32"}, **options)
    bound = bind("127.0.0.1", 0)
    runner = make_uvicorn(Server(served, key))
    runner.config.load()
    thread = threading.Thread(target=runner.run, kwargs={"sockets": [bound]})
    thread.start()
    try:
        yield address_of(bound)
    finally:
        runner.should_exit = True
        thread.join(20)
        bound.close()
        assert not thread.is_alive()


@asynccontextmanager
async def client(url: str, key: str = "none") -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=url, api_key=key, max_retries=0) as made:
        yield made


async def test_models_and_a_plain_reply() -> None:
    engine = ScriptedEngine("Hé!")
    with serving(engine) as url:
        async with client(url) as api:
            listed = [model async for model in api.models.list()]
            one = await api.models.retrieve("tiny")
            done = await api.chat.completions.create(
                model="tiny",
                messages=USER,
                temperature=0.7,
                top_p=0.95,
                seed=7,
                stop=["\n"],
                max_tokens=50,
                extra_body={"top_k": 4, "repetition_penalty": 1.06},
            )
    assert [model.id for model in listed] == ["tiny"] == [one.id]
    assert listed[0].max_model_len == engine.max_context
    choice = done.choices[0]
    assert (choice.message.content, choice.finish_reason) == ("Hé!", "stop")
    assert done.usage is not None
    assert (done.usage.prompt_tokens, done.usage.completion_tokens) == (7, 5)
    (request,) = engine.requests
    sampling = request.sampling
    assert (sampling.temperature, sampling.top_k, sampling.top_p) == (0.7, 4, 0.95)
    assert (sampling.repetition_penalty, sampling.seed, request.stop_strings) == (1.06, 7, ("\n",))
    assert request.prompt_ids == tuple(ByteTokenizer().encode("<longcat_user>hello<longcat_assistant>"))
    assert (request.max_new_tokens, request.stop_ids) == (50, frozenset({2}))


async def test_left_out_sampling_is_neutral_and_the_limit_is_the_context() -> None:
    engine = ScriptedEngine("x")
    with serving(engine) as url:
        async with client(url) as api:
            await api.chat.completions.create(model="tiny", messages=USER)
    (request,) = engine.requests
    assert (request.sampling.temperature, request.sampling.top_p) == (1.0, 1.0)
    assert (request.sampling.top_k, request.sampling.repetition_penalty) == (0, 1.0)
    assert request.max_new_tokens == engine.max_context - len(request.prompt_ids)


async def test_a_stream_is_the_reply_in_pieces() -> None:
    with serving(ScriptedEngine("Hé 你好")) as url:
        async with client(url) as api:
            stream = await api.chat.completions.create(
                model="tiny", messages=USER, stream=True, stream_options={"include_usage": True}
            )
            chunks = [chunk async for chunk in stream]
    assert chunks[0].choices[0].delta.role == "assistant"
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == "Hé 你好"
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == len("Hé 你好".encode()) + 1
    assert len({chunk.id for chunk in chunks}) == 1


async def test_several_choices_and_their_logprobs() -> None:
    with serving(ScriptedEngine()) as url:
        async with client(url) as api:
            done = await api.chat.completions.create(
                model="tiny", messages=USER, n=2, seed=1, logprobs=True, top_logprobs=2
            )
            stream = await api.chat.completions.create(
                model="tiny", messages=USER, n=2, seed=1, logprobs=True, top_logprobs=2, stream=True
            )
            texts, tokens = ["", ""], [[], []]
            async for chunk in stream:
                (choice,) = chunk.choices
                texts[choice.index] += choice.delta.content or ""
                if choice.logprobs is not None:
                    tokens[choice.index] += [t.model_dump() for t in choice.logprobs.content or []]
    assert [choice.message.content for choice in done.choices] == texts
    assert texts[0] != texts[1]
    for choice, streamed in zip(done.choices, tokens, strict=True):
        assert choice.logprobs is not None
        content = choice.logprobs.content or []
        assert "".join(token.token for token in content) == choice.message.content
        assert [token.model_dump() for token in content] == streamed
        assert all(len(token.top_logprobs) == 2 for token in content)
        assert content[0].bytes == list(content[0].token.encode())


async def test_tools_are_declared_and_their_calls_read() -> None:
    engine = ScriptedEngine(CALL)
    with serving(engine) as url:
        async with client(url) as api:
            done = await api.chat.completions.create(model="tiny", messages=USER, tools=[LOOK])
            stream = await api.chat.completions.create(model="tiny", messages=USER, tools=[LOOK], stream=True)
            chunks = [chunk async for chunk in stream]
            results = [
                {"role": "tool", "tool_call_id": call.id, "content": "seen"}
                for call in done.choices[0].message.tool_calls or []
            ]
            again = await api.chat.completions.create(
                model="tiny", messages=[*USER, done.choices[0].message, *results], tools=[LOOK]
            )
    prompt = ByteTokenizer().decode(engine.requests[0].prompt_ids, skip_special=False)
    assert prompt.startswith("<longcat_tool_declare>\n# Tools\n")
    assert "### Tool name: look" in prompt
    message = done.choices[0].message
    assert done.choices[0].finish_reason == "tool_calls"
    assert message.content == "I look."
    calls = [(c.id, c.function.name, c.function.arguments) for c in message.tool_calls or []]
    assert calls == [
        ("call_0", "look", '{"place": "123", "count": 4}'),
        ("call_1", "rest", "{}"),
    ]
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == "I look."
    streamed = [t for c in chunks for t in c.choices[0].delta.tool_calls or []]
    assert [(t.id, t.function.name, t.function.arguments) for t in streamed if t.function] == calls
    assert chunks[-1].choices[0].finish_reason == "tool_calls"
    second = ByteTokenizer().decode(engine.requests[2].prompt_ids, skip_special=False)
    assert "I look.\n<longcat_tool_call>look\n<longcat_arg_key>place</longcat_arg_key>\n" in second
    assert "<longcat_observation><longcat_tool_response>look\nseen</longcat_tool_response>" in second
    assert [c.id for c in again.choices[0].message.tool_calls or []] == ["call_2", "call_3"]


@pytest.mark.parametrize("stream", [False, True])
async def test_calls_that_cannot_be_read_stay_text(stream: bool) -> None:
    broken = "No <longcat_tool_call>look\n<longcat_arg_key>pla"
    with serving(ScriptedEngine(broken)) as url:
        async with client(url) as api:
            done: Any = await api.chat.completions.create(
                model="tiny", messages=USER, tools=[LOOK], stream=stream
            )
            if stream:
                chunks = [chunk async for chunk in done]
                text = "".join(c.choices[0].delta.content or "" for c in chunks)
                last = chunks[-1].choices[0]
            else:
                last = done.choices[0]
                text = last.message.content
    assert text == broken
    assert last.finish_reason == "stop"
    assert "not closed" in last.tool_parse["error"]


async def test_tool_choice() -> None:
    rest = "<longcat_arg_key>place</longcat_arg_key>\n<longcat_arg_value>a</longcat_arg_value>\n"
    engine = ScriptedEngine(f"{rest}</longcat_tool_call>")
    named = {"type": "function", "function": {"name": "look"}}
    with serving(engine) as url:
        async with client(url) as api:
            done = await api.chat.completions.create(
                model="tiny", messages=USER, tools=[LOOK], tool_choice=named
            )
            await api.chat.completions.create(model="tiny", messages=USER, tools=[LOOK], tool_choice="none")
            engine.script = lambda *_: CALL
            one = await api.chat.completions.create(
                model="tiny", messages=USER, tools=[LOOK], parallel_tool_calls=False
            )
    (call,) = done.choices[0].message.tool_calls or []
    assert (call.function.name, call.function.arguments) == ("look", '{"place": "a"}')
    decoded = [ByteTokenizer().decode(r.prompt_ids, skip_special=False) for r in engine.requests]
    assert decoded[0].endswith("<longcat_assistant><longcat_tool_call>look\n")
    assert "tool_declare" not in decoded[1]
    assert len(one.choices[0].message.tool_calls or []) == 1


async def test_lenient_reading_is_told() -> None:
    text = 'functions.look({"place": "a"})'
    with serving(ScriptedEngine(text), lenient_tools=True) as url:
        async with client(url) as api:
            done: Any = await api.chat.completions.create(model="tiny", messages=USER, tools=[LOOK])
    assert done.choices[0].message.tool_calls[0].function.name == "look"
    assert done.choices[0].tool_parse["mode"] == "lenient"


async def test_text_completions() -> None:
    engine = ScriptedEngine("abc")
    with serving(engine) as url:
        async with client(url) as api:
            plain = await api.completions.create(model="tiny", prompt="xy", n=2)
            ids = await api.completions.create(model="tiny", prompt=[40, 41, 42])
            several = await api.completions.create(model="tiny", prompt=["x", "y"], echo=True)
            listed = await api.completions.create(model="tiny", prompt=[[40], [41, 42]])
            stream = await api.completions.create(model="tiny", prompt=["x", "y"], stream=True)
            streamed = ["", ""]
            async for chunk in stream:
                streamed[chunk.choices[0].index] += chunk.choices[0].text
    assert [choice.text for choice in plain.choices] == ["abc", "abc"]
    assert engine.requests[1].prompt_ids == (40, 41, 42)
    assert ids.usage is not None
    assert ids.usage.prompt_tokens == 3
    assert [choice.text for choice in several.choices] == ["xabc", "yabc"]
    assert [choice.index for choice in listed.choices] == [0, 1]
    assert streamed == ["abc", "abc"]
    assert engine.requests[0].max_new_tokens == 16


async def test_a_text_is_scored_without_generating() -> None:
    engine = ScriptedEngine("never")
    with serving(engine) as url:
        async with client(url) as api:
            done = await api.completions.create(
                model="tiny", prompt="aé!", echo=True, logprobs=1, max_tokens=0
            )
    (choice,) = done.choices
    assert not engine.requests
    assert (choice.text, choice.finish_reason) == ("aé!", "length")
    assert choice.logprobs is not None
    assert choice.logprobs.tokens == ["a", "bytes:\\xc3", "bytes:\\xa9", "!"]
    assert choice.logprobs.token_logprobs is not None
    assert choice.logprobs.token_logprobs[0] is None
    assert choice.logprobs.text_offset == [0, 1, 1, 2]
    best = [max(top, key=lambda k: top[k]) for top in (choice.logprobs.top_logprobs or [])[1:]]
    assert [b == t for b, t in zip(best, choice.logprobs.tokens[1:], strict=True)] == [False, True, False]


async def test_scores_as_lm_evaluation_harness_reads_them() -> None:
    engine = ScriptedEngine("")  # what it generates is the end of text at once
    prompt = ByteTokenizer().encode("abcde")
    with serving(engine) as url:
        async with client(url) as api:
            done = await api.completions.create(
                model="tiny", prompt=[prompt], temperature=0, max_tokens=1, logprobs=1, seed=1234, echo=True
            )
    logprobs = done.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.tokens == [*"abcde", "</longcat_s>"]
    context = 3
    values = (logprobs.token_logprobs or [])[context:-1]
    best = [max(top.values()) for top in (logprobs.top_logprobs or [])[context:-1]]
    assert values == [math.log(0.25), math.log(0.5)]
    assert [value == top for value, top in zip(values, best, strict=True)] == [False, True]


async def test_sixty_four_clients_at_once() -> None:
    count, engine = 64, ScriptedEngine(delay=0.02)
    with serving(engine) as url:
        async with client(url) as api:

            async def one(i: int) -> str:
                done = await api.chat.completions.create(model="tiny", messages=USER, seed=i)
                return done.choices[0].message.content or ""

            first = await asyncio.gather(*map(one, range(count)))
            again = await one(3)
    assert len(set(first)) == count
    assert first[3] == again
    assert engine.most_running > count // 2


async def post(
    url: str, raw: bytes | str, path: str = "/chat/completions", **headers: str
) -> tuple[int, Any]:
    kind = {"Content-Type": "application/json"} | headers
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}{path}", data=raw, headers=kind) as reply,
    ):
        return reply.status, await reply.json()


BAD_CHATS = [
    ('{"model": "tiny"', None, "not JSON"),
    ("[]", None, "JSON object"),
    ('"x"', None, "JSON object"),
    ("\xff", None, "not JSON"),
    ("[" * 5000, None, "not JSON"),
    ('{"messages": []}', "model", "required"),
    ('{"model": "tiny"}', "messages", "required"),
    ('{"model": 3, "messages": []}', "model", "Expected `str`"),
    ('{"model": "tiny", "messages": []}', "messages", "at least one"),
    ('{"model": "tiny", "messages": "hi"}', "messages", "Expected `array`"),
    ('{"model": "tiny", "messages": [{"role": "king", "content": "x"}]}', "messages[0].role", "none of"),
    ('{"model": "tiny", "messages": [{"role": "user"}]}', "messages[0].content", "string"),
    (
        '{"model": "tiny", "messages": [{"role": "user", "content": [{"type": "image_url"}]}]}',
        "messages[0].content[0]",
        "text parts",
    ),
    (
        '{"model": "tiny", "messages": [{"role": "tool", "content": "x"}]}',
        "messages[0].tool_call_id",
        "id of its call",
    ),
    (
        '{"model": "tiny", "messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f", '
        '"arguments": "[1]"}}]}]}',
        "messages[0].tool_calls[0].function.arguments",
        "JSON object",
    ),
]
BAD_FIELDS = [
    ({"temperature": -1}, "temperature", ">= 0"),
    ({"temperature": "hot"}, "temperature", "Expected"),
    ({"top_p": 0}, "top_p", "> 0"),
    ({"top_p": 1.5}, "top_p", "<= 1"),
    ({"top_k": -2}, "top_k", ">= -1"),
    ({"repetition_penalty": 0}, "repetition_penalty", ">= 0.01"),
    ({"repetition_penalty": 1e9}, "repetition_penalty", "<= 100"),
    ({"n": 0}, "n", ">= 1"),
    ({"n": 1000}, "n", "<= 128"),
    ({"max_tokens": 0}, "max_tokens", ">= 1"),
    ({"max_tokens": 5000}, "messages", "maximum context length"),
    ({"top_logprobs": 3}, "top_logprobs", "logprobs"),
    ({"logprobs": True, "top_logprobs": 21}, "top_logprobs", "<= 20"),
    ({"stop": [""]}, "stop", "empty"),
    ({"stop": ["a"] * 17}, "stop", "at most"),
    ({"seed": 1 << 70}, "seed", ""),
    ({"frequency_penalty": 0.5}, "frequency_penalty", "not supported"),
    ({"logit_bias": {"5": 1}}, "logit_bias", "not supported"),
    ({"response_format": {"type": "json_object"}}, "response_format.type", "not supported"),
    ({"temprature": 1}, "temprature", "did you mean 'temperature'"),
    ({"stream_options": {"include_usage": True}}, "stream_options", "stream"),
    ({"tool_choice": "required"}, "tool_choice", "needs tools"),
    ({"tools": [{"type": "web"}]}, "tools[0].type", "function"),
    ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name", "name"),
    (
        {"tools": [LOOK], "tool_choice": {"type": "function", "function": {"name": "lok"}}},
        "tool_choice.function.name",
        "did you mean 'look'",
    ),
    ({"stop_token_ids": [320]}, "stop_token_ids", "no token"),
    ({"penalty_scope": "all"}, "penalty_scope", ""),
]
BAD_TEXTS = [
    ({"prompt": ""}, "prompt", "at least one"),
    ({"prompt": []}, "prompt", "from 1"),
    ({"prompt": [400]}, "prompt", "no token"),
    ({"prompt": [-1]}, "prompt", "no token"),
    ({"prompt": [1, "a"]}, "prompt", "token ids"),
    ({"prompt": [True]}, "prompt", "token ids"),
    ({"prompt": "x", "suffix": "y"}, "suffix", "not supported"),
    ({"prompt": "x", "best_of": 4}, "best_of", "not supported"),
    ({"prompt": "x", "max_tokens": -1}, "max_tokens", ">= 0"),
    ({"prompt": "x" * 5000}, "prompt", "maximum context length"),
]


async def test_bad_input_is_refused_in_openais_shape() -> None:
    import msgspec

    engine = ScriptedEngine("x")
    asked = [("/chat/completions", raw.encode("latin-1"), param, said) for raw, param, said in BAD_CHATS]
    for extra, param, said in BAD_FIELDS:
        raw = msgspec.json.encode({"model": "tiny", "messages": USER} | extra)
        asked.append(("/chat/completions", raw, param, said))
    for extra, param, said in BAD_TEXTS:
        asked.append(("/completions", msgspec.json.encode({"model": "tiny"} | extra), param, said))
    with serving(engine) as url:
        for path, raw, param, said in asked:
            status, body = await post(url, raw, path)
            error = body["error"]
            assert (status, error["type"]) == (400, "invalid_request_error"), (raw, body)
            assert error["param"] == param, (raw, body)
            assert said in error["message"], (raw, body)
    assert not engine.requests


async def test_other_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = ScriptedEngine("x")
    good = b'{"model": "tiny", "messages": [{"role": "user", "content": "x"}]}'
    with serving(engine, key="secret") as url:
        async with client(url, "wrong") as api:
            with pytest.raises(openai.AuthenticationError, match="API key"):
                await api.models.list()
        async with client(url, "secret") as api:
            with pytest.raises(openai.NotFoundError, match="'tiny'"):
                await api.chat.completions.create(model="other", messages=USER)
            with pytest.raises(openai.NotFoundError, match="'tiny'"):
                await api.models.retrieve("other")
        key = {"Authorization": "Bearer secret"}
        assert (await post(url, good, **{"Content-Type": "text/plain"}, **key))[0] == 415
        monkeypatch.setattr(server, "LARGEST_BODY", 1000)
        assert (await post(url, b" " * 1001, **key))[0] == 413
        assert (await post(url, good, "/embeddings", **key))[0] == 404
        assert (await post(url, good, "/models", **key))[0] == 405
        async with aiohttp.ClientSession() as session:
            async with session.get(url.replace("/v1", "/health")) as reply:
                assert (reply.status, await reply.json()) == (200, {"status": "ok"})
            async with session.get(url.replace("/v1", "/metrics"), headers=key) as reply:
                text = await reply.text()
    assert 'http_replies_total{path="/v1/chat/completions",status="404"} 1' in text
    assert "longcat_eval_generated_tokens_total 0" in text


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_ends_its_request(stream: bool) -> None:
    engine = ScriptedEngine("x" * 4000, delay=0.01)
    with serving(engine) as url:
        async with client(url) as api:

            async def ask() -> None:
                done: Any = await api.chat.completions.create(model="tiny", messages=USER, stream=stream)
                if stream:
                    async for _ in done:
                        pass

            asking = asyncio.create_task(ask())
            await until(lambda: engine.metrics.running == 1)
            await asyncio.sleep(0.1)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        await until(lambda: engine.metrics.running == 0)
    assert engine.metrics.cancelled == 1


async def test_an_engine_that_fails() -> None:
    engine = ScriptedEngine("abcdef")
    engine.fails_after = 3
    with serving(engine) as url:
        async with client(url) as api:
            with pytest.raises(openai.InternalServerError, match="out of memory"):
                await api.chat.completions.create(model="tiny", messages=USER)
            stream = await api.chat.completions.create(model="tiny", messages=USER, stream=True)
            said: list[str] = []
            with pytest.raises(openai.APIError, match="out of memory"):
                said += [chunk.choices[0].delta.content or "" async for chunk in stream]


async def test_health_tells_of_an_engine_that_cannot_go_on() -> None:
    engine = ScriptedEngine("x")
    engine.failure = EngineError("out of memory")
    with serving(engine) as url:
        async with aiohttp.ClientSession() as session, session.get(url.replace("/v1", "/health")) as reply:
            assert (reply.status, (await reply.json())["reason"]) == (503, "out of memory")


def test_hosts_and_ports() -> None:
    check_host("127.0.0.1", has_key=False)
    check_host("localhost", has_key=False)
    check_host("0.0.0.0", has_key=True)
    with pytest.raises(UsageError, match="--api-key-env"):
        check_host("0.0.0.0", has_key=False)
    bound = bind("127.0.0.1", 0)
    with pytest.raises(EnvironmentUnusableError, match="--port"):
        bind("127.0.0.1", bound.getsockname()[1])
    bound.close()
