"""A program that the extractor wrote, run on the reply that it was written for: in a language without exits.

Meeseeks asks a model for a Python function and runs it (`src_code/process_corresponding_parts.py`, with
`exec`). That model reads what the model under test wrote, so its program is hostile until shown otherwise.
Here RestrictedPython compiles it; it sees texts, lists, numbers and the functions of `re`, never a module; an
audit hook refuses files, processes and sockets while it runs; and all of it is in a worker process that is
killed at its limits and holds no keys.
"""

import operator
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

FUNCTION = "extract_info_list"
MOST_PARTS, LONGEST = 5_000, 1_000_000
_FENCE = re.compile(r"```(?:python)?(.*?)```", re.DOTALL)
_RE = SimpleNamespace(
    **{
        name: getattr(re, name)
        for name in (
            *("sub", "subn", "findall", "finditer", "split", "search", "match", "fullmatch", "compile"),
            *("escape", "DOTALL", "S", "MULTILINE", "M", "IGNORECASE", "I", "VERBOSE", "X", "UNICODE", "U"),
        )
    }
)
_TYPES = (str, list, dict, set, tuple, re.Match, re.Pattern)
_HIDDEN = {"format", "format_map", "encode"}
_HARMLESS = ("compile", "exec", "object.__getattr__")
"""Audit events of running and of guarding a program."""


class _Door:
    """The state of the audit hook of this process, which cannot be taken away again."""

    hung, closed = False, False


def run(program: str, reply: str) -> list[str]:
    """Return what `extract_info_list(reply)` of a program returns; raises `ValueError` for anything else."""
    from RestrictedPython.compile import compile_restricted

    fenced = _FENCE.search(program)
    source = (fenced[1] if fenced else program).strip()
    try:
        code = compile_restricted(source, "<extractor>", "exec")
        names = _names()
        with _closed():
            exec(code, names)
            parts = names[FUNCTION](reply)
    except Exception as error:  # noqa: BLE001 - whatever a model's program raises is its own fault
        raise ValueError(f"the extractor's program fails: {type(error).__name__}: {error}"[:300]) from None
    if type(parts) is not list or not all(type(part) is str for part in parts):
        raise ValueError("the extractor's program does not return a list of texts")
    if len(parts) > MOST_PARTS or sum(map(len, parts)) > LONGEST:
        raise ValueError("the extractor's program returns too much")
    return parts


def extract(program: str, reply: str) -> tuple[list[str] | None, str]:
    """Return (parts, "") or (None, why); for a worker process."""
    try:
        return run(program, reply), ""
    except ValueError as error:
        return None, str(error)


def _names() -> dict[str, Any]:
    """The whole world of a program."""
    from RestrictedPython.Guards import (
        guarded_iter_unpack_sequence,
        guarded_unpack_sequence,
        safe_builtins,
    )

    plain: tuple[Any, ...] = (list, dict, set, tuple, enumerate, filter, map, reversed, iter, next)
    plain += (min, max, sum, any, all, sorted)
    hidden = {"id", "setattr", "delattr", "hash", "callable", "_getattr_"}
    hidden |= {
        "BaseException",
        "SystemExit",
        "KeyboardInterrupt",
        "GeneratorExit",
    }  # they would end the worker
    return {
        "__builtins__": {
            **{name: value for name, value in safe_builtins.items() if name not in hidden},
            **{one.__name__: one for one in plain},
            "__import__": _import,
        },
        "__name__": "extractor",
        "re": _RE,
        "_getattr_": _attribute,
        "_getitem_": operator.getitem,
        "_getiter_": iter,
        "_iter_unpack_sequence_": guarded_iter_unpack_sequence,
        "_unpack_sequence_": guarded_unpack_sequence,
        "_inplacevar_": _in_place,
        "_write_": _writable,
    }


def _attribute(owner: Any, name: str) -> Any:
    """Methods of texts, containers and matches; nothing private, and no format strings, which look inside."""
    of_class = type(owner) is type and owner in _TYPES and name in vars(owner)
    allowed = type(owner) in _TYPES or owner is _RE or of_class
    if not allowed or name.startswith("_") or name in _HIDDEN:
        raise AttributeError(f"{type(owner).__name__}.{name} is not for programs of an extractor")
    return getattr(owner, name)


def _import(name: str, *rest: Any) -> Any:
    if name != "re":
        raise ImportError(f"{name} is not for programs of an extractor")
    return _RE


def _writable(owner: Any) -> Any:
    if type(owner) not in (list, dict):
        raise TypeError(f"a {type(owner).__name__} is not written to")
    return owner


def _in_place(operation: str, left: Any, right: Any) -> Any:
    known: Mapping[str, Callable[[Any, Any], Any]] = {"+=": operator.add, "-=": operator.sub}
    if operation not in known:
        raise TypeError(f"{operation} is not for programs of an extractor")
    return known[operation](left, right)


def _refuse_when_closed(event: str, arguments: Any) -> None:
    if _Door.closed and event not in _HARMLESS:
        raise PermissionError(f"{event} is not for programs of an extractor")


@contextmanager
def _closed() -> Iterator[None]:
    if not _Door.hung:
        sys.addaudithook(_refuse_when_closed)
        _Door.hung = True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an odd regular expression would be quoted from a file that is none
        _Door.closed = True
        try:
            yield
        finally:
            _Door.closed = False
