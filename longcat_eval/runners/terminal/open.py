"""The way to a terminal in a sandbox, whatever its image has."""

from collections.abc import Mapping
from typing import Literal

from longcat_eval.protocols import Sandbox, SandboxError
from longcat_eval.runners.terminal.place import prepare
from longcat_eval.runners.terminal.session import Terminal
from longcat_eval.runners.terminal.tmux import open_tmux

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
        has = f"has {place.tmux}" if place.tmux else "has none"
        raise SandboxError("image_unusable", f"a tmux terminal needs tmux 3.0 or newer and the image {has}")
    return await open_tmux(sandbox, place, user=user, cwd=cwd, env=env)
