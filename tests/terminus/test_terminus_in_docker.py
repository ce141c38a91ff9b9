"""Terminus agents at a real terminal."""

from typing import Any

import pytest
import pytest_asyncio
from terminus_play import DONE, play1, play2, types, types1

from longcat_eval.runners.agent import episode as ends
from longcat_eval.runners.sandbox.container import DockerSandbox
from longcat_eval.runners.terminal.open import open_terminal

pytestmark = pytest.mark.docker


@pytest_asyncio.fixture
async def terminal(sandbox: DockerSandbox) -> Any:
    """A terminal of whatever kind the image allows."""
    opened = await open_terminal(sandbox, cwd="/tmp")
    yield opened
    await opened.close()


async def test_a_task_is_done_and_seen(sandbox: DockerSandbox, terminal: Any) -> None:
    played = await play2(
        types("cat >made <<'E'\none; two\n$HOME {3}\nE\n", "wc -l made\n", seconds=0.5),
        types("sleep 50\n", "C-c", "seq 3000\n", seconds=0.5),
        types("echo $((40 + 2))\n", seconds=0.5, done=True),
        DONE,
        terminal=terminal,
    )
    assert played.episode.end == ends.SUBMITTED
    assert await sandbox.get("/tmp/made") == b"one; two\n$HOME {3}\n"
    assert "2 made" in played.prompt(1)
    assert "\n2999\n" in played.prompt(2)
    assert "bytes left out here" in played.prompt(2)
    assert "\n42\n" in played.prompt(3)
    assert [entry["seconds"] for entry in played.episode.commands] == [0.5] * 6


async def test_a_shell_that_ends_itself_ends_the_episode(terminal: Any) -> None:
    played = await play2(types("exit\n", seconds=1.0), DONE, terminal=terminal)
    assert (played.episode.end, played.episode.steps) == (ends.TERMINAL_GONE, 1)


async def test_a_deadline_leaves_the_terminal_usable_for_who_ends_it(terminal: Any) -> None:
    played = await play2(types("sleep 600\n", seconds=60.0), terminal=terminal, seconds=1.5)
    assert played.episode.end == ends.WALL_CLOCK
    assert await terminal.alive()
    await terminal.freeze()


async def test_terminus_1_waits_for_what_ends(terminal: Any) -> None:
    played = await play1(
        types1("sleep 0.7; echo a$((1 + 1))b\n", seconds=20.0),
        types1("sleep 60\n", "echo never\n", seconds=0.5),
        types1("C-c", blocking=False),
        types1("true\n", done=True),
        terminal=terminal,
    )
    assert played.episode.end == ends.SUBMITTED
    assert "a2b" in played.prompt(1)
    assert "not over after 0.5 seconds" in played.prompt(2)
    assert "never" not in played.prompt(2)
    assert played.episode.commands[0]["seconds"] > 0.6
