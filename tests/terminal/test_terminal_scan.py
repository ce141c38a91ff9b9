"""What a look at a task's files tells: bases, hosts, what is special, and what cannot be done."""

from pathlib import Path

import pytest
import toy_terminal as toy
from hypothesis import given
from hypothesis import strategies as st

from longcat_eval.tasks.terminal.read_harbor import read_harbor
from longcat_eval.tasks.terminal.read_tb import read_tb
from longcat_eval.tasks.terminal.scan import Scanned, hosts, scan

SEVERAL = """\
services:
  client:
    build: {dockerfile: Dockerfile, args: {VERSION: "15"}}
    container_name: ${T_BENCH_TASK_DOCKER_CLIENT_CONTAINER_NAME}
    command: [sleep, infinity]
    tmpfs: [/root]
  db:
    image: postgres:15
    healthcheck: {test: pg_isready}
"""


def scanned(folder: Path) -> Scanned:
    (task,) = read_tb(folder)
    return scan(task)


def test_a_plain_task_has_a_base_and_nothing_else(tmp_path: Path) -> None:
    found = scanned(toy.terminal_bench(tmp_path / "t", "debian:12"))
    assert found == Scanned(bases=("debian:12",), hosts=(), features=(), problems=())
    assert found.facts() == {"on": ("debian:12",), "reaches": (), "has": ()}


def test_hosts_are_those_of_dockerfiles_tests_and_solutions(tmp_path: Path) -> None:
    folder = toy.terminal_bench(
        tmp_path / "t",
        "debian:12",
        lines=("# RUN curl https://comment.example", "ADD https://dl.example/x.tar.gz /x"),
        tests="curl -LsSf https://astral.sh/uv/0.7.13/install.sh | sh\n# see https://comment.example\n",
        solution="git clone https://user:pw@git.example:8443/r; curl http://localhost:80 http://db:5432/\n",
    )
    toy.write(
        folder,
        {"tests/setup.sh": "wget $URL https://$HOST/x https://api.{name}.example 'ftp://ftp.example/y'\n"},
    )
    found = scanned(folder)
    assert found.hosts == ("astral.sh", "dl.example", "ftp.example", "git.example")


def test_typed_solutions_are_looked_at_too(tmp_path: Path) -> None:
    typed = "- command: curl https://typed.example\n"
    assert scanned(toy.terminal_bench(tmp_path / "t", "debian:12", solution_yaml=typed)).hosts == (
        "typed.example",
    )


def test_what_is_special_is_named(tmp_path: Path) -> None:
    folder = toy.terminal_bench(
        tmp_path / "t",
        "debian:12",
        compose=SEVERAL,
        settings="run_tests_in_same_shell: true\n",
        lines=("ARG VERSION", "FROM other:${VERSION}", "RUN <<EOF", "echo hi", "EOF"),
    )
    (folder / "solution.sh").unlink()
    found = scanned(folder)
    assert found.bases == ("debian:12", "other:15", "postgres:15")
    assert set(found.features) == {
        *("2 containers", "tests in the agent's shell", "tmpfs", "health check", "no solution"),
        "lowered Dockerfile",
    }


def test_steps_and_machines_of_tests(tmp_path: Path) -> None:
    found = scan(read_harbor(toy.harbor_steps(tmp_path / "steps", "debian:12")))
    assert found.features == ("2 steps",)
    config = "[environment]\nnetwork_mode = 'no-network'\n[verifier.environment]\ndocker_image = 'judge:1'\n"
    found = scan(read_harbor(toy.harbor(tmp_path / "apart", "debian:12", config=config)))
    assert found.bases == ("debian:12", "judge:1")
    assert set(found.features) == {"separate tests", "no network"}


def test_problems_are_told(tmp_path: Path) -> None:
    folder = toy.terminal_bench(
        tmp_path / "t", "debian:12", compose=toy.COMPOSE + "    wishes: 1\n", settings="parser_name: other\n"
    )
    (folder / "Dockerfile").unlink()
    problems = "\n".join(scanned(folder).problems)
    for told in ("wishes", "parser_name: other", "Dockerfile"):
        assert told in problems


def test_large_and_strange_files_stop_nothing(tmp_path: Path) -> None:
    folder = toy.terminal_bench(tmp_path / "t", "debian:12")
    (folder / "tests" / "big.sh").write_bytes(b"https://big.example " * 100_000)
    (folder / "tests" / "strange.sh").write_bytes(b"\xff\xfe https://strange.example\n")
    assert scanned(folder).hosts == ("strange.example",)


@given(st.text(alphabet="htps:/[]@.$ab1 '\"#\n", max_size=40))
@pytest.mark.parametrize("head", ["", "https://"])
def test_no_text_makes_it_fail(head: str, text: str) -> None:
    for host in hosts([head + text]):
        assert host
        assert not set(host) & set("$/ '\"")
