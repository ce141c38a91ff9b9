"""Tokens to text that may be shown: whole characters, and nothing that may yet become a stop string."""

import codecs
from collections.abc import Sequence

from longcat_eval.model_backend.longcat.tokenizer import Tokenizer


class TextStream:
    """One choice's text as its tokens come; without a tokenizer there is none."""

    def __init__(self, tokenizer: Tokenizer | None, stop_strings: Sequence[str] = ()) -> None:
        self._tokenizer = tokenizer
        self._stops = [stop for stop in stop_strings if stop]
        self._decode = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self.stopped = False

    def push(self, token: int) -> str:
        """The text that a token makes certain; `stopped` is set where a stop string is complete."""
        if self._tokenizer is None or self.stopped or token in self._tokenizer.special_ids:
            return ""
        return self._certain(self._decode.decode(self._tokenizer.token_bytes(token)))

    def finish(self) -> str:
        """What is held back and stays; nothing where a stop string ended the text."""
        if self.stopped:
            return ""
        rest = self._certain(self._decode.decode(b"", True))
        held, self._held = self._held, ""
        return rest if self.stopped else rest + held

    def _certain(self, text: str) -> str:
        self._held += text
        ends = [at for at in (self._held.find(stop) for stop in self._stops) if at >= 0]
        if ends:
            self.stopped = True
            shown, self._held = self._held[: min(ends)], ""
            return shown
        keep = max((_overlap(self._held, stop) for stop in self._stops), default=0)
        shown, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        return shown


def _overlap(text: str, stop: str) -> int:
    """How long an end of the text is that a stop string begins with."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)
