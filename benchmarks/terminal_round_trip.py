"""How long one look at a terminal takes: two keys sent and the screen read back, in one container.

Ours through its one connection (tmux in control mode, and the pseudo-terminal), beside one exec for each
`tmux send-keys` and `tmux capture-pane`, which is what terminal-bench and Harbor do, all in the same run:

    python benchmarks/terminal_round_trip.py [--rounds 200]
"""

import argparse
import asyncio
import os
import statistics
import time
from collections.abc import Awaitable, Callable

from longcat_eval.protocols import Sandbox
from longcat_eval.runners.sandbox.host_image import SHELL_PACKAGES, build_host_image
from longcat_eval.runners.sandbox.sandboxes import DockerSandboxes
from longcat_eval.runners.terminal.open import Kind, open_terminal

WARM_UP, LEAST_TIMES = 5, 20
BY_EXEC = "tmux -S /tmp/by-exec"


async def timed(call: Callable[[], Awaitable[object]], rounds: int) -> list[float]:
    """Milliseconds of each call after a few that do not count."""
    spent = []
    for n in range(WARM_UP + rounds):
        began = time.perf_counter()
        await call()
        if n >= WARM_UP:
            spent.append((time.perf_counter() - began) * 1000)
    return spent


def row(name: str, spent: list[float]) -> str:
    tenths = statistics.quantiles(spent, n=10)
    return f"| {name} | {statistics.median(spent):.2f} | {tenths[-1]:.2f} | {max(spent):.2f} | {len(spent)} |"


async def ours(sandbox: Sandbox, kind: Kind, rounds: int) -> list[str]:
    began = time.perf_counter()
    terminal = await open_terminal(sandbox, kind=kind)
    opening = (time.perf_counter() - began) * 1000

    async def look() -> None:
        await terminal.send(["x", "BSpace"])
        await terminal.screen()

    async def run() -> None:
        assert await terminal.run("true", 60)

    try:
        looks = await timed(look, rounds)
        runs = await timed(run, max(rounds // 10, LEAST_TIMES))
    finally:
        await terminal.close()
    return [
        row(f"{kind}: 2 keys + screen", looks),
        row(f"{kind}: a command waited for", runs),
        f"| {kind}: open, with its prompt | {opening:.0f} | | | 1 |",
    ]


async def by_exec(sandbox: Sandbox, rounds: int) -> list[str]:
    done = await sandbox.exec(f"{BY_EXEC} new-session -d -x 160 -y 40", timeout=60)
    assert done.exit_code == 0, done.output

    async def look() -> None:
        for command in ("send-keys x BSpace", "capture-pane -p"):
            await sandbox.exec(f"{BY_EXEC} {command}", timeout=60)

    async def run() -> None:
        await sandbox.exec(f"{BY_EXEC} send-keys 'true; {BY_EXEC} wait -S done' Enter", timeout=60)
        await sandbox.exec(f"timeout 60s {BY_EXEC} wait done", timeout=60)

    return [
        row("an exec each: send-keys + capture-pane", await timed(look, rounds)),
        row("an exec each: a command waited for", await timed(run, max(rounds // 10, LEAST_TIMES))),
    ]


async def main(rounds: int) -> None:
    sandboxes = DockerSandboxes(agents=1)
    try:
        sandbox = await sandboxes.start(build_host_image((*SHELL_PACKAGES, "tmux")))
        print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f} at the start")
        print("| milliseconds | median | p90 | max | times |\n|---|---|---|---|---|")
        for kind in ("tmux", "pty"):
            print("\n".join(await ours(sandbox, kind, rounds)), flush=True)
        print("\n".join(await by_exec(sandbox, max(rounds // 5, LEAST_TIMES))), flush=True)
        print(f"load {os.getloadavg()[0]:.1f} at the end")
    finally:
        await sandboxes.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=200)
    asyncio.run(main(parser.parse_args().rounds))
