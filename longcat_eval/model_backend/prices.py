"""What tokens cost."""

from typing import NamedTuple

from longcat_eval.records import Usage


class Price(NamedTuple):
    """US dollars per million tokens; with `cached_prompt` None, cached prompt tokens cost like others."""

    prompt: float
    completion: float
    cached_prompt: float | None = None

    def cost(self, usage: Usage) -> float | None:
        """Return US dollars, or None where the server counted nothing: unknown is not free."""
        if not usage.total:
            return None
        cached = min(usage.cached_tokens, usage.prompt_tokens)
        cached_rate = self.prompt if self.cached_prompt is None else self.cached_prompt
        dollars = (usage.prompt_tokens - cached) * self.prompt + cached * cached_rate
        return (dollars + usage.completion_tokens * self.completion) / 1e6
