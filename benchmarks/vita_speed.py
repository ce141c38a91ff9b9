"""CPU of a VitaBench dialogue and its verdict: ours beside the official runner, models answering at once.

python benchmarks/vita_speed.py --vita-src CHECKOUT [--dialogues 100]

Both run the same scripts (looks, gold orders, talk, a judge for every window) in one process on one thread,
without logging. The Python is this one for both.
"""

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "tests"), str(HERE.parent / "tests" / "oracles")]


async def ours(task, samples, scripts) -> float:
    """CPU seconds of all dialogues, fifty at a time."""
    from vita_play import Sides, context

    async def one(sample) -> None:
        ctx = context(task, sample, Sides(scripts[sample.id]))
        await task.score(sample, await task.attempt(sample, ctx), ctx)

    started = time.process_time()
    for start in range(0, len(samples), 50):
        await asyncio.gather(*(one(sample) for sample in samples[start : start + 50]))
    return time.process_time() - started


def official(checkout: Path, scripts) -> float:
    """CPU seconds of all dialogues, one after the other."""
    from test_vita_agrees import tasks_file

    wires = {
        name: {r: [m.wire() for m in lines] for r, lines in said.items()} for name, said in scripts.items()
    }
    with tempfile.TemporaryDirectory() as folder:
        asked, out = Path(folder) / "play.json", Path(folder) / "out.json"
        play = {
            "domain": "delivery",
            "language": "chinese",
            "tasks": str(tasks_file(checkout, "delivery", "chinese")),
            "scripts": wires,
            "measure": True,
        }
        asked.write_text(json.dumps(play))
        environment = {
            **os.environ,
            "PYTHONPATH": str(checkout / "src"),
            "VITA_MODEL_CONFIG_PATH": os.devnull,
        }
        command = [sys.executable, HERE / "vita_official.py", asked, out]
        subprocess.run(command, env=environment, check=True, capture_output=True)
        return float(json.loads(out.read_text())["seconds"])


def main() -> None:
    """Print both, per dialogue."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--vita-src", type=Path, required=True)
    options.add_argument("--dialogues", type=int, default=100)
    given = options.parse_args()
    from test_vita_agrees import dialogue, loaded

    task, samples = loaded(given.vita_src.resolve(), "delivery", "chinese")
    samples = samples[: given.dialogues]
    draw = random.Random(1)
    scripts = {sample.id: dialogue(task, sample, draw) for sample in samples}
    requests = sum(len(lines) for said in scripts.values() for lines in said.values()) / len(samples)
    print(f"{len(samples)} dialogues of {requests:.1f} requests")
    for name, seconds in (
        ("ours", asyncio.run(ours(task, samples, scripts))),
        ("official", official(given.vita_src.resolve(), scripts)),
    ):
        print(f"{name:8} {1000 * seconds / len(samples):7.1f} ms of CPU a dialogue")


if __name__ == "__main__":
    main()
