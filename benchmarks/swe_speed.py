"""SWE-bench: our grading, sandboxes and agent loop beside the peers', on a toy: python swe_speed.py

NOTES.md says what is measured and how to read it.
"""

import argparse
import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import swe_inside
from figures import Figure, aligned, figures_table
from measure import environment, load_average, machine, measure
from peers import MINI_SWE_AGENT, SWEBENCH
from speed import raise_open_files, say
from toy_repair import GOLD, Toy, toy_image  # found where `swe_inside` looks
from workload import ours

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.runners.store import read_run, read_transcript
from longcat_eval.tasks.swe.package import fetch_swebench

HERE = Path(__file__).resolve().parent
GRADED, GRADED_BY_PEER = 9, 3
"""Instances of a run, one after another; a peer that waits 15 s for each gets fewer."""
STARTS = 10
IDLE = 100
TEST_RUNTIME = re.compile(r"Test runtime: ([\d_.]+) seconds")


class Graded(NamedTuple):
    """A run over toy instances: wall seconds of it all, of each one's tests, and of our attempts without."""

    wall: float
    tests: list[float]
    attempts: list[float]

    @property
    def outside(self) -> float:
        """All that is not the tests, in seconds."""
        return self.wall - sum(self.tests)


@dataclass
class Bench:
    """What the cases share; `swebench` is the folder of the fetched grader."""

    scratch: Path
    runs: int
    toy: Toy
    swebench: Path
    folders: "count[int]" = field(default_factory=count)

    def home(self) -> tuple[Path, dict[str, str]]:
        """A new folder that is a process's home, without any grade kept, and with the fetched grader."""
        folder = self.scratch / f"home-{next(self.folders)}"
        cache = folder / ".cache" / "longcat-eval" / "swebench"
        cache.mkdir(parents=True)
        (cache / self.swebench.name).symlink_to(self.swebench, target_is_directory=True)
        docker = {name: value for name, value in os.environ.items() if name.startswith("DOCKER_")}
        return folder, environment(folder) | docker | {"MSWEA_SILENT_STARTUP": "1"}

    def files(self, folder: Path, instances: int) -> tuple[Path, Path]:
        """The toy as so many instances, and gold predictions for them."""
        rows = [self.toy.row(instance_id=f"toy__calc-{i}") for i in range(1, instances + 1)]
        told = [
            {"instance_id": each["instance_id"], "model_name_or_path": "toy", "model_patch": GOLD}
            for each in rows
        ]
        predictions = folder / "predictions.json"
        predictions.write_text(json.dumps(told))
        return self.toy.dataset(folder, *rows), predictions

    def grade(self, instances: int) -> Graded:
        """`longcat-eval run --grade-only`, one instance at a time."""
        folder, env = self.home()
        dataset, predictions = self.files(folder, instances)
        out = folder / "out"
        flags = ["--dataset", str(dataset), "--grade-only", str(predictions), "--concurrency", "1"]
        argv = [*ours(), "run", "--task", "swe-bench-lite", *flags, "--plain", "-o", str(out)]
        cost = measure(argv, env, cwd=folder)
        run = read_run(out)
        check("longcat-eval", sum(row.reason == "resolved" for row in run.rows), instances)
        artifacts = [read_transcript(out, row).artifacts for row in run.rows]
        if any(found["kept_from"] for found in artifacts):
            raise RuntimeError("longcat-eval: a test run was not made, an older one stands for it")
        tests = [found["seconds"] for found in artifacts]
        spans = [found["states"][-1][1] - found["states"][0][1] for found in artifacts]
        return Graded(cost.wall, tests, [span - alone for span, alone in zip(spans, tests, strict=True)])

    def grade_by_peer(self, instances: int) -> Graded:
        """`swebench eval`, one instance at a time."""
        folder, env = self.home()
        dataset, predictions = self.files(folder, instances)
        flags = ["-p", str(predictions), "--run-id", "bench", "-j", "1"]
        cost = measure([str(SWEBENCH.bin / "swebench"), "eval", str(dataset), *flags], env, cwd=folder)
        reports = [json.loads(path.read_text()) for path in (folder / "logs").rglob("report.json")]
        resolved = [told["resolved"] for report in reports for told in report.values()]
        check(SWEBENCH.name, resolved.count(True), instances)
        logs = [path.read_text() for path in (folder / "logs").rglob("run_instance.log")]
        tests = [float(told.replace("_", "")) for log in logs for told in TEST_RUNTIME.findall(log)]
        if len(tests) != instances:
            raise RuntimeError(f"{SWEBENCH.name}: its logs tell {len(tests)} of {instances} test runtimes")
        return Graded(cost.wall, tests, [])

    def peer(self, what: str, argument: str) -> dict[str, Any]:
        """mini-swe-agent in its own environment: `starts` or `episode`."""
        folder, env = self.home()
        script = [str(MINI_SWE_AGENT.bin / "python"), str(HERE / "mini_swe_agent_peer.py")]
        cost = measure([*script, self.toy.image, what, argument], env, cwd=folder)
        found: dict[str, Any] = json.loads(cost.output.splitlines()[-1])
        return found


