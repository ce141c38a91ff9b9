"""Ours and VitaBench's own runner on the same dialogues, word for word (`make oracles VITA_SRC=…`)."""

import asyncio
import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from vita_play import Sides, context

from longcat_eval.protocols import DataOptions
from longcat_eval.records import Message, Sample, Transcript, Wire
from longcat_eval.tasks.vita.domain import Domain
from longcat_eval.tasks.vita.gold import gold_calls
from longcat_eval.tasks.vita.rubrics import rubrics_of, windows_of
from longcat_eval.tasks.vita.source import find_source
from longcat_eval.tasks.vita.task import VitaTask

OFFICIAL = Path(__file__).resolve().parents[2] / "benchmarks" / "vita_official.py"
LOADED = [("delivery", "chinese", 92), ("delivery", "english", 92), ("instore", "english", 95)]
"""Domains and languages at hand when this was written, and the tasks whose gold orders the tools take."""
PLACED = ("Order(", "BookInfo(", "ReservationInfo(", "Reservation", "Booking", "Book")
ORDER_ID = re.compile(r"\b(O[TOI])[0-9a-f]{10}\b")
"""Of an order made in a dialogue: it depends on the clock."""
SEED = 20251125

pytestmark = [pytest.mark.oracle, pytest.mark.data]


@pytest.fixture(scope="module")
def checkout() -> Path:
    """The checkout of VITA_SRC."""
    if not os.environ.get("VITA_SRC"):
        pytest.skip("VITA_SRC names no checkout of meituan-longcat/vitabench")
    return Path(os.environ["VITA_SRC"]).resolve()


def loaded(checkout: Path, domain: str, language: str) -> tuple[VitaTask, list[Sample]]:
    task = VitaTask("vita", domain, language, requests={})
    data = task.load(DataOptions(sources={"vita": checkout}))
    assert not data.drift
    assert len(data.samples) == 100
    return task, data.samples


def tasks_file(checkout: Path, domain: str, language: str) -> Path:
    name = "tasks_en.json" if language == "english" else "tasks.json"
    return checkout / "data" / "vita" / "domains" / domain / name


def across(checkout: Path, folder: Path) -> tuple[VitaTask, list[Sample]]:
    """Delivery tasks with the tools of all domains: tasks across domains were not at hand."""
    file = folder / "vitabench" / "cross_domain_tasks.json"
    file.parent.mkdir()
    file.write_bytes(tasks_file(checkout, "delivery", "chinese").read_bytes())
    task = VitaTask("vita", "cross-domain", "chinese", requests={})
    data = task.load(DataOptions(folder, allow_drift=True, sources={"vita": checkout}))
    assert data.drift.startswith("data/vita/domains/cross_domain/tasks.json")
    return task, data.samples


@pytest.mark.parametrize(("domain", "language", "placed"), LOADED)
def test_gold_orders_can_be_placed(checkout: Path, domain: str, language: str, placed: int) -> None:
    task, samples = loaded(checkout, domain, language)
    whole = 0
    for sample in samples:
        world = task.domain.world(sample.fields)
        results = [world.call("agent", *call).content for call in gold_calls(sample.fields)]
        whole += all(result.startswith(PLACED) for result in results)
        world.close()
    assert whole == placed


# --- fifty at once


def own_stores(sample: Sample) -> set[str]:
    state = sample.fields["environment"]
    return set(state.get("stores", {})) | set(state.get("shops", {}))


async def test_fifty_interleaved_simulations_stay_apart(checkout: Path) -> None:
    """Each looks for stores and products again and again, in two languages, and finds its own alone."""
    names = {"chinese": "外卖", "english": "noodles"}
    parts = [(*loaded(checkout, "delivery", language), language) for language in names]
    products = "delivery_product_search_recommand"
    chosen = [(task, s, language) for task, samples, language in parts for s in samples[:25]]

    async def simulate(task: VitaTask, sample: Sample, language: str) -> Transcript:
        looks = [
            wire_call(number, name, {"keywords": [names[language]]})
            for number, name in enumerate([products, "delivery_store_search_recommand"] * 4)
        ]
        holiday = {"chinese": "国庆节", "english": "National Day"}[language]
        looks.append(wire_call(8, "get_holiday_date", {"year": "2025", "holiday_name": holiday}))
        sides = Sides({"user": ["hello"], "agent": [*looks, "###STOP###"]})
        return await task.attempt(sample, context(task, sample, sides))

    transcripts = await asyncio.gather(*(simulate(*part) for part in chosen))
    for (_, sample, _), transcript in zip(chosen, transcripts, strict=True):
        *found, day = [e["content"] for e in transcript.artifacts["trajectory"] if e["from"] == "env"]
        assert day == "2025-10-01"
        seen = {store for text in found for store in re.findall(r"store_id=([^,]+),", text)}
        assert seen == own_stores(sample)
    from vita.data_model.tasks import Location, ProductBaseModel, StoreBaseModel

    for base in (Location, ProductBaseModel, StoreBaseModel):
        assert not vars(base)["_global_instances"]


