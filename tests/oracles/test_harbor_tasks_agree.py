"""Ours and harbor's own models, on hundreds of task folders made at random: the same task is understood."""

import json
import random
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import toy_terminal as toy
from peer_process import told_by

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.runners.sandbox.service import Healthcheck, Service
from longcat_eval.tasks.terminal.read_harbor import read_harbor
from longcat_eval.tasks.terminal.records import Artifact, Step, TerminalTask

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
SEED = 20260818
FOLDERS = 600
HEADS = (
    "",
    "\n\n",
    "# canary x\n",
    "<!-- a Canary GUID 1 -->\n# CANARY\n\n \n",
    "no canary\n",
    "<!-- x -->\n",
)
MODES = ("public", "no-network")

pytestmark = pytest.mark.oracle


@pytest.fixture
def harbor(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The benchmarks' own module of environments."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import peers

    assert peers.HARBOR.ready, "run `python benchmarks/peers.py --make-environments` first"
    return peers


def toml(value: Any) -> str:
    """A value as TOML; tables are inline."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


def some(dice: random.Random, **fields: Any) -> dict[str, Any]:
    """Some of the fields; those that are None never."""
    return {name: value for name, value in fields.items() if value is not None and dice.random() < 0.5}


def an_environment(dice: random.Random) -> dict[str, Any]:
    found = some(
        dice,
        build_timeout_sec=dice.choice([30, 900.5]),
        docker_image=dice.choice(["a/ready:1", "other", None]),
        cpus=dice.choice([1, 2, 4]),
        workdir=dice.choice(["/app", "/srv/x"]),
        env={"A": "1", "B": dice.choice(["x y", "$A", "${A"])},
        healthcheck={"command": "true", **some(dice, interval_sec=2, retries=7, start_period_sec=1.5)},
        os=dice.choice(["linux", "Linux"]),
        storage=dice.choice(["10G", "512M"]),
    )
    found |= dice.choice([{}, {"memory": "1.5G"}, {"memory": "512m"}, {"memory_mb": 2048}])
    network = [{}, {"network_mode": "no-network"}, {"allow_internet": False}, {"allow_internet": True}]
    return found | dice.choice([*network, {"network_mode": "public", "allow_internet": False}])


def an_agent(dice: random.Random) -> dict[str, Any]:
    return some(dice, timeout_sec=dice.choice([60, 900.0]), user=dice.choice(["agent", 1000, 0]))


def a_verifier(dice: random.Random) -> dict[str, Any]:
    hook = {"command": "dump >/x", **some(dice, service="db", timeout_sec=5, user=dice.choice(["root", 3]))}
    found = some(
        dice,
        timeout_sec=dice.choice([30, 120.5]),
        env={dice.choice("CD"): dice.choice("12")},
        user=dice.choice(["tester", 0]),
        collect=[hook],
    )
    mode = dice.choice(["", "", "shared", "separate", "environment", "both"])
    if mode in ("shared", "separate", "both"):
        found["environment_mode"] = "separate" if mode == "both" else mode
    if mode in ("environment", "both"):
        found["environment"] = an_environment(dice)
    if mode != "shared" and dice.random() < 0.2:
        found["network_mode"] = dice.choice(MODES)
    return found


def some_artifacts(dice: random.Random) -> list[Any]:
    table = {
        "source": "/b",
        **some(dice, destination="c/d", exclude=["*.o"], service=dice.choice(["main", "db"])),
    }
    return dice.sample(["/a", table, {"source": "/e"}], dice.randrange(3))


def a_task(dice: random.Random, folder: Path) -> Path:
    """A folder that is a task, or nearly."""
    config = some(
        dice,
        environment=an_environment(dice),
        agent=an_agent(dice),
        verifier=a_verifier(dice),
        solution={"env": {"S": "1"}},
        metadata={"difficulty": "easy", "tags": ["x"], "more": 1},
        unknown={"table": 1},
        multi_step_reward_strategy=dice.choice(["mean", "final"]),
    )
    config |= dice.choice([{}, {"version": "1.0"}, {"schema_version": "1.3"}])
    config["artifacts"] = some_artifacts(dice)
    names = dice.choice([[], [], ["one"], ["one", "two"]])
    places = [f"steps/{name}/" for name in names] or [""]
    if names:
        config["steps"] = [
            {
                "name": name,
                **some(
                    dice,
                    agent=an_agent(dice),
                    verifier=a_verifier(dice),
                    min_reward=dice.choice([0.5, {"a": 1.0}]),
                    healthcheck={"command": "test -e /x", "timeout_sec": 3},
                ),
                "artifacts": some_artifacts(dice),
            }
            for name in names
        ]
    text = "".join(f"{name} = {toml(value)}\n" for name, value in config.items())
    files = {"task.toml": text, "environment/Dockerfile": "FROM x\n"}
    for place in places:
        files[f"{place}instruction.md"] = dice.choice(HEADS) + "Do it.\n\n# canary stays here\n"
    for place in {"", *places}:
        files |= some(dice, **{f"{place}solution/solve.sh": "true\n", f"{place}tests/Dockerfile": "FROM y\n"})
        if dice.random() < 0.8:
            files[f"{place}tests/test.sh"] = "true\n"
    return toy.write(folder, files)


def what_harbor_says(peers: ModuleType, folders: list[Path]) -> list[dict[str, Any]]:
    script, asked = BENCHMARKS / "harbor_tasks_peer.py", [str(folder) for folder in folders]
    return told_by(peers.HARBOR.bin / "python", script, lines=[asked])


def health(check: Healthcheck | None) -> list[Any] | None:
    if check is None:
        return None
    times = (check.interval, check.timeout, check.start_period, check.start_interval)
    return [check.test[1], *times, check.retries]


def machine(service: Service) -> dict[str, Any]:
    return {
        "image": service.image,
        "cpus": service.cpus,
        "memory_mb": service.memory_bytes and service.memory_bytes >> 20,
        "env": dict(service.environment),
        "workdir": service.workdir,
    }


def artifacts(found: tuple[Artifact, ...]) -> list[list[Any]]:
    return [[a.source, a.destination, list(a.exclude), a.service] for a in found]


def as_told(task: TerminalTask) -> dict[str, Any]:
    """Our task in the words of the peer."""
    (main,) = task.services
    return {
        "machine": machine(main),
        "build_seconds": task.build_seconds,
        "network": MODES[task.no_network],
        "healthcheck": health(task.healthcheck),
        "artifacts": artifacts(task.artifacts),
        "final_only": task.final_only,
        "steps": [step_as_told(task, step) for step in task.steps],
    }


def step_as_told(task: TerminalTask, step: Step) -> dict[str, Any]:
    verifier, separate = step.verifier, None
    if verifier.separate:
        (service,) = verifier.services
        separate = {**machine(service), "no_network": verifier.no_network}
        separate |= {"bundled": not verifier.folders, "folder": None}
        if service.recipe:
            separate["folder"] = str(service.recipe.context.relative_to(task.folder))
    return {
        "name": step.name,
        "instruction": step.instruction,
        "agent_seconds": step.agent_seconds,
        "agent_user": step.agent_user or task.user,
        "test_seconds": verifier.seconds,
        "test_user": verifier.user,
        "test_env": dict(verifier.env),
        "tests": [str(folder.relative_to(task.folder)) for folder in verifier.folders],
        "separate": separate,
        "min_reward": step.min_reward,
        "healthcheck": health(step.healthcheck),
        "artifacts": artifacts(step.artifacts),
        "collect": [[h.command, h.service or "main", h.seconds, h.user] for h in verifier.collect],
        "solution": step.oracle and str(step.oracle.folder.relative_to(task.folder)) if step.oracle else None,
    }


def comparable(said: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    """Harbor's answer without what is only a matter of words."""
    for step, own in zip(said["steps"], ours["steps"], strict=True):
        separate = step["separate"]
        if separate is not None:
            if separate["image"]:
                separate["folder"] = None
            if separate["bundled"]:
                step["tests"] = []
            # Without tests at all ours cannot be told from a machine that brings them.
            separate["bundled"] = own["separate"]["bundled"] if not step["tests"] else separate["bundled"]
        for entry in step["artifacts"]:
            entry[3] = "" if entry[3] == "main" else entry[3]
    for entry in said["artifacts"]:
        entry[3] = "" if entry[3] == "main" else entry[3]
    return said


def test_the_same_task_is_understood(harbor: ModuleType, tmp_path: Path) -> None:
    dice = random.Random(SEED)
    folders = [a_task(dice, tmp_path / f"t{number}") for number in range(FOLDERS)]
    read = errors = 0
    for folder, said in zip(folders, what_harbor_says(harbor, folders), strict=True):
        about = (folder / "task.toml").read_text(encoding="utf-8")
        if "error" in said:
            errors += 1
            try:
                task = read_harbor(folder)
            except EnvironmentUnusableError:
                continue
            assert task.problems, f"harbor refuses this: {said['error']}\n{about}"
            continue
        task = read_harbor(folder)
        if task.problems:
            assert all("network_mode differs" in problem for problem in task.problems), task.problems
            continue
        read += 1
        ours = as_told(task)
        assert ours == comparable(said, ours), about
    assert read > FOLDERS / 4, "most of what is made is a task"
    assert errors > FOLDERS / 40
