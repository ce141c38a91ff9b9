"""Tasks of terminal-bench, both generations: every field, its default, and what cannot be done."""

from pathlib import Path
from typing import Any

import pytest
import toy_terminal as toy
import yaml
from hypothesis import given
from hypothesis import strategies as st

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.runners.sandbox.service import Recipe
from longcat_eval.tasks.terminal.read_tb import read_tb
from longcat_eval.tasks.terminal.records import Keys, Oracle, TerminalTask

BASE = "debian:12"
SEVERAL = """\
services:
  db:
    image: ${T_BENCH_TASK_DOCKER_IMAGE_NAME_PREFIX}__db
    build: {context: ./db}
    container_name: ${T_BENCH_TASK_DOCKER_NAME_PREFIX}__db
  webserver:
    build: {dockerfile: Dockerfile}
    container_name: ${T_BENCH_TASK_DOCKER_CLIENT_CONTAINER_NAME}
    command: ["sh", "-c", "sleep infinity"]
    depends_on: [db]
    volumes:
      - ${T_BENCH_TASK_AGENT_LOGS_PATH}:${T_BENCH_CONTAINER_AGENT_LOGS_PATH}
"""
OLD = """\
descriptions:
  - key: base
    description: Do it.
  - key: hard
    description: Do it well.
difficulty: hard
"""


def one(folder: Path) -> TerminalTask:
    (task,) = read_tb(folder)
    return task


def problems(task: TerminalTask) -> str:
    """All that stands against a task."""
    return "\n".join([*task.problems, *(task.compose.problems if task.compose else ())])


def test_what_a_task_says_of_nothing_has_the_originals_default(tmp_path: Path) -> None:
    task = one(toy.terminal_bench(tmp_path / "plain", BASE))
    assert (task.id, task.format, task.folder) == ("plain", "tb1", tmp_path / "plain")
    assert (task.difficulty, task.category, task.tags) == ("easy", "software_engineering", ())
    assert (task.build_seconds, task.user, task.workdir, task.no_network) == (600.0, "", "", False)
    assert (task.artifacts, task.healthcheck, task.final_only) == ((), None, False)
    assert not problems(task)
    (step,) = task.steps
    assert step.instruction == "Write 42 into answer.txt in the folder you are in."
    assert (step.agent_seconds, step.name, step.min_reward, step.agent_user) == (360.0, "", None, "")
    verifier = step.verifier
    assert (verifier.kind, verifier.script, verifier.seconds) == ("pytest", "/tests/run-tests.sh", 60.0)
    assert (verifier.same_shell, verifier.separate, verifier.env) == (False, False, {})
    assert verifier.folders == (tmp_path / "plain" / "tests",)
    assert verifier.files == {"run-tests.sh": tmp_path / "plain" / "run-tests.sh"}
    assert step.oracle == Oracle(folder=tmp_path / "plain", script="solution.sh")
    (service,) = task.services
    assert task.agent_service == service.name == "client"
    assert (service.recipe, service.image) == (Recipe(context=tmp_path / "plain"), "")
    assert service.idle
    assert service.environment == {"TEST_DIR": "/tests"}
    assert service.volumes == (), "logs come out as archives"


def test_every_field_is_read(tmp_path: Path) -> None:
    settings = (
        "category: games\ntags: [chess, 3d]\nparser_name: pytest\nmax_agent_timeout_sec: 1000\n"
        "max_test_timeout_sec: 90.5\nrun_tests_in_same_shell: true\ndisable_asciinema: true\n"
        "author_name: somebody\nestimated_duration_sec: 3\nexpert_time_estimate_min: 5\na_key_of_later: 1\n"
    )
    task = one(toy.terminal_bench(tmp_path / "full", BASE, settings=settings))
    assert not problems(task)
    assert (task.category, task.tags) == ("games", ("chess", "3d"))
    (step,) = task.steps
    assert (step.agent_seconds, step.verifier.seconds, step.verifier.same_shell) == (1000.0, 90.5, True)