def test_the_domains_together_take_orders_of_each(checkout: Path) -> None:
    """A world made of a delivery task and an instore task; tasks across domains were not at hand."""
    cross = Domain(find_source(DataOptions(sources={"vita": checkout})), "cross-domain", "english")
    assert len({tool["function"]["name"] for tool in cross.agent_tools}) == len(cross.agent_tools) == 66
    parts = [loaded(checkout, domain, "english")[1][0].fields for domain in ("delivery", "instore")]
    user = parts[0]["environment"]["user_id"]
    state = {**parts[1]["environment"], **parts[0]["environment"]}
    world = cross.world({"environment": state})
    for raw in parts:
        for name, arguments in gold_calls(raw):
            result = world.call("agent", name, {**arguments, "user_id": user})
            assert result.content.startswith(PLACED), result
    assert len(world.orders()) == 3, "a delivery, a shop's order and a reservation"
    assert world.call("agent", "get_user_all_orders", {}).content.count("Order(") == 2
    world.close()


# --- word for word


def wire_call(number: int, name: str, arguments: Wire, text: str | None = None) -> Message:
    from longcat_eval.records import ToolCall

    return Message("assistant", text, tool_calls=(ToolCall(f"c{number}", name, json.dumps(arguments)),))


def dialogue(task: VitaTask, sample: Sample, draw: random.Random) -> dict[str, list[Message]]:
    """Talk, looks, failing calls, text beside calls, several calls at once, gold orders, and a stop."""
    tools = [tool["function"]["name"] for tool in task.domain.agent_tools]
    places = [*sample.fields["environment"]["location"], {"address": "Main Street 1"}]
    place = places[0]["address"]
    calls = [
        ("get_user_historical_behaviors", {}),
        ("get_user_all_orders", {}),
        ("address_to_longitude_latitude", {"address": place}),
        ("get_nearby", {"longitude": 102.7, "latitude": 25.0, "range": 50000}),
        ("weather", {"address": place, "date_start": "2025-06-20", "date_end": "x"}),
        ("no_such_tool", {"a": 1}),
        (draw.choice(tools), {"wrong": True}),
        (draw.choice(tools), {}),
        *gold_calls(sample.fields),
    ]
    draw.shuffle(calls)
    agent: list[Message] = []
    user = [Message("assistant", "你好，我要点餐。")]
    number = 0
    for name, arguments in calls:
        number += 1
        made = wire_call(number, name, arguments, draw.choice([None, "Let me see."]))
        if agent and agent[-1].tool_calls and draw.random() < 0.2:
            agent[-1] = Message(
                "assistant", agent[-1].content, tool_calls=(*agent[-1].tool_calls, *made.tool_calls)
            )
            continue
        if draw.random() < 0.2:
            agent.append(Message("assistant", f"Which one, {number}?"))
            user.append(Message("assistant", draw.choice(["第一个 {please}", "\n随便\n", "“both”"])))
        agent.append(made)
    agent.append(Message("assistant", draw.choice(["再见 ###STOP###", "###STOP###"])))
    messages = 1 + len(user) + len(agent) + sum(len(m.tool_calls) for m in agent)
    return {"agent": agent, "user": user, "judge": judge(sample, messages, draw)}


