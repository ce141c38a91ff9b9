"""Six real tasks from the source distribution: each one's own solution passes, and doing nothing does not.

Chosen for speed and for what they need: typed solutions, a tmpfs, a git history, a compiler, pandas.
"""

import json
from pathlib import Path

import pytest
from cli_fixtures import Cli

from longcat_eval.protocols import DataOptions
from longcat_eval.tasks.terminal.loader import load_terminal, named_sets, read_folder
from longcat_eval.tasks.terminal.uv_bootstrap import fetch_uv

pytestmark = pytest.mark.docker
TASKS = (
    "extract-safely",
    "fix-permissions",
    "git-workflow-hack",
    "pandas-etl",
    "polyglot-c-py",
    "sqlite-db-truncate",
)


@pytest.fixture
def uv_at_hand(real_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """uv's wheels, of the user's own cache, where a command looks for them."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(real_cache))
    for version in ("0.7.13", "0.9.7"):
        fetch_uv(version, "x86_64")


@pytest.mark.usefixtures("stand_in", "uv_at_hand")
def test_six_real_tasks_pass_by_their_solution_and_not_by_nothing(
    cli: Cli, tmp_path: Path, core_tasks: Path
) -> None:
    chosen = [word for name in TASKS for word in ("--sample-id", name)]
    slow_machine = ("--set", "limits.test_timeout_multiplier=5")
    run = ("run", "--task", "terminal-bench", "--dataset", core_tasks, *chosen, *slow_machine, "--plain")
    for model, score in (("scripted/oracle", "100.00†‡¶ (6/6)"), ("scripted/null", "0.00†‡¶ (0/6)")):
        out = model.partition("/")[2]
        ran = cli(*run, "--model", model, "-o", out)
        lines = (tmp_path / out / "samples.jsonl").read_text(encoding="utf-8").splitlines()
        assert ran.code == 0, ran.err + ran.out
        assert score in ran.out, [json.loads(line) for line in lines]
        assert "100 % of the attempts on stand-ins for the base images" in " ".join(ran.out.split())


def test_every_task_of_the_release_is_read_without_a_problem(core_tasks: Path) -> None:
    tasks = read_folder(core_tasks)
    assert len(tasks) == 100
    troubled = {t.id: [*t.problems, *(t.compose.problems if t.compose else ())] for t in tasks}
    assert not {name: problems for name, problems in troubled.items() if problems}
    by_id = {task.id: task for task in tasks}
    assert sum(step.verifier.same_shell for task in tasks for step in task.steps) == 3
    assert {task.format for task in tasks} == {"tb1"}
    assert by_id["simple-web-scraper"].agent_service == "client"
    assert by_id["home-server-https"].agent_service == "webserver"
    assert sum(len(task.services) > 1 for task in tasks) == 4
    assert sum(bool(step.oracle and step.oracle.keys) for task in tasks for step in task.steps) == 16


def test_core_is_its_eighty_ids_whatever_bodies_are_here(core_tasks: Path, tmp_path: Path) -> None:
    """Seventy of them are folders of this release; the others stay in the denominator."""
    (tmp_path / "terminal-bench").symlink_to(core_tasks, target_is_directory=True)
    loaded = load_terminal(DataOptions(data_dir=tmp_path))
    (ids,) = named_sets().values()
    assert [sample.id for sample in loaded.dataset.samples] == sorted(ids)
    assert (len(ids), len(loaded.tasks), len(loaded.missing)) == (80, 70, 10)
    assert loaded.dataset.drift == "10 of 80 tasks have no body here"
    assert set(loaded.missing) | loaded.tasks.keys() == set(ids)