def test_the_agents_service_is_told_by_its_container(tmp_path: Path) -> None:
    folder = toy.terminal_bench(tmp_path / "two", BASE, compose=SEVERAL)
    toy.write(folder, {"db/Dockerfile": f"FROM {BASE}\n"})
    task = one(folder)
    assert not problems(task)
    assert task.agent_service == "webserver"
    db, web = task.services
    assert (db.name, web.name) == ("db", "webserver")
    assert db.recipe == Recipe(context=folder / "db")
    assert web.depends_on == {"db": "started"}
    assert web.volumes == ()


def test_compose_files_may_name_variables_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compose = toy.COMPOSE.replace("- TEST_DIR=", "- KEY=${LCEVAL_KEY}\n      - TEST_DIR=")
    folder = toy.terminal_bench(tmp_path / "t", BASE, compose=compose)
    assert problems(one(folder)) == "the variable LCEVAL_KEY has no value"
    monkeypatch.setenv("LCEVAL_KEY", "host")
    monkeypatch.setenv("T_BENCH_TEST_DIR", "/elsewhere")
    task = one(folder)
    assert not problems(task)
    assert task.services[0].environment == {"KEY": "host", "TEST_DIR": "/tests"}


def test_a_solution_script_wins_over_keys(tmp_path: Path) -> None:
    typed = (
        "- command: vim a\n  min_timeout_sec: 0.5\n  append_enter: true\n"
        "- command: make\n  block: true\n  max_timeout_sec: 20\n"
        "- command: ':wq'\n  append_enter: false\n"
    )
    folder = toy.terminal_bench(tmp_path / "typed", BASE, solution_yaml=typed)
    assert one(folder).steps[0].oracle == Oracle(
        keys=(
            Keys(command="vim a", min_seconds=0.5),
            Keys(command="make", block=True, max_seconds=20.0),
            Keys(command=":wq", enter=False),
        )
    )
    toy.write(folder, {"solution.sh": toy.SOLVE})
    assert one(folder).steps[0].oracle == Oracle(folder=folder, script="solution.sh")
    for name in ("solution.sh", "solution.yaml"):
        (folder / name).unlink()
    task = one(folder)
    assert task.steps[0].oracle is None
    assert not problems(task), "it can be run, if not by the oracle"


def test_no_tests_folder_is_no_problem_but_no_script_is(tmp_path: Path) -> None:
    folder = toy.terminal_bench(tmp_path / "bare", BASE)
    (folder / "tests" / "test_outputs.py").unlink()
    (folder / "tests").rmdir()
    task = one(folder)
    assert (task.steps[0].verifier.folders, problems(task)) == ((), "")
    (folder / "run-tests.sh").unlink()
    assert "there is no run-tests.sh" in problems(one(folder))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("parser_name: swelancer\n", "parser_name: swelancer"),
        ("max_agent_timeout_sec: soon\n", "max_agent_timeout_sec"),
        ("max_agent_timeout_sec: -1\n", "max_agent_timeout_sec"),
        ("max_test_timeout_sec: .nan\n", "max_test_timeout_sec"),
        ("max_test_timeout_sec: true\n", "max_test_timeout_sec"),
        ("run_tests_in_same_shell: perhaps\n", "run_tests_in_same_shell"),
    ],
)
def test_what_cannot_be_done_is_named(settings: str, told: str, tmp_path: Path) -> None:
    assert told in problems(one(toy.terminal_bench(tmp_path / "t", BASE, settings=settings)))


def test_a_compose_file_without_the_agents_container(tmp_path: Path) -> None:
    compose = toy.COMPOSE.replace("${T_BENCH_TASK_DOCKER_CLIENT_CONTAINER_NAME}", "mine")
    assert "container_name" in problems(one(toy.terminal_bench(tmp_path / "t", BASE, compose=compose)))
    (tmp_path / "t" / "docker-compose.yaml").unlink()
    assert "docker-compose.yaml" in problems(one(tmp_path / "t"))


