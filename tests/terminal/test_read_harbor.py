"""Tasks in harbor's format: fields, defaults, precedences, old keys, and what cannot be done."""

import string
from pathlib import Path
from typing import Any

import pytest
import toy_terminal as toy
from hypothesis import given
from hypothesis import strategies as st

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.runners.sandbox.service import Healthcheck, Recipe, Volume
from longcat_eval.tasks.terminal.read_harbor import read_harbor
from longcat_eval.tasks.terminal.records import Artifact, Collect, Oracle, TerminalTask

BASE = "debian:12"
COMPOSE = """\
services:
  main:
    environment: {A: from-compose, B: kept, SIZE: "${MEMORY}"}
    depends_on: {db: {condition: service_healthy}}
    volumes: ["${HOST_VERIFIER_LOGS_PATH}:${ENV_VERIFIER_LOGS_PATH}"]
  db:
    image: postgres:15
    healthcheck: {test: pg_isready}
"""
SEPARATE = '[verifier]\nenvironment_mode = "separate"\n'


def read(tmp_path: Path, config: str, more: dict[str, str] | None = None) -> TerminalTask:
    return read_harbor(toy.harbor(tmp_path / "task", BASE, config=config, more=more))


def problems(task: TerminalTask) -> str:
    """All that stands against a task."""
    return "\n".join([*task.problems, *(task.compose.problems if task.compose else ())])


def test_what_a_task_says_of_nothing_has_harbors_default(tmp_path: Path) -> None:
    task = read(tmp_path, "\n")
    assert not problems(task)
    folder = tmp_path / "task"
    assert (task.id, task.format, task.folder, task.agent_service) == ("task", "harbor", folder, "main")
    assert (task.build_seconds, task.user, task.workdir, task.no_network) == (600.0, "", "", False)
    assert (task.difficulty, task.category, task.tags, task.compose) == ("unknown", "", (), None)
    assert (task.healthcheck, task.artifacts, task.final_only) == (None, (), False)
    (main,) = task.services
    assert (main.recipe, main.image, main.idle) == (Recipe(context=folder / "environment"), "", True)
    assert (main.memory_bytes, main.cpus, main.environment) == (None, None, {})
    (step,) = task.steps
    assert (step.agent_seconds, step.name, step.workdir_folder, step.min_reward) == (0.0, "", None, None)
    verifier = step.verifier
    assert (verifier.kind, verifier.script, verifier.seconds) == ("reward", "/tests/test.sh", 600.0)
    assert (verifier.folders, verifier.files) == ((folder / "tests",), {})
    assert (verifier.user, verifier.env, verifier.separate, verifier.collect) == ("", {}, False, ())
    assert step.oracle == Oracle(folder=folder / "solution", script="solve.sh")


def test_every_field_is_read(tmp_path: Path) -> None:
    config = """
        schema_version = "1.4"
        artifacts = ["/app/out", {source = "/b", destination = "c", exclude = ["*.o"], service = "main"}]
        a_key_of_later = 1
        [task]
        name = "org/another-name"
        [metadata]
        difficulty = "hard"
        category = "games"
        tags = ["a", "b"]
        [agent]
        timeout_sec = 900.0
        user = 1000
        [verifier]
        timeout_sec = 30
        user = "tester"
        env = {MODE = "strict"}
        collect = [{command = "dump", service = "main", timeout_sec = 5, user = 0}, {command = "true"}]
        [environment]
        build_timeout_sec = 60.5
        cpus = 2
        memory_mb = 4096
        storage_mb = 10240
        gpus = 0
        network_mode = "no-network"
        workdir = "/srv"
        env = {A = "$1"}
        mcp_servers = []
        skills_dir = ""
        [environment.healthcheck]
        command = "test -e /x"
        interval_sec = 1
        timeout_sec = 2
        start_period_sec = 3
        start_interval_sec = 4
        retries = 6
        [solution]
        env = {KEY = "v"}
        """
    task = read(tmp_path, config)
    assert not problems(task)
    assert (task.id, task.difficulty, task.category, task.tags) == ("task", "hard", "games", ("a", "b"))
    assert (task.build_seconds, task.user, task.workdir, task.no_network) == (60.5, "1000", "/srv", True)
    assert task.artifacts == (
        Artifact(source="/app/out"),
        Artifact(source="/b", destination="c", exclude=("*.o",)),
    )
    assert task.healthcheck == Healthcheck(
        test=("CMD-SHELL", "test -e /x"),
        interval=1.0,
        timeout=2.0,
        start_period=3.0,
        start_interval=4.0,
        retries=6,
    )
    (main,) = task.services
    assert (main.cpus, main.memory_bytes, main.workdir, main.environment) == (2, 4 << 30, "/srv", {"A": "$1"})
    (step,) = task.steps
    assert step.agent_seconds == 900.0
    assert (step.verifier.seconds, step.verifier.user, step.verifier.env) == (
        30,
        "tester",
        {"MODE": "strict"},
    )
    assert step.verifier.collect == (
        Collect(command="dump", seconds=5, user="0"),
        Collect(command="true"),
    )
    assert step.oracle is not None
    assert step.oracle.env == {"KEY": "v"}


