"""What is to be done: which samples of which tasks, how often, and what that will take."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from longcat_eval.errors import UsageError, did_you_mean
from longcat_eval.protocols import Task
from longcat_eval.records import AttemptKey, AttemptRow, Dataset, Sample
from longcat_eval.runners.manifest import DatasetRecord, TaskRecord
from longcat_eval.runners.seeds import shard_of


@dataclass(frozen=True)
class PlannedTask:
    """One task with its checked data and the samples chosen from it."""

    task: Task
    dataset: Dataset
    samples: list[Sample]
    repeats: int

    def samples_of(self, shard: "Shard | None") -> list[Sample]:
        """The chosen samples that are the shard's to ask."""
        if shard is None:
            return self.samples
        return [s for s in self.samples if shard_of(s.id, shard.count) == shard.index]

    @property
    def floors(self) -> dict[str, float]:
        """What policies without any skill score on the chosen samples."""
        shares = {
            name: sum(s.id in passed for s in self.samples) / len(self.samples)
            for name, passed in self.dataset.passed_by.items()
            if self.samples
        }
        return {**self.task.floors, **shares}

    def record(self) -> TaskRecord:
        """The task's part of the manifest."""
        data = self.dataset
        return TaskRecord(
            protocol=self.task.protocol,
            dataset=DatasetRecord(
                source=data.source,
                revision=data.revision,
                sha256=data.sha256,
                items=len(data.samples),
                drift=data.drift,
                remark=data.remark,
            ),
            selected=len(self.samples),
            repeats=self.repeats,
            subset=len(self.samples) < len(data.samples),
            floors=self.floors,
        )


@dataclass(frozen=True)
class WorkItem:
    """One attempt to make; `tries` numbers the executions of its key, `again` marks this start's second.

    `kept` is the row of a whole attempt that only has to be judged.
    """

    task: Task
    sample: Sample
    key: AttemptKey
    tries: int = 1
    again: bool = False
    kept: AttemptRow | None = None


@dataclass(frozen=True)
class Shard:
    """Part `index` (from 1) of `count` of a run; a sample's repeats stay together."""

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Read `i/n`."""
        index, slash, count = text.partition("/")
        if not (slash and index.isdigit() and count.isdigit() and 1 <= int(index) <= int(count)):
            raise UsageError(f"--shard {text!r} is not i/n with 1 <= i <= n, for example 2/8")
        return cls(int(index), int(count))

    @property
    def name(self) -> str:
        """How the shard's files are marked: samples-2of8.jsonl."""
        return f"{self.index}of{self.count}"


def choose_samples(
    dataset: Dataset, task: str, *, limit: int | None = None, sample_ids: Sequence[str] = ()
) -> list[Sample]:
    """The samples asked for, in the data's order; `--sample-id` first, then `--limit` of them.

    A limit takes evenly spread items, so that a subset of a benchmark sorted by subject has all its subjects.
    """
    samples = dataset.samples
    if sample_ids:
        known = {s.id for s in samples}
        if unknown := [i for i in sample_ids if i not in known]:
            raise UsageError(f"{task} has no sample {unknown[0]!r}{did_you_mean(unknown[0], known)}")
        wanted = set(sample_ids)
        samples = [s for s in samples if s.id in wanted]
    if limit is not None and limit < len(samples):
        samples = [samples[i * len(samples) // limit] for i in range(limit)]
    return samples


def work_items(
    planned: Iterable[PlannedTask],
    *,
    done: set[AttemptKey],
    tries: dict[AttemptKey, int],
    shard: Shard | None,
    kept: Mapping[AttemptKey, AttemptRow] = MappingProxyType({}),
) -> Iterator[WorkItem]:
    """Every attempt that is still to be made: task by task, all samples once before any is repeated."""
    for part in planned:
        mine = part.samples_of(shard)
        for repeat in range(part.repeats):
            for sample in mine:
                key = AttemptKey(part.task.name, sample.id, repeat)
                if key not in done:
                    yield WorkItem(part.task, sample, key, tries.get(key, 0) + 1, kept=kept.get(key))