def check(tool: str, found: int, wanted: int) -> None:
    """Whoever came to other verdicts is not compared."""
    if found != wanted:
        raise RuntimeError(f"{tool}: {found} of {wanted} resolved")


def per_instance(grade: Callable[[int], Graded], instances: int, runs: int) -> tuple[float, Graded]:
    """Seconds outside the tests that one more instance takes, and a whole run of them."""
    grade(1)
    singles = [grade(1).outside for _ in range(runs)]
    wholes = [grade(instances) for _ in range(runs)]
    more = statistics.median(whole.outside for whole in wholes) - statistics.median(singles)
    return more / (instances - 1), wholes[-1]


class Result(NamedTuple):
    """The figures of a case, and the cells of the peers beside ours."""

    figures: list[Figure]
    cells: dict[str, float]


def grading(bench: Bench) -> Result:
    """One patch after another, each in a fresh container."""
    say(f"{GRADED} graded instances: longcat-eval")
    each, whole = per_instance(bench.grade, GRADED, bench.runs)
    load = load_average()
    cells = {"longcat-eval": each}
    if SWEBENCH.ready:
        say(f"{GRADED_BY_PEER} graded instances: {SWEBENCH.name}")
        cells[SWEBENCH.name], _ = per_instance(bench.grade_by_peer, GRADED_BY_PEER, 1)
    tests = statistics.median(whole.tests)
    attempt = statistics.median(whole.attempts)
    note = f"{attempt:.2f} by its own clock; its tests {tests:.2f}; load {load:.1f}"
    return Result([Figure("a graded instance, tests apart", each, "s", 1.5, note=note)], cells)


def starting(bench: Bench) -> Result:
    """One sandbox after another, each up to the end of its first command; the tools take turns."""
    found: dict[str, list[float]] = {"longcat-eval": []}
    for _ in range(bench.runs):
        say(f"{STARTS} sandboxes in turn")
        found["longcat-eval"] += asyncio.run(swe_inside.starts(bench.toy.image, STARTS))
        if MINI_SWE_AGENT.ready:
            found.setdefault(MINI_SWE_AGENT.name, [])
            found[MINI_SWE_AGENT.name] += bench.peer("starts", str(STARTS))["seconds"]
    cells = {tool: statistics.median(values) for tool, values in found.items()}
    slowest = max(found["longcat-eval"])
    note = f"slowest of {STARTS * bench.runs} {slowest:.2f}; load {load_average():.1f}"
    return Result(
        [Figure("sandbox start to first command", cells["longcat-eval"], "s", 0.5, note=note)], cells
    )


def stepping(bench: Bench) -> Result:
    """The same 22 commands through both agent loops; they must hand in the gold patch."""
    commands = bench.scratch / "commands.json"
    commands.write_text(json.dumps(swe_inside.COMMANDS))
    found: dict[str, list[float]] = {"longcat-eval": []}
    for _ in range(bench.runs):
        say(f"an episode of {len(swe_inside.COMMANDS)} steps")
        mine = asyncio.run(swe_inside.episode(bench.toy.image))
        found["longcat-eval"] += right("longcat-eval", mine.steps, mine.submission)
        if MINI_SWE_AGENT.ready:
            told = bench.peer("episode", str(commands))
            steps = right(MINI_SWE_AGENT.name, told["seconds"], told["submission"])
            found.setdefault(MINI_SWE_AGENT.name, []).extend(steps)
    alone = asyncio.run(swe_inside.commands_alone(bench.toy.image))
    cells = {tool: 1000 * statistics.median(values) for tool, values in found.items()}
    note = f"of them {1000 * alone:.1f} in a bash already there; load {load_average():.1f}"
    return Result([Figure("agent step", cells["longcat-eval"], "ms", 120.0, note=note)], cells)