@pytest.mark.parametrize(
    ("keys", "memory", "closed"),
    [
        ('memory = "2G"\nstorage = "10G"', 2 << 30, False),
        ('memory = "512m"\nallow_internet = false', 512 << 20, True),
        ('memory = "2G"\nmemory_mb = 2048', 2 << 30, False),
        ('allow_internet = false\nnetwork_mode = "public"', None, False),
        ("allow_internet = true", None, False),
    ],
)
def test_keys_of_schema_1_0(keys: str, memory: int | None, closed: bool, tmp_path: Path) -> None:
    task = read(tmp_path, f'version = "1.0"\n[environment]\n{keys}\n')
    assert not problems(task)
    assert (task.services[0].memory_bytes, task.no_network) == (memory, closed)


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "[agent]\ntimeout_sec = 'soon'",
        "[environment]\nmemory = '2 apples'",
        "[environment]\nmemory = '2G'\nmemory_mb = 4096",
        "[environment]\nnetwork_mode = 'radio'",
        "[verifier]\nenvironment_mode = 'shared'\n[verifier.environment]\ncpus = 1",
        "multi_step_reward_strategy = 'luck'",
        "[[steps]]\nname = '../../etc'",
        "[[steps]]\nname = ''",
        "[[steps]]\nname = 'a'\n[[steps]]\nname = 'A'",
        "artifacts = ['/app/../etc']",
    ],
)
def test_a_configuration_that_harbor_refuses_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentUnusableError, match=r"task/task\.toml"):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ("[environment]\ngpus = 1", "environment.gpus"),
        ("[environment]\nos = 'Windows'", "environment.os = Windows"),
        ("[environment]\ntpu = {type = 'v4', topology = '2x2'}", "environment.tpu"),
        ("[environment]\nskills_dir = '/skills'", "environment.skills_dir"),
        ("[[environment.mcp_servers]]\nname = 'x'\nurl = 'y'", "environment.mcp_servers"),
        (
            "[environment]\nnetwork_mode = 'allowlist'\nallowed_hosts = ['a.org']",
            "environment.network_mode = allowlist",
        ),
        ("[agent]\nnetwork_mode = 'no-network'", "agent.network_mode"),
        ("[verifier]\nnetwork_mode = 'no-network'", "verifier.network_mode"),
        ("[verifier]\nnetwork_mode = 'allowlist'\nallowed_hosts = ['a.org']", "verifier.network_mode"),
        ("[agent]\ntimeout_sec = -1", "agent.timeout_sec"),
        ("[agent]\ntimeout_sec = nan", "agent.timeout_sec"),
        ("[verifier]\ntimeout_sec = 0", "verifier.timeout_sec"),
        ("[verifier]\nenv = {KEY = '${LCEVAL_NOT_SET}'}", "LCEVAL_NOT_SET"),
        ("[environment]\nenv = {KEY = '${LCEVAL_NOT_SET}'}", "LCEVAL_NOT_SET"),
        ("[[steps]]\nname = 'one'", "steps/one"),
        ("[verifier.environment]\ngpus = 2", "verifier.environment.gpus"),
    ],
)
def test_what_cannot_be_done_is_named(config: str, told: str, tmp_path: Path) -> None:
    assert told in problems(read(tmp_path, config + "\n"))


def test_a_network_of_a_phase_that_is_the_machines_is_no_matter(tmp_path: Path) -> None:
    lines = "network_mode = 'no-network'\n"
    task = read(tmp_path, f"[environment]\n{lines}[agent]\n{lines}[verifier]\n{lines}")
    assert not problems(task)
    assert task.no_network


