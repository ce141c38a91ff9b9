"""How many requests a second a run really made, read from the rows it kept."""

import json
import statistics
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import NamedTuple


class Flight(NamedTuple):
    """`rate` is over all requests from the first sent to the last answered, `steady` the median second of it.

    The first and the last two seconds are no part of `steady`. `ramp` is the time in which the first 1,000
    requests left; latencies are in seconds as the client saw them.
    """

    requests: int
    seconds: float
    rate: float
    steady: float
    ramp: float
    median_latency: float
    worst_latency: float


def flight(rows: Path) -> Flight:
    """Read samples.jsonl: `time` is when an attempt ended, `seconds` how long its request took."""
    ends, latencies = [], []
    with rows.open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            ends.append(datetime.fromisoformat(row["time"]).timestamp())
            latencies.append(row["seconds"])
    starts = sorted(end - latency for end, latency in zip(ends, latencies, strict=True))
    first, seconds = starts[0], max(ends) - starts[0]
    answered = Counter(int(end - first) for end in ends)
    steady = [answered[second] for second in range(2, int(seconds) - 2)]
    return Flight(
        requests=len(ends),
        seconds=seconds,
        rate=len(ends) / seconds,
        steady=statistics.median(steady) if steady else len(ends) / seconds,
        ramp=starts[min(len(starts), 1_000) - 1] - first,
        median_latency=statistics.median(latencies),
        worst_latency=max(latencies),
    )
