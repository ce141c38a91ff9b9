"""τ²-Bench: our runner beside tau2's own, against one scripted server: python benchmarks/tau2_speed.py

NOTES.md says what is measured and how to read it.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import NamedTuple

from figures import Figure, Tool, figures_table, tools_table
from measure import Cost, cpu_seconds, environment, load_average, machine, measure, repeat
from peers import TAU2
from speed import raise_open_files, say
from workload import ours

HERE = Path(__file__).resolve().parent
LATENCY = 0.5
TRIALS = 8
PEER_TASKS = ("0", "2", "7", "14", "20", "33", "43", "46")
"""Eight of the 50 with 2.9 gold actions on average, as all have; 400 would take tau2 a quarter of an hour."""


class Load(NamedTuple):
    """A whole domain at once, and the most that it may cost."""

    domain: str
    tasks: int
    concurrency: int
    cpu: float
    peak_mb: float | None = None
    wall: float | None = None

    @property
    def simulations(self) -> int:
        return self.tasks * TRIALS


LOADS = (Load("airline", 50, 200, 10.0, 600.0, 60.0), Load("retail", 114, 400, 15.0))


@dataclass
class Bench:
    """What the cases share."""

    scratch: Path
    runs: int
    env: dict[str, str]
    package: Path
    folders: Iterator[int] = field(default_factory=count)

    def folder(self) -> Path:
        """A path below the scratch space that nothing has used."""
        return self.scratch / f"out-{next(self.folders)}"

    @contextmanager
    def server(self, domain: str) -> Iterator["Gold"]:
        """`tau2_server.py` as a process of its own."""
        script = [sys.executable, str(HERE / "tau2_server.py"), "--package", str(self.package)]
        argv = [*script, "--domain", domain, "--latency", str(LATENCY)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                yield Gold(process.stdout.readline().strip(), process.pid)
            finally:
                process.kill()

    def ours(self, url: str, domain: str, *flags: str, concurrency: int, simulations: int) -> Cost:
        """`longcat-eval run` once, to its end; every reward must be 1."""
        out = self.folder()
        models = ["--model", "agent", "--base-url", url, "--user-model", "user", "--user-base-url", url]
        task = [
            "--task",
            f"tau2-{domain}",
            "--tau2-src",
            str(self.package),
            "--set",
            "sampling.temperature=0",
        ]
        rest = ["--concurrency", str(concurrency), "--plain", "-o", str(out), *flags]
        cost = measure([*ours(), "run", *task, *models, *rest], self.env, cwd=self.scratch)
        rows = [json.loads(line) for line in (out / "samples.jsonl").read_text().splitlines()]
        check("longcat-eval", len(rows), sum(row["value"] for row in rows) / len(rows), simulations)
        return cost

    def peer(self, url: str, *flags: str, concurrency: int, simulations: int) -> Cost:
        """tau2's `run_tasks` once, to its end, its result file kept as by default; every reward must be 1."""
        script = [str(TAU2.bin / "python"), str(HERE / "tau2_peer.py"), "run", "--domain", "airline"]
        rest = [
            "--base-url",
            url,
            "--out",
            f"{self.folder()}.json",
            "--concurrency",
            str(concurrency),
            *flags,
        ]
        cost = measure([*script, *rest], self.env, cwd=self.scratch)
        told = json.loads(cost.output.splitlines()[-1])
        check(TAU2.name, told["simulations"], told["mean_reward"], simulations)
        return cost


class Gold(NamedTuple):
    """A running server."""

    base_url: str
    pid: int


def check(tool: str, simulations: int, reward: float, wanted: int) -> None:
    """Whoever did other work, or graded it otherwise, is not compared."""
    if simulations != wanted or reward != 1.0:
        raise RuntimeError(f"{tool}: mean reward {reward} over {simulations}, not 1.0 over {wanted}")


