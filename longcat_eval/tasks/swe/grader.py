"""The official grader in a worker process: 60 seconds and 2 GiB for a log, whatever is in it."""

from typing import Any, NamedTuple

from longcat_eval.protocols import Workers
from longcat_eval.records import Sample, Wire
from longcat_eval.tasks.swe.data import TEST_LISTS, official_row
from longcat_eval.tasks.swe.package import Swebench

ADAPTER = "longcat_eval.tasks.swe.adapter"
SECONDS = 60.0
ROWS_AT_ONCE = 100
NAMED_FAILURES = 20


class Tally(NamedTuple):
    """Of how many tests how many passed; `failed` names the first that did not."""

    passed: int
    total: int
    failed: tuple[str, ...] = ()


class Verdict(NamedTuple):
    """What a log says. `ran`: it holds results; if not, `infra` is swebench's guess at why.

    `environment`: of a kind that a patch cannot cause, as far as a log can tell.
    """

    resolved: bool
    ran: bool
    infra: str
    environment: bool
    fail_to_pass: Tally
    pass_to_pass: Tally


class Grader:
    """One copy of `swebench`, called in the workers of an attempt."""

    def __init__(self, source: Swebench) -> None:
        self.source = source
        self._scripts: dict[str, str] = {}

    async def eval_script(self, sample: Sample, workers: Workers) -> str:
        """The script that runs the tests of an instance; raises `WorkerError`."""
        written = sample.fields["eval_script"]
        if written not in self._scripts:
            self._scripts[written] = await self._call(workers, "eval_script", official_row(sample))
        return self._scripts[written]

    async def verdict(self, sample: Sample, log: str, workers: Workers) -> Verdict:
        """What the log of that script says; raises `WorkerError`."""
        read: Wire = await self._call(workers, "read_log", official_row(sample), log)
        counts = [_count(read["tests"].get(name), len(sample.fields[name])) for name in TEST_LISTS]
        return Verdict(read["resolved"], read["ran"], read["infra"], read["environment"], *counts)

    async def unusable_rows(self, samples: list[Sample], workers: Workers) -> list[str]:
        """What of these samples swebench cannot grade, as `id: why`."""
        found: list[str] = []
        for start in range(0, len(samples), ROWS_AT_ONCE):
            rows = [official_row(sample) for sample in samples[start : start + ROWS_AT_ONCE]]
            found += await self._call(workers, "unusable_rows", rows)
        return found

    async def _call(self, workers: Workers, function: str, *arguments: object) -> Any:
        folder = str(self.source.folder)
        return await workers.call(f"{ADAPTER}:{function}", folder, *arguments, seconds=SECONDS)


def _count(tests: Wire | None, total: int) -> Tally:
    if tests is None:
        return Tally(0, total)
    return Tally(
        len(tests["passed"]),
        len(tests["passed"]) + len(tests["failed"]),
        tuple(tests["failed"][:NAMED_FAILURES]),
    )
