"""Texts out of Python source that is read and not run: literals, f-strings and their sums, as templates."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from longcat_eval.errors import EnvironmentUnusableError

SHOWN_NAMES: Mapping[str, str] = {
    "original_instruction": "instruction",
    "terminal_output": "terminal_state",
    "self._limit_output_length(terminal_output)": "terminal_state",
    "feedback": "feedback",
    "result.error": "error",
    "result.warning": "warnings",
    "parse_result.warning": "warnings",
    "self._get_error_response_type()": "kind",
    "summary_response": "summary",
    "summary_response.content": "summary",
    "short_llm_response.content": "summary",
    "current_screen": "screen",
    "limited_screen": "screen",
    "model_questions": "questions",
    "model_answers": "answers",
    "answers_response.content": "answers",
    "limit_str": "limit",
    "first_portion": "head",
    "last_portion": "tail",
    "max_bytes": "max_bytes",
    "omitted_bytes": "omitted_bytes",
    "new_content": "output",
    "self._get_visible_screen()": "output",
    "await self._get_visible_screen()": "output",
    "visible_screen": "output",
}
"""The expressions in texts of terminal-bench and harbor, and what ours call them."""


class Template(NamedTuple):
    """A text for `str.format` and the names in its braces; `name` is what it is assigned to, if it is."""

    text: str
    fields: frozenset[str]
    name: str = ""


class SourceTexts:
    """The texts of one file; what is looked for and not there raises `EnvironmentUnusableError`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (OSError, SyntaxError, ValueError) as error:
            raise EnvironmentUnusableError(f"{path} cannot be read: {error}") from None
        self._functions = {
            node.name: node
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        self.classes = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}

    def find(self, function: str, *fields: str, name: str = "", index: int = 0) -> str:
        """Return the text in a function that holds exactly these fields and is assigned to `name`, if given.

        Of several, the one with that index, in the order of the source; the same text twice is one.
        """
        wanted = frozenset(fields)
        found = [
            template.text
            for template in _templates(self._body(function))
            if template.fields == wanted and name in ("", template.name)
        ]
        return self._pick(list(dict.fromkeys(found)), index, function)

    def returned(self, function: str, index: int) -> str:
        """Return the text that a function gives in its return statement of that index."""
        returns = [node for node in ast.walk(self._body(function)) if isinstance(node, ast.Return)]
        returns.sort(key=lambda node: node.lineno)
        read = [_template(node.value) for node in returns if node.value is not None]
        return self._pick([template.text for template in read if template], index, function)

    def _pick(self, found: list[str], index: int, function: str) -> str:
        if index >= len(found):
            raise EnvironmentUnusableError(
                f"{self.path}: {function} is not as this version of longcat-eval knows it; "
                "use --prompt-source own, or the version that the documentation names"
            )
        return found[index]

    def _body(self, function: str) -> ast.AST:
        if function not in self._functions:
            self._pick([], 0, function)
        return self._functions[function]


def _templates(node: ast.AST, name: str = "") -> Iterator[Template]:
    """The largest expressions that are texts, in the order of the source."""
    if isinstance(node, ast.expr) and (template := _template(node)) is not None:
        yield template._replace(name=name)
        return
    if isinstance(node, ast.JoinedStr):
        return
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        name = node.targets[0].id
    for child in ast.iter_child_nodes(node):
        yield from _templates(child, name)


def _template(node: ast.expr) -> Template | None:
    """An expression as a template, if it is a text made of literals and known names, one literal at least."""
    parts = _parts(node)
    if parts is None or not any(is_literal for is_literal, _ in parts):
        return None
    text = "".join(_escaped(part) if is_literal else f"{{{part}}}" for is_literal, part in parts)
    return Template(text, frozenset(part for is_literal, part in parts if not is_literal))


def _parts(node: ast.expr) -> list[tuple[bool, str]] | None:
    """Literals (True) and names (False) of a text, None for what is none or holds an unknown name."""
    match node:
        case ast.Constant(value=str(text)):
            return [(True, text)]
        case ast.JoinedStr(values=values):
            return _joined(values)
        case ast.FormattedValue(value=value, conversion=-1, format_spec=None):
            name = SHOWN_NAMES.get(ast.unparse(value))
            return None if name is None else [(False, name)]
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            return _joined([left, right])
        case ast.Name() | ast.Attribute():
            name = SHOWN_NAMES.get(ast.unparse(node))
            return None if name is None else [(False, name)]
    return None


def _joined(nodes: list[ast.expr]) -> list[tuple[bool, str]] | None:
    parts: list[tuple[bool, str]] = []
    for node in nodes:
        more = _parts(node)
        if more is None:
            return None
        parts += more
    return parts


def _escaped(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")
