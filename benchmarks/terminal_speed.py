"""TerminalBench: an attempt beside agent and tests, and the originals' runners: python terminal_speed.py

NOTES.md says what is measured and how to read it.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from figures import Figure, aligned, figures_table
from measure import environment, load_average, machine, measure
from peers import HARBOR, TERMINAL_BENCH
from speed import say
from terminal_peers import Trial, copy_tasks, harbor, terminal_bench
from terminal_round_trip import timed as milliseconds
from workload import ours

from longcat_eval.runners.sandbox.host_image import SHELL_PACKAGES, build_host_image
from longcat_eval.runners.sandbox.sandboxes import DockerSandboxes
from longcat_eval.runners.store import read_run, read_transcript
from longcat_eval.runners.terminal.open import open_terminal

TASKS = ("hello-world", "grid-pattern-transform", "polyglot-c-py", "sqlite-db-truncate")
OVERHEAD_SECONDS, ROUND_TRIP_MS = 1.5, 10.0


def ours_over(tasks: Path, out: Path) -> tuple[list[Trial], float]:
    """`longcat-eval run` with the oracle over a folder, one task at a time; the trials and all seconds."""
    out.mkdir(parents=True)
    env = environment(out)
    run = ["run", "--task", "terminal-bench", "--dataset", str(tasks), "--model", "scripted/oracle"]
    cost = measure([*ours(), *run, "-c", "1", "--plain", "-o", str(out / "run")], env, cwd=out)
    trials = []
    for row in read_run(out / "run").rows:
        found = read_transcript(out / "run", row).artifacts
        agent, tests = (sum(part["seconds"] for part in found[name]) for name in ("agents", "tested"))
        states = dict(found["states"])
        total = states["graded"] - states["building"]
        trials.append(Trial(row.sample, row.value == 1.0, total, agent, tests))
    return trials, cost.wall


def timed(run: Callable[[], list[Trial]]) -> tuple[list[Trial], float]:
    """What a runner did, and in how many seconds."""
    began = time.perf_counter()
    return run(), time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description="TerminalBench: our runner beside the originals'.")
    parser.add_argument("--runs", type=int, default=3, help="our runs; the median counts")
    parser.add_argument("--alone", action="store_true", help="without the originals")
    options = parser.parse_args()
    peers = [] if options.alone else [peer for peer in (TERMINAL_BENCH, HARBOR) if peer.ready]
    load, rows, figures = load_average(), [], []
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        scratch = Path(name)
        tasks = copy_tasks(TASKS, scratch / "tasks")
        say("longcat-eval: a first run builds the images")
        ours_over(tasks, scratch / "warm")
        found, walls = [], []
        for number in range(options.runs):
            say(f"longcat-eval: run {number + 1}")
            trials, wall = ours_over(tasks, scratch / f"ours-{number}")
            check("longcat-eval", trials)
            found += trials
            walls.append(wall)
        outside = [trial.outside for trial in found]
        rows.append(line("longcat-eval", found, statistics.median(walls)))
        note = f"slowest {max(outside):.2f}; {len(outside)} attempts"
        figures.append(
            Figure("outside agent and tests", statistics.median(outside), "s", OVERHEAD_SECONDS, note=note)
        )
        for peer, runner in ((TERMINAL_BENCH, terminal_bench), (HARBOR, harbor)):
            if peer not in peers:
                continue
            say(f"{peer.name}: a first run builds the images")
            runner(tasks, scratch / f"warm-{peer.folder}")
            say(peer.name)
            trials, wall = timed(lambda runner=runner, peer=peer: runner(tasks, scratch / peer.folder))  # type: ignore[misc]
            check(peer.name, trials)
            rows.append(line(peer.name, trials, wall))
    figures.append(asyncio.run(round_trip()))
    daemon = subprocess.run(
        ["docker", "version", "-f", "{{.Server.Version}}"], capture_output=True, text=True, check=False
    )
    print(f"{time.strftime('%Y-%m-%d %H:%M')}, {machine()}, Docker {daemon.stdout.strip()}")
    print(f"load average {load:.2f} before, {load_average():.2f} after; images were built before\n")
    head = ["", "outside s", "slowest", "whole attempt s", f"command over {len(TASKS)} tasks s"]
    print(aligned([head, *rows]))
    print(f"\nlongcat-eval\n{figures_table(figures)}")


async def round_trip() -> Figure:
    """Two keys and the screen, through tmux's control mode."""
    sandboxes = DockerSandboxes()
    try:
        sandbox = await sandboxes.start(build_host_image([*SHELL_PACKAGES, "tmux"]))
        terminal = await open_terminal(sandbox, kind="tmux")

        async def look() -> None:
            await terminal.send(["x", "BSpace"])
            await terminal.screen()

        spent = await milliseconds(look, 200)
    finally:
        await sandboxes.close()
    note = f"slowest {max(spent):.1f}; terminal_round_trip.py has more"
    return Figure("round trip of a terminal", statistics.median(spent), "ms", ROUND_TRIP_MS, note=note)


def line(name: str, trials: Sequence[Trial], wall: float) -> list[str]:
    """One tool's row: medians over its trials."""
    outside = [trial.outside for trial in trials]
    whole = statistics.median(trial.total for trial in trials)
    return [name, f"{statistics.median(outside):.2f}", f"{max(outside):.2f}", f"{whole:.1f}", f"{wall:.1f}"]


def check(name: str, trials: Sequence[Trial]) -> None:
    """Every task must have been passed."""
    failed = [trial.task for trial in trials if not trial.passed]
    if failed or {trial.task for trial in trials} != set(TASKS):
        sys.exit(f"{name}: passed {len(trials) - len(failed)} of {len(TASKS)}; not {', '.join(failed)}")


if __name__ == "__main__":
    main()
