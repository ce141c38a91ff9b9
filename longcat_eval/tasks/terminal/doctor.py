"""Is this machine fit to judge the tasks? Each one's own solution must pass here, and doing nothing must not.

Both go the whole way of an attempt: images, machine, tests, score.
"""

import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

from longcat_eval import __version__
from longcat_eval.protocols import SandboxError, Sandboxes, Workers
from longcat_eval.records import AttemptKey, Outcome, Sample
from longcat_eval.runners.context import Context
from longcat_eval.tasks.terminal.allow_list import Finding
from longcat_eval.tasks.terminal.task import TerminalBench

KEY = "terminal-bench"


async def examine(
    bench: TerminalBench, samples: Sequence[Sample], sandboxes: Sandboxes, workers: Workers
) -> AsyncIterator[tuple[Sample, Finding]]:
    """Try the tasks one after another (tests that measure time want quiet); findings as they come."""
    for sample in samples:
        yield sample, await _examine(bench, sample, sandboxes, workers)


async def _examine(bench: TerminalBench, sample: Sample, sandboxes: Sandboxes, workers: Workers) -> Finding:
    began, values, problem, stand_ins = time.monotonic(), dict[str, float | None](), "", list[str]()
    for agent in ("oracle", "empty"):
        bench.use_agent(agent)
        context = Context(
            AttemptKey(KEY, sample.id), {}, bench.protocol, 0, workers, lambda *_: None, sandboxes
        )
        try:
            transcript = await bench.attempt(sample, context)
            score = await bench.score(sample, transcript, context)
        except SandboxError as error:
            problem = f"{error.reason}: {error}"
            break
        values[agent], stand_ins = score.value, transcript.artifacts["stand_ins"]
        if score.outcome is Outcome.SANDBOX_ERROR:
            problem = f"{score.reason}: {transcript.error}"
        elif agent == "oracle" and score.value != 1.0:
            problem = f"its solution scores {score.value:g} ({score.reason}, {transcript.reason})"
        elif agent == "empty" and score.value == 1.0:
            problem = "doing nothing passes"
        if problem:
            break
    return Finding(
        digest=str(sample.fields.get("digest", "")),
        checked=datetime.now(UTC).isoformat(timespec="seconds"),
        version=__version__,
        oracle=values.get("oracle"),
        empty=values.get("empty"),
        problem=problem,
        seconds=round(time.monotonic() - began, 1),
        stand_ins=tuple(stand_ins),
    )
