"""COLLIE as a task: from the file to a score, on ours and on the official references."""

from collections import Counter
from importlib import import_module
from pathlib import Path

import pytest
from cli_fixtures import Cli
from fake_context import FakeContext, row, run_attempt
from made_up_collie import groups, pickled, trees

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.protocols import DataOptions, ModelError, WorkerError
from longcat_eval.records import Completion, Message, Outcome, Sample
from longcat_eval.runners.store import read_run
from longcat_eval.tasks.collie.constraints import check
from longcat_eval.tasks.collie.task import CollieTask


class Here:
    """Stands for worker processes: the call is made in this one."""

    async def call(self, function: str, *args: object, seconds: float | None = None) -> object:
        module, _, name = function.partition(":")
        return getattr(import_module(module), name)(*args)


@pytest.fixture
def workers() -> Here:
    return Here()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data folder with our file."""
    (tmp_path / "collie").mkdir()
    (tmp_path / "collie" / "all_data.dill").write_bytes(pickled(groups()))
    return tmp_path


@pytest.fixture
def task(root: Path, punkt: Path) -> CollieTask:
    task = CollieTask()
    task.load(DataOptions(root, allow_drift=True))
    return task


def item(root: Path, kind: str) -> Sample:
    """The sample of one kind."""
    return next(s for s in CollieTask().load(DataOptions(root, True)).samples if s.group == kind)


def test_samples_are_named_by_group_and_place(root: Path, punkt: Path) -> None:
    data = CollieTask().load(DataOptions(root, allow_drift=True))
    assert [(s.id, s.group) for s in data.samples][:2] == [("made_c01/000", "c01"), ("made_c02/000", "c02")]
    assert data.samples[0].fields["source"] == "made"
    assert data.drift.startswith("13 items, expected 2080; sha256 ")
    with pytest.raises(EnvironmentUnusableError, match="13 items, expected 2080"):
        CollieTask().load(DataOptions(root))
    assert CollieTask().load(DataOptions(root / "collie", True)).sha256 == data.sha256


def test_absent_data_says_where_it_is_and_no_hub_is_asked(tmp_path: Path, punkt: Path) -> None:
    with pytest.raises(EnvironmentUnusableError) as caught:
        CollieTask().load(DataOptions(tmp_path))
    assert "git clone https://github.com/princeton-nlp/Collie DIR/collie" in str(caught.value)


def test_without_the_sentence_model_nothing_is_loaded(root: Path, bare_machine: None) -> None:
    with pytest.raises(EnvironmentUnusableError, match="longcat-eval fetch punkt"):
        CollieTask().load(DataOptions(root, allow_drift=True))


@pytest.mark.parametrize(
    ("reply", "finish", "outcome", "value"),
    [
        ("Ducks at home.", "stop", Outcome.ANSWERED, 1.0),
        ("<think>Geese.</think>Ducks at home.", "stop", Outcome.ANSWERED, 1.0),
        ("<think>Ducks at home.", "stop", Outcome.NO_ANSWER, 0.0),
        ("Geese at home.", "stop", Outcome.ANSWERED, 0.0),
        ("Ducks at home.", "length", Outcome.ANSWERED, 1.0),
        (" \n", "length", Outcome.LENGTH_LIMIT, 0.0),
        ("Ducks at home.", "content_filter", Outcome.REFUSED, 0.0),
    ],
)
async def test_verdicts(
    reply: str,
    finish: str,
    outcome: Outcome,
    value: float,
    task: CollieTask,
    root: Path,
    workers: Here,
) -> None:
    context = FakeContext(reply, finish, workers=workers)
    _, score = await run_attempt(task, item(root, "c07"), context)
    assert (score.outcome, score.value) == (outcome, value)
    assert context.asked == [[{"role": "user", "content": "Please write about ducks (c07)."}]]


@pytest.mark.parametrize("kind", trees())
async def test_a_blank_reply_is_no_answer_even_where_nothing_is_asked_of_no_sentence(
    kind: str, task: CollieTask, root: Path
) -> None:
    _, score = await run_attempt(task, item(root, kind), FakeContext(""))
    assert (score.value, score.outcome) == (0.0, Outcome.NO_ANSWER)


@pytest.mark.parametrize("reason", ["timeout", "memory", "crash", "error"])
async def test_a_reply_that_breaks_the_checker_is_wrong_and_a_broken_checker_is_our_error(
    reason: str, task: CollieTask, root: Path
) -> None:
    class Broken:
        async def call(self, function: str, *args: object, seconds: float | None = None) -> object:
            raise WorkerError(reason, "x")

    _, score = await run_attempt(task, item(root, "c07"), FakeContext("Ducks.", workers=Broken()))
    ours = reason == "error"
    assert (score.value, score.reason) == (None if ours else 0.0, f"grader_{reason}")
    assert score.outcome == (Outcome.HARNESS_ERROR if ours else Outcome.ANSWERED)


async def test_a_failing_server_is_no_verdict(task: CollieTask, root: Path) -> None:
    error = ModelError(Outcome.ENDPOINT_ERROR, "server_error", "x")
    with pytest.raises(ModelError):
        await run_attempt(task, item(root, "c07"), FakeContext(error))


async def test_macro_is_over_kinds(task: CollieTask, root: Path, workers: Here) -> None:
    rows = []
    for place, (kind, reply) in enumerate([("c07", "Ducks home."), ("c07", "No."), ("c12", "No.")]):
        sample = item(root, kind)
        context = FakeContext(Completion(Message("assistant", reply), "stop"), workers=workers)
        _, score = await run_attempt(task, sample, context)
        rows.append(row(Sample(str(place), {}, kind), score))
    metrics = task.aggregate(rows).metrics
    assert (metrics["micro"], metrics["macro"]) == (pytest.approx(1 / 3), 0.25)
    assert (metrics["c07"], metrics["c12"]) == (0.5, 0.0)


MISSES = {
    "ccnews_c09": 9,
    "ccnews_c14": 3,
    "ccnews_c12": 2,
    "wiki_c05": 2,
    "guten_c10": 1,
    "wiki_c10": 1,
    "wiki_c12": 1,
    "ccnews_c10": 1,
}
"""The references that the official checker itself does not accept, by group (specs/qa.md §2.5)."""


@pytest.mark.data
def test_the_official_references_are_judged_as_by_the_official_checker(data_dir: Path, punkt: Path) -> None:
    samples = CollieTask().load(DataOptions(data_dir)).samples
    misses: Counter[str] = Counter()
    failing: set[str] = set()
    for sample in samples:
        constraint, targets, text = (sample.fields[name] for name in ("constraint", "targets", "example"))
        holds = check(constraint, targets, text, str(punkt))
        misses[sample.id.partition("/")[0]] += not holds
        failing |= set() if holds else {sample.id}
    assert (len(samples), len(misses), len({s.group for s in samples})) == (2080, 33, 13)
    assert +misses == MISSES
    assert failing == CollieTask().load(DataOptions(data_dir)).gold_fails
    assert sum(MISSES.values()) == 20


@pytest.mark.data
@pytest.mark.parametrize(("model", "passed"), [("oracle", 39), ("null", 0)])
def test_the_command_runs_and_rescores(
    model: str, passed: int, cli: Cli, data_dir: Path, tmp_path: Path, punkt: Path
) -> None:
    command = ("run", "--task", "collie", "--data-dir", data_dir, "--plain", "--limit", "40")
    ran = cli(*command, "--model", f"scripted/{model}", "-o", tmp_path / "r")
    assert (ran.code, ran.err) == (0, "")
    assert sum(row.value or 0.0 for row in read_run(tmp_path / "r").rows) == passed
    again = cli("rescore", tmp_path / "r", "--data-dir", data_dir)
    assert again.out.startswith("40 attempts judged again, 0 verdicts changed")


@pytest.mark.data
@pytest.mark.slow
def test_the_whole_set_through_the_command(cli: Cli, data_dir: Path, tmp_path: Path, punkt: Path) -> None:
    command = ("run", "--task", "collie", "--data-dir", data_dir, "--plain", "--model", "scripted/oracle")
    ran = cli(*command, "-o", tmp_path / "r")
    assert (ran.code, "99.04 (2060/2080)" in ran.out) == (0, True)
    misses = Counter(row.sample.partition("/")[0] for row in read_run(tmp_path / "r").rows if not row.value)
    assert misses == MISSES
