"""What every terminal offers, whatever stands behind it: tmux in the image, or a bare pseudo-terminal."""

from collections.abc import Sequence
from typing import Protocol

ROWS, COLUMNS = 40, 160
"""The size that terminal-bench gives its terminals (`terminal_bench/terminal/tmux_session.py` 0.2.18)."""


class Terminal(Protocol):
    """An interactive shell with a screen.

    What fails for other reasons than the shell's raises `SandboxError`. Once the shell has ended, keys go
    nowhere and the last screen stays. `kind` is tmux or pty, for the record.
    """

    kind: str

    async def send(self, keys: Sequence[str]) -> None:
        """Type: each element is, whole, a key's name in tmux's words (`C-c`, `Enter`), else literal text."""
        ...

    async def screen(self) -> str:
        """The visible rows, one line each, blanks at the ends of lines dropped, as `tmux capture-pane -p`."""
        ...

    async def history(self) -> str:
        """All since the start that the scrollback still holds, and the screen: `capture-pane -p -S -`."""
        ...

    async def run(self, command: str, timeout: float) -> bool:
        """Type a command and Enter, wait for the shell to end it; False if it was still at it at `timeout`.

        The shell is the one that reads what is typed: one inside another if there is one. Nothing but the
        command is typed. A command that wants more lines than it has is ended as far as the shell goes.
        """
        ...

    async def alive(self) -> bool:
        """Whether its shell is still there."""
        ...

    async def freeze(self) -> None:
        """End what runs in the foreground and stop the shell for good: nothing typed before goes on.

        What was put in the background stays, and so does the terminal that it writes to.
        """
        ...

    async def end_foreground(self) -> bool:
        """End what runs in the foreground, drop what was typed ahead, leave the shell at an empty prompt.

        False if it did not get there: the shell has ended, or goes on by itself whatever ends.
        """
        ...

    async def close(self) -> None:
        """End it with everything that was started from it."""
        ...