def right(tool: str, steps: list[float], submission: str) -> list[float]:
    """The steps of an episode that did the work."""
    if len(steps) != len(swe_inside.COMMANDS) or "+    return sum(values) / len(values)" not in submission:
        raise RuntimeError(f"{tool}: {len(steps)} steps, and handed in {submission!r}")
    return steps


def idling(bench: Bench) -> Result:
    """Many sandboxes at once, and as many bare containers, in turn."""
    found, bare = [], []
    for _ in range(bench.runs):
        say(f"{IDLE} sandboxes at once, then {IDLE} bare containers")
        found.append(asyncio.run(swe_inside.idle(bench.toy.image, IDLE)))
        bare.append(swe_inside.bare(bench.toy.image, IDLE))
    load = load_average()

    def figure(name: str, seconds: list[float], alone: list[float], target: float) -> Figure:
        floor = statistics.median(alone)
        note = f"slowest {max(seconds):.2f}; bare containers {floor:.2f}; load {load:.1f}"
        return Figure(name, statistics.median(seconds), "s", target, note=note)

    started = [run.started for run in found], [run.started for run in bare]
    removed = [run.removed for run in found], [run.removed for run in bare]
    name = f"{IDLE} sandboxes started"
    return Result([figure(name, *started, 15.0), figure("  and removed", *removed, 5.0)], {})


CASES = {
    "grade": (grading, "graded instance s"),
    "start": (starting, "start to command s"),
    "step": (stepping, "agent step ms"),
    "idle": (idling, ""),
}


def tools_table(results: Sequence[tuple[str, Result]]) -> str:
    """What the tools took for the same; an empty cell: not what that tool is for."""
    columns = [(title, result.cells) for title, result in results if result.cells]
    tools = list(dict.fromkeys(tool for _, cells in columns for tool in cells))
    rows = [
        [tool, *(f"{cells[tool]:.3g}" if tool in cells else "" for _, cells in columns)] for tool in tools
    ]
    return aligned([["", *(title for title, _ in columns)], *rows])


def main() -> None:
    parser = argparse.ArgumentParser(description="SWE-bench: our runner beside the peers'.")
    parser.add_argument("--only", choices=list(CASES), help="one case alone")
    parser.add_argument("--runs", type=int, default=3, help="measurements of each case; medians count")
    options = parser.parse_args()
    for peer in (SWEBENCH, MINI_SWE_AGENT):
        if not peer.ready:
            say(f"not installed, so left out: {peer.name}; run benchmarks/peers.py --make-environments")
    raise_open_files()
    try:
        toy, swebench = Toy(*asyncio.run(toy_image())), fetch_swebench()
    except EnvironmentUnusableError as error:
        sys.exit(str(error))
    began, load = time.perf_counter(), load_average()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        bench = Bench(Path(name), options.runs, toy, swebench)
        chosen = [CASES[case] for case in CASES if options.only in (None, case)]
        results = [(title, measured(bench)) for measured, title in chosen]
    daemon = subprocess.run(
        ["docker", "version", "-f", "{{.Server.Version}}"], capture_output=True, text=True, check=False
    )
    print(f"{time.strftime('%Y-%m-%d %H:%M')}, {machine()}, Docker {daemon.stdout.strip()}")
    print(
        f"load average {load:.2f} before, {load_average():.2f} after; {time.perf_counter() - began:.0f} s; "
        f"medians of {options.runs} runs, swebench 1"
    )
    if any(result.cells for _, result in results):
        print(f"\nthe toy instance, outside its tests\n{tools_table(results)}")
    print(f"\nlongcat-eval\n{figures_table([figure for _, result in results for figure in result.figures])}")


if __name__ == "__main__":
    main()
