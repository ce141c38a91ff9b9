"""Reports on runs of 60,006 attempts, each a command from start to end: python report_speed.py

The runs are made up: the card's question sets and some more, at their sizes, one call an attempt. Figures are
CPU seconds of the whole process and its largest resident set (measure.py), medians of `--runs`.
"""

import argparse
import random
import tempfile
import time
from pathlib import Path

from figures import Figure, figures_table
from measure import environment, load_average, machine, measure, repeat
from workload import ours

from longcat_eval.records import (
    AttemptKey,
    AttemptRow,
    Call,
    Completion,
    Message,
    Outcome,
    TaskProtocol,
    Transcript,
    Usage,
)
from longcat_eval.runners.manifest import DatasetRecord, Manifest, RoleRecord, TaskRecord
from longcat_eval.runners.store import RunWriter

SIZES = {
    "mmlu": (14_042, 1),
    "mmlu-pro": (12_032, 1),
    "ceval": (12_342, 1),
    "cmmlu": (11_582, 1),
    "gpqa-diamond": (198, 16),
    "math500": (500, 1),
    "aime24": (30, 32),
    "aime25": (30, 32),
    "tau2-airline": (50, 8),
    "tau2-retail": (114, 8),
    "tau2-telecom": (114, 8),
    "swe-bench-verified": (500, 1),
    "tau2-telecom-full": (202, 8),
    "terminal-bench": (80, 1),
}
WORDS = (
    "so the",
    "answer is",
    "x",
    "therefore",
    "we compute",
    "integral",
    "1234",
    "π",
    "因此",
    "option A",
    "B",
)
TABLE_SECONDS, TABLE_MB, PAGE_SECONDS, GATE_SECONDS = 2.0, 300.0, 10.0, 5.0


def make_up(path: Path, seed: int) -> int:
    """Write a run; return its number of attempts."""
    rng, count = random.Random(seed), 0
    writer = RunWriter(path)
    writer.open()
    for task, (n, k) in SIZES.items():
        for i in range(n):
            for j in range(k):
                writer.append(*attempt(AttemptKey(task, f"q{i:05d}", j), f"subject {i % 57}", rng))
                count += 1
    writer.write_manifest(manifest())
    writer.close()
    return count


def attempt(key: AttemptKey, group: str, rng: random.Random) -> tuple[AttemptRow, Transcript]:
    """One attempt of one call, right six times out of ten."""
    text = " ".join(rng.choices(WORDS, k=rng.randint(100, 300)))
    messages = [{"role": "user", "content": f"Question {key.sample}: what is it?"}]
    reply = Completion(Message("assistant", text), "stop", Usage(120, len(text) // 4), 2.0)
    row = AttemptRow(
        task=key.task,
        sample=key.sample,
        repeat=key.repeat,
        group=group,
        outcome=Outcome.ANSWERED,
        value=float(rng.random() < 0.6),
        extracted=rng.choice("ABCD"),
        prompt_tokens=120,
        completion_tokens=len(text) // 4,
        seconds=2.0,
        calls=1,
    )
    return row, Transcript(key, [Call("agent", 0, {"messages": messages, "temperature": 0.7}, reply)])


def manifest() -> Manifest:
    tasks = {}
    for task, (n, k) in SIZES.items():
        metric = "acc" if k == 1 else f"avg@{k}"
        protocol = TaskProtocol(
            name=task, repeats=k, metric=metric, max_tokens=4096, prompt_hash="p", grader="g"
        )
        data = DatasetRecord(source="made up", revision=None, sha256="s", items=n)
        tasks[task] = TaskRecord(protocol=protocol, dataset=data, selected=n, repeats=k)
    roles = {"agent": RoleRecord(name="made-up", kind="endpoint")}
    return Manifest(model="made-up", suite=None, seed=0, roles=roles, tasks=tasks)


def main() -> None:
    parser = argparse.ArgumentParser(description="Reports on large runs.")
    parser.add_argument("--runs", type=int, default=3, help="measurements of each; medians count")
    options = parser.parse_args()
    load = load_average()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        scratch = Path(name)
        count = make_up(scratch / "base", 1)
        make_up(scratch / "cand", 2)
        env = environment(scratch)

        def cost(*arguments: str) -> tuple[float, float]:
            found = repeat(lambda: measure([*ours(), *arguments], env, cwd=scratch), options.runs)
            return found.cpu, found.peak_mb

        table = cost("report", "base", "--compare", "kimi,qwen3-next")
        page = cost("report", "base", "--compare", "kimi,qwen3-next", "-f", "html", "-o", "page.html")
        two = cost("report", "base", "cand", "-f", "html", "-o", "two.html")
        diff = cost("diff", "base", "cand")
        gate = cost("gate", "base", "cand", "--junit", "gate.xml")
        size = (scratch / "page.html").stat().st_size / 1e6
        figures = [
            Figure("table", table[0], "CPU s", TABLE_SECONDS),
            Figure("table, memory", table[1], "MB", TABLE_MB),
            Figure("page", page[0], "CPU s", PAGE_SECONDS, note=f"{size:.1f} MB"),
            Figure("page, memory", page[1], "MB"),
            Figure("page of two runs", two[0], "CPU s"),
            Figure("diff of two runs", diff[0], "CPU s", GATE_SECONDS),
            Figure("gate on two runs", gate[0], "CPU s", GATE_SECONDS),
            Figure("gate, memory", gate[1], "MB"),
        ]
    print(f"{time.strftime('%Y-%m-%d %H:%M')}, {machine()}; {count:,} attempts a run")
    print(f"load average {load:.2f} before, {load_average():.2f} after\n")
    print(figures_table(figures))


if __name__ == "__main__":
    main()
