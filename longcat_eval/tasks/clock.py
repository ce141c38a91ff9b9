"""The states of an attempt and when it entered them, for transcripts."""

import time


class Clock:
    """Notes when an attempt enters a state, in seconds since it began."""

    def __init__(self, states: list[list[str | float]]) -> None:
        self._states, self._began = states, time.monotonic()

    def enter(self, state: str) -> None:
        """Enter a state."""
        self._states.append([state, round(time.monotonic() - self._began, 3)])
