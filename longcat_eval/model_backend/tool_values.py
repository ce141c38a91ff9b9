"""Argument values of the LongCat grammar: text that may be JSON or Python (specs model §5, step 3)."""

import ast
import json
import warnings
from typing import Any

from longcat_eval.model_backend.tool_text import to_json

UNREADABLE = (ValueError, SyntaxError, TypeError, MemoryError, RecursionError)


def read_value(text: str, declared: Any) -> Any:
    """Return the value of an argument: its text if declared exactly "string", else JSON, Python literal, text.

    A value JSON cannot hold (a set, bytes, NaN) stays text.
    """
    text = text.strip()
    if declared == "string":
        return text
    for read in (read_json, read_literal):
        try:
            value = read(text)
            to_json(value).encode()
        except UNREADABLE:
            continue
        return value
    return text


def read_json(text: str) -> Any:
    """Return a JSON value; NaN and Infinity are refused."""
    return json.loads(text, parse_constant=refuse)


def read_literal(text: str) -> Any:
    """Return a Python literal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        return ast.literal_eval(text)


def refuse(constant: str) -> Any:
    """Refuse NaN and Infinity, which are no JSON."""
    raise ValueError(constant)