def test_variables_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LCEVAL_SET", "here")
    config = "[%s]\nenv = {A = '${LCEVAL_SET}', B = '${LCEVAL_NOT_SET:-or ${this}}', C = 'x ${LCEVAL_SET}'}\n"
    task = read(tmp_path, "".join(config % table for table in ("environment", "verifier", "solution")))
    assert not problems(task)
    values = {"A": "here", "B": "or ${this}", "C": "x ${LCEVAL_SET}"}
    assert task.services[0].environment == task.steps[0].verifier.env == values
    assert task.steps[0].oracle is not None
    assert task.steps[0].oracle.env == values


def test_what_only_the_solution_wants_keeps_no_agent_from_the_task(tmp_path: Path) -> None:
    task = read(tmp_path, "[solution]\nenv = {KEY = '${LCEVAL_NOT_SET}'}\n")
    assert not problems(task)
    assert task.steps[0].oracle is not None
    assert "LCEVAL_NOT_SET" in task.steps[0].oracle.problem


def test_a_ready_image_is_not_built(tmp_path: Path) -> None:
    task = read(tmp_path, "[environment]\ndocker_image = 'some/image:1'\n")
    assert not problems(task)
    assert (task.services[0].image, task.services[0].recipe) == ("some/image:1", None)
    assert task.services[0].volumes == (), "what lies beside a Dockerfile is for its build"


def test_loose_files_go_into_a_ready_images_folder(tmp_path: Path) -> None:
    config = "[environment]\ndocker_image = 'some/image:1'\n"
    folder = toy.harbor(tmp_path / "task", BASE, config=config, more={"environment/data.csv": "1"})
    (folder / "environment" / "Dockerfile").unlink()
    assert "environment.workdir" in problems(read_harbor(folder))
    (folder / "task.toml").write_text(config + "workdir = '/srv'\n", encoding="utf-8")
    task = read_harbor(folder)
    assert not problems(task)
    assert task.services[0].volumes == (Volume(target="/srv", source=folder / "environment"),)
    (folder / "environment" / "data.csv").unlink()
    (folder / "environment").rmdir()
    assert not problems(read_harbor(folder))
    (folder / "task.toml").write_text("", encoding="utf-8")
    assert "docker_image" in problems(read_harbor(folder))


def test_a_compose_file_is_merged_as_harbor_does(tmp_path: Path) -> None:
    config = "[environment]\ncpus = 2\nmemory = '1G'\nworkdir = '/w'\nenv = {A = '$x', C = 'new'}\n"
    task = read(tmp_path, config, {"environment/docker-compose.yaml": COMPOSE})
    assert not problems(task)
    main, db = task.services
    folder = tmp_path / "task" / "environment"
    assert (main.name, main.recipe, main.idle) == ("main", Recipe(context=folder), True)
    assert main.environment == {"A": "$x", "B": "kept", "SIZE": "1024M", "C": "new"}
    assert (main.cpus, main.memory_bytes, main.workdir) == (2, 1 << 30, "/w")
    assert (main.depends_on, main.volumes) == ({"db": "healthy"}, ())
    assert (db.name, db.image) == ("db", "postgres:15")
    assert task.compose is not None
    assert task.compose.folder == folder


def test_compose_files_may_name_variables_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compose = "services:\n  main: {environment: {A: '${LCEVAL_KEY}', B: '${CPUS}', C: '${OWN}'}}\n"
    config = "[environment]\ncpus = 2\nenv = {OWN = 'task'}\n"
    task = read(tmp_path, config, {"environment/docker-compose.yaml": compose})
    assert problems(task) == "the variable LCEVAL_KEY has no value"
    for name in ("LCEVAL_KEY", "CPUS", "OWN"):
        monkeypatch.setenv(name, "host")
    task = read_harbor(tmp_path / "task")
    assert not problems(task)
    assert task.services[0].environment == {"A": "host", "B": "2", "C": "task", "OWN": "task"}
    assert task.compose is not None
    assert "LCEVAL_KEY" not in task.compose.variables


@pytest.mark.parametrize(
    ("main", "image", "context", "dockerfile"),
    [
        ("{}", "", ".", "Dockerfile"),
        ("{build: ./other}", "", "other", "Dockerfile"),
        ("{build: {dockerfile: Dockerfile.x}}", "", ".", "Dockerfile.x"),
        ("{image: tagged}", "", ".", "Dockerfile"),
        ("{environment: [A=1, B]}", "", ".", "Dockerfile"),
    ],
)
def test_where_main_is_built(main: str, image: str, context: str, dockerfile: str, tmp_path: Path) -> None:
    more = {"environment/docker-compose.yaml": f"services:\n  main: {main}\n", "environment/other/x": ""}
    task = read(tmp_path, "\n", more)
    assert not problems(task)
    place = tmp_path / "task" / "environment" / context
    assert task.services[0].image == image
    assert task.services[0].recipe == Recipe(context=place, dockerfile=dockerfile)


