"""An installed terminal-bench or harbor, found without importing it: its files, its version, its parsers."""

import importlib.machinery
import importlib.metadata
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from longcat_eval.errors import EnvironmentUnusableError, UsageError, did_you_mean
from longcat_eval.runners.agent.terminus.answer import Answer
from longcat_eval.runners.agent.terminus.grammar import GRAMMARS, Grammar

PACKAGES = {"terminal-bench": "terminal_bench", "harbor": "harbor"}
"""Names on the package index, and what is imported."""
INSTALLED = "installed"
SOURCES = (INSTALLED, *PACKAGES)
PARSER_CLASSES = {"json": "TerminusJSONPlainParser", "xml": "TerminusXMLPlainParser"}


class Package(NamedTuple):
    """An installed package: its name on the index, its version, its folder."""

    name: str
    version: str
    folder: Path

    def file(self, *parts: str) -> Path:
        """A file of it; `EnvironmentUnusableError` if it is not there."""
        path = self.folder.joinpath(*parts)
        if not path.is_file():
            raise EnvironmentUnusableError(
                f"{self.name} {self.version} has no {'/'.join(parts)}: install another version of it, "
                "or use --prompt-source own"
            )
        return path

    def text(self, *parts: str) -> str:
        """The content of a text file of it."""
        return self.file(*parts).read_text(encoding="utf-8")


def find_package(
    source: str, *, names: tuple[str, ...] = tuple(PACKAGES), where: Path | None = None
) -> Package:
    """Return the package that a source of prompts names; `installed` is the first there of `names`.

    `where` is a site-packages folder instead of this interpreter's. Raises `UsageError` for an unknown
    source, `EnvironmentUnusableError` with the remedy where nothing is installed.
    """
    if source not in SOURCES:
        hint = did_you_mean(source, ("own", *SOURCES))
        raise UsageError(f"no prompt source {source!r}{hint}: own, {', '.join(SOURCES)}")
    wanted = names if source == INSTALLED else (source,)
    if not set(wanted) <= set(names):
        raise UsageError(f"{source} has no such agent: use --prompt-source {names[0]}")
    for name in wanted:
        if (package := _found(name, where)) is not None:
            return package
    commands = " or ".join(f"`pip install {name}`" for name in wanted)
    raise EnvironmentUnusableError(
        f"--prompt-source {source}: this Python has no {' and no '.join(wanted)}; {commands} into its "
        "environment (they need a newer Python than we do), or use --prompt-source own"
    )


def _found(name: str, where: Path | None) -> Package | None:
    module = PACKAGES[name]
    if where is None:
        spec = importlib.util.find_spec(module)
    else:
        spec = importlib.machinery.PathFinder.find_spec(module, [str(where)])
    if spec is None or not spec.submodule_search_locations:
        return None
    folders = sys.path if where is None else [str(where)]
    found = importlib.metadata.distributions(name=name, path=folders)
    version = next((distribution.version for distribution in found), "unknown")
    return Package(name, version, Path(next(iter(spec.submodule_search_locations))))


def installed_grammar(package: Package, grammar: str, *parts: str) -> Grammar:
    """Return our grammar with the words of a package's own parser for what is wrong with a reply.

    The parser is one file that needs nothing of its package, and is run from it alone.
    """
    ours, parser = GRAMMARS[grammar], _parser(package.file(*parts), PARSER_CLASSES[grammar])

    def read(reply: str) -> Answer:
        return _in_words_of(parser, ours.read(reply), reply)

    return ours._replace(read=read, texts=(package.text(*parts),))


def _parser(path: Path, name: str) -> Callable[[str], Any]:
    spec = importlib.util.spec_from_file_location(f"installed_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise EnvironmentUnusableError(f"{path} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        parse: Callable[[str], Any] = getattr(module, name)().parse_response
    except (ImportError, AttributeError, SyntaxError, TypeError) as error:
        raise EnvironmentUnusableError(
            f"{path} is not as this version of longcat-eval knows it ({error}); use --prompt-source own"
        ) from None
    return parse


def _in_words_of(parser: Callable[[str], Any], answer: Answer, reply: str) -> Answer:
    """An answer with a parser's words; ours where that parser fails, or sees an error where there is none."""
    try:
        said = parser(reply)
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        return answer
    if bool(said.error) != bool(answer.error):
        return answer
    words = tuple(said.warning.removeprefix("- ").split("\n- ")) if said.warning else ()
    return replace(answer, error=said.error, warnings=words)