@pytest.mark.parametrize(
    "text",
    ["", "[]", "difficulty: easy", "{", "descriptions: []", "descriptions: [x]", "descriptions: [{key: a}]"],
)
def test_a_configuration_that_is_none_names_its_file(text: str, tmp_path: Path) -> None:
    folder = toy.terminal_bench(tmp_path / "t", BASE)
    (folder / "task.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(EnvironmentUnusableError, match=r"t/task\.yaml"):
        read_tb(folder)


def old(tmp_path: Path, settings: str = "", *, own: bool = True) -> Path:
    """A data set of the older generation with one task; `own`: it has its own compose file and script."""
    shared = {
        "defaults/docker-compose.yaml": toy.COMPOSE.replace("dockerfile:", "context: ./\n      dockerfile:"),
        "defaults/run-tests.sh": toy.CHECK,
        "scripts/setup-uv-pytest.sh": "true\n",
        "scripts/run-uv-pytest.sh": "true\n",
        "environments/office/docker-compose.yaml": toy.COMPOSE,
        "environments/office/Dockerfile": f"FROM {BASE}\n",
    }
    toy.write(tmp_path, shared)
    folder = toy.terminal_bench(tmp_path / "tasks" / "old", BASE)
    (folder / "task.yaml").write_text(OLD + settings, encoding="utf-8")
    if not own:
        for name in ("docker-compose.yaml", "run-tests.sh"):
            (folder / name).unlink()
    return folder


def test_every_description_is_a_task(tmp_path: Path) -> None:
    plain, hard = read_tb(old(tmp_path))
    assert (plain.id, hard.id) == ("old", "old.hard")
    assert {plain.format, hard.format} == {"tb0"}
    assert (plain.steps[0].instruction, hard.steps[0].instruction) == ("Do it.", "Do it well.")
    assert plain.digest != hard.digest
    assert not problems(plain) + problems(hard)
    assert hard.difficulty == "hard"


def test_the_older_generation_shares_files(tmp_path: Path) -> None:
    folder = old(tmp_path, own=False)
    task = read_tb(folder)[0]
    assert not problems(task)
    assert task.steps[0].verifier.files == {
        "setup-uv-pytest.sh": tmp_path / "scripts" / "setup-uv-pytest.sh",
        "run-uv-pytest.sh": tmp_path / "scripts" / "run-uv-pytest.sh",
        "run-tests.sh": tmp_path / "defaults" / "run-tests.sh",
    }
    assert task.services[0].recipe == Recipe(context=folder), "a default file is about the task's own folder"
    before = task.digest
    toy.write(tmp_path, {"scripts/run-uv-pytest.sh": "false\n"})
    assert read_tb(folder)[0].digest != before, "what is shared counts"


def test_the_older_generation_shares_environments(tmp_path: Path) -> None:
    folder = old(tmp_path, "env_name: office\ntest_scripts: []\n")
    task = read_tb(folder)[0]
    assert not problems(task)
    assert task.services[0].recipe == Recipe(context=tmp_path / "environments" / "office")
    assert set(task.steps[0].verifier.files) == {"run-tests.sh"}
    before = task.digest
    toy.write(tmp_path, {"environments/office/Dockerfile": "FROM other\n"})
    assert read_tb(folder)[0].digest != before


def test_a_shared_file_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    folder = old(tmp_path, "test_scripts: [wait.sh]\n")
    assert "scripts/wait.sh" in problems(read_tb(folder)[0])
    for settings in ("test_scripts: [../../secret]\n", "env_name: ../..\n"):
        task = read_tb(old(tmp_path, settings))[0]
        assert settings.partition(":")[0] in problems(task)
        assert tmp_path.parent not in [path.parent for path in task.steps[0].verifier.files.values()]


FIELDS = st.dictionaries(
    st.sampled_from(
        [
            *("difficulty", "category", "tags", "parser_name", "test_scripts", "env_name"),
            *("max_agent_timeout_sec", "max_test_timeout_sec", "run_tests_in_same_shell"),
        ]
    ),
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.lists(st.text(max_size=3)),
)


@given(fields=FIELDS)
def test_no_value_makes_the_reader_fail(
    fields: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = toy.terminal_bench(tmp_path_factory.getbasetemp() / "any" / "any", BASE)
    text = yaml.safe_dump({"instruction": "x", **fields}, allow_unicode=True)
    (folder / "task.yaml").write_text(text, encoding="utf-8")
    assert one(folder).steps[0].agent_seconds > 0
