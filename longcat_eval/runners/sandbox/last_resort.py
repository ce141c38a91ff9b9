"""When the process ends without having cleaned up: its containers go, unless it was killed outright.

Even then the next start's reaper removes them.
"""

import atexit
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

_DEADLY = (signal.SIGTERM, signal.SIGHUP)


class LastResort:
    """Calls `clean_up` once: at interpreter exit, or at a signal that nobody else handles.

    Ctrl-C raises KeyboardInterrupt, which leads to the interpreter's exit. A child made by fork does nothing.
    """

    def __init__(self, clean_up: Callable[[], None]) -> None:
        self._clean_up, self._pid = clean_up, os.getpid()
        self._taken: list[signal.Signals] = []

    def arm(self) -> None:
        """Stand by."""
        atexit.register(self._run)
        if threading.current_thread() is threading.main_thread():
            for number in _DEADLY:
                if signal.getsignal(number) == signal.SIG_DFL:
                    signal.signal(number, self._on_signal)
                    self._taken.append(number)

    def disarm(self) -> None:
        """All is cleaned up already."""
        atexit.unregister(self._run)
        if threading.current_thread() is threading.main_thread():
            for number in self._taken:
                if signal.getsignal(number) == self._on_signal:
                    signal.signal(number, signal.SIG_DFL)
        self._taken = []

    def _run(self) -> None:
        if os.getpid() == self._pid:
            self._clean_up()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._run()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
