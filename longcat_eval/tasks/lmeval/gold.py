"""What a document says of itself: the lines of `scripted/oracle`."""

from collections.abc import Sequence
from typing import Any

from longcat_eval.tasks.lmeval.prompting import GENERATE, Ask

SURE, UNLIKELY = "0", "-1000"
"""Log-likelihoods as text: what `ScriptedModel.loglikelihood` reads."""


def gold_lines(task: Any, doc: Any, asks: Sequence[Ask]) -> list[str]:
    """Return a line for each request: the target's text, or how likely the text to score is to be."""
    try:
        target = task.doc_to_target(doc)
        choices = task.doc_to_choice(doc) if getattr(task.config, "doc_to_choice", None) is not None else None
        right = _right(task, doc, target, choices) if task.OUTPUT_TYPE == "multiple_choice" else None
        text = choices[target] if choices is not None and isinstance(target, int) else target
        text = text[0] if isinstance(text, list) and text else text
    except Exception:  # noqa: BLE001 - the task's own code; only the scripted oracle wants it
        return [""] * len(asks)
    return [
        str(text) if ask.kind == GENERATE else SURE if right is None or number in right else UNLIKELY
        for number, ask in enumerate(asks)
    ]


def _right(task: Any, doc: Any, target: Any, choices: Sequence[str] | None) -> set[int]:
    """The numbers of the right choices; where each choice has a context of its own, the text names it."""
    named = task.doc_to_text(doc) if getattr(task, "multiple_input", 0) else target
    each = named if isinstance(named, list) else [named]
    return {one if isinstance(one, int) else list(choices or ()).index(one) for one in each}
