"""What another tool's files say: results with their origin, and what is not said."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

SHARE = re.compile(
    r"(.*_)?acc(uracy)?(_norm|_bytes|_mutual_info)?|exact[_ -]?match|em|f1|mean|mc[12]|resolved|score"
    r"|(pass|avg|maj)([@^]|_at_)\d+",
    re.IGNORECASE,
)
"""Metrics that are shares of questions or attempts, so that 0.5 is 50 percent."""


LONGEST = 200
"""Characters of a text that is told."""
SAMPLING = (
    "temperature",
    "top_p",
    "top_k",
    "max_tokens",
    "max_gen_toks",
    "do_sample",
    "seed",
    "reasoning_effort",
)


class ForeignResult(NamedTuple):
    """One number of another tool.

    `name` and `metric` are as the tool has them; `task` is our name of the benchmark, empty where none is
    known to be the same. `value` and `stderr` are in percent where `share`, else as written. `n` questions
    were asked `repeats` times each, `lost` attempts have no verdict; None is not said. `told` is what else
    the file says of how it was made, `others` are numbers beside it (`acc_norm 35.10`).
    """

    name: str
    metric: str
    value: float | None
    share: bool
    task: str = ""
    stderr: float | None = None
    n: int | None = None
    repeats: int | None = None
    lost: int | None = None
    told: Mapping[str, str] = {}
    others: tuple[str, ...] = ()

    def plain(self) -> "ForeignResult":
        """The same with every text fit to be printed."""
        told = {plain(name): plain(value) for name, value in self.told.items()}
        others = tuple(map(plain, self.others))
        return self._replace(name=plain(self.name), metric=plain(self.metric), told=told, others=others)

    @property
    def label(self) -> str:
        """The metric as our tables name such: `acc` for a share at one repeat, `avg@k` for k."""
        if self.metric.casefold() not in ("acc", "accuracy", "mean", "exact_match", "exact match"):
            return self.metric
        return f"avg@{self.repeats}" if self.repeats is not None and self.repeats > 1 else "acc"

    @property
    def unknown(self) -> list[str]:
        """What a reader would need for a comparison, and the file does not say."""
        absent = {
            "number of questions": self.n is None,
            "repeats": self.repeats is None,
            "data version": not self.told.keys() & {"revision", "data sha256", "task version"},
            "sampling": not any(name.startswith("temperature") for name in self.told),
            "standard error": self.stderr is None,
        }
        return ["prompts and grader beyond their name", *(name for name, is_so in absent.items() if is_so)]


class ForeignLog(NamedTuple):
    """Results of one model by one tool; `path` is where they were read, `date` may be empty."""

    tool: str
    version: str
    date: str
    model: str
    path: str
    results: tuple[ForeignResult, ...]
    about: tuple[str, ...] = ()

    def plain(self) -> "ForeignLog":
        """The same with every text fit to be printed."""
        about, results = tuple(map(plain, self.about)), tuple(each.plain() for each in self.results)
        texts = {name: plain(getattr(self, name)) for name in ("tool", "version", "date", "model", "path")}
        return self._replace(**texts, about=about, results=results)

    @property
    def made_by(self) -> str:
        """`inspect-ai 0.3.285`."""
        return f"{self.tool} {self.version or '(version unknown)'}"

    @property
    def origin(self) -> str:
        """`inspect-ai 0.3.285, 2026-01-01, logs/x.eval`."""
        return ", ".join((self.made_by, self.date or "undated", self.path))


def number(value: object) -> float | None:
    """A finite number, else None: tools write N/A and NaN too."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if abs(value) < float("inf") else None
    except OverflowError:
        return None


def day(seconds: float | str | None) -> str:
    """The ISO date of a Unix time, which may be a text; empty for what is none."""
    try:
        return datetime.fromtimestamp(float(seconds or ""), UTC).date().isoformat()
    except (ValueError, OverflowError, OSError):
        return ""


def plain(text: str) -> str:
    """A text of others on one line, at most `LONGEST` characters, without what steers a terminal."""
    shown = "".join(letter if letter.isprintable() else " " * letter.isspace() for letter in text)
    line = " ".join(shown.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def scaled(metric: str, value: float | None) -> tuple[float | None, bool]:
    """A value in percent, and whether it is a share: by its metric's name and by lying in [0, 1]."""
    if value is None or not SHARE.fullmatch(metric) or not 0 <= value <= 1:
        return value, False
    return round(100 * value, 10), True


def sampling(config: Mapping[str, object]) -> dict[str, str]:
    """Settings of a request worth telling, as texts."""
    return {name: f"{config[name]}" for name in SAMPLING if config.get(name) is not None}
