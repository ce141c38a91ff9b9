"""How many requests a second a run really made, read from the rows it kept."""

import json
import statistics
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple


class Flight(NamedTuple):
    """`rate` is over all requests from the first sent to the last answered, `steady` the median second of it.

    The first and the last two seconds are no part of `steady`. `ramp` is what the first wave took beyond the
    server's latency: opening its connections, sending, reading. Latencies are seconds as the client saw them.
    """

    requests: int
    seconds: float
    rate: float
    steady: float
    ramp: float
    median_latency: float
    worst_latency: float


def flight(rows: Path, wave: int, latency: float) -> Flight:
    """Read samples.jsonl: `time` is when an attempt ended, `seconds` how long its request took.

    `wave` requests were in flight at once, at a server that waits `latency` seconds.
    """
    with rows.open(encoding="utf-8") as file:
        kept = [json.loads(line) for line in file]
    ends = sorted(ended(row) for row in kept)
    latencies = [row["seconds"] for row in kept]
    first = min(ended(row) - row["seconds"] for row in kept)
    seconds = ends[-1] - first
    answered = Counter(int(end - first) for end in ends)
    steady = [answered[second] for second in range(2, int(seconds) - 2)]
    return Flight(
        requests=len(ends),
        seconds=seconds,
        rate=len(ends) / seconds,
        steady=statistics.median(steady) if steady else len(ends) / seconds,
        ramp=ends[min(len(ends), wave) - 1] - first - latency,
        median_latency=statistics.median(latencies),
        worst_latency=max(latencies),
    )


def ended(row: dict[str, Any]) -> float:
    """When a row's attempt ended, in seconds since the epoch."""
    return datetime.fromisoformat(row["time"]).timestamp()
