"""A task of lm-eval as one of ours: its documents, prompts, filters and metrics, our engine and seeds.

github.com/EleutherAI/lm-evaluation-harness. Each reply is filtered and judged by itself, so that avg@k needs
no change of a task: lm-eval's own repeats score the first reply alone (specs/qa.md §3.2).
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from msgspec import structs

from longcat_eval.errors import EnvironmentUnusableError, UsageError
from longcat_eval.model_backend.text_scores import likelihood
from longcat_eval.protocols import AttemptContext, DataOptions, ModelError, WorkerError
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
from longcat_eval.tasks.known_data import canonical_hash
from longcat_eval.tasks.lmeval import aggregating
from longcat_eval.tasks.lmeval.building import (
    build,
    digest,
    documents,
    own_aggregation,
    plain,
    read_config,
)
from longcat_eval.tasks.lmeval.catalog import PREFIX, Leaf, leaves
from longcat_eval.tasks.lmeval.gold import gold_lines
from longcat_eval.tasks.lmeval.prompting import (
    GENERATE,
    MOST_STOPS,
    Ask,
    BridgeOptions,
    build_requests,
    cut,
    prompts_hash,
)
from longcat_eval.tasks.lmeval.protocol import protocol_of
from longcat_eval.tasks.replies import ended_early, visible_text

JUDGE = "longcat_eval.tasks.lmeval.judging:judge"
INCLUDE = "LONGCAT_EVAL_LM_EVAL_INCLUDE"
SECONDS = 300.0
"""Wall time of one verdict; the first in a worker builds the task."""
LONGEST = 2000
FALLBACK = "[invalid]"
"""What lm-eval's regex filters give where nothing matches."""

_opened: "dict[str, LmEvalTask]" = {}
"""Tasks opened in this process: a report of their run need not look for them again."""


class LmEvalTask:
    """Implements `protocols.Task`; closed, with a name alone, it only aggregates rows.

    `requests` are there once `load` has read the data.
    """

    floors: Mapping[str, float] = {}

    def __init__(self, name: str) -> None:
        self.name = name
        self.needs: frozenset[str] = frozenset()
        self.protocol = TaskProtocol(name="", repeats=1, metric="", max_tokens=0, prompt_hash="", grader="")
        self.leaf: Leaf | None = None
        self.options = BridgeOptions()
        self.unsafe = False
        self.requests: dict[int, list[Ask]] = {}
        self._digests: list[str] = []
        self._lines: list[list[str]] = []

    def open(self, leaf: Leaf, options: BridgeOptions) -> None:
        """Read the definition, not the data; raises `UsageError` for what must be confirmed first."""
        self._read(leaf, options)
        try:
            json.dumps(leaf.overrides)
        except TypeError:
            raise UsageError(
                f"{self.name} is changed by code in its group's file: name the task itself"
            ) from None
        if self.unsafe and not options.unsafe:
            raise UsageError(
                f"{self.name} runs code that the model wrote, on this machine and in no sandbox: "
                "give --lm-eval-unsafe-code if that is what you want"
            )

    def _read(self, leaf: Leaf, options: BridgeOptions) -> None:
        config = read_config(leaf)
        self.leaf, self.options, self.unsafe = leaf, options, bool(config.get("unsafe_code"))
        self.protocol = protocol_of(leaf, config, options)
        self.needs = frozenset({"loglikelihood" if self.protocol.deterministic else "chat"})

    def load(self, options: DataOptions) -> Dataset:
        """Build the task, its documents and all requests; `EnvironmentUnusableError` where that fails."""
        if self.leaf is None:
            found = leaves(self.name.removeprefix(PREFIX), options.lm_eval_include)
            if len(found) != 1:
                raise UsageError(
                    f"{self.name} is {len(found)} tasks: name one of {', '.join([*found][:5])}, …"
                )
            self._read(next(iter(found.values())), BridgeOptions(options.lm_eval_include))
        assert self.leaf is not None
        task = build(self.leaf, self.options.fewshot)
        try:
            docs = documents(task)
            self.requests = build_requests(task, self.options)
        except Exception as error:  # noqa: BLE001 - the task's own code picks its documents and builds prompts
            raise EnvironmentUnusableError(f"{self.name}: its prompts cannot be built: {error}") from None
        kinds = {ask.kind for asks in self.requests.values() for ask in asks}
        self.needs = frozenset("chat" if kind == GENERATE else "loglikelihood" for kind in kinds)
        samples = [Sample(str(number), {"doc": plain(doc)}) for number, doc in enumerate(docs)]
        self._digests = [digest(sample.fields["doc"]) for sample in samples]
        self._lines = [gold_lines(task, doc, self.requests[n]) for n, doc in enumerate(docs)]
        limit = int(self.protocol.limits.get("max_tokens", self.protocol.max_tokens))
        self.protocol = structs.replace(
            self.protocol, prompt_hash=prompts_hash(self.requests), max_tokens=limit
        )
        return Dataset(samples, _source(task), _revision(task), canonical_hash(samples))

    def reference(self, sample: Sample, repeat: int) -> Mapping[str, Sequence[Message]]:
        """The document's own target where a text is asked for, else log-likelihoods by which it wins."""
        return {"agent": [Message("assistant", line) for line in self._lines[int(sample.id)]]}

    async def attempt(self, sample: Sample, ctx: AttemptContext) -> Transcript:
        """Send the document's requests one after the other; a call's turn is the number of its request."""
        transcript = ctx.transcript()
        for turn, ask in enumerate(self.requests[int(sample.id)]):
            try:
                await self._send(ask, turn, ctx)
            except ModelError as error:
                if not error.outcome.valid:
                    raise
                transcript.outcome, transcript.reason = error.outcome, error.reason
                transcript.error = str(error)
                break
        return transcript

    async def _send(self, ask: Ask, turn: int, ctx: AttemptContext) -> None:
        if ask.kind == GENERATE:
            stop: dict[str, Any] = {"stop": list(ask.stops[:MOST_STOPS])} if ask.stops else {}
            most = self.protocol.max_tokens
            if ask.messages:
                await ctx.ask(ask.messages, turn=turn, max_tokens=most, **stop)
            else:
                await ctx.continue_text(ask.text, turn=turn, max_tokens=most, **stop)
            return
        context, text = ("", ask.text) if ask.rolling else (ask.text, ask.continuation)
        try:
            await ctx.loglikelihood(context, text, turn=turn)
        except ModelError as error:
            if error.outcome.valid:  # a text too long to score says nothing of the model
                error.outcome = Outcome.ENDPOINT_ERROR
            raise

    async def score(self, sample: Sample, transcript: Transcript, ctx: AttemptContext) -> Score:
        """Judge by lm-eval's filters and metrics in a worker; a reply that broke off is judged as it is."""
        early = ended_early(transcript)
        if early is not None and not early.outcome.valid:
            return early
        asks = self.requests[int(sample.id)]
        said = {call.turn: call.completion for call in transcript.calls}
        responses = [_response(ask, said.get(turn)) for turn, ask in enumerate(asks)]
        number = int(sample.id)
        arguments = (list(self.leaf or ()), number, self._digests[number], responses, self.options.unsafe)
        try:
            verdicts = await ctx.workers.call(JUDGE, *arguments, seconds=SECONDS)
        except WorkerError as error:
            if error.reason == "error":
                return Score(None, Outcome.HARNESS_ERROR, "grader_error", str(error)[:300])
            return Score(0.0, Outcome.ANSWERED, f"grader_{error.reason}")
        if not verdicts:
            return Score(None, Outcome.HARNESS_ERROR, "no_metric", "the task's code gave no metric")
        return _score(verdicts, transcript, early)

    def aggregate(self, rows: Sequence[AttemptRow]) -> Aggregate:
        """Return every metric of the task (`aggregating.aggregate`)."""
        return aggregating.aggregate(rows, self._own_function)

    def _own_function(self, metric: str) -> aggregating.Function | None:
        """The task's own aggregation of a metric, None where the task cannot be read here."""
        try:
            found = self.leaf
            if found is None:
                include = os.environ.get(INCLUDE)
                known = leaves(self.name.removeprefix(PREFIX), Path(include) if include else None)
                found = next(iter(known.values()))
            function: aggregating.Function | None = own_aggregation(found, metric)
        except (EnvironmentUnusableError, UsageError, ImportError, OSError):
            return None
        return function