def compare(bench: Bench) -> list[Tool]:
    """The same 64 simulations, 32 at once, through both runners, and each one's start with a single one."""
    named = [flag for task in PEER_TASKS for flag in ("--sample-id", task)]
    theirs = [flag for task in PEER_TASKS for flag in ("--task", task)]
    many = {"concurrency": 32, "simulations": len(PEER_TASKS) * TRIALS}
    with bench.server("airline") as gold:
        mine = partial(bench.ours, gold.base_url, "airline")
        other = partial(bench.peer, gold.base_url)
        return [
            measure_tool(
                "longcat-eval",
                partial(mine, *named, "--repeats", str(TRIALS), **many),
                partial(mine, "--sample-id", "7", "--repeats", "1", concurrency=1, simulations=1),
                bench.runs,
            ),
            measure_tool(
                TAU2.name,
                partial(other, *theirs, "--trials", str(TRIALS), **many),
                partial(other, "--task", "7", concurrency=1, simulations=1),
                bench.runs,
            ),
        ]


def measure_tool(name: str, whole: partial[Cost], one: partial[Cost], runs: int) -> Tool:
    """The cost of one simulation and of all; the first start warms byte code and page cache."""
    requests = whole.keywords["simulations"]
    say(f"{requests} simulations of airline: {name}")
    one()
    start_up = repeat(one, runs)
    return Tool(name, repeat(whole, runs), start_up, requests)


def full(bench: Bench, load: Load) -> list[Figure]:
    """Every task of a domain eight times, all that may run at once."""
    say(f"{load.simulations} simulations of {load.domain}, {load.concurrency} at once: longcat-eval")
    shape = {"concurrency": load.concurrency, "simulations": load.simulations}
    with bench.server(load.domain) as gold:
        once = partial(bench.ours, gold.base_url, load.domain, "--repeats", str(TRIALS), **shape)
        cost = repeat(once, bench.runs)
        served = cpu_seconds(gold.pid) / cost.runs
    each = f"{1000 * cost.cpu / load.simulations:.1f} ms a simulation, start-up included"
    title = f"{load.domain} {load.tasks}x{TRIALS}, {load.concurrency} at once"
    return [
        Figure(f"CPU of {title}", cost.cpu, "s", load.cpu, note=each),
        Figure("  peak memory", cost.peak_mb, "MB", load.peak_mb),
        Figure("  wall", cost.wall, "s", load.wall, note=f"median of {cost.runs}"),
        Figure("  server CPU", served, "s"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="τ²-Bench: our runner beside tau2's own.")
    parser.add_argument(
        "--only", choices=["compare", *(load.domain for load in LOADS)], help="one case alone"
    )
    parser.add_argument("--runs", type=int, default=3, help="measurements of each short case; medians count")
    options = parser.parse_args()
    if not TAU2.ready:
        sys.exit(f"not installed: {TAU2.name}; run benchmarks/peers.py --make-environments")
    raise_open_files()
    began, load = time.perf_counter(), load_average()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        scratch = Path(name)
        bench = Bench(scratch, options.runs, environment(scratch), TAU2.site_packages)
        tools = compare(bench) if options.only in (None, "compare") else []
        chosen = [case for case in LOADS if options.only in (None, case.domain)]
        figures = [figure for case in chosen for figure in full(bench, case)]
    print(f"{time.strftime('%Y-%m-%d %H:%M')}, {machine()}; the server waits {LATENCY} s before each reply")
    print(
        f"load average {load:.2f} before, {load_average():.2f} after; {time.perf_counter() - began:.0f} s; "
        f"medians of {options.runs} runs, 1 where a run takes over 20 s"
    )
    if tools:
        print(f"\n{len(PEER_TASKS) * TRIALS} simulations of airline, 32 at once\n{tools_table(tools)}")
    if figures:
        print(f"\nlongcat-eval\n{figures_table(figures)}")


if __name__ == "__main__":
    main()