def test_a_compose_file_can_name_another_image_and_a_command(tmp_path: Path) -> None:
    compose = "services:\n  main: {image: mine, command: [run, it], mem_limit: 64m, build: .}\n"
    config = "[environment]\ndocker_image = 'ready'\nmemory_mb = 128\n"
    (main,) = read(tmp_path, config, {"environment/docker-compose.yaml": compose}).services
    assert (main.image, main.recipe, main.command, main.idle) == ("mine", None, ("run", "it"), False)
    assert main.memory_bytes == 64 << 20, "the task's file is merged last"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("services: []", "environment/docker-compose.yaml: it holds no services"),
        ("{", "environment/docker-compose.yaml: no YAML"),
        ("services:\n  main:\n    wishes: 1", "service main: wishes"),
        ("services:\n  other: {}", "service other: it has neither image nor build"),
    ],
)
def test_compose_files_with_faults(text: str, told: str, tmp_path: Path) -> None:
    assert told in problems(read(tmp_path, "\n", {"environment/docker-compose.yaml": text}))


def test_steps_have_their_own_folders_and_tables(tmp_path: Path) -> None:
    folder = toy.harbor_steps(tmp_path / "task", BASE, strategy="final", least="min_reward = {a = 0.5}")
    config = (folder / "task.toml").read_text(encoding="utf-8")
    config = config.replace(
        'name = "second"',
        'name = "second"\nartifacts = ["/x"]\n'
        + """
[steps.agent]
timeout_sec = 5
user = 0
[steps.verifier]
user = "b"
env = {X = "step"}
collect = [{command = "two"}]
[steps.healthcheck]
command = "true"
[verifier]
timeout_sec = 77
user = "a"
env = {X = "task", Y = "task"}
collect = [{command = "one"}]
""",
    )
    toy.write(folder, {"task.toml": config, "tests/helper.py": "", "solution/solve.sh": "true\n"})
    (folder / "steps" / "second" / "solution" / "solve.sh").unlink()
    (folder / "steps" / "second" / "solution").rmdir()
    task = read_harbor(folder)
    assert not problems(task)
    first, second = task.steps
    assert task.final_only
    assert (first.name, second.name) == ("first", "second")
    assert (first.min_reward, second.min_reward) == ({"a": 0.5}, None)
    assert (first.agent_seconds, second.agent_seconds) == (60.0, 5.0)
    assert (first.agent_user, second.agent_user) == ("", "0")
    assert (first.workdir_folder, second.workdir_folder) == (folder / "steps" / "first" / "workdir", None)
    assert first.verifier.folders == (folder / "tests", folder / "steps" / "first" / "tests")
    assert first.verifier.seconds == 600.0, "a step's limit does not inherit"
    assert (first.verifier.user, second.verifier.user) == ("a", "b")
    assert second.verifier.env == {"X": "step", "Y": "task"}
    assert [hook.command for hook in second.verifier.collect] == ["one", "two"]
    assert second.artifacts == (Artifact(source="/x"),)
    assert second.healthcheck is not None
    assert first.oracle is not None
    assert first.oracle.folder == folder / "steps" / "first" / "solution"
    assert second.oracle is not None
    assert second.oracle.folder == folder / "solution", "the task's own is for steps without one"


def test_separate_tests_bring_their_image_or_get_the_agents(tmp_path: Path) -> None:
    folder = tmp_path / "task"
    verifier = read(tmp_path, SEPARATE).steps[0].verifier
    assert verifier.services[0].recipe == Recipe(context=folder / "environment")
    assert (verifier.folders, verifier.main, verifier.no_network) == ((folder / "tests",), "main", False)
    config = SEPARATE + "[verifier.environment]\ncpus = 3\nnetwork_mode = 'no-network'\n"
    verifier = read(tmp_path, config, {"tests/Dockerfile": f"FROM {BASE}\n"}).steps[0].verifier
    assert verifier.services[0].recipe == Recipe(context=folder / "tests")
    assert (verifier.folders, verifier.services[0].cpus, verifier.no_network) == ((), 3, True)
    config += "docker_image = 'judge:1'\n"
    verifier = read(tmp_path, config).steps[0].verifier
    assert (verifier.services[0].image, verifier.folders) == ("judge:1", ())