def open_tasks(name: str, options: BridgeOptions) -> list[LmEvalTask]:
    """Return the tasks that `lm-eval:NAME` stands for, opened; raises `UsageError`."""
    tasks = []
    for known, leaf in leaves(name.removeprefix(PREFIX), options.include).items():
        task = LmEvalTask(f"{PREFIX}{known}")
        task.open(leaf, options)
        _opened[task.name] = task
        tasks.append(task)
    return tasks


def named(name: str) -> LmEvalTask:
    """The task as opened in this process, else closed."""
    return _opened.get(name) or LmEvalTask(name)


def _response(ask: Ask, completion: Any) -> list[Any]:
    if ask.kind == GENERATE:
        return [ask.kind, cut(visible_text(completion.text), ask.stops) if completion else ""]
    total, greedy = likelihood(completion)
    return [ask.kind, total if ask.rolling else [total, greedy]]


def _score(verdicts: Sequence[Sequence[Any]], transcript: Transcript, early: Score | None) -> Score:
    """The headline is the first metric that is a mean of numbers, else the first of all."""
    numbers, items = aggregating.kept(verdicts)
    first = next((v for v in verdicts if f"{v[0]},{v[1]}" in numbers), verdicts[0])
    shown = first[4]
    outcome, reason = (early.outcome, early.reason) if early else _outcome(transcript, shown)
    return Score(
        aggregating.value_of(first[2], first[3]),
        outcome,
        reason,
        shown[:LONGEST] if shown is not None else None,
        f"{first[0]},{first[1]}",
        numbers,
        items,
    )


def _outcome(transcript: Transcript, shown: str | None) -> tuple[Outcome, str]:
    """Cut at the token limit, silent, or without what the filter looks for."""
    reply = transcript.last
    if reply is None or reply.finish_reason == "scored":
        return Outcome.ANSWERED, ""
    if reply.finish_reason in ("length", "max_tokens"):
        return Outcome.LENGTH_LIMIT, "tokens"
    if not reply.text.strip():
        return Outcome.NO_ANSWER, "empty"
    return (Outcome.NO_ANSWER, "no_match") if shown == FALLBACK else (Outcome.ANSWERED, "")


def _source(task: Any) -> str:
    """Where `datasets` takes the data from; of files on this machine the names alone."""
    files = (task.get_config("dataset_kwargs") or {}).get("data_files")
    if not files:
        parts = (task.DATASET_PATH, task.DATASET_NAME)
        return "lm-eval: " + " ".join(str(part) for part in parts if part)
    every = [files] if isinstance(files, str) else [*(files.values() if isinstance(files, dict) else files)]
    flat = [name for each in every for name in ([each] if isinstance(each, str) else each)]
    return f"lm-eval: {', '.join(PurePath(name).name for name in flat)}"


def _revision(task: Any) -> str | None:
    revision = (task.get_config("dataset_kwargs") or {}).get("revision")
    return str(revision) if revision else None
