"""What a reply shows: its text without the reasoning, and the verdict where it holds no answer."""

from longcat_eval.records import Completion, Outcome, Score, Transcript

REASONING_TAGS = ("think", "longcat_think")
_CUT = frozenset({"length", "max_tokens"})
_DECLINED = frozenset({"content_filter", "refusal"})


def visible_text(text: str) -> str:
    """Return `text` without reasoning: what follows the last `</think>`; nothing if reasoning never ends."""
    for tag in REASONING_TAGS:
        _, closing, tail = text.rpartition(f"</{tag}>")
        if closing:
            return tail
        if text.startswith(f"<{tag}>") or text.lstrip().startswith(f"<{tag}>"):
            return ""
    return text


def ended_early(transcript: Transcript) -> Score | None:
    """Return the verdict of an attempt that the runner or the model's filter ended, None if there is a reply.

    The runner's outcome stands; a reply with finish reason `content_filter` or `refusal` is REFUSED.
    """
    if transcript.outcome is not None:
        return Score(0.0 if transcript.outcome.valid else None, transcript.outcome, transcript.reason)
    reply = transcript.last
    if reply is None:
        return Score(None, Outcome.HARNESS_ERROR, "no_reply")
    if reply.finish_reason in _DECLINED:
        return Score(0.0, Outcome.REFUSED, reply.finish_reason)
    return None


def without_answer(reply: Completion, why: str, rule: str | None = None) -> Score:
    """Return the verdict on a reply with no answer: LENGTH_LIMIT if it was cut, else NO_ANSWER (`why`)."""
    if reply.finish_reason in _CUT:
        return Score(0.0, Outcome.LENGTH_LIMIT, "tokens", rule=rule)
    return Score(0.0, Outcome.NO_ANSWER, why if reply.text.strip() else "empty", rule=rule)