def test_an_image_that_brings_the_tests_needs_no_script_here(tmp_path: Path) -> None:
    folder = toy.harbor(tmp_path / "task", BASE, config="[verifier.environment]\ndocker_image = 'judge:1'\n")
    (folder / "tests" / "test.sh").unlink()
    assert not problems(read_harbor(folder))
    (folder / "task.toml").write_text("", encoding="utf-8")
    assert "there is no tests/test.sh" in problems(read_harbor(folder))
    (folder / "instruction.md").unlink()
    assert "there is no instruction.md" in problems(read_harbor(folder))


@pytest.mark.parametrize(
    ("head", "left"),
    [
        ("<!-- canary GUID 1 -->\n# a canary\n\n", ""),
        ("\n\n", ""),
        ("<!-- no bird -->\n", "<!-- no bird -->\n"),
        ("Text\n# canary\n", "Text\n# canary\n"),
    ],
)
def test_a_canary_at_the_head_is_not_shown(head: str, left: str, tmp_path: Path) -> None:
    task = read(tmp_path, "\n", {"instruction.md": f"{head}Do it.\u2028Well.\n"})
    assert task.steps[0].instruction == f"{left}Do it.\u2028Well.\n"


def test_no_folder_of_another_is_taken(tmp_path: Path) -> None:
    secret = toy.write(tmp_path / "secret", {"test.sh": "", "solve.sh": ""})
    for name in ("tests", "solution", "environment"):
        folder = toy.harbor(tmp_path / name, BASE)
        for path in sorted((folder / name).iterdir()):
            path.unlink()
        (folder / name).rmdir()
        (folder / name).symlink_to(secret, target_is_directory=True)
        assert f"{name} leads out of the task's folder" in problems(read_harbor(folder))


VALUES = st.one_of(
    st.booleans(),
    st.integers(-3, 10_000),
    st.sampled_from(["inf", "nan", "-1.5", "'linux'", "''", "{}", "[]", "['a']", "{A = '1'}", "'public'"]),
    st.text(string.ascii_letters + "${}:-", max_size=6).map(lambda text: f"'{text}'"),
)
KEYS = st.sampled_from(
    [
        *("agent.timeout_sec", "agent.user", "verifier.timeout_sec", "verifier.env", "verifier.environment"),
        *("verifier.environment_mode", "environment.cpus", "environment.memory", "environment.env"),
        *("environment.network_mode", "environment.healthcheck", "environment.workdir", "metadata.tags"),
        *("artifacts", "steps", "solution.env", "environment.docker_image", "task", "metadata"),
    ]
)


@given(fields=st.dictionaries(KEYS, VALUES, max_size=4))
def test_no_value_makes_the_reader_fail(
    fields: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    config = "".join(f"{name} = {str(value).lower()}\n" for name, value in fields.items())
    folder = toy.harbor(tmp_path_factory.getbasetemp() / "any" / "any", BASE, config=config)
    try:
        task = read_harbor(folder)
    except EnvironmentUnusableError:
        return
    assert task.steps
    assert all(step.agent_seconds >= 0 for step in task.steps) or task.problems


SERVICES = """
artifacts = [{source = "/dump", service = "DUMP"}]
[verifier]
collect = [{command = "dump", service = "HOOK", timeout_sec = 5, user = 0}]
"""


@pytest.mark.parametrize(
    ("dump", "hook", "told"),
    [
        ("db", "db", ""),
        ("main", "db", ""),
        ("dbs", "db", "artifacts: there is no service 'dbs' (did you mean 'db'?); there are main, db"),
        ("db", "cache", "verifier.collect: there is no service 'cache'; there are main, db"),
    ],
)
def test_what_is_asked_of_a_service_is_asked_of_one_that_is_there(
    tmp_path: Path, dump: str, hook: str, told: str
) -> None:
    compose = "services:\n  db:\n    image: redis:7\n"
    config = SERVICES.replace("DUMP", dump).replace("HOOK", hook)
    task = read(tmp_path, config, {"environment/docker-compose.yaml": compose})
    assert problems(task) == told
    if not told:
        assert task.steps[0].verifier.collect == (Collect(command="dump", service="db", seconds=5, user="0"),)
        assert task.artifacts == (Artifact(source="/dump", service="" if dump == "main" else "db"),)
