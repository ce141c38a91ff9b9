"""What tests of exports share."""

from collections.abc import Callable
from pathlib import Path

TASKS = {"mmlu": (7, 1), "aime24": (5, 4)}
"""Questions x repeats; one attempt of each benchmark is lost (`made_up_runs`)."""

Export = Callable[..., Path]
