"""Waiting for a shell, and ending what it runs, in real containers."""

import asyncio
import time

import pytest
from docker_fixtures import processes
from terminal_seeing import absent, content, see

from longcat_eval.runners.sandbox.container import DockerSandbox
from longcat_eval.runners.sandbox.sandboxes import DockerSandboxes
from longcat_eval.runners.terminal.open import Kind, open_terminal
from longcat_eval.runners.terminal.session import Terminal

pytestmark = pytest.mark.docker

DEAF = "python3 -c 'import signal, time; signal.pthread_sigmask(0, range(1, 32)); time.sleep(1000)'"


@pytest.mark.parametrize(
    "command",
    [
        "cat >/tmp/h <<'EOF'\nsleep 100 # text\nEOF",
        "echo said # and not more",
        "true \\\n  &&\\\n true",
        "sleep 100 &",
        "(sleep 0.3; echo late)",
        "for i in 1 2 3; do\n  sleep 0.1\ndone\n",
        "false",
        "cd /usr; set -u; echo $-",
        "stty -echo; stty echo",
        "no-such-program",
        "",
        "sleep 0.2; sleep 0.2\nsleep 0.2",
        "if true; then",
    ],
)
async def test_a_command_is_waited_for(terminal: Terminal, command: str) -> None:
    began = time.monotonic()
    assert await terminal.run(command, 60)
    assert time.monotonic() - began < 30
    assert await terminal.end_foreground()


async def test_it_has_ended_when_run_returns(terminal: Terminal, machine: DockerSandbox) -> None:
    for n in range(10):
        assert await terminal.run(f"sleep 0.{n}; echo {n} >/tmp/n", 60)
        assert await machine.get("/tmp/n") == f"{n}\n".encode()


async def test_its_input_is_its_own(terminal: Terminal, machine: DockerSandbox) -> None:
    """Nothing is typed behind a command that the command could read."""
    assert await terminal.run("timeout 1 cat >/tmp/eaten; echo $? >/tmp/code", 60)
    assert await machine.get("/tmp/eaten") == b""
    assert await machine.get("/tmp/code") == b"124\n"


@pytest.mark.parametrize(
    "command", ["sleep 1000", "cat", "read x", "wait", "while :; do :; done", "bash -c 'read x'"]
)
async def test_what_goes_on_is_not_ended(terminal: Terminal, command: str) -> None:
    await terminal.run("sleep 1000 &", 60)
    began = time.monotonic()
    assert not await terminal.run(command, 1)
    assert time.monotonic() - began < 30
    assert await terminal.end_foreground()
    assert await terminal.run("true", 60)


async def test_a_shell_in_the_shell_is_waited_for_too(terminal: Terminal, machine: DockerSandbox) -> None:
    assert not await terminal.run("bash --norc", 1), "it has not ended"
    assert await terminal.run("sleep 0.3; echo $SHLVL >/tmp/level", 60)
    assert await terminal.run("sh", 0.5) is False
    assert await terminal.run("sleep 0.3; echo $0 >/tmp/name", 60)
    assert await machine.get("/tmp/name") == b"sh\n"
    assert await terminal.run("exit", 60)
    assert await terminal.run("exit", 60)
    assert await terminal.run("echo $SHLVL >/tmp/outer", 60)
    assert int(await machine.get("/tmp/level")) == int(await machine.get("/tmp/outer")) + 1


@pytest.mark.parametrize("kind", ["tmux", "pty"])
async def test_frozen_without_a_process_id_left(
    sandboxes: DockerSandboxes, programs_image: str, kind: Kind
) -> None:
    sandbox = await sandboxes.start(programs_image, pids=48)
    terminal = await open_terminal(sandbox, kind=kind)
    await terminal.send(["while :; do (sleep 1000 &); date >/tmp/date; done", "Enter"])
    await asyncio.sleep(5)
    await terminal.freeze()
    before = await sandbox.get("/tmp/date")
    await asyncio.sleep(2)
    assert await sandbox.get("/tmp/date") == before
    await terminal.close()


