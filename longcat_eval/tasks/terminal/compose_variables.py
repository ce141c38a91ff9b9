"""Variables in the strings of a compose file. Compose Specification, "Interpolation"."""

import re
from collections.abc import Callable, Mapping
from typing import Any

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATOR = re.compile(r":?[-?+]")


class ComposeError(ValueError):
    """A value that a compose file may not have, or that is not understood here; the text says which."""


class Variables:
    """What `$NAME` stands for; `missing` collects names that were asked for and have no value."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values, self.missing = values, set[str]()

    def substitute(self, text: str) -> str:
        """Replace `$NAME`, `${NAME}`, and with `:-`, `-`, `:+`, `+`, `:?`, `?` and nested words; `$$` is `$`.

        A name without value and default becomes empty. Raises `ComposeError` for any other use of `$` and for
        a required name without value.
        """
        done, rest = [], text
        while True:
            plain, dollar, rest = rest.partition("$")
            done.append(plain)
            if not dollar:
                return "".join(done)
            if rest.startswith("$"):
                done.append("$")
                rest = rest[1:]
            elif rest.startswith("{"):
                end = _closing(rest)
                done.append(self._expression(rest[1:end]))
                rest = rest[end + 1 :]
            elif name := _NAME.match(rest):
                done.append(self._value(name.group()))
                rest = rest[name.end() :]
            else:
                raise ComposeError(f"{text!r} holds a $ that names no variable (write $$ for a plain one)")

    def everywhere(self, node: Any, report: Callable[[str], None]) -> Any:
        """The same tree with its strings substituted; keys stay. A string that cannot be goes to `report`."""
        if isinstance(node, str):
            try:
                return self.substitute(node)
            except ComposeError as error:
                report(str(error))
                return node
        if isinstance(node, Mapping):
            return {key: self.everywhere(value, report) for key, value in node.items()}
        if isinstance(node, list):
            return [self.everywhere(value, report) for value in node]
        return node

    def _expression(self, inside: str) -> str:
        name = _NAME.match(inside)
        if name is None:
            raise ComposeError(f"${{{inside}}} names no variable")
        rest = inside[name.end() :]
        if not rest:
            return self._value(name.group())
        operator = _OPERATOR.match(rest)
        if operator is None:
            raise ComposeError(f"${{{inside}}} is no expression of compose")
        return self._with_word(name.group(), operator.group(), rest[operator.end() :])

    def _with_word(self, name: str, operator: str, word: str) -> str:
        value = self.values.get(name)
        given = bool(value) if operator[0] == ":" else value is not None
        if operator[-1] == "+":
            return self.substitute(word) if given else ""
        if given:
            return value or ""
        if operator[-1] == "?":
            raise ComposeError(
                f"the variable {name} is required: {self.substitute(word) or 'it has no value'}"
            )
        return self.substitute(word)

    def _value(self, name: str) -> str:
        if name not in self.values:
            self.missing.add(name)
        return self.values.get(name, "")


def _closing(text: str) -> int:
    """Where the brace that `text` opens with is closed, past nested `${...}`."""
    depth, at = 0, 0
    while at < len(text):
        if text.startswith("$${", at):
            at += 3
            continue
        if at == 0 or text.startswith("${", at):
            depth += 1
            at += 1 if at == 0 else 2
            continue
        if text[at] == "}":
            depth -= 1
            if depth == 0:
                return at
        at += 1
    raise ComposeError(f"${text} has no closing brace")
