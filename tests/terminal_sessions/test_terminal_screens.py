"""What a terminal shows, and what becomes of it when something around it breaks."""

import asyncio
import re

import pytest
from terminal_seeing import PATIENCE, content, see

from longcat_eval.protocols import SandboxError
from longcat_eval.runners.sandbox.container import DockerSandbox
from longcat_eval.runners.sandbox.sandboxes import DockerSandboxes
from longcat_eval.runners.terminal.open import open_terminal
from longcat_eval.runners.terminal.session import ROWS, Terminal

pytestmark = pytest.mark.docker

IS_CLIENT = "read -r c <$d/comm; case $c in 'tmux: client') kill -9 ${d#/proc/};; esac"
KILL_CLIENTS = f"for d in /proc/[0-9]*; do {IS_CLIENT}; done"


async def gone(terminal: Terminal) -> None:
    async with asyncio.timeout(PATIENCE):
        while await terminal.alive():  # noqa: ASYNC110 - it is in a container
            await asyncio.sleep(0.05)


async def test_two_hundred_thousand_lines_are_kept(terminal: Terminal) -> None:
    assert await terminal.run("PS1='$ '; printf '\\33[H\\33[J'; seq 1 200000", 120)
    screen, history = await terminal.screen(), await terminal.history()
    assert screen.splitlines()[-2:] == ["200000", "$"]
    numbers = [line for line in history.splitlines() if line.isdecimal()]
    assert numbers == [str(n) for n in range(1, 200_001)]
    assert history.endswith(screen)
    await terminal.send(["echo still; here", "C-u", "echo st''ill"])
    assert "$ echo st''ill" in await see(terminal, "st''ill")


async def test_an_endless_flood_is_survived_and_ended(terminal: Terminal) -> None:
    await terminal.send(["yes", "Enter"])
    await see(terminal, "y\ny\ny\n")
    await asyncio.sleep(1)
    assert (await terminal.screen()).count("y\n") >= ROWS - 1
    await terminal.send(["C-c"])
    assert await terminal.run("printf '\\33[H\\33[J'; echo af''ter", 60)
    assert "after" in await terminal.screen()


async def test_clearing_temporary_files_does_not_end_it(terminal: Terminal, machine: DockerSandbox) -> None:
    assert await terminal.run("rm -rf /tmp/* /tmp/.[!.]* /var/tmp/*; ls -A /tmp | wc -l >/left", 60)
    assert await content(machine, "/left") == b"0\n"
    assert await terminal.alive()


async def test_wide_lines_wrap_and_blanks_go(terminal: Terminal) -> None:
    assert await terminal.run("PS1='$ '; printf '\\33[H\\33[J'; printf '%0170d|\\n   x   \\n\\n'", 60)
    rows = (await terminal.screen()).split("\n")
    assert rows[:5] == ["0" * 160, "0" * 10 + "|", "   x", "", "$"]
    assert rows[5:] == [""] * (ROWS - 5 + 1)


async def test_the_shells_end_is_seen_and_its_last_screen_stays(terminal: Terminal) -> None:
    assert await terminal.run("echo la''st", 60)
    assert await terminal.alive()
    assert await terminal.run("exit", 60)
    await gone(terminal)
    await terminal.send(["echo nothing", "Enter"])
    assert await terminal.run("true", 10)
    await terminal.freeze()
    assert not await terminal.end_foreground()
    assert re.search("^last$", await terminal.screen(), re.M)
    assert re.search("^last$", await terminal.history(), re.M)
    assert "dead" not in await terminal.screen()
    await terminal.close()
    await terminal.close()


async def test_its_own_programs_see_a_tmux_of_their_own(machine: DockerSandbox) -> None:
    terminal = await open_terminal(machine)
    assert terminal.kind == "tmux"
    assert await terminal.run(
        "tmux new-session -d -s mine && tmux send-keys -t mine 'tty >/tmp/own' Enter", 60
    )
    assert (await content(machine, "/tmp/own")).startswith(b"/dev/pts/")
    assert await terminal.run("tmux ls >/tmp/ls; tmux kill-server", 60)
    assert (await content(machine, "/tmp/ls")).startswith(b"mine: 1 windows")
    assert await terminal.alive()
    await terminal.close()


