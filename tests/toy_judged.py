"""A toy benchmark with two judges: one reads the answer out of a reply, one says whether it is right."""

from collections.abc import Mapping, Sequence

from msgspec import structs
from toy import ToyTask

from longcat_eval.protocols import AttemptContext
from longcat_eval.records import Message, Outcome, Sample, Score, Transcript
from longcat_eval.runners.judging import NULLS, Judge

READER, SCORER = Judge("reader", "11" * 32, tries=2), Judge("scorer", "22" * 32, tries=3, max_tokens=8)


def yes_or_no(text: str) -> bool | None:
    return {"yes": True, "no": False}.get(text.strip().lower())


class JudgedToy(ToyTask):
    """Sample i asks for i + i; the reader is asked for the sum, the scorer twice whether it is right."""

    name = "judged-toy"

    def __init__(self, items: int = 4, repeats: int = 1) -> None:
        super().__init__(items, repeats)
        self.protocol = structs.replace(
            self.protocol,
            roles=("agent", "reader", "scorer"),
            judges={judge.role: judge.rules for judge in (READER, SCORER)},
            role_sampling={"scorer": {"temperature": 0.0}},
        )

    def reference(self, sample: Sample, repeat: int) -> Mapping[str, Sequence[Message]]:
        gold = super().reference(sample, repeat)["agent"]
        yes = Message("assistant", "yes")
        return {"agent": gold, "reader": gold, "scorer": [yes, yes]}

    async def score(self, sample: Sample, transcript: Transcript, ctx: AttemptContext) -> Score:
        assert transcript.last is not None
        read = await READER.ask(ctx, f"What is the sum? {transcript.last.text}", lambda text: text or None)
        first, nulls = await SCORER.verdict(ctx, f"Is {read.value} right?", yes_or_no, turn=0)
        again, more = await SCORER.verdict(ctx, f"Is it really {read.value}?", yes_or_no, turn=1)
        metrics = {NULLS: float(read.nulls + nulls + more)}
        return Score((first + again) / 2, Outcome.ANSWERED, extracted=read.value, metrics=metrics)
