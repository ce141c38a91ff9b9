"""Exports of a run of 58,931 attempts, each a command from start to end: python export_speed.py

The run is that of report_speed.py. Figures are CPU seconds of the whole process and its largest resident set,
medians of `--runs`; and what it takes to read such a log back as a column of --compare.
"""

import argparse
import tempfile
import time
from pathlib import Path

from figures import Figure, figures_table
from measure import environment, load_average, machine, measure, repeat
from report_speed import make_up
from workload import ours

MEMORY_MB = 300.0
"""As for the table: an export holds the rows, one transcript at a time, and a summary per sample."""
OUTPUTS = {
    "inspect": "logs",
    "inspect-json": "json-logs",
    "lm-eval": "lm-eval",
    "eee": "eee",
    "model-index": "README.md",
    "parquet": "rows.parquet",
}
READ = {"inspect": "logs", "inspect-json": "json-logs", "lm-eval": "lm-eval", "eee": "eee"}


def size_mb(path: Path) -> float:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description="Exports of a large run.")
    parser.add_argument("--runs", type=int, default=1, help="measurements of each; medians count")
    options = parser.parse_args()
    load = load_average()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        scratch = Path(name)
        count = make_up(scratch / "run", 1)
        env = environment(scratch)
        figures = []
        for format, output in OUTPUTS.items():
            command = [*ours(), "export", "run", "-f", format, "-o", output]
            found = repeat(lambda command=command: measure(command, env, cwd=scratch), options.runs)
            note = f"{size_mb(scratch / output):.1f} MB"
            figures.append(Figure(f"export {format}", found.cpu, "CPU s", note=note))
            figures.append(Figure(f"export {format}, memory", found.peak_mb, "MB", MEMORY_MB))
        for format, output in READ.items():
            command = [*ours(), "report", "run", "--compare", output]
            found = repeat(lambda command=command: measure(command, env, cwd=scratch), options.runs)
            figures.append(Figure(f"table beside {format}", found.cpu, "CPU s"))
            figures.append(Figure(f"table beside {format}, memory", found.peak_mb, "MB", MEMORY_MB))
    print(f"{time.strftime('%Y-%m-%d %H:%M')}, {machine()}; {count:,} attempts")
    print(f"load average {load:.2f} before, {load_average():.2f} after\n")
    print(figures_table(figures))


if __name__ == "__main__":
    main()
