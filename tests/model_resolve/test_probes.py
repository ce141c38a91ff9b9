from collections.abc import Callable
from typing import Any

import pytest
from asking import endpoint
from loopback import Body, FakeEndpoint, Raw, completion, default_text

from longcat_eval.model_backend.probes import Probe, probe_endpoint
from longcat_eval.model_backend.role import Role
from longcat_eval.model_backend.tool_client import ToolPromptModel
from longcat_eval.protocols import ModelError

LONGCAT = {"temperature": 0.7, "top_p": 0.95, "top_k": 4, "repetition_penalty": 1.06}


def honest(body: Body) -> str:
    """A server that honours everything: what it says depends on all that should change it."""
    if body.get("top_k") == 1 or body.get("temperature") == 0:
        body = body | {"seed": None}
    penalty = body.get("repetition_penalty", 1.0)
    return default_text(
        {"messages": [body["messages"], penalty if penalty > 1.5 else 1], "seed": body["seed"]}
    )


async def probed(
    reply: Callable[[Body], Any] = honest,
    *,
    sampling: dict[str, Any] | None = None,
    served_name: str = "m",
    models: tuple[str, ...] = ("m",),
    context_length: int | None = 8192,
    parser: str | None = None,
) -> dict[str, Probe]:
    async with FakeEndpoint(reply, models=models) as server:
        inner = endpoint(server.base_url, max_tries=1)
        model = ToolPromptModel(inner, parser) if parser else inner
        role = Role(
            model,
            served_name,
            LONGCAT if sampling is None else sampling,
            context_length=context_length,
            rewriter=model if isinstance(model, ToolPromptModel) else None,
        )
        entries: Any
        try:
            entries = await inner.list_models()
        except ModelError as error:
            entries = error
        found = await probe_endpoint(role, entries)
        await model.close()
    assert all(probe.detail and "\n" not in probe.detail for probe in found)
    return {probe.name: probe for probe in found}


def statuses(probes: dict[str, Probe]) -> dict[str, str]:
    return {name: probe.status for name, probe in probes.items()}


async def test_an_honest_server_passes_everything() -> None:
    probes = await probed()
    assert set(statuses(probes).values()) == {"ok"}, probes
    assert list(probes) == [
        "reachable",
        "model",
        "completion",
        "usage",
        "seed",
        "top_k",
        "repetition_penalty",
        "tools",
        "context",
    ]


async def test_requests_are_few_small_and_at_the_roles_settings() -> None:
    bodies: list[Body] = []

    def reply(body: Body) -> str:
        bodies.append(body)
        return honest(body)

    await probed(reply)
    assert len(bodies) <= 14
    assert max(body["max_tokens"] for body in bodies) <= 32
    assert all(body["model"] == "m" and body["top_p"] in (0.95, 1.0) for body in bodies)


async def test_a_server_that_ignores_the_seed() -> None:
    count = iter(range(1000))
    probes = await probed(lambda body: f"text {next(count)}")
    assert probes["seed"].status == "warn"
    assert "one seed gave two texts" in probes["seed"].detail
    assert probes["top_k"].status == "fail"


async def test_a_server_that_always_says_the_same() -> None:
    probes = await probed(lambda body: "always this")
    assert probes["seed"].status == "warn"
    assert "cannot tell" in probes["seed"].detail
    assert (probes["top_k"].status, probes["repetition_penalty"].status) == ("warn", "fail")


@pytest.mark.parametrize(("sampling", "status"), [(LONGCAT, "fail"), ({"temperature": 1.0}, "warn")])
async def test_dropped_settings_fail_where_they_are_sent(sampling: dict[str, Any], status: str) -> None:
    def drops(body: Body) -> str:
        known = {k: v for k, v in body.items() if k not in ("top_k", "repetition_penalty")}
        return honest(known)

    probes = await probed(drops, sampling=sampling)
    assert (probes["top_k"].status, probes["repetition_penalty"].status) == (status, status)
    assert probes["top_k"].remedy
    assert probes["repetition_penalty"].remedy


