"""Our sandboxes and our agent loop, timed in this process; `swe_speed.py` prints what they give."""

import asyncio
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from agent_play import bash, play

from longcat_eval.protocols import Sandbox
from longcat_eval.records import Message, Request
from longcat_eval.runners.agent.prompts import SUBMIT_COMMAND
from longcat_eval.runners.sandbox.daemon import THREADS, connect
from longcat_eval.runners.sandbox.sandboxes import DockerSandboxes

WORKDIR = "/testbed"
LOOK = ("ls", "cat calc.py", "grep -n mean calc.py", "head -n 3 test_calc.py", "tail -n 2 calc.py")
MEND = "sed -i 's|return sum(values)|return sum(values) / len(values)|' calc.py"
COMMANDS = [*LOOK, *LOOK, MEND, *LOOK, *LOOK, SUBMIT_COMMAND]
"""22 steps of one command each that costs next to nothing, as a step's own cost is what counts."""


class Episode(NamedTuple):
    """Seconds of each step of an episode, from the request of one reply to that of the next."""

    steps: list[float]
    submission: str

    @property
    def median(self) -> float:
        return statistics.median(self.steps)


class Idle(NamedTuple):
    """Seconds until many sandboxes were up, and until none was left."""

    started: float
    removed: float


async def starts(image: str, count: int) -> list[float]:
    """Seconds from asking for a sandbox to the end of its first command, one sandbox after another."""
    sandboxes = DockerSandboxes()
    try:
        await first_command(sandboxes, image)  # connects, reaps, and asks the image for its shell
        return [await first_command(sandboxes, image) for _ in range(count)]
    finally:
        await sandboxes.close()


async def first_command(sandboxes: DockerSandboxes, image: str) -> float:
    began = time.perf_counter()
    async with await sandboxes.start(image) as sandbox:
        done = await sandbox.exec("true", timeout=60)
        assert done.exit_code == 0, done.output
        return time.perf_counter() - began


async def idle(image: str, count: int) -> Idle:
    """Start `count` sandboxes at once, connecting included, see that they all run, and remove them."""
    sandboxes = DockerSandboxes(agents=count)
    began = time.perf_counter()
    try:
        made = await asyncio.gather(*(sandboxes.start(image) for _ in range(count)))
        started = time.perf_counter() - began
        up = running(sandboxes.run)
        if len(made) != count or up != count:
            raise RuntimeError(f"{up} of {count} sandboxes run")
        began = time.perf_counter()
    finally:
        await sandboxes.close()
    removed = time.perf_counter() - began
    if left := running(sandboxes.run):
        raise RuntimeError(f"{left} of {count} sandboxes are left")
    return Idle(started, removed)


def bare(image: str, count: int) -> Idle:
    """The same of the daemon alone: containers without any bounds, straight through its SDK."""
    made: list[str] = []
    with connect() as client, ThreadPoolExecutor(THREADS) as pool:
        api = client.api
        host = api.create_host_config(network_mode="none")

        def start(_: int) -> None:
            container = api.create_container(image, ["sleep", "600"], entrypoint=[], host_config=host)["Id"]
            made.append(container)
            api.start(container)

        def remove(container: str) -> None:
            api.remove_container(container, force=True, v=True)

        began = time.perf_counter()
        try:
            list(pool.map(start, range(count)))
            started = time.perf_counter() - began
        finally:
            began = time.perf_counter()
            list(pool.map(remove, made))
    return Idle(started, time.perf_counter() - began)


def running(run: str) -> int:
    """How many containers of a run the daemon has, in whatever state."""
    with connect() as client:
        return len(client.api.containers(all=True, filters={"label": [f"lceval.run={run}"]}))


async def episode(image: str) -> Episode:
    """Our agent loop with the profile `bash` on a scripted model."""
    asked: list[float] = []
    lines = [Line(command, asked) for command in COMMANDS]
    sandboxes = DockerSandboxes()
    try:
        async with await sandboxes.start(image) as sandbox:
            await sandbox.exec("true", timeout=60)
            played, _, _ = await play(*lines, sandbox=sandbox, workdir=WORKDIR, limits={"steps": 30})
            times = [*asked, time.perf_counter()]
    finally:
        await sandboxes.close()
    handed_in = (played.submission or b"").decode()
    return Episode([after - before for before, after in pairwise(times)], handed_in)


class Line:
    """One reply of the scripted model, which notes when it was asked for."""

    def __init__(self, command: str, asked: list[float]) -> None:
        self.command, self.asked = command, asked

    def __call__(self, request: Request) -> Message:
        self.asked.append(time.perf_counter())
        return bash(self.command)


async def commands_alone(image: str) -> float:
    """Seconds of one of the commands in bash itself: the mean over the five that look, in one exec."""
    many = "\n".join(f"bash -c '{command}' >/dev/null" for command in LOOK * 20)
    sandboxes = DockerSandboxes()
    try:
        async with await sandboxes.start(image) as sandbox:
            return await timed(sandbox, many) / (len(LOOK) * 20)
    finally:
        await sandboxes.close()


async def timed(sandbox: Sandbox, command: str) -> float:
    return (await sandbox.exec(command, timeout=60, cwd=WORKDIR)).seconds
