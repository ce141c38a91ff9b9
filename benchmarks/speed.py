"""Our speed beside the peers', in one run, against one loopback server: python benchmarks/speed.py

NOTES.md says what is measured and how to read it.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import NamedTuple

from figures import Figure, Tool, figures_table, tools_table
from in_flight import Flight, flight
from measure import Cost, environment, load_average, machine, measure, repeat
from peers import PEERS, Job, Peer
from server import MODEL, Server
from workload import ITEMS, REPLY, Data, Questions, find_data, ours, write_questions

COMMON, CONCURRENCY = 2_000, 256
IN_FLIGHT, IN_FLIGHT_REQUESTS, LATENCY = 1_000, 10_000, 1.0
SAMPLING = ["--set", "sampling.temperature=0.7", "--set", "sampling.top_p=0.95"]
HERE = Path(__file__).resolve().parent


@dataclass
class Bench:
    """What the cases share: scratch space, the questions, and how often to measure."""

    scratch: Path
    data: Data
    questions: Questions
    runs: int
    env: dict[str, str]
    folders: Iterator[int] = field(default_factory=count)

    def folder(self) -> Path:
        """A path below the scratch space that nothing has used."""
        return self.scratch / f"out-{next(self.folders)}"

    def run(self, base_url: str, out: Path, *flags: str, concurrency: int = CONCURRENCY) -> Cost:
        """Start `longcat-eval run` on MMLU once, to its end; there is no preset, so the sampling is set."""
        return measure(
            [
                *ours(),
                *("run", "--task", "mmlu", "--model", MODEL, "--base-url", base_url, *SAMPLING),
                *("--data-dir", str(self.data.folder), *self.data.flags, "--plain"),
                *("--concurrency", str(concurrency), "-o", str(out), *flags),
            ],
            self.env,
            cwd=self.scratch,
        )

    def common(self, base_url: str, limit: int) -> Cost:
        """Ours on the common questions, checked."""
        out = self.folder()
        cost = self.run(base_url, out, "--limit", str(limit))
        values = [json.loads(line)["value"] for line in (out / "samples.jsonl").read_text().splitlines()]
        if len(values) != limit:
            raise RuntimeError(f"longcat-eval kept {len(values)} of {limit} samples")
        self.check("longcat-eval", sum(values) / limit, limit)
        return cost

    def peer(self, peer: Peer, base_url: str, limit: int) -> Cost:
        """A peer on the common questions, checked."""
        out = self.folder()
        out.mkdir()
        job = Job(base_url, self.questions, out, CONCURRENCY, None if limit == COMMON else limit)
        argv = peer.command(job)
        env = {**self.env, **peer.variables(job)}
        cost = measure([str(peer.bin / argv[0]), *argv[1:]], env, cwd=out)
        self.check(peer.name, peer.accuracy(cost.output, out), limit)
        return cost

    def floor(self, base_url: str, concurrency: int, requests: int) -> Cost:
        """A bare aiohttp loop on the same questions; its output is the seconds of its requests."""
        numbers = ["--limit", str(requests), "--concurrency", str(concurrency)]
        script = [sys.executable, str(HERE / "floor.py"), base_url, str(self.questions.path)]
        return measure([*script, *numbers], self.env, cwd=self.scratch)

    def check(self, tool: str, accuracy: float, limit: int) -> None:
        """Every tool must have scored the same replies alike, or it did other work."""
        if limit == self.questions.items and abs(accuracy - self.questions.accuracy) > 0.0006:
            raise RuntimeError(f"{tool} scored {accuracy}, not {self.questions.accuracy}")


def compare(bench: Bench) -> tuple[list[Tool], list[Figure]]:
    """The same 2,000 questions through every tool, and each tool's start with one."""
    with Server(REPLY) as server:
        url = server.base_url
        tools = [
            measure_tool(bench, "longcat-eval", partial(bench.common, url)),
            *(measure_tool(bench, peer.name, partial(bench.peer, peer, url)) for peer in PEERS),
            measure_tool(bench, "bare aiohttp loop", partial(bench.floor, url, CONCURRENCY)),
        ]
        served = server.cpu
    mine = tools[0]
    assert mine.start_up is not None
    return tools, [
        Figure("CPU for 2,000 samples", mine.cost.cpu, "s", 2.5, note=f"peak {mine.cost.peak_mb:.0f} MB"),
        Figure("start-up of run", mine.start_up.cpu, "s CPU", 1.2, note=f"{mine.start_up.wall:.2f} s wall"),
        Figure("the server, all of the above", served, "s CPU"),
    ]


def measure_tool(bench: Bench, name: str, once: Callable[[int], Cost]) -> Tool:
    """The cost of one sample and of all; the first start warms byte code and lm-eval's copy of the data."""
    say(f"{COMMON:,} samples: {name}")
    once(1)
    start_up = repeat(partial(once, 1), bench.runs)
    return Tool(name, repeat(partial(once, COMMON), bench.runs), start_up, COMMON)


def start(bench: Bench) -> list[Figure]:
    """The command line without work."""
    say("start-up of --help")
    figures = []
    for words in ("--help", "run --help"):
        once = partial(measure, [*ours(), *words.split()], bench.env, cwd=bench.scratch)
        once()
        cost = repeat(once, bench.runs)
        figures.append(Figure(f"start-up of {words}", cost.cpu, "s CPU", 0.3, note=f"{cost.wall:.2f} s wall"))
    return figures


