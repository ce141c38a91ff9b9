"""How likely a text was to a server: reading the log probabilities of an echoed prompt off the wire.

POST /completions with `echo` and `logprobs` is how lm-evaluation-harness asks for them too: vLLM, SGLang and
our own server answer it; most hosted endpoints do not.
"""

from collections.abc import Sequence
from typing import Any, cast

import msgspec

from longcat_eval.model_backend.failures import RequestError
from longcat_eval.model_backend.replies import read_usage, text_or_none
from longcat_eval.protocols import LogLikelihoodModel, Model
from longcat_eval.records import Completion, Message, Usage

NONE_GIVEN = (
    "the reply holds no log probabilities of the prompt: log-likelihoods cannot be had from this endpoint"
)


def scored(total: float, greedy: bool, tokens: int, usage: Usage | None = None) -> Completion:
    """The completion that says how likely a text of `tokens` tokens was (natural logarithm)."""
    found = {"sum": total, "greedy": greedy, "tokens": tokens}
    said = f"log-likelihood {total:.4f}" + (", greedy" if greedy else "")
    usage = usage or Usage(prompt_tokens=tokens)
    return Completion(Message("assistant", said), "scored", usage, logprobs=found)


def likelihood(completion: Completion) -> tuple[float, bool]:
    """The sum of log probabilities, and whether greedy decoding gives the text."""
    return completion.logprobs["sum"], completion.logprobs["greedy"]


def scorer(model: Model) -> LogLikelihoodModel:
    """The same model as one that scores texts; `capabilities` say whether it does, wrappers have it all."""
    return cast("LogLikelihoodModel", model)


def read_scores(body: bytes, prompt: str, start: int) -> Completion:
    """Return the log-likelihood of what follows character `start` of an echoed prompt.

    A token that reaches over `start` counts whole. The first token of a prompt has no probability and counts
    nothing, unless the server puts a token before it. Raises `RequestError` (bad_body, http 400).
    """
    try:
        reply = msgspec.json.decode(body)
        choice = reply["choices"][0]
        logs = choice["logprobs"]
        tokens, values, tops = logs["tokens"], logs["token_logprobs"], logs.get("top_logprobs")
        usage = read_usage(reply.get("usage"))
    except msgspec.DecodeError:
        raise RequestError("bad_body", "the reply is no JSON") from None
    except (KeyError, IndexError, TypeError):
        raise RequestError("http 400", NONE_GIVEN, alike="no prompt logprobs") from None
    given = len(tokens) - 1  # the last one is the one token that had to be generated
    first = _first(tokens, logs.get("text_offset"), given, len(prompt) - start)
    if given < 1 or len(values) != len(tokens) or first is None:
        raise RequestError("http 400", NONE_GIVEN, alike="no prompt logprobs")
    found = [value for value in values[first:given] if value is not None]
    best = [max(top.values()) if top else None for top in (tops or [None] * len(tokens))[first:given]]
    greedy = all(
        value is None or (most is not None and value >= most)
        for value, most in zip(values[first:given], best, strict=True)
    )
    return msgspec.structs.replace(
        scored(sum(found), greedy, len(found), usage),
        served_model=text_or_none(reply.get("model")),
        fingerprint=text_or_none(reply.get("system_fingerprint")),
    )


def _first(tokens: Sequence[str], offsets: Any, given: int, length: int) -> int | None:
    """The first of the tokens that make up the last `length` characters of the prompt, None if they do not.

    Offsets are taken from the prompt's end, because some servers count a token that they put before it.
    """
    if isinstance(offsets, list) and len(offsets) == len(tokens):
        end = offsets[given]
        if end - offsets[0] < length:
            return None
        edges = offsets[1 : given + 1]
    else:
        ends = [0]
        for token in tokens[:given]:
            ends.append(ends[-1] + len(token))
        end, edges = ends[-1], ends[1:]
        if end < length:
            return None
    return next((i for i, edge in enumerate(edges) if edge > end - length), given)
