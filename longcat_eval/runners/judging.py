"""Verdicts by a model: asked, read, and asked again where they cannot be read.

A judge is any model in a role of its own (`judge`, or several, such as `extractor` and `scorer`). Its calls
stand in the transcript and are never paid twice: see `Context.ask`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from longcat_eval.protocols import AttemptContext, ModelError
from longcat_eval.records import JudgeRules, Outcome, Wire

T = TypeVar("T")

NULL_VERDICT = "null_verdict"
NULLS = "null_verdicts"
"""The metric of a row that counts the judge's unreadable replies; reports show their sum."""
NEXT_TRY = 1000
"""Try j of the question at turn n is turn n + 1000 j, which gives it a seed of its own."""


class Verdict(NamedTuple, Generic[T]):
    """What a judge said: `value` is None where no reply could be read, `nulls` counts such replies.

    `text` is the reply that was read, else the last one.
    """

    value: T | None
    nulls: int
    text: str


@dataclass(frozen=True)
class Judge:
    """A judge's role and rules: `prompt_hash` is sha256 over its prompts (`tasks.prompts.prompt_hash`).

    `tries` replies are asked for at most, each with the next seed, before a verdict counts as null;
    `max_tokens` is the completion limit of one.
    """

    role: str = "judge"
    prompt_hash: str = ""
    tries: int = 3
    max_tokens: int = 16_000

    @property
    def rules(self) -> JudgeRules:
        """For `TaskProtocol.judges`, by the role's name."""
        return JudgeRules(self.prompt_hash, self.tries, self.max_tokens)

    async def ask(
        self,
        ctx: AttemptContext,
        messages: Sequence[Wire] | str,
        parse: Callable[[str], T | None],
        *,
        turn: int = 0,
        final: bool = False,
        **overrides: Any,
    ) -> Verdict[T]:
        """Ask question number `turn` (0 to 999, each once) and read the reply: None from `parse` is a null.

        An attempt that is tried again has its earlier replies read first, then as many tries once more,
        unless a null is `final`, a verdict too by the protocol.
        Raises `ModelError` (judge_error) where the judge cannot be asked.
        """
        asked = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
        nulls, said = 0, ""
        for again in range(self.tries if final else self.tries * ctx.tries):
            reply = await ctx.ask(asked, role=self.role, turn=turn + NEXT_TRY * again, **overrides)
            said = reply.text
            value = parse(said)
            if value is not None:
                return Verdict(value, nulls, said)
            nulls += 1
        return Verdict(None, nulls, said)

    async def verdict(
        self,
        ctx: AttemptContext,
        messages: Sequence[Wire] | str,
        parse: Callable[[str], T | None],
        *,
        turn: int = 0,
        **overrides: Any,
    ) -> tuple[T, int]:
        """As `ask`, for who cannot go on without: return the value and the number of nulls before it.

        A null then raises `ModelError` (judge_error, reason null_verdict): no score is made up.
        """
        found = await self.ask(ctx, messages, parse, turn=turn, **overrides)
        if found.value is None:
            raise null_verdict(self.role, found)
        return found.value, found.nulls


def null_verdict(role: str, verdict: "Verdict[Any]") -> ModelError:
    """The error of an attempt that has no verdict."""
    said = " ".join(verdict.text.split())[-80:]
    message = f"the {role} gave no readable verdict in {verdict.nulls} replies; the last ends {said!r}"
    return ModelError(Outcome.JUDGE_ERROR, NULL_VERDICT, message, alike=f"{role}: {NULL_VERDICT}")


def structured(kind: type[T]) -> Callable[[str], T | None]:
    """A reader of JSON verdicts: the last JSON value in a reply that is a `kind` (a msgspec type).

    It may stand alone, in a fence, or after other text; anything else is a null.
    """
    decoder = msgspec.json.Decoder(kind)

    def read(text: str) -> T | None:
        import json

        scan, found, at = json.JSONDecoder(), None, 0
        while (at := min((i for i in (text.find("{", at), text.find("[", at)) if i >= 0), default=-1)) >= 0:
            try:
                _, end = scan.raw_decode(text, at)
            except (ValueError, RecursionError):
                at += 1
                continue
            try:
                found = decoder.decode(text[at:end])
            except msgspec.DecodeError:
                at += 1
                continue
            at = end
        return found

    return read