def full(bench: Bench) -> list[Figure]:
    """All of MMLU."""
    say(f"all {ITEMS:,} samples of MMLU: longcat-eval")
    with Server(REPLY) as server:
        cost = repeat(lambda: bench.run(server.base_url, bench.folder()), bench.runs)
    return [
        Figure(f"CPU for all {ITEMS:,} of MMLU", cost.cpu, "s", 9.0, note=f"{cost.wall:.2f} s wall"),
        Figure(f"peak memory of it, {CONCURRENCY} in flight", cost.peak_mb, "MB", 300.0),
    ]


class Load(NamedTuple):
    """One run with many requests in flight; `client` and `server` are CPU seconds, start-up included."""

    seen: Flight
    client: float
    server: float


def in_flight(bench: Bench) -> list[Figure]:
    """1,000 requests in flight at 1 s latency, ours and the bare loop; the run of the median rate counts."""
    say(f"{IN_FLIGHT:,} in flight: bare aiohttp loop")
    with Server(REPLY, LATENCY) as server:
        floors = [bench.floor(server.base_url, IN_FLIGHT, IN_FLIGHT_REQUESTS) for _ in range(bench.runs)]
    say(f"{IN_FLIGHT:,} in flight: longcat-eval")
    loads = sorted((loaded(bench) for _ in range(bench.runs)), key=lambda load: load.seen.rate)
    least = sorted(floors, key=lambda cost: float(cost.output))[len(floors) // 2]
    return load_figures(loads[len(loads) // 2], IN_FLIGHT_REQUESTS / float(least.output), least.cpu)


def loaded(bench: Bench) -> Load:
    """One run of ours with 1,000 requests in flight."""
    out, limit = bench.folder(), str(IN_FLIGHT_REQUESTS)
    with Server(REPLY, LATENCY) as server:
        cost = bench.run(server.base_url, out, "--limit", limit, concurrency=IN_FLIGHT)
        served = server.cpu
    return Load(flight(out / "samples.jsonl", IN_FLIGHT, LATENCY), cost.cpu, served)


def load_figures(load: Load, floor_rate: float, floor_cpu: float) -> list[Figure]:
    """The rate, and where the rest of it goes."""
    seen, least_seconds = load.seen, LATENCY * IN_FLIGHT_REQUESTS / IN_FLIGHT
    return [
        Figure(
            "requests/s, 1,000 in flight, 1 s latency",
            seen.rate,
            "/s",
            900.0,
            at_least=True,
            note=f"{seen.requests:,} in {seen.seconds:.2f} s; bare loop {floor_rate:.0f}/s",
        ),
        Figure("  steady, without ramp and tail", seen.steady, "/s", note="median of whole seconds"),
        Figure("  time the latency itself takes", least_seconds, "s"),
        Figure("  ramp: what the first wave adds", seen.ramp, "s", note="1,000 connections opened"),
        Figure("  waiting behind other replies", seen.seconds - least_seconds - seen.ramp, "s"),
        Figure("  latency seen", seen.median_latency, "s", note=f"slowest {seen.worst_latency:.2f} s"),
        Figure("  client CPU", load.client, "s", note=f"bare loop {floor_cpu:.2f}, start-up included"),
        Figure("  server CPU", load.server, "s"),
    ]


def inside(bench: Bench) -> list[Figure]:
    """The store, the reload, and statistics with the table, without a model."""
    say("store, reload, table")
    script = str(HERE / "inside.py")
    cost = measure([sys.executable, script, str(bench.folder())], bench.env, cwd=bench.scratch)
    seen = json.loads(cost.output)
    return [
        Figure(
            "store: rows/s with 3 kB transcripts",
            seen["written"],
            "/s",
            note=f"{seen['written_per_cpu']:,.0f} a CPU second; DESIGN §4 names 33,000",
        ),
        Figure("reload of 100,000 rows for a resume", seen["reloaded"], "s CPU"),
        Figure(
            "statistics and table, 59,736 attempts", seen["tabled"], "s CPU", note="reading them included"
        ),
    ]


CASES: dict[str, Callable[[Bench], list[Figure]]] = {
    "start": start,
    "full": full,
    "in-flight": in_flight,
    "inside": inside,
}


def raise_open_files() -> None:
    """A thousand connections need more files than the usual soft limit of 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 8192 if hard == resource.RLIM_INFINITY else min(hard, 8192)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def say(text: str) -> None:
    sys.stderr.write(f"… {text}\n")
    sys.stderr.flush()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Our speed beside the peers', in one run.")
    parser.add_argument("--only", choices=["compare", *CASES], help="one case alone")
    parser.add_argument("--runs", type=int, default=3, help="measurements of each short case; medians count")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    missing = [peer.name for peer in PEERS if not peer.ready] if options.only in (None, "compare") else []
    if missing:
        sys.exit(f"not installed: {', '.join(missing)}; run benchmarks/peers.py --make-environments")
    raise_open_files()
    began, load = time.perf_counter(), load_average()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        scratch = Path(name)
        env, data = environment(scratch), find_data(scratch)
        bench = Bench(scratch, data, write_questions(data, COMMON, scratch, env), options.runs, env)
        tools, figures = compare(bench) if options.only in (None, "compare") else ([], [])
        for case, measured in CASES.items():
            figures += measured(bench) if options.only in (None, case) else []
    print(f"{time.strftime('%Y-%m-%d %H:%M')}, {machine()}; {data.origin}")
    print(
        f"load average {load:.2f} before, {load_average():.2f} after; {time.perf_counter() - began:.0f} s; "
        f"medians of {options.runs} runs, 1 where a run takes over 20 s"
    )
    if tools:
        print(f"\n{COMMON:,} multiple-choice samples, {CONCURRENCY} in flight, server answers at once")
        print(tools_table(tools))
    print(f"\nlongcat-eval\n{figures_table(figures)}")


if __name__ == "__main__":
    main()
