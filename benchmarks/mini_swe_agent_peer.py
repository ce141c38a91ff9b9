"""mini-swe-agent's own agent in a container, timed; run by the Python of its environment.

python mini_swe_agent_peer.py IMAGE starts N              start to the end of the first command, N times
python mini_swe_agent_peer.py IMAGE episode FILE.json     the commands of FILE, one a step

Prints one JSON object: `seconds` of each start or step, and `submission` where there is one.
"""

import json
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from minisweagent.agents.default import DefaultAgent
from minisweagent.environments.docker import DockerEnvironment
from minisweagent.models.test_models import DeterministicModel, make_output

CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "SETUID", "SETGID", "KILL")
RUN_ARGS = [
    *("--rm", "--init", "--network", "none", "--memory", "4g", "--memory-swap", "4g", "--cpus", "2"),
    *("--pids-limit", "512", "--shm-size", "256m", "--security-opt", "no-new-privileges"),
    *("--cap-drop", "ALL", *(flag for name in CAPABILITIES for flag in ("--cap-add", name))),
    *("--log-driver", "none", "--pull", "never"),
]
"""The bounds that our sandboxes have."""


class TimedModel(DeterministicModel):
    """Notes when it is asked."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.asked: list[float] = []

    def query(self, messages: list[dict[str, str]], **settings: Any) -> dict[str, Any]:
        self.asked.append(time.perf_counter())
        return super().query(messages, **settings)


def environment(image: str) -> DockerEnvironment:
    return DockerEnvironment(image=image, cwd="/testbed", run_args=RUN_ARGS, container_timeout="600")


def remove(started: DockerEnvironment) -> None:
    """At once and waited for; its own way leaves the container up for ten seconds."""
    subprocess.run(["docker", "rm", "-f", str(started.container_id)], check=False, capture_output=True)
    started.container_id = None


def start(image: str) -> float:
    began = time.perf_counter()
    started = environment(image)
    try:
        assert started.execute({"command": "true"})["returncode"] == 0
        return time.perf_counter() - began
    finally:
        remove(started)


def episode(image: str, commands: list[str]) -> dict[str, Any]:
    outputs = [make_output("", [{"command": command}], cost=0.0) for command in commands]
    model, started = TimedModel(outputs=outputs), environment(image)
    try:
        started.execute({"command": "true"})
        agent = DefaultAgent(model, started, system_template="Mend it.", instance_template="{{task}}")
        told = agent.run("mean() gives the sum.")
        times = [*model.asked, time.perf_counter()]
        return {"seconds": [after - before for before, after in pairwise(times)], **told}
    finally:
        remove(started)


def main() -> None:
    image, what, argument = sys.argv[1:]
    if what == "starts":
        found: dict[str, Any] = {"seconds": [start(image) for _ in range(int(argument))]}
    else:
        found = episode(image, json.loads(Path(argument).read_text(encoding="utf-8")))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
