"""The screen of a pseudo-terminal, kept on our side by pyte, with what it lacks: scrollback and a second
screen."""

import re
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
_INSERT = 4
LONGEST_STRING = 1 << 16
LEAST_SKIMMED = 4 * ROWS
_STRING = re.compile(rb"\x1b[PX^_k].*?(?:\x1b\\|\x07)", re.DOTALL)
"""DCS, SOS, PM, APC, and the title that TERM=screen sets."""
_UNFINISHED = re.compile(rb"\x1b(?:[PX^_k].*)?\Z", re.DOTALL)
_PLAIN_LINES = re.compile(rb"[\x20-\x7e]*(?:\r\n[\x20-\x7e]*)*")


class Emulator:
    """Takes what programs print; has the screen and the lines that left it at the top.

    `answer` gets what a terminal says by itself, when a program asks it where its cursor is and the like.
    `title` is the last that was set. Where pyte is not installed the constructor raises
    `EnvironmentUnusableError`.
    """

    def __init__(self, answer: Callable[[bytes], None]) -> None:
        screen_class, stream_class = _classes()
        self._screen = screen_class(COLUMNS, ROWS)
        self._screen.answer = answer
        self._stream = stream_class(self._screen)
        self._held = b""

    def feed(self, data: bytes) -> None:
        """Take bytes; what pyte does not know or stumbles over is left out."""
        data = self._without_strings(self._held + data)
        self._stream.feed(self._skimmed(data) if len(data) >= LEAST_SKIMMED else data)

    def rows(self) -> list[str]:
        """The visible rows, blanks at their ends dropped."""
        return [text_of(self._screen.buffer[y]) for y in range(ROWS)]

    def history(self) -> list[str]:
        """The lines that left the screen, oldest first."""
        return list(self._screen.past)

    @property
    def title(self) -> str:
        """What OSC 0 or 2 said last."""
        return str(self._screen.title)

    @property
    def application_arrows(self) -> bool:
        """Whether a program wants the other sequences for the arrows (DECCKM)."""
        return _APPLICATION_ARROWS in self._screen.mode

    def _without_strings(self, data: bytes) -> bytes:
        """Drop control strings, which pyte would print; hold back one that has not ended yet."""
        data = _STRING.sub(b"", data)
        opened = _UNFINISHED.search(data)
        self._held = data[opened.start() :] if opened else b""
        if len(self._held) > LONGEST_STRING:
            self._held = b""
        return data[: opened.start()] if opened else data

    def _skimmed(self, data: bytes) -> bytes:
        """Put plain lines that scroll through into the scrollback, return the rest.

        The same as pyte does, at many times its speed: a flood must not bury what comes after it.
        """
        screen, stream = self._screen, self._stream
        first = data.find(b"\n") + 1
        stream.feed(data[:first])
        bottom = (screen.cursor.x, screen.cursor.y) == (0, ROWS - 1) and not screen.buffer[ROWS - 1]
        lines = data[first:].split(b"\r\n")
        through = len(lines) - ROWS - 1
        plain = _PLAIN_LINES.fullmatch(data, first) is not None and max(map(len, lines)) <= COLUMNS
        if not (bottom and plain and through > 0 and stream.at_rest and screen.simple):
            return data[first:]
        screen.past.extend(self.rows()[:-1])
        screen.past.extend(line.decode("ascii").rstrip(" ") for line in lines[:through])
        screen.buffer.clear()
        screen.cursor.y = 0
        return b"\r\n".join(lines[through:])


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

        @property
        def simple(self) -> bool:
            """Whether text goes on line after line, as it does without any of the modes for more."""
            return self.first is None and self.margins is None and _INSERT not in self.mode

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

    class Stream(pyte.ByteStream):
        """pyte's, which goes on where one of its handlers does not take its arguments."""

        @property
        def at_rest(self) -> bool:
            """Whether the next byte begins a character and no sequence is under way."""
            return bool(self._taking_plain_text) and not self.utf8_decoder.getstate()[0]

        def _send_to_parser(self, data: str) -> bool | None:
            try:
                return super()._send_to_parser(data)
            except Exception:  # noqa: BLE001 - programs print anything, and the handlers trust it
                return self._taking_plain_text

    return Screen, Stream