async def test_a_penalty_under_another_name_gives_the_flags() -> None:
    def llama(body: Body) -> str:
        penalty = body.get("repeat_penalty", 1.0)
        return honest(
            {k: v for k, v in body.items() if k != "repetition_penalty"} | {"repetition_penalty": penalty}
        )

    probe = (await probed(llama))["repetition_penalty"]
    assert probe.status == "fail"
    assert probe.remedy == "--set sampling.repetition_penalty=null --set sampling.repeat_penalty=1.06"
    assert (await probed(llama, sampling={"repeat_penalty": 1.0}))["repetition_penalty"].status == "ok"


async def test_refused_fields_are_reported_in_the_servers_words() -> None:
    def strict(body: Body) -> Any:
        for field in ("top_k", "repetition_penalty", "repeat_penalty"):
            if field in body:
                return Raw(400, b'{"error": {"message": "Unrecognized argument: %s"}}' % field.encode())
        return honest(body)

    probes = await probed(strict, sampling={"temperature": 1.0})
    assert probes["top_k"].status == "warn"
    assert "Unrecognized argument: top_k" in probes["top_k"].detail
    assert "repetition_penalty" in probes["repetition_penalty"].detail


async def test_tools_dropped_in_silence_fail_with_the_parser_as_remedy() -> None:
    def drops_tools(body: Body) -> Any:
        return completion(honest(body), {"messages": body["messages"]})

    probe = (await probed(drops_tools))["tools"]
    assert probe.status == "fail"
    assert "--tool-parser" in probe.remedy
    ours = (await probed(drops_tools, parser="hermes"))["tools"]
    assert ours.status == "ok"
    assert "here" in ours.detail


async def test_tools_that_are_refused() -> None:
    def refuses(body: Body) -> Any:
        if "tools" in body:
            return Raw(400, b'{"error": {"message": "auto tool choice requires --tool-call-parser"}}')
        return honest(body)

    probe = (await probed(refuses))["tools"]
    assert probe.status == "fail"
    assert "--tool-call-parser" in probe.detail


async def test_a_call_that_cannot_be_read_still_shows_that_tools_arrive() -> None:
    probe = (await probed(lambda body: '<tool_call>{"name": </tool_call>', parser="hermes"))["tools"]
    assert probe.status == "ok"


async def test_no_usage() -> None:
    probes = await probed(lambda body: completion(honest(body), body, usage=None))
    assert (probes["usage"].status, probes["tools"].status) == ("warn", "warn")


@pytest.mark.parametrize(
    ("expected", "status", "words"),
    [(8192, "ok", "8,192"), (4096, "ok", "4,096"), (262144, "warn", "262,144"), (None, "ok", "8,192")],
)
async def test_context_length(expected: int | None, status: str, words: str) -> None:
    probe = (await probed(context_length=expected))["context"]
    assert probe.status == status
    assert words in probe.detail
    assert bool(probe.remedy) == (status != "ok")


async def test_another_model_is_served() -> None:
    probe = (await probed(served_name="mine", models=("theirs", "other")))["model"]
    assert (probe.status, probe.remedy) == ("fail", "--served-model-name theirs")


async def test_gemini_lists_its_models_under_a_prefix() -> None:
    assert (await probed(models=("models/m",)))["model"].status == "ok"


async def test_no_completion_ends_the_probing() -> None:
    probes = await probed(lambda body: Raw(401, b'{"error": {"message": "bad key"}}'))
    assert statuses(probes) == {"reachable": "ok", "model": "ok", "completion": "fail"}
    assert "bad key" in probes["completion"].detail


async def test_nobody_there() -> None:
    model = endpoint("http://127.0.0.1:9/v1", max_tries=1)
    with pytest.raises(ModelError) as caught:
        await model.list_models()
    (probe,) = await probe_endpoint(Role(model, "m"), caught.value)
    await model.close()
    assert (probe.name, probe.status) == ("reachable", "fail")
    assert "--base-url" in probe.remedy
