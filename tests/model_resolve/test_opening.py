from pathlib import Path
from typing import Any

import pytest
from asking import ask
from loopback import FakeEndpoint

from longcat_eval.errors import EnvironmentUnusableError, UsageError
from longcat_eval.model_backend.endpoint import EndpointModel
from longcat_eval.model_backend.omit import OmitFields
from longcat_eval.model_backend.opening import ResolvedModel
from longcat_eval.model_backend.resolve import ModelOptions, open_model, resolve_model
from longcat_eval.model_backend.role import Rewriter

TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]


def at(server: FakeEndpoint, **options: Any) -> ResolvedModel:
    return resolve_model(ModelOptions(base_url=server.base_url, **options), env={})


async def test_an_endpoint_opens_with_its_key_and_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    async with FakeEndpoint() as server:
        resolved = resolve_model(
            ModelOptions(
                model="m", base_url=server.base_url, api_key_env="MY_KEY", headers={"X-Team": "eval"}
            ),
            env={"MY_KEY": "the-key-of-mine"},
        )
        model = await open_model(resolved)
        await model.complete(ask())
        await model.close()
        headers = server.requests[0].headers
    assert isinstance(model, EndpointModel)
    assert headers["authorization"] == "Bearer the-key-of-mine"
    assert headers["x-team"] == "eval"


async def test_settings_reach_the_endpoint() -> None:
    async with FakeEndpoint() as server:
        options = {
            "concurrency": 3,
            "timeout": 5.0,
            "max_tries": 2,
            "rpm": 600,
            "price": {"prompt": 1, "completion": 2},
        }
        model: Any = await open_model(at(server, model="m", **options))
        await model.close()
    config = model.config
    assert (config.concurrency, config.timeout, config.max_tries, config.rpm) == (3, 5.0, 2, 600)
    assert config.price == (1, 2, None)


async def test_bad_settings_are_refused_before_a_request() -> None:
    async with FakeEndpoint() as server:
        with pytest.raises(UsageError, match="concurrency"):
            await open_model(at(server, model="m", concurrency=0))
        assert server.served == 0


async def test_a_preset_with_a_parser_puts_tools_in_the_prompt() -> None:
    async with FakeEndpoint() as server:
        model = await open_model(at(server, model="longcat-flash-lite"))
        assert isinstance(model, Rewriter)
        await model.complete(ask(tools=TOOLS))
        await model.close()
        (body,) = server.bodies
    assert "tools" not in body
    assert "longcat_tool_call" in str(body["messages"])


async def test_the_cache_answers_the_second_time_and_keeps_the_parser_outside(tmp_path: Path) -> None:
    async with FakeEndpoint() as server:
        texts = []
        for _ in range(2):
            model = await open_model(at(server, model="m", tool_parser="hermes"), cache=(tmp_path / "c", "n"))
            texts.append((await model.complete(ask(tools=TOOLS))).text)
            await model.close()
        assert server.served == 1
    assert texts[0] == texts[1]


async def test_an_unusable_cache_leaves_nothing_open(tmp_path: Path) -> None:
    async with FakeEndpoint() as server:
        with pytest.raises(EnvironmentUnusableError, match="cache"):
            await open_model(at(server, model="m"), cache=(tmp_path, ""))


async def test_refused_fields_are_left_out_and_what_is_recorded_is_what_is_sent() -> None:
    async with FakeEndpoint() as server:
        inner = await open_model(at(server, model="m", tool_parser="hermes"))
        model = OmitFields(inner, ["seed", "top_k"])
        request = ask(tools=TOOLS, top_k=4, temperature=0.5)
        await model.complete(request)
        await model.close()
        (sent,) = server.bodies
    assert sent == model.rewrite(request).body
    assert not {"seed", "top_k", "tools"} & sent.keys()
    assert sent["temperature"] == 0.5
    assert request.body["seed"] == 1


async def test_the_oracle_needs_references() -> None:
    resolved = resolve_model(ModelOptions(model="scripted/oracle"), env={})
    with pytest.raises(EnvironmentUnusableError, match="reference"):
        await open_model(resolved)
