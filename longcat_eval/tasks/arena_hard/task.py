"""Arena-Hard v2: is the answer better than the baseline's? A judge says so twice, the answers swapped.

Li et al. 2024, arXiv 2406.11939; official code lmarena/arena-hard-auto@196f6b8 (Apache-2.0). Prompt: the
question verbatim as the one user message. Score: points won of all points, a decisive verdict counting three
times (`judging.VERDICTS`), so that questions with clear verdicts weigh more.
"""

from collections.abc import Mapping, Sequence

from msgspec import structs

from longcat_eval.protocols import AttemptContext, DataOptions
from longcat_eval.records import (
    Aggregate,
    AttemptRow,
    Dataset,
    Message,
    Outcome,
    Sample,
    Score,
    TaskProtocol,
    Transcript,
)
from longcat_eval.runners.chat import ask_once
from longcat_eval.runners.judging import NULLS
from longcat_eval.tasks.arena_hard.data import CREATIVE, HARD, Half, load_half
from longcat_eval.tasks.arena_hard.judging import STRONG, game, judge_of, model_points, read_verdict
from longcat_eval.tasks.arena_hard.numbers import OF, STYLE, WON, aggregate_battles
from longcat_eval.tasks.arena_hard.style import Style, counter, style_of
from longcat_eval.tasks.prompts import prompt_hash
from longcat_eval.tasks.replies import ended_early, visible_text, without_answer

MAX_TOKENS = 32_768
GRADER = "arena-hard-v2/two-games/1"
NOTES = (
    "no answer loses both games decisively, and no judge is asked",
    "an answer cut at its limit is judged as it is",
    "a question without two readable verdicts has no score (the official script drops it too)",
)
UNCOUNTED = "style control needs a token counter: pip install 'longcat-eval[arena-hard]'"


class ArenaHardTask:
    """One half of Arena-Hard v2; implements `protocols.Task` and `protocols.Comparative`."""

    gold_value = 0.5

    def __init__(self, name: str, half: Half) -> None:
        self.name, self.half, self.judge = name, half, judge_of(half.category)
        self.needs = frozenset({"chat"})
        self.floors: Mapping[str, float] = {"null": 0.0}
        self.protocol = TaskProtocol(
            name=f"{name}/two-games/1",
            repeats=1,
            metric="acc",
            max_tokens=MAX_TOKENS,
            prompt_hash=prompt_hash("{prompt}"),
            grader=GRADER,
            roles=("agent", self.judge.role),
            role_models={self.judge.role: "gpt-4.1"},
            role_sampling={self.judge.role: {"temperature": 0.0}},
            judges={self.judge.role: self.judge.rules},
            notes=NOTES,
            typical_tokens=1_500,
            typical_role_tokens={self.judge.role: 1_000},
        )

    def load(self, options: DataOptions) -> Dataset:
        """Return the checked questions with the baseline's answers."""
        data = load_half(self.half, options)
        if counter() is None:
            return structs.replace(data, remark=UNCOUNTED)
        return data

    def reference(self, sample: Sample, repeat: int) -> Mapping[str, Sequence[Message]]:
        """Return the baseline's own answer, and a judge that finds two equal answers equal."""
        tie = Message("assistant", "My final verdict is tie: [[A=B]]")
        gold = Message("assistant", sample.fields["baseline"]["answer"])
        return {"agent": [gold], self.judge.role: [tie, tie]}

    async def attempt(self, sample: Sample, ctx: AttemptContext) -> Transcript:
        """Ask the question once."""
        return await ask_once(sample.fields["prompt"], ctx)

    async def score(self, sample: Sample, transcript: Transcript, ctx: AttemptContext) -> Score:
        """Return the share of points won in two games; `extracted` has their labels.

        Raises `ModelError` (judge_error) where the judge cannot be asked or gives no verdict.
        """
        early, reply = ended_early(transcript), transcript.last
        answer = visible_text(reply.text) if reply is not None and early is None else ""
        baseline = sample.fields["baseline"]
        metrics = _style_metrics(style_of(answer), Style(*baseline["style"]))
        if reply is None or not answer.strip():
            lost = early or (without_answer(reply, "empty") if reply else None)
            if lost is None or not lost.outcome.valid:
                return lost or Score(None, Outcome.HARNESS_ERROR, "no_reply")
            return structs.replace(lost, metrics={WON: 0.0, OF: 2.0 * STRONG, **metrics})
        category, asked = self.half.category, sample.fields["prompt"]
        first, nulls = await self.judge.verdict(
            ctx, game(category, asked, baseline["answer"], answer), read_verdict, turn=0
        )
        second, more = await self.judge.verdict(
            ctx, game(category, asked, answer, baseline["answer"]), read_verdict, turn=1
        )
        points = model_points(first, second)
        cut = reply.finish_reason in ("length", "max_tokens")
        return Score(
            points.won / points.of,
            Outcome.LENGTH_LIMIT if cut else Outcome.ANSWERED,
            "tokens" if cut else "",
            extracted=f"{first} {second}",
            metrics={WON: points.won, OF: points.of, NULLS: float(nulls + more), **metrics},
        )

    def aggregate(self, rows: Sequence[AttemptRow]) -> Aggregate:
        """Return the score with its official interval, the same by subcategory, and style control."""
        return aggregate_battles(rows)


def _style_metrics(answer: Style, baseline: Style) -> dict[str, float]:
    """Both styles as metrics of a row; none where tokens are not counted."""
    if answer.tokens is None or baseline.tokens is None:
        return {}
    values = (*answer, *baseline)
    return {name: float(value) for name, value in zip(STYLE, values, strict=True) if value is not None}


def arena_hard_v2() -> ArenaHardTask:
    """Return the 500 hard prompts."""
    return ArenaHardTask("arena-hard-v2", HARD)


def arena_hard_v2_creative() -> ArenaHardTask:
    """Return the 250 creative writing prompts."""
    return ArenaHardTask("arena-hard-v2-creative", CREATIVE)
