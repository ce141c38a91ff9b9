"""Ours and tau2's own runner, evaluator, schemas and prompts, on the same conversations (`make oracles`)."""

import json
import os
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cli_fixtures import serving
from loopback import Body
from tau2_perturb import KINDS, as_tau2, perturbed, play

from longcat_eval.protocols import DataOptions
from longcat_eval.tasks.tau2.domain import Domain
from longcat_eval.tasks.tau2.grading import Grader, Verdict
from longcat_eval.tasks.tau2.source import find_source

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
TASKS = {"airline": 50, "retail": 114, "telecom": 114}
PLAYED = {
    "airline": ["14", "44"],
    "retail": ["12", "43"],
    "telecom": [
        "[service_issue]airplane_mode_on|overdue_bill_suspension[PERSONA:None]",
        "[mms_issue]airplane_mode_on|break_app_both_permissions|data_usage_exceeded"
        "|user_abroad_roaming_disabled_off[PERSONA:None]",
    ],
}
"""Facts to tell, twenty actions, a write that fails, and actions of both sides in turn."""
STOPPED = ("user_stop", "agent_stop")
SEED = 20251122
GREETING = {"from": "agent", "content": "Hi! How can I help you today?"}

pytestmark = pytest.mark.oracle


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The benchmarks' own module of environments."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import peers

    assert peers.TAU2.ready, "run `python benchmarks/peers.py --make-environments` first"
    return peers


