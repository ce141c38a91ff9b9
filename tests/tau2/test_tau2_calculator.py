"""The calculator gives what the original's `eval` gives, and never hangs."""

import time
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longcat_eval.tasks.tau2.calculator import calculate


def original(expression: str) -> str:
    """tau2's own formula: its check of the characters, its evaluation, its rounding."""
    if not all(char in "0123456789+-*/(). " for char in expression):
        raise ValueError("Invalid characters in expression")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return str(round(float(eval(expression, {"__builtins__": None}, {})), 2))


def outcome(function: object, expression: str) -> tuple[str, str]:
    try:
        return "value", function(expression)  # type: ignore[operator]
    except Exception as error:  # noqa: BLE001 - any error must be the same error
        return type(error).__name__, str(error)


@pytest.mark.parametrize(
    "expression",
    [
        *(
            "2 + 2",
            "350 * 3 - 57.5",
            "(1+2)*(3+4)/7",
            "10/4",
            "7//2",
            "-7//2",
            "2**10",
            "2**-2",
            "--3",
            "+4.",
            ".5*.5",
        ),
        *(
            " 1 + 1",
            "1e5",
            "1/0",
            "1//0",
            "0.1+0.2",
            "100/3",
            "((((1))))",
            "",
            " ",
            "()",
            "2(3)",
            "1 2",
            "01",
            "1..2",
            "5.",
        ),
        *(
            "(-8)**0.5",
            "0**-1",
            "9" * 300,
            "9" * 400 + "/" + "9" * 399,
            "2.0**5000",
            "10**308*10",
            "(1",
            "1)",
            "*2",
            "a+1",
        ),
    ],
)
def test_it_gives_what_the_original_gives(expression: str) -> None:
    assert outcome(calculate, expression) == outcome(original, expression)


@pytest.mark.parametrize(
    "expression", ["9**9**9", "9**9**9**9", "(9**999)**(9**99)", "2**9999999999", "(" * 300 + "1"]
)
def test_what_would_hang_is_an_error_at_once(expression: str) -> None:
    began = time.process_time()
    with pytest.raises((ValueError, SyntaxError, MemoryError)):
        calculate(expression)
    assert time.process_time() - began < 0.1


NUMBERS = st.one_of(st.integers(0, 9999).map(str), st.decimals(0, 999, places=2).map(str))


@st.composite
def expressions(draw: st.DrawFn, depth: int = 3) -> str:
    if depth == 0 or draw(st.booleans()):
        return draw(NUMBERS)
    left, right = draw(expressions(depth=depth - 1)), draw(expressions(depth=depth - 1))
    operator = draw(st.sampled_from(["+", "-", "*", "/", "//", " + ", " - "]))
    return f"({left}{operator}{right})" if draw(st.booleans()) else f"{left}{operator}{right}"


@settings(deadline=None)
@given(expressions())
def test_any_ordinary_expression_gives_what_the_original_gives(expression: str) -> None:
    assert outcome(calculate, expression) == outcome(original, expression)


@settings(deadline=None)
@given(st.text("0123456789+-/(). ", max_size=12))
def test_any_text_gives_what_the_original_gives(expression: str) -> None:
    assert outcome(calculate, expression) == outcome(original, expression)
