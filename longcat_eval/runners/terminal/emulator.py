"""The screen of a pseudo-terminal, kept on our side by pyte, with what it lacks: scrollback and a second
screen."""

from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from copy import copy
from functools import lru_cache
from typing import Any

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.runners.terminal.session import COLUMNS, ROWS

HISTORY_LINES = 1_000_000
_PRIVATE = 5
"""pyte shifts the numbers of private modes by this many bits."""
_SECOND_SCREEN = frozenset({47, 1047, 1049})
_APPLICATION_ARROWS = 1 << _PRIVATE


class Emulator:
    """Takes what programs print; has the screen and the lines that left it at the top.

    `answer` gets what a terminal says by itself, when a program asks it where its cursor is and the like.
    Where pyte is not installed the constructor raises `EnvironmentUnusableError`.
    """

    def __init__(self, answer: Callable[[bytes], None]) -> None:
        screen_class, stream_class = _classes()
        self._screen = screen_class(COLUMNS, ROWS)
        self._screen.answer = answer
        self._stream = stream_class(self._screen)

    def feed(self, data: bytes) -> None:
        """Take bytes; a sequence that pyte stumbles over is left out."""
        try:
            self._stream.feed(data)
        except Exception:  # noqa: BLE001 - programs print anything, and pyte's handlers trust their arguments
            self._stream = _classes()[1](self._screen)

    def rows(self) -> list[str]:
        """The visible rows, blanks at their ends dropped."""
        return [text_of(self._screen.buffer[y]) for y in range(ROWS)]

    def history(self) -> list[str]:
        """The lines that left the screen, oldest first."""
        return list(self._screen.past)

    @property
    def application_arrows(self) -> bool:
        """Whether a program wants the other sequences for the arrows (DECCKM)."""
        return _APPLICATION_ARROWS in self._screen.mode


def text_of(row: Mapping[int, Any]) -> str:
    """A row as text; cells that were never written are not in it."""
    if not row:
        return ""
    return "".join(row[x].data if x in row else " " for x in range(min(max(row) + 1, COLUMNS))).rstrip(" ")


@lru_cache(maxsize=1)
def _classes() -> tuple[Any, Any]:
    try:
        import pyte
        from pyte.screens import StaticDefaultDict
    except ImportError:
        raise EnvironmentUnusableError(
            "a terminal in an image without tmux needs pyte: pip install 'longcat-eval[docker]'"
        ) from None

    class Screen(pyte.Screen):
        """pyte's with scrollback, as tmux fills it, and a second screen."""

        def __init__(self, columns: int, lines: int) -> None:
            self.past: deque[str] = deque(maxlen=HISTORY_LINES)
            self.answer: Callable[[bytes], None] = lambda data: None
            self.first: Any = None
            super().__init__(columns, lines)

        def index(self) -> None:
            """Move down a line; what leaves the first screen at the top is kept."""
            top, bottom = self.margins or (0, self.lines - 1)
            if self.cursor.y == bottom and self.first is None:
                self.past.append(text_of(self.buffer[top]))
            super().index()

        def erase_in_display(self, how: int = 0, *args: Any, **kwargs: Any) -> None:
            """Clear; a whole first screen goes into the scrollback, and 3 clears that."""
            if how == 3:
                self.past.clear()
                return
            whole = how == 2 or (how == 0 and (self.cursor.x, self.cursor.y) == (0, 0))
            if whole and self.first is None:
                rows = [text_of(self.buffer[y]) for y in range(self.lines)]
                while rows and not rows[-1]:
                    rows.pop()
                self.past.extend(rows)
            super().erase_in_display(how, *args, **kwargs)

        def set_mode(self, *modes: int, **kwargs: Any) -> None:
            """Set modes; some switch to the second screen."""
            if kwargs.get("private") and _SECOND_SCREEN & set(modes) and self.first is None:
                self.first = (self.buffer, copy(self.cursor), self.margins)
                self.buffer = defaultdict(lambda: StaticDefaultDict(self.default_char))
            super().set_mode(*modes, **kwargs)

        def reset_mode(self, *modes: int, **kwargs: Any) -> None:
            """Reset modes; some switch back."""
            if kwargs.get("private") and _SECOND_SCREEN & set(modes) and self.first is not None:
                (self.buffer, self.cursor, self.margins), self.first = self.first, None
            super().reset_mode(*modes, **kwargs)

        def reset(self) -> None:
            """Start anew on the first screen."""
            self.first = None
            super().reset()

        def write_process_input(self, data: str) -> None:
            """Answer a program's question."""
            self.answer(data.encode())

    return Screen, pyte.ByteStream
