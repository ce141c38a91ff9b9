"""COLLIE: 2,080 short texts to write under constraints on characters, words, sentences and paragraphs.

Yao et al. 2023, COLLIE: Systematic Construction of Constrained Text Generation Tasks, arXiv 2307.08689;
github.com/princeton-nlp/Collie (code MIT). The prompt goes out as it is, without the one-shot example, and
the reply is judged whole (scripts/run_api_models.py). The checker is ours (`constraints.py`), with NLTK's own
tokenizers, as the official one has.

Score: share of replies that satisfy their constraint, over the 2,080 (micro); the mean over the 13 kinds of
constraints stands beside it (macro).
"""

from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version

from msgspec import structs

from longcat_eval.protocols import AttemptContext, DataOptions, WorkerError
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
from longcat_eval.tasks.aggregation import aggregate_rows
from longcat_eval.tasks.collie import data
from longcat_eval.tasks.datasets import DatasetSpec, load_dataset
from longcat_eval.tasks.prompts import prompt_hash
from longcat_eval.tasks.punkt import KNOWN, find_punkt
from longcat_eval.tasks.replies import ended_early, visible_text, without_answer

MAX_TOKENS = 32_768
SECONDS = 60.0
"""Of the checker; its first call in a worker reads NLTK and the sentence model."""
CHECK = "longcat_eval.tasks.collie.constraints:check"

DATA = DatasetSpec(
    name="collie",
    folder="collie",
    repo="",
    revision=None,
    local_files=("all_data.dill", "*/all_data.dill", "*.dill"),
    hub_files=(),
    items=2_080,
    sample=data.sample,
    parse=data.read_pickle,
    where="git clone https://github.com/princeton-nlp/Collie DIR/collie",
)


GOLD_FAILS = frozenset(
    {
        *(f"ccnews_c09/{place:03}" for place in (23, 28, 40, 53, 55, 57, 58, 67, 77)),
        *("ccnews_c10/094", "ccnews_c12/033", "ccnews_c12/064", "ccnews_c14/000", "ccnews_c14/046"),
        *("ccnews_c14/072", "guten_c10/045", "wiki_c05/061", "wiki_c05/086", "wiki_c10/026", "wiki_c12/070"),
    }
)
"""The references that the official checker does not accept either, with NLTK 3.10 (specs/qa.md §2.5)."""


class CollieTask:
    """Implements `protocols.Task`."""

    def __init__(self) -> None:
        self.name = "collie"
        self.needs = frozenset({"chat"})
        self.floors: Mapping[str, float] = {"null": 0.0}
        self._nltk_data = ""
        self.protocol = TaskProtocol(
            name="collie/zero-shot/1",
            repeats=1,
            metric="acc",
            max_tokens=MAX_TOKENS,
            prompt_hash=prompt_hash("{prompt}"),
            grader=f"collie-constraints/1 nltk={_nltk()} punkt_tab={KNOWN}",
            notes=("a blank reply is no answer; the official checker passes it in the 36 items of c08",),
            typical_tokens=150,
        )

    def load(self, options: DataOptions) -> Dataset:
        """Return the checked samples; `EnvironmentUnusableError` also where NLTK or its model is absent."""
        self._nltk_data = str(find_punkt())
        dataset = load_dataset(DATA, options)
        return dataset if dataset.drift else structs.replace(dataset, gold_fails=GOLD_FAILS)

    def reference(self, sample: Sample, repeat: int) -> Mapping[str, Sequence[Message]]:
        """Return the text from which the constraint was taken: 20 of the 2,080 do not satisfy it."""
        return {"agent": [Message("assistant", sample.fields["example"])]}

    async def attempt(self, sample: Sample, ctx: AttemptContext) -> Transcript:
        """Ask once."""
        return await ask_once(sample.fields["prompt"], ctx)

    async def score(self, sample: Sample, transcript: Transcript, ctx: AttemptContext) -> Score:
        """Return 1 if the reply satisfies its constraint, in a worker process that may be killed."""
        early = ended_early(transcript)
        reply = transcript.last
        if early is not None or reply is None:
            return early or Score(None, Outcome.HARNESS_ERROR, "no_reply")
        text = visible_text(reply.text)
        if not text.strip():
            return without_answer(reply, "blank")
        constraint, targets = sample.fields["constraint"], sample.fields["targets"]
        try:
            holds = await ctx.workers.call(CHECK, constraint, targets, text, self._nltk_data, seconds=SECONDS)
        except WorkerError as error:
            if error.reason == "error":
                return Score(None, Outcome.HARNESS_ERROR, "grader_error")
            return Score(0.0, Outcome.ANSWERED, f"grader_{error.reason}")
        return Score(float(holds), Outcome.ANSWERED)

    def aggregate(self, rows: Sequence[AttemptRow]) -> Aggregate:
        """Return micro (headline), macro over the kinds of constraints, and each of these."""
        return aggregate_rows(rows, groups=True)


def _nltk() -> str:
    try:
        return version("nltk")
    except PackageNotFoundError:
        return "absent"


collie = partial(CollieTask)
