"""Argument values of the LongCat grammar: text that may be JSON or Python (specs model §5, step 3)."""

import ast
import json
import warnings
from typing import Any

from longcat_eval.model_backend.tool_text import UNREADABLE, json_text


def read_value(text: str, declared: Any) -> Any:
    """Return an argument's value: its text if declared exactly "string", else JSON, Python literal or text.

    A value JSON cannot hold (a set, bytes, NaN) stays text.
    """
    text = text.strip()
    if declared == "string":
        return text
    for read in (json.loads, read_literal):
        try:
            value = read(text)
        except UNREADABLE:
            continue
        if json_text(value) is not None:
            return value
    return text


def read_literal(text: str) -> Any:
    """Return a Python literal; raises one of UNREADABLE."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes
        return ast.literal_eval(text)
