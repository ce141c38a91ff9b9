"""The way to a terminal in a sandbox, whatever its image has."""

import asyncio
from collections.abc import Mapping
from typing import Literal

from longcat_eval.protocols import Sandbox, SandboxError
from longcat_eval.runners.terminal.place import prepare
from longcat_eval.runners.terminal.pty import open_pty
from longcat_eval.runners.terminal.session import Terminal
from longcat_eval.runners.terminal.tmux import open_tmux

PROMPT_POLLS, POLL_SECONDS = 300, 0.01

Kind = Literal["auto", "tmux", "pty"]


async def open_terminal(
    sandbox: Sandbox,
    *,
    user: str | None = None,
    cwd: str | None = None,
    env: Mapping[str, str] | None = None,
    kind: Kind = "auto",
) -> Terminal:
    """Open a login shell of `user` in `cwd` (default: the image's) on a terminal; `env` is added to its own.

    `auto` is tmux where the image has one (3.0 or newer), else a pseudo-terminal of ours. Raises
    `SandboxError`.
    """
    place = await prepare(sandbox)
    if kind == "tmux" and not place.has_tmux:
        has = (place.tmux and f"{place.tmux}{'' if place.folder else ' and no folder to write'}") or "none"
        raise SandboxError("image_unusable", f"a tmux terminal needs tmux 3.0 or newer; the image has {has}")
    opener = open_tmux if place.has_tmux and kind != "pty" else open_pty
    terminal = await opener(sandbox, place, user=user, cwd=cwd, env=env)
    try:
        await _first_words(terminal)
    except BaseException:
        await asyncio.shield(terminal.close())
        raise
    return terminal


async def _first_words(terminal: Terminal) -> None:
    """Wait for the prompt, or whatever comes before it: keys typed earlier would show twice."""
    for _ in range(PROMPT_POLLS):
        if (await terminal.screen()).strip() or not await terminal.alive():
            return
        await asyncio.sleep(POLL_SECONDS)
