"""How the next token is drawn: transformers' processors in their order, and the named alternatives.

    repetition penalty -> greedy where temperature is 0 -> temperature -> top_k -> top_p -> draw

Source: transformers 4.57.6 `generation/logits_process.py`; the joint order is SGLang's, where top_p looks
at the whole distribution. A draw depends on the request's seed, the choice and the position alone, so neither
the batch nor a preemption changes it.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from longcat_eval.model_backend.longcat.engine_api import SamplingParams


@dataclass(frozen=True)
class Draw:
    """One row to draw for: how, the distinct tokens that count as repeated, and a number in [0, 1)."""

    params: SamplingParams
    seen: Tensor | None = None
    uniform: float = 0.0


def uniform(seed: int, choice: int, position: int) -> float:
    """The number in [0, 1) that decides a choice's token at a position; 53 bits of a hash."""
    digest = hashlib.blake2b(f"{seed}/{choice}/{position}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "little") >> 11) / (1 << 53)


def sample(logits: Tensor, draws: Sequence[Draw]) -> list[int]:
    """Logits [R, vocabulary] to a token for each row."""
    scores = penalised(logits, draws)
    tokens = scores.argmax(dim=-1)
    drawn = [row for row, draw in enumerate(draws) if draw.params.temperature > 0]
    for rows in _alike(drawn, draws):
        ids, probabilities = distribution(scores[rows], [draws[row].params for row in rows])
        totals = probabilities.to(torch.float64).cumsum(dim=-1)
        numbers = torch.tensor([[draws[row].uniform] for row in rows], dtype=torch.float64)
        wanted = numbers.to(totals.device) * totals[:, -1:]
        place = torch.searchsorted(totals, wanted, right=True)
        # A number that rounds up to the whole falls on the last token that has any probability.
        last = (probabilities > 0).to(torch.int64).cumsum(-1).argmax(-1, keepdim=True)
        tokens[rows] = ids.gather(1, torch.minimum(place, last)).squeeze(1)
    chosen: list[int] = tokens.tolist()
    return chosen


def penalised(logits: Tensor, draws: Sequence[Draw]) -> Tensor:
    """Seen tokens lose: a positive score is divided by the penalty, a negative one multiplied."""
    rows = [
        row for row, draw in enumerate(draws) if draw.params.repetition_penalty != 1 and draw.seen is not None
    ]
    scores = logits.float()
    if rows and scores is logits:
        scores = logits.clone()
    for row in rows:
        draw = draws[row]
        seen = scores[row].index_select(0, draw.seen)  # type: ignore[arg-type]
        penalty = draw.params.repetition_penalty
        changed = torch.where(seen < 0, seen * penalty, seen / penalty)
        scores[row].index_copy_(0, draw.seen, changed)  # type: ignore[arg-type]
    return scores


def distribution(scores: Tensor, params: Sequence[SamplingParams]) -> tuple[Tensor, Tensor]:
    """Penalised scores [R, V] to candidates [R, m] and their probabilities, 0 for those filtered out.

    Rows have either all a top_k or none, and all a top_p below 1 or none (`sample` sees to it).
    """
    device = scores.device
    scores = scores / torch.tensor([[p.temperature] for p in params], device=device)
    cuts_k, cuts_p = params[0].top_k > 0, params[0].top_p < 1
    if not cuts_k and not cuts_p:
        ids = torch.arange(scores.shape[1], device=device).expand_as(scores)
        return ids, functional.softmax(scores, dim=-1)
    values, ids, least = _candidates(scores, [p.top_k for p in params])
    in_k = values >= least
    alone = functional.softmax(values.masked_fill(~in_k, -torch.inf), dim=-1)
    if not cuts_p:
        return ids, alone
    whole = (values - scores.logsumexp(dim=-1, keepdim=True)).exp()
    joint = torch.tensor([[p.filter_order == "joint"] for p in params], device=device)
    seen_by_p = torch.where(joint, whole, alone)
    # The mass of a token and of all below it, as transformers adds it up from the least likely on.
    below = seen_by_p.flip(-1).cumsum(-1).flip(-1) + (1 - seen_by_p.sum(-1, keepdim=True)).clamp_(min=0)
    in_p = below > 1 - torch.tensor([[p.top_p] for p in params], device=device)
    in_p[:, 0] = True
    return ids, functional.softmax(values.masked_fill(~(in_k & in_p), -torch.inf), dim=-1)


def _candidates(scores: Tensor, top_k: list[int]) -> tuple[Tensor, Tensor, Tensor]:
    """Scores and ids, best first, of all that a row's top_k keeps, ties included; and the least kept."""
    size = scores.shape[1]
    kept = torch.tensor([[min(k or size, size)] for k in top_k], device=scores.device)
    most = int(kept.max())
    if most == size:
        values, ids = scores.sort(dim=-1, descending=True)
        return values, ids, values.gather(1, kept - 1)
    least = scores.topk(most, dim=-1).values.gather(1, kept - 1)
    with_ties = int((scores >= least).sum(dim=-1).max())
    values, ids = scores.topk(with_ties, dim=-1)
    return values, ids, least


def _alike(rows: list[int], draws: Sequence[Draw]) -> list[list[int]]:
    """Rows by the filters they have, so that one without does not pay for one with."""
    groups: dict[tuple[bool, bool], list[int]] = {}
    for row in rows:
        params = draws[row].params
        groups.setdefault((params.top_k > 0, params.top_p < 1), []).append(row)
    return list(groups.values())


class Seen:
    """The distinct tokens that count as repeated, as a tensor that grows."""

    def __init__(self, tokens: Sequence[int], device: torch.device) -> None:
        distinct = list(dict.fromkeys(tokens))
        self._known = set(distinct)
        self._ids = torch.tensor(distinct + [0] * 64, dtype=torch.int64, device=device)

    def add(self, token: int) -> None:
        """One token more."""
        if token in self._known:
            return
        if len(self._known) == len(self._ids):
            self._ids = torch.cat([self._ids, torch.zeros_like(self._ids)])
        self._ids[len(self._known)] = token
        self._known.add(token)

    @property
    def ids(self) -> Tensor:
        """[distinct] int64."""
        return self._ids[: len(self._known)]
