"""Text for tmux's command language, and the bytes that its key names stand for.

Names and rules: tmux(1), "KEY BINDINGS"; bytes: what tmux 3.3a sends to a program.
"""

import re
import string

_PLAIN = frozenset((string.ascii_letters + string.digits + " _-+=./,:@%^&*()[]<>?!|").encode())


def printable(text: str) -> bytes:
    """The text as a terminal takes it: UTF-8, without NUL, a question mark for what is no character."""
    return text.replace("\0", "").encode("utf-8", "replace")


def quoted(text: str) -> str:
    """One argument in tmux's command language (since 3.0), in ASCII and on one line."""
    return '"' + "".join(chr(b) if b in _PLAIN else f"\\{b:03o}" for b in printable(text)) + '"'


_SINGLE = {"enter": 13, "tab": 9, "escape": 27, "space": 32, "bspace": 127}
_LETTERS = {"up": "A", "down": "B", "right": "C", "left": "D"}
_FUNCTION = {"f1": "P", "f2": "Q", "f3": "R", "f4": "S"}
_NUMBERS = {
    **{"insert": 2, "ic": 2, "delete": 3, "dc": 3, "home": 1, "end": 4},
    **{"ppage": 5, "pageup": 5, "pgup": 5, "npage": 6, "pagedown": 6, "pgdn": 6},
    **{"f5": 15, "f6": 17, "f7": 18, "f8": 19, "f9": 20, "f10": 21, "f11": 23, "f12": 24},
}
_MODIFIED_LETTERS = {**_LETTERS, **_FUNCTION, "home": "H", "end": "F"}
_KEYPAD = {f"kp{c}": c.encode() for c in "0123456789/*-+."}
_UNMODIFIED = {**_KEYPAD, "kpenter": b"\n", "btab": b"\x1b[Z"}
_SHIFT, _META, _CONTROL = 1, 2, 4
_MODIFIERS = {"s": _SHIFT, "m": _META, "c": _CONTROL}
_CONTROL_BYTES = {" ": 0, "2": 0, "|": 28, "6": 30, "-": 31, "/": 31, "?": 127}
_FIRST_PRINTABLE, _LAST_ASCII = 32, 127


def key_bytes(key: str, *, application: bool = False) -> bytes | None:
    """What the key of that name sends, or None if this names no key and is text.

    Empty for a key that sends nothing. `application` is the mode that a program puts the arrows in.
    """
    if hexadecimal := re.match(r"0x([0-9a-fA-F]+)", key):
        return _character(int(hexadecimal[1], 16))
    name, modifiers = _split(key)
    if not name:
        return None
    if len(name) > 1 and name.lower() not in _SINGLE:
        return _special(name.lower(), modifiers, application=application)
    code = ord(name) if len(name) == 1 else _SINGLE[name.lower()]
    if len(name) == 1 and code < _FIRST_PRINTABLE:
        return None
    return _typed(code, modifiers)


def _split(key: str) -> tuple[str, int]:
    """`C-M-x` as x and its modifiers; nothing for what starts like a modifier and is none."""
    modifiers = 0
    if key[:1] == "^" and len(key) > 1:
        modifiers, key = _CONTROL, key[1:]
    while key[1:2] == "-":
        modifier = _MODIFIERS.get(key[0].lower())
        if modifier is None:
            return "", 0
        modifiers, key = modifiers | modifier, key[2:]
    return key, modifiers


def _character(code: int) -> bytes | None:
    try:
        return chr(code).encode()
    except (ValueError, OverflowError):  # not one, or half of one
        return None


def _typed(code: int, modifiers: int) -> bytes | None:
    """A key that stands for a character. Of modifiers that it does not go with, tmux types the whole name."""
    before = b"\x1b" if modifiers & _META else b""
    character = _character(code)
    if character is None or (modifiers & _SHIFT and code <= _LAST_ASCII):
        return None
    if not modifiers & _CONTROL or code > _LAST_ASCII:
        return before + character
    name = chr(code)
    if name in _CONTROL_BYTES:
        return before + bytes([_CONTROL_BYTES[name]])
    if "@" <= name <= "~":
        return before + bytes([code & 31])
    return None if before else b""


def _special(name: str, modifiers: int, *, application: bool) -> bytes | None:
    """A key that sends a sequence."""
    if name in _UNMODIFIED:
        if modifiers == _CONTROL:
            return b""
        return None if modifiers & ~_META else (b"\x1b" if modifiers else b"") + _UNMODIFIED[name]
    number, letter = _NUMBERS.get(name), _MODIFIED_LETTERS.get(name)
    if modifiers and letter:
        return f"\x1b[1;{modifiers + 1}{letter}".encode()
    if modifiers and number:
        return f"\x1b[{number};{modifiers + 1}~".encode()
    if name in _LETTERS:
        return f"\x1b{'O' if application else '['}{_LETTERS[name]}".encode()
    if name in _FUNCTION:
        return f"\x1bO{_FUNCTION[name]}".encode()
    return f"\x1b[{number}~".encode() if number else None
