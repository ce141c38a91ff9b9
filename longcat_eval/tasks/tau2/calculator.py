"""tau2's `calculate` tool without `eval`: the same characters, the same rounding, small numbers.

The original (`tau2/domains/airline/tools.py`) hands its text to `eval`, which `9**9**9` keeps busy for hours.
"""

import ast
import operator
from collections.abc import Callable
from functools import wraps
from typing import Any

CHARACTERS = frozenset("0123456789+-*/(). ")
MAX_CHARACTERS = 2_000
MAX_BITS = 8_192
"""Whole numbers beyond this have no float, so that no ordinary result is lost: 2**1024 is the end there."""

BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}
UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {ast.UAdd: operator.pos, ast.USub: operator.neg}


def calculate(expression: str) -> str:
    """Return the value of an arithmetic expression, rounded to two decimals, as text.

    Raises what Python raises for a wrong expression, and `ValueError` where a number would grow too large.
    """
    if not all(character in CHARACTERS for character in expression):
        raise ValueError("Invalid characters in expression")
    if len(expression) > MAX_CHARACTERS:
        raise ValueError("Expression too long")
    tree = ast.parse(expression.lstrip(" "), "<string>", mode="eval")
    return str(round(float(_value(tree.body)), 2))


def in_place_of(official: Callable[..., Any]) -> Callable[[str], str]:
    """`calculate` with the name and the description of the tool it replaces: schemas and errors show them."""

    @wraps(official)
    def replaced(expression: str) -> str:
        return calculate(expression)

    return replaced


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Constant):
        return _bounded(node.value)
    if isinstance(node, ast.BinOp):
        left, right = _value(node.left), _value(node.right)
        if isinstance(node.op, ast.Pow):
            return _bounded(_power(left, right))
        return _bounded(BINARY[type(node.op)](left, right))
    if isinstance(node, ast.UnaryOp):
        return UNARY[type(node.op)](_value(node.operand))
    if isinstance(node, ast.Call):
        raise TypeError(f"{type(_value(node.func)).__name__!r} object is not callable")
    if isinstance(node, ast.Tuple):
        return ()
    raise ValueError("Invalid expression")


def _power(base: Any, exponent: Any) -> Any:
    whole = isinstance(base, int) and isinstance(exponent, int)
    if whole and abs(base) > 1 and abs(exponent) * base.bit_length() > 2 * MAX_BITS:
        raise ValueError("Number too large")
    return base**exponent


def _bounded(value: Any) -> Any:
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise ValueError("Number too large")
    return value
