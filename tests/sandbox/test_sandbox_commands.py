"""`longcat-eval sandbox`, `images` and the doctor's line, as typed."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_fixtures import Cli, cli
from fake_registry import FakeRegistry

from longcat_eval.cli.doctor import sandboxes_work
from longcat_eval.cli.images import parse_bytes
from longcat_eval.errors import UsageError
from longcat_eval.runners.sandbox.daemon import connect
from longcat_eval.runners.sandbox.image_store import present
from longcat_eval.runners.sandbox.owner import OWNER, own_labels
from longcat_eval.tasks import table

__all__ = ["cli"]

docker = pytest.mark.docker


@pytest.fixture
def orphan(shell_image: str) -> Iterator[str]:
    """A container whose owner is dead."""
    labels = own_labels("some-run", "agent", "flask-[bold]1", time.time() + 3600)
    labels[OWNER] = labels[OWNER].rpartition("|")[0] + "|0"
    with connect() as client:
        made = str(client.api.create_container(shell_image, ["true"], labels=labels)["Id"])
        yield made
        client.api.remove_container(made, force=True) if made in listed() else None


def listed() -> set[str]:
    with connect() as client:
        return {entry["Id"] for entry in client.api.containers(all=True)}


@docker
def test_abandoned_sandboxes_are_shown_and_reaped(cli: Cli, orphan: str) -> None:
    shown = cli("sandbox", "ls")
    assert shown.code == 0
    (line,) = [line for line in shown.out.splitlines() if orphan[:12] in line]
    assert "owner is gone" in line
    assert orphan[:12] in cli("sandbox", "df").out
    reaped = cli("sandbox", "reap")
    assert f"{orphan[:12]}  flask-[bold]1: owner is gone" in reaped.out
    assert orphan not in listed()


@docker
def test_a_run_is_removed_by_name(cli: Cli, shell_image: str) -> None:
    labels = own_labels("living-run", "agent", "x", time.time() + 3600)
    with connect() as client:
        made = str(client.api.create_container(shell_image, ["true"], labels=labels)["Id"])
    assert made[:12] not in cli("sandbox", "reap").out
    assert cli("sandbox", "reap", "--run", "living-run").out == "removed: 1\n"
    assert made not in listed()


@docker
def test_images_are_planned_pulled_listed_and_pruned(cli: Cli, docker_daemon: None) -> None:
    with FakeRegistry() as registry:
        one, two = registry.add("swe/a"), registry.add("swe/b")
        none = f"{registry.host}/swe/none:latest"
        try:
            planned = cli("images", "plan", one, two, one)
            assert f"missing  {one}" in planned.out
            assert "0 here, 2 to pull" in planned.out
            pulled = cli("images", "pull", one, none, two)
            assert pulled.code == 5
            assert "ok    1/3" in pulled.out
            assert "fail  2/3" in pulled.out
            assert "0 were here, 2 pulled, 1 failed" in pulled.out
            assert cli("images", "pull", one).code == 0
            assert "2 images pulled or built by longcat-eval" in cli("images", "ls").out
            assert cli("images", "df").out.startswith("images: ")
            assert cli("images", "prune", "1B").code == 5
            with connect() as client:
                assert not present(client.api, one)
        finally:
            cli("images", "prune", "1B")


@docker
def test_a_base_image_of_the_host(cli: Cli, docker_daemon: None) -> None:
    built = cli("images", "build", "--from-host")
    if built.code == 5:
        pytest.skip(built.err)
    with connect() as client:
        assert present(client.api, built.out.strip())


@docker
def test_the_images_of_a_task(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, docker_daemon: None
) -> None:
    (tmp_path / "pictured.py").write_text(
        "from longcat_eval.records import Dataset, Sample\n"
        "class Task:\n"
        "    def load(self, options):\n"
        "        rows = [Sample(str(n), {'image': f'none/{n % 2}:1'} if n else {}) for n in range(4)]\n"
        "        return Dataset(rows, 'here', None, '')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(table.TASKS, "pictured", "pictured:Task")
    planned = cli("images", "plan", "--task", "pictured")
    assert "missing  none/1:1\nmissing  none/0:1\n0 here, 2 to pull" in planned.out
    assert "0 here, 1 to pull" in cli("images", "plan", "-t", "pictured", "--sample-id", "2").out
    refused = cli("images", "plan", "-t", "pictured", "--sample-id", "0")
    assert (refused.code, refused.err) == (2, "longcat-eval: pictured names no image for these samples\n")


def test_what_is_typed_wrongly(cli: Cli, docker_socket: None) -> None:
    assert cli("images", "build").code == 2
    assert cli("images", "prune", "a lot").code == 2


@pytest.fixture
def docker_socket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No daemon, whatever this machine has."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")


@pytest.mark.parametrize(
    "words", [("sandbox", "ls"), ("sandbox", "reap"), ("images", "df"), ("images", "pull", "x")]
)
def test_without_a_daemon_one_line_says_so(cli: Cli, docker_socket: None, words: tuple[str, ...]) -> None:
    ran = cli(*words)
    assert ran.code == 5
    assert ran.err.count("\n") == 1
    assert "no Docker daemon answers at unix://" in ran.err


def test_the_doctor_says_so_too(docker_socket: None) -> None:
    assert [probe.status for probe in sandboxes_work(["swe-bench-lite"])] == ["fail"]
    assert [probe.status for probe in sandboxes_work(["mmlu"])] == ["warn"]


@docker
def test_the_doctor_on_a_daemon(docker_daemon: None) -> None:
    (probe,) = sandboxes_work(["swe-bench-lite"])
    assert probe.status in ("ok", "warn")
    assert "CPUs" in probe.detail


@pytest.mark.parametrize(
    ("text", "expected"),
    [("200GB", 200 * 10**9), ("1.5 GiB", 3 << 29), ("5000000", 5_000_000), ("10k", 10_000), ("1B", 1)],
)
def test_sizes(text: str, expected: int) -> None:
    assert parse_bytes(text) == expected


@pytest.mark.parametrize("text", ["", "GB", "1.2.3GB", "5 XB", "-1GB", "."])
def test_sizes_that_are_none(text: str) -> None:
    with pytest.raises(UsageError):
        parse_bytes(text)
