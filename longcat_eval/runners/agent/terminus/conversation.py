"""The history of a Terminus agent: plain chat, counted in tokens by what servers told of it."""

import time
from collections.abc import Sequence
from typing import Any

from longcat_eval.model_backend.role import estimate_tokens
from longcat_eval.protocols import AttemptContext
from longcat_eval.records import Completion, Usage, Wire
from longcat_eval.runners.agent.account import Account
from longcat_eval.runners.agent.faults import NOTHING_SAID


def user(text: str) -> Wire:
    """A user message; halves of characters, which a model may put into its keys, are question marks."""
    return {"role": "user", "content": text.encode("utf-8", "replace").decode()}


def assistant(text: str) -> Wire:
    """A message of the model; servers want some words in it."""
    said = text.encode("utf-8", "replace").decode()
    return {"role": "assistant", "content": said if said.strip() else NOTHING_SAID}


class Conversation:
    """`messages` are those kept; every request has a turn, and with it a seed, of its own.

    Reasoning is not sent back, as in the originals. `limit` is the model's context in tokens as far as it is
    known, 0 if not. `merged`: adjacent user messages go out as one, because some chat templates want turns.
    """

    def __init__(self, ctx: AttemptContext, account: Account, limit: int, *, merged: bool) -> None:
        self.ctx, self.account, self.merged = ctx, account, merged
        self.limit = limit or ctx.context_length()
        self.messages: list[Wire] = []
        self.turn = 0
        self._shortest = 2
        self._counted: dict[int, int] = {}

    async def ask(self, prompt: str, *after: Wire, fresh: bool = False, **overrides: Any) -> Completion:
        """Ask once, keeping nothing; the history is followed by `after`, or left out if `fresh`.

        Raises `ModelError`.
        """
        messages = [*([] if fresh else self.messages), *after, user(prompt)]
        turn, self.turn, asked = self.turn, self.turn + 1, time.monotonic()
        try:
            return await self.ctx.ask(
                _merged(messages) if self.merged else messages,
                role="agent",
                turn=turn,
                prompt_tokens=0 if fresh or not self._counted else self.count(*after, user(prompt)),
                **overrides,
            )
        finally:
            self.account.count(asked)

    def keep(self, prompt: str, said: str, usage: Usage) -> None:
        """Add what was asked, and what counts of the reply."""
        self.messages += [user(prompt), assistant(said)]
        if usage.prompt_tokens:
            self._counted[len(self.messages)] = usage.total - usage.reasoning_tokens

    def count(self, *after: Wire) -> int:
        """Tokens of the history with `after` behind it: those a server counted, the rest with caution."""
        known = max((size for size in self._counted if size <= len(self.messages)), default=0)
        rest = [*self.messages[known:], *after]
        return self._counted.get(known, 0) + (estimate_tokens({"messages": rest}) if rest else 0)

    def is_short_of(self, tokens: int, prompt: str) -> bool:
        """Whether less than so many are free beside a prompt; never where the context is unknown."""
        return bool(self.limit) and self.limit - self.count(user(prompt)) < tokens

    def unwind(self, prompt: str, tokens: int) -> None:
        """After a prompt that did not fit: drop the newest pairs, one at least, until `tokens` are free.

        The context is then known to be no longer than that history was.
        """
        tried = self.count(user(prompt))
        self.limit = min(self.limit or tried, tried)
        dropped = 0
        while len(self.messages) >= self._shortest + 2:
            if dropped and self.limit - self.count() >= tokens:
                break
            del self.messages[-2:]
            self._counted.pop(len(self.messages) + 2, None)
            dropped += 2

    def restart(self, *after: Wire) -> None:
        """Forget all but the very first message, and go on with `after` behind it."""
        self.messages = [self.messages[0], *after]
        self._shortest = len(self.messages)
        self._counted.clear()


def _merged(messages: Sequence[Wire]) -> list[Wire]:
    merged: list[Wire] = []
    for message in messages:
        if merged and merged[-1]["role"] == message["role"]:
            merged[-1] = message | {"content": f"{merged[-1]['content']}\n\n{message['content']}"}
        else:
            merged.append(message)
    return merged