def judge(sample: Sample, messages: int, draw: random.Random) -> list[Message]:
    """Answers that change some rubrics, in the forms that both can read."""
    answers, mild = [], draw.choice([0.7, 1.0])
    for number, _ in enumerate(windows_of([{}] * messages)):
        lines = [
            {
                "rubric_idx": name,
                "rubric": state.rubric,
                "justification": f'seen in {number}: "so"',
                "meetExpectation": draw.random() < mild,
            }
            for name, state in rubrics_of(sample.fields).items()
        ]
        text = json.dumps(draw.sample(lines, draw.randint(1, len(lines))), ensure_ascii=False)
        answers.append(draw.choice([text, f"```json\n{text}\n```", "[]" if number else text]))
    return [Message("assistant", answer) for answer in answers]


def plain(message: Wire) -> list[Any]:
    """What a message says, whoever wrote it down; order numbers depend on the clock."""
    calls = [
        [c["id"], c["function"]["name"], json.loads(c["function"]["arguments"])]
        for c in message.get("tool_calls") or ()
    ]
    text = ORDER_ID.sub(r"\1…", message.get("content") or "")
    return [message["role"], text, calls, message.get("tool_call_id")]


def played_officially(
    checkout: Path, folder: Path, domain: str, language: str, tasks: Path, scripts: Any, **more: bool
) -> dict[str, Any]:
    """The same dialogues by the official runner, in a process of its own."""
    wires = {
        name: {role: [m.wire() for m in lines] for role, lines in said.items()}
        for name, said in scripts.items()
    }
    asked, out = folder / "play.json", folder / "out.json"
    play = {"domain": domain, "language": language, "tasks": str(tasks), "scripts": wires, **more}
    asked.write_text(json.dumps(play))
    done = subprocess.run(
        [sys.executable, OFFICIAL, asked, out],
        env={**os.environ, "PYTHONPATH": str(checkout / "src"), "VITA_MODEL_CONFIG_PATH": os.devnull},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    played: dict[str, Any] = json.loads(out.read_text())["played"]
    return played


@pytest.mark.parametrize(("domain", "language", "_placed"), LOADED)
async def test_every_request_and_every_verdict_is_the_official_one(
    checkout: Path, tmp_path: Path, domain: str, language: str, _placed: int
) -> None:
    """100 dialogues of all kinds of turns, judged in windows."""
    task, samples = loaded(checkout, domain, language)
    scripts = drawn(task, samples)
    tasks = tasks_file(checkout, domain, language)
    official = played_officially(checkout, tmp_path, domain, language, tasks, scripts)
    assert await compared(task, samples, scripts, official) > 1500


async def test_across_domains_too(checkout: Path, tmp_path: Path) -> None:
    task, samples = across(checkout, tmp_path)
    scripts = drawn(task, samples)
    tasks = tasks_file(checkout, "delivery", "chinese")
    official = played_officially(checkout, tmp_path, "delivery,instore,ota", "chinese", tasks, scripts)
    assert await compared(task, samples, scripts, official) > 1500


def drawn(task: VitaTask, samples: list[Sample]) -> dict[str, dict[str, list[Message]]]:
    """A dialogue for every task."""
    draw = random.Random(f"{SEED}{task.domain_name}{task.language}")
    return {sample.id: dialogue(task, sample, draw) for sample in samples}


async def compared(task: VitaTask, samples: list[Sample], scripts: Any, official: Any) -> int:
    """Hold and judge every dialogue; return how many requests were compared."""
    requests = rewards = 0
    for sample in samples:
        theirs, sides = official[sample.id], Sides(scripts[sample.id])
        ctx = context(task, sample, sides)
        transcript = await task.attempt(sample, ctx)
        score = await task.score(sample, transcript, ctx)
        assert transcript.artifacts["end"] == theirs["end"]
        assert (score.value, score.metrics["rubrics"]) == (theirs["reward"], pytest.approx(theirs["rubrics"]))
        for role in ("agent", "user", "judge"):
            ours = sides.of(role)
            known = [request for request in theirs["requests"] if request["role"] == role]
            assert len(ours) == len(known) == len(scripts[sample.id][role])
            lengths = [[len(said["messages"]) for said in side] for side in (ours, known)]
            assert lengths[0] == lengths[1]
            last = (
                0 if role == "judge" else -1
            )  # the last request of a side in a dialogue holds all before it
            for body, request in zip(ours[last:], known[last:], strict=True):
                assert [plain(m) for m in body["messages"]] == [plain(m) for m in request["messages"]]
                assert body.get("tools") == request["tools"]
            requests += len(ours)
        rewards += int(theirs["reward"])
    assert 10 < rewards < 90
    return requests
