"""What an image offers a terminal: a private place, a shell, and perhaps tmux."""

import re
import secrets
from typing import NamedTuple

from longcat_eval.protocols import Sandbox, SandboxError
from longcat_eval.runners.terminal import scripts

PREPARE_SECONDS = 60.0
OLDEST_TMUX = (3, 0)
"""Its command language has been the same since."""
NEWEST_TMUX = (99, 0)


class Place(NamedTuple):
    """`folder` does not exist yet; whose terminal it is makes it. Empty where nothing can be written.

    `tmux` is what `tmux -V` says, or empty.
    """

    folder: str
    shell: str
    tmux: str

    @property
    def version(self) -> tuple[int, int]:
        """Of tmux; one without a number is a new one."""
        found = re.search(r"(\d+)\.(\d+)", self.tmux)
        return (int(found[1]), int(found[2])) if found else NEWEST_TMUX

    @property
    def has_tmux(self) -> bool:
        """Whether there is a tmux that we can speak to, and a place for its socket."""
        return bool(self.tmux and self.folder) and self.version >= OLDEST_TMUX


async def prepare(sandbox: Sandbox) -> Place:
    """Make the place and look round. Raises `SandboxError`."""
    done = await sandbox.exec(scripts.PREPARE, timeout=PREPARE_SECONDS, user="0", cwd="/")
    words = done.output.decode("utf-8", "replace").strip().split(" ", 2)
    if len(words) < len(Place._fields):
        raise SandboxError("image_unusable", f"a terminal cannot be prepared: {done.output!r}")
    base, bash, tmux = ("" if word == scripts.NOT_THERE else word for word in words)
    return Place(base and f"{base}/{secrets.token_hex(6)}", "bash --login" if bash else "sh", tmux)
