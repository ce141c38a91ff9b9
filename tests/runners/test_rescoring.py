"""Judging kept transcripts again with other rules."""

from pathlib import Path

from msgspec import structs
from test_session import run_toy
from toy import NoWorkers, ToyModel, ToyTask

from longcat_eval.protocols import DataOptions
from longcat_eval.records import Outcome, Score
from longcat_eval.runners.rescoring import keep, rescore
from longcat_eval.runners.store import read_run


class Stricter(ToyTask):
    """Refuses the answer 4."""

    def __init__(self) -> None:
        super().__init__()
        self.protocol = structs.replace(self.protocol, grader="toy/2")

    async def score(self, sample, transcript, ctx):  # type: ignore[no-untyped-def]
        if transcript.last.text == "4":
            return Score(0.0, Outcome.ANSWERED, "too_small", "4", "stricter")
        return await super().score(sample, transcript, ctx)


async def test_new_verdicts_stand_beside_the_old_ones(tmp_path: Path) -> None:
    await run_toy(tmp_path / "r", ToyModel())
    lines = (tmp_path / "r" / "samples.jsonl").read_bytes()
    task = Stricter()
    samples = {s.id: s for s in task.load(DataOptions()).samples}
    pairs = await rescore(read_run(tmp_path / "r"), {"toy": (task, samples)}, NoWorkers())
    assert len(pairs) == 10
    keep(tmp_path / "r", [(o, n) for o, n in pairs if o.value != n.value], {"toy": task.protocol})
    assert read_run(tmp_path / "r").manifest.tasks["toy"].protocol.grader == "toy/2"
    assert (tmp_path / "r" / "samples.jsonl").read_bytes().startswith(lines), "nothing is rewritten"
    rows = {r.sample: r for r in read_run(tmp_path / "r").rows}
    assert (rows["s002"].value, rows["s002"].rule, rows["s002"].rescored) == (0.0, "stricter", "toy/2")
    assert sum(r.value or 0 for r in rows.values()) == 9
