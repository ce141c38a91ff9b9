"""Simulations on one event loop do not see each other, and leave nothing behind."""

import asyncio
import json
from importlib import import_module
from typing import Any

import pytest
from vita_play import OPTIONS, Said, Sides, calling, context, loaded

from longcat_eval.records import Request, Sample, Transcript
from longcat_eval.tasks.vita.domain import Domain
from longcat_eval.tasks.vita.isolation import REGISTRIES
from longcat_eval.tasks.vita.source import find_source
from longcat_eval.tasks.vita.task import VitaTask


def own(sample: Sample) -> tuple[str, str, str]:
    """Store, product and place of a stand-in's task."""
    state = sample.fields["environment"]
    ((store, products),) = state["stores"].items()
    return store, next(iter(products)), state["location"][0]


def results(transcript: Transcript) -> list[str]:
    """What the tools gave."""
    return [e["content"] for e in transcript.artifacts["trajectory"] if e["from"] == "env"]


def looking_around(sample: Sample) -> list[Said]:
    """Look, order what is there, look again."""
    _, product, _ = own(sample)
    looks = [calling("stores"), calling("places"), calling("greeting")]
    return [*looks, calling("create_order", product_id=product, count=2), *looks, "###STOP###"]


async def simulate(task: VitaTask, sample: Sample) -> Transcript:
    lines: dict[str, list[Said]] = {"user": ["hello"], "agent": looking_around(sample)}
    return await task.attempt(sample, context(task, sample, Sides(lines)))


def registered() -> dict[str, int]:
    """How much the package's registries hold, by class and registry."""
    tasks = import_module("vita.data_model.tasks")
    classes = (tasks.StoreBaseModel, tasks.ProductBaseModel, tasks.Location)
    return {f"{c.__name__}{r}": len(vars(c).get(r, {})) for c in classes for r in REGISTRIES}


async def test_fifty_interleaved_simulations_stay_apart_in_two_languages() -> None:
    parts = [(loaded("delivery", language), language) for language in ("chinese", "english")]
    chosen = [(task, s, lang) for (task, samples), lang in parts for s in samples[:25]]
    transcripts = await asyncio.gather(*(simulate(task, sample) for task, sample, _ in chosen))
    assert len(transcripts) == 50
    for (_, sample, language), transcript in zip(chosen, transcripts, strict=True):
        store, product, place = own(sample)
        price = sample.fields["environment"]["stores"][store][product]
        seen = [json.dumps([store]), json.dumps([place]), {"chinese": "欢迎", "english": "Welcome"}[language]]
        assert results(transcript) == [*seen, f"2 x {product} for {2 * price}", *seen]
        assert transcript.artifacts["orders"] == [repr(f"2 x {product} for {2 * price}")]
    assert set(registered().values()) == {0}, "what a simulation registered goes with it"


def test_without_a_simulation_two_environments_of_a_thread_see_each_other() -> None:
    """What the isolation is against: the package's own way, by thread."""
    _, samples = loaded()
    tasks = import_module("vita.data_model.tasks")
    make = import_module("vita.domains.delivery.environment").get_environment
    environments = [make(sample.fields["environment"], "chinese") for sample in samples[:2]]
    try:
        stores = environments[0].make_tool_call("stores")
        assert stores == sorted(own(sample)[0] for sample in samples[:2])
    finally:
        for base in (tasks.StoreBaseModel, tasks.ProductBaseModel, tasks.Location):
            base.clear_thread_data()
            for registry in REGISTRIES:
                vars(base)[registry].clear()


async def test_a_dialogue_that_fails_leaves_nothing_behind() -> None:
    task, samples = loaded()

    def play(request: Request) -> Said:
        if request.meta.role == "agent" and request.meta.turn:
            raise RuntimeError("the harness fails")
        return "hello" if request.meta.role == "user" else calling("stores")

    with pytest.raises(RuntimeError):
        await task.attempt(samples[0], context(task, samples[0], Sides(play)))
    assert set(registered().values()) == {0}


@pytest.mark.parametrize(
    ("name", "arguments", "content", "error"),
    [
        ("stores", {}, '["S3"]', False),
        ("greeting", {}, "欢迎", False),
        ("delivery_hours", {}, '{"open": [9, 21.5]}', False),
        ("no_such_tool", {}, "Error: no tool no_such_tool", True),
        ("create_order", {"product_id": "P9", "count": 1}, "Error: 'P9'", True),
        ("create_order", {"wrong": 1}, "unexpected keyword", True),
        ("stores", {"tool_name": "x"}, "multiple values", True),
        ("stores", {"requestor": "user"}, "multiple values", True),
    ],
)
def test_a_tool_answers_or_its_error_is_told(name: str, arguments: Any, content: str, error: bool) -> None:
    task, samples = loaded()
    world = task.domain.world(samples[3].fields)
    result = world.call("agent", name, arguments)
    assert content in result.content
    assert result.error is error
    assert result.content.startswith("Error: ") is error
    world.close()


def test_the_user_has_no_tools() -> None:
    task, samples = loaded()
    world = task.domain.world(samples[0].fields)
    assert world.call("user", "stores", {}) == ("Error: only the assistant has tools", True)
    world.close()


def test_the_domains_together_have_all_tools() -> None:
    domain = Domain(find_source(OPTIONS), "cross-domain", "english")
    names = {tool["function"]["name"] for tool in domain.agent_tools}
    assert {"delivery_hours", "instore_hours", "ota_hours"} <= names
    assert domain.agent_tools[0]["function"]["description"] == "english: stores"
    task, samples = loaded("cross-domain")
    world = task.domain.world(samples[1].fields)
    assert world.call("agent", "ota_hours", {}).content == '{"open": [9, 21.5]}'
    assert world.call("agent", "stores", {}).content == '["S1"]'
    world.close()


def test_a_task_is_not_changed_by_its_simulations() -> None:
    task, samples = loaded()
    before = json.dumps(samples[5].fields)
    world = task.domain.world(samples[5].fields)
    world.call("agent", "create_order", {"product_id": "P5", "count": 1})
    assert world.orders() == ["'1 x P5 for 15'"]
    world.close()
    assert json.dumps(samples[5].fields) == before
