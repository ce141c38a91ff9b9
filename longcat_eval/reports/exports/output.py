"""Files that are whole or absent, and JSON without anything that looks like a credential."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

HIDDEN = b"***"
SECRET_NAMES = ("KEY", "TOKEN", "SECRET", "PASSWORD")
SHORTEST = 12
"""Shorter values of such variables are words that texts may hold by chance."""
LOOKS_SECRET = re.compile(
    rb"(?:(?<![A-Za-z0-9])|(?<=\\[bfnrt]))(?:"
    rb"sk[-_](?=[A-Za-z0-9_-]*[0-9])[A-Za-z0-9_-]{20,}|(?:hf|gsk)_[A-Za-z0-9]{30,}|xai-[A-Za-z0-9]{30,}"
    rb"|AIza[A-Za-z0-9_-]{30,}|gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,}|glpat-[A-Za-z0-9_-]{20,}"
    rb"|xox[abprs]-[A-Za-z0-9-]{20,}|AKIA[A-Z0-9]{16})"
    rb"|(?<=Bearer )[A-Za-z0-9._~+/=-]{20,}|(?<=://)[^/\s\"@:]{1,64}:[^/\s\"@]{1,256}(?=@)"
)
"""Keys as the well-known services make them, bearer tokens, and user:password in an address."""
PARTS = tuple(b"sk- sk_ hf_ gsk_ xai- AIza ghp_ gho_ ghu_ ghs_ ghr_ github_pat_ glpat- xox AKIA".split())
PARTS += (b"Bearer ", b"://")
"""Without any of these a text has nothing that `LOOKS_SECRET` finds, and is read ten times as fast."""


class Encoder:
    """Encodes JSON with credentials replaced by `***`; `hidden` counts them.

    Those are the values of environment variables that are named like keys, and what looks like a key.
    """

    def __init__(self, env: Mapping[str, str] | None = None) -> None:
        found = os.environ if env is None else env
        values = {
            msgspec.json.encode(value)[1:-1]
            for name, value in found.items()
            if len(value) >= SHORTEST and any(mark in name.upper() for mark in SECRET_NAMES)
        }
        self._own = sorted(values, key=len, reverse=True)
        self._encode = msgspec.json.Encoder().encode
        self.hidden = 0

    def __call__(self, record: Any) -> bytes:
        """A record as JSON on one line."""
        return self.clean(self._encode(record))

    def pretty(self, record: Any) -> bytes:
        """A record as JSON for people to read."""
        return self.clean(msgspec.json.format(self._encode(record), indent=2)) + b"\n"

    def clean(self, text: bytes) -> bytes:
        """A text without credentials."""
        for value in self._own:
            if value in text:
                self.hidden += text.count(value)
                text = text.replace(value, HIDDEN)
        if any(part in text for part in PARTS):
            text, found = LOOKS_SECRET.subn(HIDDEN, text)
            self.hidden += found
        return text

    def text(self, text: str) -> str:
        """`clean` for a str; lone surrogates become question marks."""
        return self.clean(text.encode(errors="replace")).decode()


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write, put in place of `path` at the end; on an error nothing is changed there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name[-200:]}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            yield file
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def file_name(text: str) -> str:
    """A name for a file or folder: letters, digits, dots, dashes and underscores."""
    return re.sub(r"[^\w.-]+", "_", text).strip(".") or "_"
