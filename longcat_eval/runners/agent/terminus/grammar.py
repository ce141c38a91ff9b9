"""How replies are written: the two grammars of Terminus 2, each with its parser."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from longcat_eval.runners.agent.terminus import json_answer, xml_answer
from longcat_eval.runners.agent.terminus.answer import Answer


class Grammar(NamedTuple):
    """`read` turns a reply into an answer; `salvage` finds a whole answer in a reply that was cut off, or ''.

    `texts` are all words that `read` may have for a model.
    """

    name: str
    read: Callable[[str], Answer]
    salvage: Callable[[str], str]
    texts: tuple[str, ...]


def _nothing(reply: str) -> str:
    return ""


GRAMMARS: Mapping[str, Grammar] = {
    "json": Grammar("json", json_answer.read_json, _nothing, json_answer.TEXTS),
    "xml": Grammar("xml", xml_answer.read_xml, xml_answer.salvage_xml, xml_answer.TEXTS),
}
"""A reply in JSON that was cut off is not a whole one."""