@pytest.mark.parametrize("shape", ["sh -c '{}; echo'", "({}; echo)", "bash --norc -c '{}; {}'", "{} | cat"])
async def test_a_group_of_its_own_is_of_the_job(
    terminal: Terminal, machine: DockerSandbox, shape: str
) -> None:
    await terminal.send([shape.replace("{}", "timeout 500 sleep 500"), "Enter"])
    until = time.monotonic() + 30
    while (await machine.exec("pgrep -fx 'sleep 500'", timeout=20)).exit_code:
        assert time.monotonic() < until
    await terminal.freeze()
    assert (await machine.exec("pgrep -fx '(timeout 500 )?sleep 500'", timeout=20)).exit_code == 1


async def test_frozen_nothing_typed_goes_on_and_the_background_does(
    terminal: Terminal, machine: DockerSandbox
) -> None:
    ticking = "(while sleep 0.1; do date +%N >/tmp/tick; echo tick; done) &"
    await terminal.send([ticking, "Enter", "nohup sleep 1234 >/dev/null 2>&1 &", "Enter"])
    await terminal.send(["sh -c 'timeout 500 sleep 500; echo bad >/tmp/bad1'; echo bad >/tmp/bad2", "Enter"])
    await asyncio.sleep(1)
    await terminal.send(["echo bad >/tmp/bad3", "Enter"])
    await terminal.freeze()
    assert (await machine.exec("pgrep -f '^timeout 500'", timeout=20)).exit_code == 1
    before = await machine.get("/tmp/tick")
    await terminal.send(["C-c", "echo bad >/tmp/bad4", "Enter"])
    await asyncio.sleep(1)
    for n in range(1, 5):
        assert await absent(machine, f"/tmp/bad{n}")
    assert await machine.get("/tmp/tick") != before
    assert (await machine.exec("pgrep -f '^sleep 1234'", timeout=20)).exit_code == 0
    assert await terminal.alive()
    assert "tick" in await terminal.screen()
    await terminal.freeze()
    await terminal.close()
    assert await processes(machine, "sleep") == 0


@pytest.mark.parametrize(
    "running",
    [
        "sleep 1000",
        "sleep 1000; echo bad >/tmp/bad",
        "while sleep 0.2; do true; done; echo bad >/tmp/bad",
        "while true; do true; done",
        "trap '' INT; sleep 1000",
        "yes",
        "cat",
        "bash --norc",
        "python3 -i",
        "(sleep 1000 | cat)",
        "cat <<EOF",
        "echo 'not yet",
        "read -r line",
        "tmux new-session",
        DEAF,
    ],
)
async def test_ending_the_foreground_leaves_a_shell_that_works(
    terminal: Terminal, machine: DockerSandbox, running: str
) -> None:
    assert await terminal.run("cd /usr; word=kept", 60)
    await terminal.send([running, "Enter"])
    await asyncio.sleep(0.7)
    await terminal.send(["echo bad >/tmp/ahead", "Enter", "echo half"])
    assert await terminal.end_foreground()
    assert await terminal.run("echo $PWD $word >/tmp/after", 60)
    assert await machine.get("/tmp/after") == b"/usr kept\n"
    assert await absent(machine, "/tmp/bad")


async def test_what_was_typed_ahead_never_runs(terminal: Terminal, machine: DockerSandbox) -> None:
    await terminal.send(["sleep 1000", "Enter"])
    await asyncio.sleep(0.5)
    await terminal.send(["echo bad >>/tmp/ahead\n" * 20_000, "echo half"])
    assert await terminal.end_foreground()
    assert await terminal.run("echo good >/tmp/good", 60)
    assert await content(machine, "/tmp/good") == b"good\n"
    assert await absent(machine, "/tmp/ahead")


async def test_a_background_job_of_an_inner_shell_stays(terminal: Terminal, machine: DockerSandbox) -> None:
    assert not await terminal.run("bash --norc", 1)
    assert await terminal.run("sleep 1000 &", 60)
    await terminal.send(["sleep 2000", "Enter"])
    await asyncio.sleep(0.5)
    assert await terminal.end_foreground()
    assert await processes(machine, "sleep") == 1
    assert "2000" in await see(terminal, "2000")


async def test_somebody_ends_the_watch(terminal: Terminal, machine: DockerSandbox) -> None:
    assert await terminal.run("true", 60)
    assert await terminal.run("pkill -9 -f 'eval.*LCEVAL_WATCH'; true", 60)
    assert await terminal.run("true", 60)