async def test_an_ended_client_is_replaced_and_an_ended_server_is_the_end(machine: DockerSandbox) -> None:
    terminal = await open_terminal(machine, kind="tmux")
    for n in range(3):
        await machine.exec(KILL_CLIENTS, timeout=20)
        await terminal.send([f"echo se''en {n}", "Enter"])
        await see(terminal, f"seen {n}")
        assert await terminal.alive()
    await machine.exec("pkill -KILL tmux", timeout=20)
    await gone(terminal)
    await terminal.send(["echo nothing", "Enter"])
    assert "seen 2" in await terminal.screen()
    await terminal.close()
    left = await machine.exec("ps -eo tty,args | grep '^pts' || echo none", timeout=20)
    assert left.output == b"none\n"


async def test_calls_given_up_half_way_do_not_mix_up_the_next(terminal: Terminal) -> None:
    assert await terminal.run("PS1='$ '; printf '\\33[H\\33[J'; seq 1 5000", 60)
    for n in range(60):
        call = asyncio.create_task(terminal.history() if n % 2 else terminal.send([f"x{n}", "C-u"]))
        for _ in range(n % 7):
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
    waiting = asyncio.create_task(terminal.run("sleep 100", 90))
    await asyncio.sleep(0.5)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await terminal.send(["C-c"])
    assert await terminal.run("printf '\\33[H\\33[J'; echo o''k", 60)
    assert "ok" in (await terminal.screen()).splitlines()


async def test_many_calls_at_once_each_get_their_answer(terminal: Terminal) -> None:
    assert await terminal.run("PS1='$ '; printf '\\33[H\\33[J'; seq 1 300", 60)
    asked = await asyncio.gather(
        *(terminal.screen() for _ in range(20)), *(terminal.history() for _ in range(20))
    )
    assert len(set(asked[:20])) == 1
    assert len(set(asked[20:])) == 1
    assert asked[20].endswith(asked[0])


async def test_restart_ends_it_and_a_stopped_sandbox_says_so(machine: DockerSandbox) -> None:
    terminal = await open_terminal(machine, kind="tmux")
    await machine.restart()
    await gone(terminal)
    again = await open_terminal(machine, kind="tmux")
    assert await again.run("true", 60)
    await machine.stop()
    with pytest.raises(SandboxError) as caught:
        await again.screen()
    assert caught.value.reason == "container_lost"
    await again.close()


@pytest.mark.parametrize("kind", ["tmux", "pty"])
async def test_a_folder_that_is_not_there(machine: DockerSandbox, kind: str) -> None:
    with pytest.raises(SandboxError, match="no-such-folder") as caught:
        await open_terminal(machine, cwd="/no-such-folder", kind=kind)  # type: ignore[arg-type]
    assert caught.value.reason == "image_unusable"


async def test_an_image_without_tmux_gets_a_pseudo_terminal(
    sandboxes: DockerSandboxes, shell_image: str
) -> None:
    sandbox = await sandboxes.start(shell_image)
    with pytest.raises(SandboxError, match="the image has none"):
        await open_terminal(sandbox, kind="tmux")
    terminal = await open_terminal(sandbox)
    assert terminal.kind == "pty"
    assert await terminal.run("echo fi''ne", 60)
    assert "fine" in await terminal.screen()
    await terminal.close()


async def test_an_image_with_next_to_nothing(sandboxes: DockerSandboxes, busybox_image: str) -> None:
    sandbox = await sandboxes.start(busybox_image)
    terminal = await open_terminal(sandbox)
    assert await terminal.run("echo fi''ne; sleep 0", 60)
    assert "fine" in await terminal.screen()
    assert not await terminal.run("sleep 100", 1)
    await terminal.freeze()
    running = "for d in /proc/[0-9]*; do read -r s <$d/stat; case $s in *'(sleep) '[!Z]*) echo x; esac; done"
    assert (await sandbox.exec(running, timeout=20)).output == b"x\n", "what keeps the container alive"
    await terminal.close()
