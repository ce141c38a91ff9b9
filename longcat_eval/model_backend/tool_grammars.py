"""The tool grammars by name, for `--tool-parser`."""

from collections.abc import Mapping, Sequence

from longcat_eval.errors import UsageError, did_you_mean
from longcat_eval.model_backend.tool_hermes import Hermes
from longcat_eval.model_backend.tool_longcat import LongcatXml
from longcat_eval.model_backend.tool_text import Grammar, ParsedReply
from longcat_eval.records import Wire

NO_PARSER = "none"
GRAMMARS: Mapping[str, Grammar] = {"longcat_xml": LongcatXml(), "hermes": Hermes()}


def grammar_named(name: str) -> Grammar:
    """Return a grammar by the name users give it; raises `UsageError`."""
    if name not in GRAMMARS:
        known = [*GRAMMARS, NO_PARSER]
        raise UsageError(
            f"unknown tool parser {name!r}{did_you_mean(name, known)}: use one of {', '.join(known)}"
        )
    return GRAMMARS[name]


def parse_reply(text: str, tools: Sequence[Wire], grammar: str, *, lenient: bool = False) -> ParsedReply:
    """Take a reply apart into content and calls (ids call_0, call_1, ...).

    Strict reads the grammar and nothing else; lenient also reads the forms seen in the wild and says so in
    `parse_mode`. Names of unknown tools are kept. Raises `ToolSyntaxError` for a call that is opened and
    cannot be read, `UsageError` for an unknown grammar.
    """
    return grammar_named(grammar).parse(text, tools, lenient)
