"""Text for tmux's command language, and the bytes that its key names stand for.

Names and rules: tmux(1), "KEY BINDINGS"; bytes: what tmux 3.3a sends to a program.
"""

import string

_PLAIN = frozenset((string.ascii_letters + string.digits + " _-+=./,:@%^&*()[]<>?!|").encode())


def printable(text: str) -> bytes:
    """The text as a terminal takes it: UTF-8, without NUL, a question mark for what is no character."""
    return text.replace("\0", "").encode("utf-8", "replace")


def quoted(text: str) -> str:
    """One argument in tmux's command language (since 3.0), in ASCII and on one line."""
    return '"' + "".join(chr(b) if b in _PLAIN else f"\\{b:03o}" for b in printable(text)) + '"'
