"""Parts of ours measured alone, in one process: the store, the reload of a run, statistics and table.

python benchmarks/inside.py FOLDER      prints one JSON object: name -> seconds or rows a second
"""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

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
    Wire,
)
from longcat_eval.runners.manifest import DatasetRecord, Manifest, RoleRecord, TaskRecord
from longcat_eval.runners.store import RunWriter, read_run

WRITTEN = 20_000
RELOADED = 100_000
TRANSCRIPT_BYTES = 3_000
ATTEMPTS = {
    "mmlu": (14_042, 2),
    "mmlu-pro": (12_032, 2),
    "math500": (500, 5),
    "gpqa-diamond": (198, 16),
    "aime24": (30, 32),
    "aime25": (30, 32),
}
"""Samples and repeats of the big run: 59,736 attempts, about the static part of a card."""


def row(task: str, sample: int, repeat: int) -> AttemptRow:
    right = (sample * 7919 + repeat * 104_729) % 10 < 7
    return AttemptRow(
        task=task,
        sample=f"subject_{sample % 57:02}/{sample:05}",
        repeat=repeat,
        group=f"subject_{sample % 57:02}",
        outcome=Outcome.ANSWERED,
        value=float(right),
        extracted="B" if right else "C",
        rule="marker",
        prompt_tokens=150,
        completion_tokens=400,
        seconds=1.25,
        finish_reason="stop",
        calls=1,
        time="2026-01-01T00:00:00.000000+00:00",
    )


def transcript(sample: int) -> Transcript:
    """One call whose JSON has about `TRANSCRIPT_BYTES` bytes, with words that compress like prose."""
    words = [f"{(sample * 31 + i * i) % 4099:x}" for i in range(TRANSCRIPT_BYTES // 7)]
    text = " the ".join(words)[: TRANSCRIPT_BYTES - 900]
    body: Wire = {
        "model": "loopback",
        "messages": [{"role": "user", "content": text[:600]}],
        "max_tokens": 32_768,
        "seed": sample,
    }
    reply = Completion(Message("assistant", text), "stop", Usage(150, 400), 1.25)
    return Transcript(AttemptKey("mmlu", str(sample)), [Call("agent", 0, body, reply)])


def written(folder: Path) -> tuple[float, float]:
    """Rows a second, and a CPU second, of `RunWriter.append` alone; the rows are made before."""
    pairs = [(row("mmlu", n, 0), transcript(n)) for n in range(WRITTEN)]
    writer = RunWriter(folder)
    writer.open()
    start, cpu = time.perf_counter(), time.process_time()
    for pair in pairs:
        writer.append(*pair)
    writer.close()
    return WRITTEN / (time.perf_counter() - start), WRITTEN / (time.process_time() - cpu)


def reloaded(folder: Path) -> float:
    """CPU seconds until `RunWriter.open` has every row of a run to resume."""
    fill(folder, (row("mmlu", n % 14_042, n // 14_042) for n in range(RELOADED)))
    writer = RunWriter(folder)
    start = time.process_time()
    rows = writer.open()
    keys = {row.key for row in rows}
    seconds = time.process_time() - start
    writer.close()
    if len(keys) != RELOADED:
        raise RuntimeError(f"{len(keys)} keys came back of {RELOADED}")
    return seconds


def tabled(folder: Path) -> float:
    """CPU seconds from a run directory of `ATTEMPTS` to the text of its table, imports included."""
    fill(folder, (row(t, s, r) for t, (n, k) in ATTEMPTS.items() for r in range(k) for s in range(n)))
    start = time.process_time()
    from longcat_eval.reports.render import render
    from longcat_eval.reports.table import build_table

    run = read_run(folder)
    text = render(build_table([run], []), [run], "table")
    seconds = time.process_time() - start
    if "MMLU-Pro" not in text:
        raise RuntimeError(f"no table came out:\n{text}")
    return seconds


def fill(folder: Path, rows: Iterator[AttemptRow]) -> None:
    """A run directory with these rows and no transcripts."""
    writer = RunWriter(folder)
    writer.open()
    for each in rows:
        writer.append_row(each)
    writer.write_manifest(manifest())
    writer.close()


def manifest() -> Manifest:
    tasks = {
        name: TaskRecord(
            protocol=TaskProtocol(
                name=name,
                repeats=k,
                metric="acc" if k == 1 else f"avg@{k}",
                max_tokens=32_768,
                prompt_hash="0" * 64,
                grader="none",
            ),
            dataset=DatasetRecord(source="made up", revision=None, sha256="0" * 64, items=n),
            selected=n,
            repeats=k,
        )
        for name, (n, k) in ATTEMPTS.items()
    }
    roles = {"agent": RoleRecord(name="loopback", kind="endpoint")}
    return Manifest(model="loopback", suite=None, seed=0, roles=roles, tasks=tasks)


def main() -> None:
    folder = Path(sys.argv[1])
    rate, rate_per_cpu = written(folder / "written")
    done = {
        "written": rate,
        "written_per_cpu": rate_per_cpu,
        "reloaded": reloaded(folder / "reloaded"),
        "tabled": tabled(folder / "tabled"),
    }
    sys.stdout.write(json.dumps(done) + "\n")


if __name__ == "__main__":
    main()