@pytest.fixture
def gold(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The benchmarks' scripted server."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import tau2_server

    return tau2_server


@cache
def load(package: Path, name: str) -> Domain:
    """Our side of a domain, on the very files of tau2's environment."""
    return Domain(find_source(DataOptions(sources={"tau2": package})), name)


def official(peers: ModuleType, *words: str | Path, timeout: float = 1800) -> list[Any]:
    """What `tau2_peer.py` printed, a JSON value a line."""
    done = subprocess.run(
        [peers.TAU2.bin / "python", BENCHMARKS / "tau2_peer.py", *words],
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "OPENAI_API_KEY": "none"},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


@pytest.mark.parametrize("name", TASKS)
def test_tools_and_prompts_are_the_official_ones(peers: ModuleType, name: str) -> None:
    (told,) = official(peers, "facts", "--domain", name)
    domain = load(peers.TAU2.site_packages, name)
    assert domain.agent_tools == told["agent_tools"]
    assert domain.user_tools == told["user_tools"]
    assert bool(domain.user_tools) == (name == "telecom")
    assert domain.agent_prompt == told["agent_prompt"]
    assert {raw["id"]: domain.user_prompt(raw) for raw in domain.split("base")} == told["user_prompts"]


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
@pytest.mark.parametrize("name", TASKS)
def test_every_verdict_is_the_official_one(peers: ModuleType, tmp_path: Path, name: str) -> None:
    """Our tool results are what the official evaluator replays: it raises where its own differ."""
    domain = load(peers.TAU2.site_packages, name)
    tasks = {raw["id"]: raw for raw in domain.split("base")}
    made = perturbed(list(tasks.values()), domain.agent_tools, domain.user_tools, SEED)
    assert len(made) == TASKS[name] * len(KINDS)
    grader, ours = Grader(domain), []
    with (tmp_path / "trajectories.jsonl").open("w", encoding="utf-8") as file:
        for trajectory in made:
            world = domain.environment(tasks[trajectory.task])
            happened = [GREETING, *play(trajectory, world)]
            line = {"domain": name, "task": trajectory.task, "reason": trajectory.reason}
            file.write(json.dumps({**line, "messages": as_tau2(happened)}) + "\n")
            ours.append(verdict(grader.judge(tasks[trajectory.task], world, happened), trajectory.reason))
    theirs = official(peers, "judge", tmp_path / "trajectories.jsonl")
    differing = [
        (trajectory, mine, other)
        for trajectory, mine, other in zip(made, ours, theirs, strict=True)
        if mine != {key: other.get(key) for key in mine} or "raised" in other
    ]
    assert not differing, f"{len(differing)} of {len(made)}, such as {differing[:3]}"
    rewards = Counter(other["reward"] for other in theirs)
    assert min(rewards[0.0], rewards[1.0]) > len(made) / 10, "all right or all wrong would tell nothing"
    assert all(v["reward"] == 1.0 for t, v in zip(made, theirs, strict=True) if t.kind == "as is")


def verdict(found: Verdict, reason: str) -> dict[str, Any]:
    """Ours in the form of `tau2_peer.py judge`; without a stop the official evaluator looks at nothing."""
    if reason not in STOPPED:
        return {"reward": 0.0, "breakdown": {}, "db_match": None}
    return {
        "reward": found.reward,
        "breakdown": {kind: float(found.holds(kind)) for kind in found.basis},
        "db_match": found.db,
        "actions_done": found.actions_done,
        "assertions_failed": len(found.failed_assertions),
        "info_missing": len(found.missing_info),
    }


@pytest.mark.parametrize("name", TASKS)
def test_both_runners_send_the_same_requests(
    peers: ModuleType, gold: ModuleType, tmp_path: Path, name: str
) -> None:
    package = peers.TAU2.site_packages
    script = gold.GoldScript([t for t in gold.base_tasks(package, name) if t["id"] in PLAYED[name]])
    with serving(script.reply, models=(gold.AGENT, gold.USER)) as server:
        words = [word for task in PLAYED[name] for word in ("--task", task)]
        url = ("--base-url", server.base_url)
        (told,) = official(peers, "run", "--domain", name, *url, "--out", tmp_path / "theirs.json", *words)
        theirs = server.bodies
        server.requests.clear()
        run_ours(package, name, server.base_url, tmp_path)
        ours = server.bodies
    assert told == {"simulations": 2, "mean_reward": 1.0}
    rows = [json.loads(line) for line in (tmp_path / "ours" / "samples.jsonl").read_text().splitlines()]
    assert [row["value"] for row in rows] == [1.0, 1.0]
    mine, other = conversations(script, gold, ours), conversations(script, gold, theirs)
    assert mine.keys() == other.keys()
    assert len(mine) == 2 * len(PLAYED[name])
    for key, requests in mine.items():
        assert len(requests) == len(other[key]), key
        for turn, (sent, expected) in enumerate(zip(requests, other[key], strict=True)):
            assert sent == expected, (key, turn)


def run_ours(package: Path, name: str, url: str, folder: Path) -> None:
    """`longcat-eval run` with both roles on one server, at tau2's own temperature."""
    chosen = [word for task in PLAYED[name] for word in ("--sample-id", task)]
    models = ["--model", "agent", "--base-url", url, "--user-model", "user", "--user-base-url", url]
    rest = ["--set", "sampling.temperature=0", "--repeats", "1", "--plain", "-o", str(folder / "ours")]
    task = ["run", "--task", f"tau2-{name}", "--tau2-src", str(package)]
    done = subprocess.run(
        [sys.executable, "-m", "longcat_eval", *task, *chosen, *models, *rest],
        env={"PATH": os.environ["PATH"], "HOME": str(folder)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def conversations(script: Any, gold: ModuleType, bodies: list[Body]) -> dict[tuple[str, str], list[Body]]:
    """What each side of each task was asked, turn by turn; a runner may interleave the tasks."""
    found: dict[tuple[str, str], list[Body]] = {}
    for body in bodies:
        user = body["model"] == gold.USER
        messages = body["messages"]
        task = script.task_of_user(messages[0]["content"]) if user else gold.task_of_agent(messages)
        found.setdefault((body["model"], task), []).append(asked(body))
    return found


def asked(body: Body) -> Body:
    """What of a request a model sees: ids tie calls to results and are each runner's own."""
    seen = {name: body.get(name) for name in ("tools", "tool_choice", "seed", "temperature")}
    return {**seen, "messages": [plain(message) for message in body["messages"]]}


def plain(message: Body) -> Body:
    """Role, text, and the calls with their arguments decoded."""
    calls = [call["function"] for call in message.get("tool_calls") or []]
    made = [(call["name"], json.loads(call["arguments"])) for call in calls]
    return {"role": message["role"], "content": message.get("content"), "calls": made}
