"""Meeseeks-zh: 373 Chinese instructions with 1,687 sub-questions, 722 of them judged by rules.

github.com/ADoublLEN/Meeseeks at add5b65 (August 2025; no licence: data and prompts are read from the user's
checkout). Round 1: the question is asked once; later rounds of the official code tell the model what it
failed and ask again, which is not part of this version.

Score: share of items all of whose sub-questions are met (utility); the mean over items of the mean over
abilities stands beside it (score).
"""

from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version

from msgspec import structs, to_builtins

from longcat_eval.errors import EnvironmentUnusableError
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
from longcat_eval.runners.judging import NULLS
from longcat_eval.tasks.aggregation import aggregate_episodes
from longcat_eval.tasks.datasets import DatasetSpec, load_dataset, local_folder
from longcat_eval.tasks.meeseeks.items import item_of, read_items, sample
from longcat_eval.tasks.meeseeks.judging import EXTRACTOR, SCORER, Judging, judges_of, mean_score
from longcat_eval.tasks.meeseeks.prompts import OWN, Prompts, find_prompts
from longcat_eval.tasks.prompts import prompt_hash
from longcat_eval.tasks.replies import ended_early, visible_text, without_answer

MAX_TOKENS = 32_768
RULES = "meeseeks-rules/1"
PACKAGES = ("pypinyin", "opencc-python-reimplemented", "json-repair", "jsonschema", "RestrictedPython")
UTILITY, SCORE = "utility", "score"
NOTES = (
    "round 1 alone",
    "no answer meets nothing, and no judge is asked",
    "a judge's reply that cannot be read is asked for again, and then counts as not met (null_verdicts)",
    "a part that cannot be cut out meets no rule; officially a missing JSON field or a bare ALL passes some",
    "the extractor's programs run in RestrictedPython, in a worker process",
)

DATA = DatasetSpec(
    name="meeseeks-zh",
    folder="meeseeks",
    repo="",
    revision=None,
    local_files=("input_data/chinese_data/raw_input/*.json", "*中文版.json", "*.json"),
    hub_files=(),
    items=373,
    sample=sample,
    parse=read_items,
    where="git clone https://github.com/ADoublLEN/Meeseeks DIR/meeseeks",
)


GOLD_FAILS = frozenset(
    {
        *(f"{file}/{place:03}" for file in ("26.14", "26.4", "26.8") for place in range(10)),
        *("26.5/002", "26.5/006", "26.5/009", "26.5/014"),
    }
)
"""The reference answers that do not meet their own JSON schema, by the official code too."""


FILLER = "字" * 1_400
"""As long as a reply of 900 tokens."""


class MeeseeksTask:
    """Implements `protocols.Task`."""

    def __init__(self) -> None:
        self.name = "meeseeks-zh"
        self.needs = frozenset({"chat"})
        self.floors: Mapping[str, float] = {"null": 0.0}
        self.protocol = TaskProtocol(
            name="meeseeks-zh/round-1/1",
            repeats=1,
            metric="acc",
            max_tokens=MAX_TOKENS,
            prompt_hash=prompt_hash("{question}"),
            grader=" ".join([RULES, *(f"{name}={_installed(name) or 'absent'}" for name in PACKAGES)]),
            roles=("agent", EXTRACTOR, SCORER),
            role_models={EXTRACTOR: "Qwen2.5-Coder-32B-Instruct", SCORER: "Qwen2.5-32B-Instruct"},
            role_sampling={EXTRACTOR: {"temperature": 0.0}, SCORER: {"temperature": 0.0}},
            judges={role: judge.rules for role, judge in judges_of(OWN).items()},
            notes=(*NOTES, f"prompts of the judges: {OWN.origin}"),
            typical_tokens=900,
            typical_role_tokens={EXTRACTOR: 350, SCORER: 80},
        )
        self._prompts = OWN

    def load(self, options: DataOptions) -> Dataset:
        """Return the checked samples; the judges' prompts are then those of the checkout, if it has them.

        Raises `EnvironmentUnusableError` also where the extra is not installed.
        """
        absent = [name for name in PACKAGES if _installed(name) is None]
        if absent:
            raise EnvironmentUnusableError(
                f"judging Meeseeks needs {', '.join(absent)}: pip install 'longcat-eval[meeseeks]'"
            )
        dataset = load_dataset(DATA, options)
        self._use_prompts(find_prompts(local_folder(DATA, options)))
        without = {sample.id for sample in dataset.samples if item_of(sample).reference is None}
        known = frozenset() if dataset.drift else GOLD_FAILS
        return structs.replace(dataset, gold_fails=known | without)

    def reference(self, sample: Sample, repeat: int) -> Mapping[str, Sequence[Message]]:
        """Return the reference answer, which 170 of the 373 have, and judges who find it right."""
        item = item_of(sample)
        if item.reference is None:
            return {}
        texts = [item.reference_parts.get(key) for key in item.parts]
        cut = ["ALL" if one is None else _json(one) for one in texts]
        return {
            "agent": [Message("assistant", item.reference)],
            EXTRACTOR: [Message("assistant", text) for text in cut],
            SCORER: [Message("assistant", "判断：是") for _ in item.points],
        }

    async def attempt(self, sample: Sample, ctx: AttemptContext) -> Transcript:
        """Ask once."""
        return await ask_once(sample.fields["question"], ctx)

    async def rehearse(self, sample: Sample, ctx: AttemptContext) -> None:
        """Ask the agent, and the judges all that they may be asked about a reply of usual length."""
        await ask_once(sample.fields["question"], ctx)
        for role, turn, prompt in Judging(item_of(sample), FILLER, self._prompts, ctx).questions():
            await ctx.ask([{"role": "user", "content": prompt}], role=role, turn=turn)

    async def score(self, sample: Sample, transcript: Transcript, ctx: AttemptContext) -> Score:
        """Return 1 if every sub-question is met; `extracted` names those that are not.

        The artifact `verdicts` has every verdict with its reason.
        """
        early = ended_early(transcript)
        reply = transcript.last
        if early is not None or reply is None:
            return early or Score(None, Outcome.HARNESS_ERROR, "no_reply")
        text = visible_text(reply.text)
        if not text.strip():
            return without_answer(reply, "blank")
        judging = Judging(item_of(sample), text, self._prompts, ctx)
        try:
            found = await judging.run()
        except WorkerError:
            return Score(None, Outcome.HARNESS_ERROR, "grader_error")
        transcript.artifacts["verdicts"] = to_builtins(found)
        failed = list(dict.fromkeys(str(one.point) for one in found if not one.passed))
        return Score(
            float(not failed),
            Outcome.ANSWERED,
            extracted=f"not met: {', '.join(failed)}" if failed else "all met",
            metrics={SCORE: mean_score(found), NULLS: float(judging.nulls)},
        )

    def aggregate(self, rows: Sequence[AttemptRow]) -> Aggregate:
        """Return utility (headline), the same by category, and the mean score."""
        scored = [
            row if SCORE in row.metrics else structs.replace(row, metrics={**row.metrics, SCORE: 0.0})
            for row in rows
        ]
        return aggregate_episodes(scored, UTILITY, (NULLS,))

    def _use_prompts(self, prompts: Prompts) -> None:
        self._prompts = prompts
        self.protocol = structs.replace(
            self.protocol,
            judges={role: judge.rules for role, judge in judges_of(prompts).items()},
            notes=(*NOTES, f"prompts of the judges: {prompts.origin}"),
        )


def _json(parts: list[str]) -> str:
    import json

    return json.dumps(parts, ensure_ascii=False)


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


meeseeks_zh = MeeseeksTask
