"""The real domains of τ²-Bench for tests, loaded once, and scripted dialogues on them without a server."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from toy import NoWorkers

from longcat_eval.model_backend.role import Role
from longcat_eval.model_backend.scripted import Lines, ScriptedModel
from longcat_eval.protocols import DataOptions
from longcat_eval.records import AttemptKey, Message, Sample, Score, Transcript
from longcat_eval.runners.context import Context
from longcat_eval.tasks.tau2.source import Tau2Source
from longcat_eval.tasks.tau2.task import Tau2Task


class Loaded(NamedTuple):
    """A task whose data is loaded."""

    task: Tau2Task
    samples: list[Sample]
    passed_by: Mapping[str, frozenset[str]]


@cache
def load(source: Tau2Source, domain: str, split: str = "base") -> Loaded:
    """The task of a domain out of the fixture `tau2_source`."""
    task = Tau2Task(f"tau2-{domain}", domain, split=split, requests={})
    data = task.load(DataOptions(sources={"tau2": source.package}))
    return Loaded(task, data.samples, data.passed_by)


async def one_dialogue(
    task: Tau2Task, sample: Sample, said: Mapping[str, Sequence[Message]]
) -> tuple[Transcript, Context]:
    """One dialogue, both sides by their lines."""
    role = Role(ScriptedModel("script", Lines(lambda key: said)), "script")
    key = AttemptKey(task.name, sample.id)
    ctx = Context(key, {"agent": role, "user": role}, task.protocol, 0, NoWorkers(), lambda *_: None)
    return await task.attempt(sample, ctx), ctx


async def run_scripted(
    task: Tau2Task, samples: Sequence[Sample], lines: Callable[[Sample], Mapping[str, Sequence[Message]]]
) -> dict[str, Score]:
    """One dialogue per sample, judged."""
    scores = {}
    for sample in samples:
        transcript, ctx = await one_dialogue(task, sample, lines(sample))
        scores[sample.id] = await task.score(sample, transcript, ctx)
    return scores
